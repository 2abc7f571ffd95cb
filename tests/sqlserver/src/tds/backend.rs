//! What the wire needs from whoever answers requests. The engine is the real one; tests bring small ones, so that
//! the protocol can be tested without T-SQL.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::engine::{Instance, Session};
pub use crate::engine::{LoginReply, RpcCall, TransactionRequest};
use crate::types::{Cancel, Login, Message, Sink};

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
    /// Changes the bytes that answer a login before they go out. No real server does: it is for tests of clients.
    fn tamper(&self, _login_answer: &mut Vec<u8>) {}
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

impl Backend for Instance {
    type Session = Session;

    fn folder(&self) -> PathBuf {
        self.dir().to_path_buf()
    }

    fn server_name(&self) -> String {
        Instance::server_name(self)
    }

    fn product_version(&self) -> (u8, u8, u16) {
        Instance::product_version(self)
    }

    fn force_encryption(&self) -> bool {
        Instance::force_encryption(self)
    }

    async fn login(&self, login: Login) -> Result<(Session, LoginReply), Message> {
        Instance::login(self, login).await
    }

    async fn shutdown(&self) {
        Instance::shutdown(self).await;
    }
}

impl BackendSession for Session {
    fn spid(&self) -> u16 {
        Session::spid(self)
    }

    fn cancel(&self) -> Cancel {
        Session::cancel(self)
    }

    fn killed(&self) -> CancellationToken {
        Session::killed(self)
    }

    async fn batch(&mut self, sql: &str, sink: &mut dyn Sink) -> io::Result<()> {
        Session::batch(self, sql, sink).await
    }

    async fn rpc(&mut self, call: RpcCall, sink: &mut dyn Sink) -> io::Result<()> {
        Session::rpc(self, call, sink).await
    }

    async fn transaction(&mut self, request: TransactionRequest, sink: &mut dyn Sink) -> io::Result<()> {
        Session::transaction(self, request, sink).await
    }

    fn reset(&mut self) {
        Session::reset(self);
    }
}
