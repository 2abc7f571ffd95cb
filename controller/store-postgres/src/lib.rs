//! The store for several controllers: PostgreSQL. One file per repository, of the same name as its trait's; the SQL stands
//! in full beside the function that runs it. It decides nothing: what a change makes of a lease is
//! `syncferry_store::lease_rules`, what a state may become is `syncferry_shared::state`.
//!
//! One transaction writes at a time, over all controllers: it holds an advisory lock of the database until its end, so that
//! commands mean here what they mean on the embedded store. See docs/decisions/0012.

mod acceptances;
mod agents;
mod alarms;
mod artifacts;
mod attempts;
mod attestations;
mod audit;
mod catalogues;
mod databases;
mod error;
mod events;
mod gates;
mod hints;
mod hosts;
mod inspections;
mod item_words;
mod jobs;
mod leases;
mod line;
mod meta;
mod migrations;
mod open;
mod operators;
mod orgs;
mod places;
mod portable;
mod proofs;
mod recoveries;
mod row;
mod schema;
#[cfg(all(feature = "server", unix))]
pub mod server;
mod sites;
mod steps;
mod terms;
mod tokens;
mod tx;
mod watches;

pub use audit::REFERENCES;
pub use open::{Options, PgStore, check_url};
pub use portable::{PgExport, PgImport};
pub use schema::newest as newest_schema;
