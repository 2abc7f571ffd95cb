//! The lab: SQL Server and Connect hosts that do not exist on a build machine, and the whole system started on top of
//! them. See [`lab`].

pub mod lab;
