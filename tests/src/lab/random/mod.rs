//! Worlds that are drawn, and what must hold in all of them: a plan without a blocker runs to its end, and a plan with one touches
//! no host and no database. `lab random` runs any number; `tests/tests/property.rs` runs as many as fit into its time.
//!
//! - [`draw`]: from a seed to a world and a scenario
//! - `one`: one case, in a process of its own
//! - `ends`: the end states
//! - [`many`]: all of them

pub mod draw;
mod ends;
pub mod many;
mod one;

pub(super) use one::role;
