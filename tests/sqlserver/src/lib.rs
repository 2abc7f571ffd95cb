//! A SQL Server stand-in for the lab: it speaks TDS 7.4, parses T-SQL, keeps databases with real rows on disk and
//! writes real backup files with page checksums. It is not SQL Server; `docs/LAB.md` lists what it cannot do.
//!
//! - [`types`]: values, columns, messages and tokens between the layers
//! - `tds`: the wire: framing, pre-login, TLS, login, requests, token encoding
//! - `server`: listener and connections
//! - `engine`: T-SQL parser, execution, sessions, system views, errors with SQL Server's own numbers
//! - `storage`: database files, backup media, disks with quotas and ACLs, the ADSync sample database

pub mod cli;
pub mod engine;
pub mod server;
pub mod storage;
pub mod tds;
pub mod types;
