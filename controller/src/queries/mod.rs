//! From rows to messages: one file per thing that operators look at. Reading only.

pub mod alarm;
pub mod database;
pub mod gate;
pub mod host;
pub mod lease;
pub mod migration;
pub mod site;
