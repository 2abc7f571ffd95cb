//! The controller: it plans migrations, schedules their jobs and keeps the leases. The store is the only truth.

pub mod commands;
pub mod config;
pub mod core;
pub mod find;
pub mod identity;
pub mod inspect;
pub mod plan;
pub mod problem;
pub mod wake;
