//! Jobs against the SQL Server stand-in, with a machine that is the test's own: what bad input is called, what is left of a job
//! that stopped, that the next try goes on when the cause is mended; and the fence through the runner and its journal.

mod backup;
mod by_dba;
mod clocks;
mod failover;
mod fence;
mod identity;
mod install;
mod list_exports;
mod machine;
mod marks;
mod restore;
mod server;
mod site;
mod stop_server;
mod test_restore;
mod topologies;
mod travelled;
mod watch;
mod world;
