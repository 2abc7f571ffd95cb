//! The controller: it plans migrations, schedules their jobs and keeps the leases. The store is the only truth.
//!
//! A job's way: operator → `api` → `commands` (one transaction) → `scheduler` (plan, specifications) → `dispatch` (offer,
//! accept, report) → `progression` (what follows) → back to the operator through `queries`.

pub mod aftercare;
pub mod alarms;
pub mod api;
pub mod app;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod config;
pub mod core;
pub mod dispatch;
pub mod duties;
pub mod find;
pub mod identity;
pub mod inspect;
pub(crate) mod lease_use;
pub mod neighbours;
pub mod operators;
pub mod papers;
pub mod plan;
pub mod problem;
pub mod progression;
pub mod queries;
pub mod recovery;
pub mod report;
pub mod scheduler;
pub mod store;
pub mod storeops;
pub mod versions;
pub mod wake;
