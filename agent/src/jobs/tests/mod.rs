//! Jobs against the SQL Server stand-in, with a machine that is the test's own: what bad input is called, what is left of a job
//! that stopped, and that the next try goes on when the cause is mended.

mod backup;
mod clocks;
mod install;
mod restore;
mod world;
