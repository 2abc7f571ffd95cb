//! The embedded store: SQLite, for one controller process. One file per repository, of the same name as its trait's; the
//! SQL stands in full beside the function that runs it. It decides nothing: what a change makes of a lease is
//! `syncferry_store::lease_rules`, what a state may become is `syncferry_shared::state`.

mod acceptances;
mod agents;
mod alarms;
mod artifacts;
mod attempts;
mod attestations;
mod audit;
mod catalogues;
mod clock;
mod databases;
mod error;
mod events;
mod gates;
mod hosts;
mod inspections;
mod item_words;
mod jobs;
mod leases;
mod meta;
mod migrations;
mod open;
mod operators;
mod orgs;
mod portable;
mod proofs;
mod recoveries;
mod row;
mod schema;
mod sites;
mod steps;
mod terms;
mod tokens;
mod tx;
mod watches;

pub use clock::SystemClock;
pub use open::{Options, SqliteStore};
pub use portable::{SqliteExport, SqliteImport, put_aside};
pub use schema::newest as newest_schema;
