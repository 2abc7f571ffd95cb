//! The controller: it plans migrations, schedules their jobs and keeps the leases. The store is the only truth.

pub mod plan;
