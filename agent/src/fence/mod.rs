//! The fence at SQL Server: what a run would say to a database, worked out against what the database is now. The same code
//! makes the preview that an operator approves and the statements that are run, and the digest holds the two together.
//!
//! ```text
//! preview ─▶ operator approves the digest ─▶ run: worked out again, same digest? ─▶ deny and mark, one transaction
//!                                             ─▶ COMMIT ─▶ end sessions ─▶ two looks apart show nobody ─▶ read back
//! ```

mod refusal;
mod run;

pub use refusal::refused;

pub use run::{FenceAsk, FenceRun, RemovalRun, fence_run, preview, removal_run};
