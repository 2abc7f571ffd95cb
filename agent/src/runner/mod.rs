//! The runner: does jobs step by step so that nothing happens twice, whatever crashes in between.
//!
//! ```text
//!  offer ─▶ ACCEPTED ─▶ (controller confirms) ─▶ for each step:
//!             EFFECT there?           skip, its evidence serves later steps
//!             probe ─ done ─────────▶ EFFECT (found)
//!                   ─ under way ────▶ look again
//!                   ─ in part ──────▶ clean up and repeat, or ask
//!                   ─ unknown ──────▶ say so, touch nothing, wait for an order
//!                   ─ not started ──▶ [permit] ─▶ INTENT ─▶ act ─▶ confirm ─▶ EFFECT
//!           ─▶ put back what is held ─▶ DONE ─▶ reported until acknowledged
//!  failed or cancelled ─▶ UNDOING ─▶ undo in reverse ─▶ put back ─▶ DONE
//! ```
//!
//! A process that dies anywhere is followed by one that opens the journal, looks, tells the controller what it sees, and
//! goes on only where the controller says so.

mod controls;
mod cx;
mod env;
mod execute;
mod gate;
mod hold;
mod lease_book;
mod look;
mod permit;
mod report;
mod run;
mod step;
mod unwind;

pub use controls::Controls;
pub use cx::{Cx, ProgressSink};
pub use env::{Builder, Env, Pace};
pub use gate::Gate;
pub use hold::{SYNC_CYCLE, sweep};
pub use lease_book::LeaseBook;
pub use look::look;
pub use permit::Permit;
pub use report::{Delivered, deliver};
pub use run::{Deps, Ended, run};
pub use step::{Finish, Job, Policy, Probe, Step, StepError, host_finding};

#[cfg(test)]
pub(crate) mod tests;
