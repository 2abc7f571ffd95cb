//! The lab runs all of Syncferry on one machine: a controller, an agent per host, SQL Server stand-ins that speak TDS,
//! and Windows/Connect hosts that behave as far as the agents can see. Each is a process of its own.
//!
//! - [`host`]: the Windows/Connect host stand-in
//! - [`host_client`]: how an agent (and the lab's person) talks to it
//! - [`msi`]: makes the installers that it installs
//! - [`world`]: three machines, two SQL Servers, and what is on them
//! - [`processes`]: starts and ends the lab's processes

pub mod host;
pub mod host_client;
pub mod msi;
pub mod processes;
pub mod world;
