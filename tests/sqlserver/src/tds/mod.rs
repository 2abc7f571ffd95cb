//! The wire: everything between a TCP stream and the engine. It knows TDS 7.1 to 7.4 and 8.0, and no T-SQL.
//!
//! A connection's way: [`packet`] frames bytes into messages, [`prelogin`] negotiates encryption, [`tls`] and
//! [`wire`] carry the handshake inside TDS packets, [`login7`] says who connects, [`login`] answers, and
//! [`connection`] then runs requests ([`decode`]) against a [`backend`] whose tokens [`encode`] and [`sink`] send.

pub mod backend;
mod bytes;
mod collation;
mod connection;
pub(crate) mod decode;
pub(crate) mod encode;
mod error;
pub mod foreign;
mod login;
pub(crate) mod login7;
pub(crate) mod packet;
pub(crate) mod prelogin;
mod reader;
mod run;
mod sink;
mod tls;
mod version;
mod wire;
mod writer;

pub(crate) use connection::{Listener, serve_connection};
pub use error::ProtocolError;
pub use tls::Identity;
