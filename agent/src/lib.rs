//! The agent: it runs jobs on a SQL host or a Connect server.

pub mod adsync;
pub mod clocks;
pub mod controller;
pub mod host;
pub mod journal;
pub mod runner;
pub mod session;
pub mod sql;
mod wire;
