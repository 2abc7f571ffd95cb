//! A server that plays prepared answers over real TDS, to test the session without T-SQL.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use syncferry_agent::sql::{ServerCertificate, SqlInstance, SqlLogin};
use syncferry_shared::secret::Secret;
use syncferry_sqlserver::tds::backend::{Backend, BackendSession, LoginReply, RpcCall, TransactionRequest};
use syncferry_sqlserver::types::{Cancel, Column, DoneKind, Login, Message, Sink, SqlType, Token, Value};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A step of an answer.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Token),
    /// Until somebody notifies.
    Wait(Arc<Notify>),
    /// Until an Attention comes.
    UntilCancelled,
    /// Breaks the connection.
    Break,
}

type Script = dyn Fn(&str) -> Vec<Step> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Stub {
    script: Arc<Script>,
    folder: PathBuf,
    spid: Arc<AtomicU16>,
}

pub(crate) struct StubSession {
    stub: Stub,
    spid: u16,
    cancel: Cancel,
    killed: CancellationToken,
}

pub(crate) fn message(number: i32, class: u8, text: &str) -> Message {
    Message {
        number,
        state: 1,
        class,
        text: text.into(),
        server: String::new(),
        procedure: String::new(),
        line: 1,
    }
}

pub(crate) fn info(number: i32, text: &str) -> Step {
    Step::Send(Token::Info(message(number, 0, text)))
}

pub(crate) fn error(number: i32, text: &str) -> Step {
    Step::Send(Token::Error(message(number, 16, text)))
}

pub(crate) fn done(more: bool, error: bool) -> Step {
    Step::Send(Token::Done {
        kind: DoneKind::Done,
        more,
        error,
        count: None,
        cur_cmd: 228,
    })
}

/// A result set of one row.
pub(crate) fn one_row(more: bool, values: Vec<(&str, SqlType, Value)>) -> Vec<Step> {
    let column = |(name, ty, _): &(&str, SqlType, Value)| Column {
        name: (*name).into(),
        ty: ty.clone(),
        nullable: true,
    };
    vec![
        Step::Send(Token::Columns(values.iter().map(column).collect())),
        Step::Send(Token::Row(values.into_iter().map(|(_, _, v)| v).collect())),
        Step::Send(Token::Done {
            kind: DoneKind::Done,
            more,
            error: false,
            count: Some(1),
            cur_cmd: 193,
        }),
    ]
}

impl Backend for Stub {
    type Session = StubSession;

    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }
    fn server_name(&self) -> String {
        "SQL01".into()
    }
    fn product_version(&self) -> (u8, u8, u16) {
        (16, 0, 4236)
    }
    fn force_encryption(&self) -> bool {
        true
    }

    async fn login(&self, login: Login) -> Result<(StubSession, LoginReply), Message> {
        if login.password != PASSWORD {
            return Err(message(18456, 14, &format!("Login failed for user '{}'.", login.user)));
        }
        let session = StubSession {
            stub: self.clone(),
            spid: self.spid.fetch_add(1, Ordering::Relaxed),
            cancel: Cancel::default(),
            killed: CancellationToken::new(),
        };
        let reply = LoginReply {
            database: login.database,
            language: "us_english".into(),
            infos: vec![message(5701, 0, "Changed database context to 'master'.")],
        };
        Ok((session, reply))
    }

    async fn shutdown(&self) {}
}

impl BackendSession for StubSession {
    fn spid(&self) -> u16 {
        self.spid
    }
    fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
    fn killed(&self) -> CancellationToken {
        self.killed.clone()
    }

    async fn batch(&mut self, sql: &str, sink: &mut dyn Sink) -> io::Result<()> {
        let steps = if sql.contains("@@SPID") {
            one_row(false, vec![("spid", SqlType::Int, Value::Int(self.spid.into()))])
        } else {
            (self.stub.script)(sql)
        };
        for step in steps {
            match step {
                Step::Send(token) => sink.send(token).await?,
                Step::Wait(notify) => notify.notified().await,
                Step::UntilCancelled => {
                    while !self.cancel.is_cancelled() {
                        tokio::task::yield_now().await;
                    }
                }
                Step::Break => return Err(io::Error::other("broken on purpose")),
            }
        }
        Ok(())
    }

    async fn rpc(&mut self, _: RpcCall, _: &mut dyn Sink) -> io::Result<()> {
        Err(io::Error::other("the agent sends no remote procedure calls"))
    }
    async fn transaction(&mut self, _: TransactionRequest, _: &mut dyn Sink) -> io::Result<()> {
        Err(io::Error::other("the agent sends no transaction requests"))
    }
    fn reset(&mut self) {}
}

pub(crate) const PASSWORD: &str = "Passw0rd!ä";

/// A running server.
pub(crate) struct Server {
    pub(crate) instance: SqlInstance,
    pub(crate) dir: TempDir,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stub = Stub {
            script: Arc::new(script),
            folder: dir.path().into(),
            spid: Arc::new(AtomicU16::new(51)),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(syncferry_sqlserver::server::serve(stub, listener, shutdown.clone()));
        let instance = SqlInstance {
            name: "default".into(),
            endpoint: format!("tcp:127.0.0.1,{port}").parse().unwrap(),
            login: SqlLogin::Sql {
                user: "agent".into(),
                password: Secret::new(PASSWORD),
            },
            certificate: ServerCertificate::Any,
            purpose: "test".into(),
        };
        Self {
            instance,
            dir,
            shutdown,
            serving,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}
