//! Jobs against the SQL Server stand-in, through the runner and its journal.

mod fence;
mod identity;
mod marks;
mod site;
mod travelled;
mod watch;
