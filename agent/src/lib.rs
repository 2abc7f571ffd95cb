//! The agent: it runs jobs on a SQL host or a Connect server.
//!
//! - [`app`]: wiring; [`cli`]: the command line; [`config`]: the file
//! - [`session`]: the connection to the controller; [`controller`]: what is asked of it; [`identity`]: as whom
//! - [`journal`]: what was accepted, done and not yet acknowledged
//! - [`runner`]: attempts and steps; [`jobs`]: what they are for each kind of job
//! - [`sql`], [`adsync`]: SQL Server and what is in an ADSync database
//! - [`power`]: whether another machine is off
//! - [`watch`]: what is looked at again and again; [`fence`]: what a fence at SQL Server would say, and what speaks against it
//! - [`transfer`]: artifacts on the move; [`connect`]: Connect's installer and cmdlets; [`inspect`]: inventories
//! - [`host`]: the seam to the machine; [`os`]: the real machines

pub mod adsync;
pub mod app;
pub mod cli;
pub mod clocks;
pub mod config;
pub mod connect;
pub mod controller;
pub mod fence;
pub mod host;
pub mod identity;
pub mod inspect;
pub mod instances;
pub mod jobs;
pub mod journal;
pub mod os;
pub mod power;
pub mod runner;
pub mod session;
pub mod sql;
#[cfg(test)]
mod testing;
pub mod transfer;
pub mod watch;
mod wire;
