//! The engine behind the wire. The agent sends batches only.

use std::io;
use std::path::PathBuf;

use syncferry_sqlserver::engine::{Instance, Session};
use syncferry_sqlserver::tds::backend::{Backend, BackendSession, LoginReply, RpcCall, TransactionRequest};
use syncferry_sqlserver::types::{Cancel, Login, Message, Sink};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) instance: Instance,
    pub(crate) folder: PathBuf,
}

pub(crate) struct EngineSession(Session);

impl Backend for Engine {
    type Session = EngineSession;

    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }
    fn server_name(&self) -> String {
        self.instance.server_name()
    }
    fn product_version(&self) -> (u8, u8, u16) {
        self.instance.product_version()
    }
    fn force_encryption(&self) -> bool {
        self.instance.force_encryption()
    }
    async fn login(&self, login: Login) -> Result<(EngineSession, LoginReply), Message> {
        let (session, reply) = self.instance.login(login).await?;
        let reply = LoginReply {
            database: reply.database,
            language: reply.language,
            infos: reply.infos,
        };
        Ok((EngineSession(session), reply))
    }
    async fn shutdown(&self) {
        self.instance.shutdown().await;
    }
}

impl BackendSession for EngineSession {
    fn spid(&self) -> u16 {
        self.0.spid()
    }
    fn cancel(&self) -> Cancel {
        self.0.cancel()
    }
    fn killed(&self) -> CancellationToken {
        self.0.killed()
    }
    async fn batch(&mut self, sql: &str, sink: &mut dyn Sink) -> io::Result<()> {
        self.0.batch(sql, sink).await
    }
    async fn rpc(&mut self, _: RpcCall, _: &mut dyn Sink) -> io::Result<()> {
        Err(io::Error::other("the agent sends no remote procedure calls"))
    }
    async fn transaction(&mut self, _: TransactionRequest, _: &mut dyn Sink) -> io::Result<()> {
        Err(io::Error::other("the agent sends no transaction requests"))
    }
    fn reset(&mut self) {
        self.0.reset();
    }
}
