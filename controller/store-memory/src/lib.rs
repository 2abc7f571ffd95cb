//! A store without a disk: plain maps, one writer, and nothing that depends on anything but its clock and its seed. For
//! simulations and tests. One file per repository, of the same name as its trait's; it passes the conformance suite of the
//! real ones.

mod acceptances;
mod agents;
mod alarms;
mod artifacts;
mod attempts;
mod attestations;
mod audit;
mod catalogues;
mod data;
mod databases;
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
mod proofs;
mod recoveries;
mod sites;
mod steps;
mod terms;
mod tokens;
mod tx;
mod watches;

pub use open::{Backup, Commits, MemoryStore, Options};
