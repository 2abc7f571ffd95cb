//! `lab torture`: whole runs of the main job, each disturbed at a random moment, each held against what an undisturbed run
//! leaves behind. A run ends in the same final state, or in a named and explained stop after which the operator does what is
//! written there; anything else is a failure.
//!
//! - [`disturbance`]: what is done, drawn from a seed; [`disturb`] does it; [`journal`] cuts journals
//! - [`drive`]: the operator and the person at the wizard, who go on whatever happens
//! - [`picture`]: what the machines and SQL Servers look like; [`check`]: what must hold at the end
//! - [`one`]: a run, in a process of its own; [`many`]: all of them; [`table`]: what came out

pub(in crate::lab) mod check;
mod disturb;
pub mod disturbance;
mod drive;
mod journal;
mod many;
mod one;
pub(in crate::lab) mod picture;
mod table;
pub mod verdict;

pub use many::{TortureArgs, run};
pub(super) use one::role;
