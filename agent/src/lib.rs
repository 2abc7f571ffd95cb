//! The agent: it runs jobs on a SQL host or a Connect server.

pub mod host;
