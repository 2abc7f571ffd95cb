//! What bad input gets, across processes: every case is refused or stopped by name, both SQL Servers are compared before and
//! after, and when a person has mended the cause the run goes on or is planned anew. Each test is a world of its own.

mod identities;
mod on_the_way;
mod refused;
mod town;
