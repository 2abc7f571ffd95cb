//! What the wire needs from whoever answers requests. The engine is the real one; tests bring small ones, so that
//! the protocol can be tested without T-SQL.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::types::{Cancel, Login, Message, Param, Sink};

/// A remote procedure call.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcCall {
    /// The procedure, also where the client sent a well-known id: `sp_executesql`, `sp_prepexec` …
    pub name: String,
    /// Its parameters in the client's order.
    pub params: Vec<Param>,
}

/// A transaction manager request: transactions without T-SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionRequest {
    /// Begins one.
    Begin {
        /// Its name, mostly empty.
        name: String,
        /// 0 keeps the session's isolation level, 1 to 5 as [MS-TDS] 2.2.6.9 has them.
        isolation: u8,
    },
    /// Commits the running one.
    Commit {
        /// Its name, mostly empty.
        name: String,
        /// Begins another at once.
        begin_next: bool,
    },
    /// Rolls back, to a savepoint where `name` is one.
    Rollback {
        /// A savepoint, or empty for all.
        name: String,
        /// Begins another at once.
        begin_next: bool,
    },
    /// Sets a savepoint.
    Save {
        /// Its name.
        name: String,
    },
}

/// What a successful login tells the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginReply {
    /// The session's database.
    pub database: String,
    /// The session's language.
    pub language: String,
    /// 5701 and 5703.
    pub infos: Vec<Message>,
}

/// A whole server. Cloning shares it.
pub trait Backend: Clone + Send + Sync + 'static {
    /// One connection's session.
    type Session: BackendSession;

    /// Where the instance keeps its files; the certificate is kept there too.
    fn folder(&self) -> PathBuf;
    /// `SQL01` or `SQL01\INST`.
    fn server_name(&self) -> String;
    /// Major, minor and build for PRELOGIN and LOGINACK.
    fn product_version(&self) -> (u8, u8, u16);
    /// Whether clients must encrypt.
    fn force_encryption(&self) -> bool;
    /// Opens a session, or says why not: 18456, 4060 …
    fn login(&self, login: Login) -> impl Future<Output = Result<(Self::Session, LoginReply), Message>> + Send;
    /// Stops everything in an orderly way.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;
}

/// A session. Dropping it closes it.
pub trait BackendSession: Send + 'static {
    /// `@@SPID`.
    fn spid(&self) -> u16;
    /// The flag that an Attention sets.
    fn cancel(&self) -> Cancel;
    /// Cancelled by KILL: the connection is to be closed.
    fn killed(&self) -> CancellationToken;
    /// Runs a batch. An error is one of the sink: the client is gone.
    fn batch(&mut self, sql: &str, sink: &mut dyn Sink) -> impl Future<Output = io::Result<()>> + Send;
    /// Runs a procedure.
    fn rpc(&mut self, call: RpcCall, sink: &mut dyn Sink) -> impl Future<Output = io::Result<()>> + Send;
    /// Runs a transaction manager request.
    fn transaction(
        &mut self,
        request: TransactionRequest,
        sink: &mut dyn Sink,
    ) -> impl Future<Output = io::Result<()>> + Send;
    /// The client's pool hands the connection to somebody else.
    fn reset(&mut self);
}
