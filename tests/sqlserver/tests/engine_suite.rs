//! The engine without the wire: batches against instances on disk, a file per family.

#[path = "engine_suite/lab.rs"]
mod lab;

#[path = "engine_suite/agent.rs"]
mod agent;
#[path = "engine_suite/backup.rs"]
mod backup;
#[path = "engine_suite/databases.rs"]
mod databases;
#[path = "engine_suite/errors.rs"]
mod errors;
#[path = "engine_suite/expressions.rs"]
mod expressions;
#[path = "engine_suite/fence.rs"]
mod fence;
#[path = "engine_suite/garbage.rs"]
mod garbage;
#[path = "engine_suite/locks.rs"]
mod locks;
#[path = "engine_suite/procedural.rs"]
mod procedural;
#[path = "engine_suite/queries.rs"]
mod queries;
#[path = "engine_suite/security.rs"]
mod security;
#[path = "engine_suite/tables.rs"]
mod tables;
