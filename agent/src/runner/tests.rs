//! Tests of the runner: crashes at every record, failures, cancellation, permits, holds, undoing. The world that steps act on
//! survives the crashes, as a SQL Server would; a step that acts twice is counted twice.

mod crash;
mod rules;
pub(crate) mod world;
