//! The lab: SQL Server and Connect hosts that do not exist on a build machine, and the whole system started on top of
//! them. See [`lab`]. And the readers of foreign bytes, for fuzzing: [`fuzz`].

pub mod fuzz;
pub mod lab;
pub mod transcript;
