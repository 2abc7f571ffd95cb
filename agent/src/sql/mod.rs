//! Our SQL client: sessions over Microsoft's `mssql-tds`, the statements that the agent can issue, and what the answers mean.
//! Nothing here can express REPLACE, and nothing here reads a column that holds a secret.
//!
//! - [`endpoint`], [`instance`]: where an instance is and how to log in
//! - [`session`]: one connection; [`rows`] and [`value`]: what it answers; [`errors`]: what it refuses, by number
//! - [`statements`]: every T-SQL text there is, as named templates; [`quote`]: names and literals in them
//! - [`ops`]: typed operations for jobs
//! - [`capability`]: what an edition and version can do; [`temporary`]: the names of databases that are not verified yet

pub mod capability;
mod caught;
pub mod endpoint;
pub mod errors;
pub mod instance;
pub mod ops;
pub mod quote;
pub mod rows;
pub mod session;
pub mod statements;
pub mod temporary;
pub mod value;

pub use endpoint::SqlEndpoint;
pub use errors::{ServerMessage, SqlError, SqlErrorKind};
pub use instance::{Exchanged, ServerCertificate, SqlInstance, SqlLogin};
pub use rows::{ResultSet, Row};
pub use session::{Answer, Exchange, Line, Role, SqlSession};
pub use statements::Statement;
pub use value::Value;
