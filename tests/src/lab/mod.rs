//! The lab runs all of Syncferry on one machine: a controller, an agent per host, SQL Server stand-ins that speak TDS,
//! and Windows/Connect hosts that behave as far as the agents can see. Each is a process of its own.
//!
//! - [`host`]: the Windows/Connect host stand-in
//! - [`host_client`]: how an agent (and the lab's person) talks to it
//! - [`msi`]: makes the installers that it installs
//! - [`world`]: three machines, two SQL Servers, and what is on them
//! - [`operator`], [`person`]: who uses it: through the command line, and at the wizard
//! - [`flavour`], `dba`, `replace`, `comeback`: a server that is replaced in four ways, and comes back
//! - `plan_only`: a world that is only planned in
//! - [`cli`], [`roles`], [`run`]: the program, and what it starts itself as
//! - [`torture`]: whole runs that are disturbed at random moments; [`proxy`]: a wire that can be cut
//! - [`random`]: worlds that are drawn, and what must hold in all of them
//! - [`typed`]: what operators type to plan a scenario; `visitor`: who else is on the database
//! - [`fleet`]: several controllers on one PostgreSQL, many sites at once, and faults all the while
//! - [`processes`]: starts and ends the lab's processes

pub mod cli;
mod comeback;
mod dba;
pub mod flavour;
pub mod fleet;
pub mod host;
pub mod host_client;
pub mod msi;
pub mod operator;
pub mod person;
mod plan_only;
mod power;
pub mod processes;
pub mod proxy;
pub mod random;
mod replace;
pub mod roles;
pub mod run;
mod scenarios;
pub mod torture;
pub mod typed;
mod visitor;
mod wizard_tool;
pub mod world;
