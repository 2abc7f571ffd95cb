//! A backend that plays prepared answers, and a server around it, to test the protocol without T-SQL.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::TdsClient;
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{EncryptionSetting, TdsResult};
use syncferry_sqlserver::tds::backend::{Backend, BackendSession, LoginReply, RpcCall, TransactionRequest};
use syncferry_sqlserver::types::{Cancel, Column, DoneKind, EnvChange, Login, Message, Sink, SqlType, Token, Value};
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
    /// Until an Attention or KILL, as a long statement does; then tell whoever waits.
    UntilCancelled(Arc<Notify>),
    /// KILL of its own session.
    KillMe,
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    Batch(String),
    Rpc(RpcCall),
    Transaction(TransactionRequest),
    Reset,
}

type Script = dyn Fn(&Asked) -> Vec<Step> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Stub {
    script: Arc<Script>,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    pub(crate) logins: Arc<Mutex<Vec<Login>>>,
    /// Notified when a session is dropped.
    pub(crate) closed: Arc<Notify>,
    folder: PathBuf,
    force_encryption: bool,
    spid: Arc<AtomicU16>,
}

pub(crate) struct StubSession {
    stub: Stub,
    spid: u16,
    cancel: Cancel,
    killed: CancellationToken,
}

impl Drop for StubSession {
    fn drop(&mut self) {
        self.stub.closed.notify_one();
    }
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

pub(crate) fn done(more: bool, count: Option<u64>, cur_cmd: u16) -> Step {
    Step::Send(Token::Done {
        kind: DoneKind::Done,
        more,
        error: false,
        count,
        cur_cmd,
    })
}

pub(crate) fn failed(more: bool) -> Step {
    Step::Send(Token::Done {
        kind: DoneKind::Done,
        more,
        error: true,
        count: None,
        cur_cmd: 0,
    })
}

pub(crate) fn columns(types: &[SqlType]) -> Step {
    let column = |(index, ty): (usize, &SqlType)| Column {
        name: format!("c{index}"),
        ty: ty.clone(),
        nullable: true,
    };
    Step::Send(Token::Columns(types.iter().enumerate().map(column).collect()))
}

pub(crate) fn row(values: Vec<Value>) -> Step {
    Step::Send(Token::Row(values))
}

/// A result set of one row.
pub(crate) fn one_row(values: Vec<(SqlType, Value)>) -> Vec<Step> {
    let (types, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    vec![columns(&types), row(values), done(false, Some(1), 193)]
}

impl Backend for Stub {
    type Session = StubSession;

    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    fn server_name(&self) -> String {
        "SQL01\\INST".into()
    }

    fn product_version(&self) -> (u8, u8, u16) {
        (16, 0, 4236)
    }

    fn force_encryption(&self) -> bool {
        self.force_encryption
    }

    async fn login(&self, login: Login) -> Result<(StubSession, LoginReply), Message> {
        self.logins.lock().unwrap().push(login.clone());
        if login.password != "Passw0rd!ä" {
            return Err(message(18456, 14, &format!("Login failed for user '{}'.", login.user)));
        }
        if login.database == "missing" {
            return Err(message(
                4060,
                11,
                "Cannot open database \"missing\" requested by the login.",
            ));
        }
        let database = if login.database.is_empty() {
            "master".into()
        } else {
            login.database
        };
        let infos = vec![
            message(5701, 0, &format!("Changed database context to '{database}'.")),
            message(5703, 0, "Changed language setting to us_english."),
        ];
        let session = StubSession {
            stub: self.clone(),
            spid: self.spid.fetch_add(1, Ordering::Relaxed),
            cancel: Cancel::default(),
            killed: CancellationToken::new(),
        };
        Ok((
            session,
            LoginReply {
                database,
                language: "us_english".into(),
                infos,
            },
        ))
    }

    async fn shutdown(&self) {}
}

impl StubSession {
    async fn play(&mut self, asked: Asked, sink: &mut dyn Sink) -> io::Result<()> {
        let steps = (self.stub.script)(&asked);
        self.stub.asked.lock().unwrap().push(asked);
        for step in steps {
            match step {
                Step::Send(token) => sink.send(token).await?,
                Step::Wait(notify) => notify.notified().await,
                Step::UntilCancelled(notify) => {
                    while !self.cancel.is_cancelled() {
                        tokio::task::yield_now().await;
                    }
                    notify.notify_one();
                }
                Step::KillMe => self.killed.cancel(),
            }
        }
        Ok(())
    }
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
        self.play(Asked::Batch(sql.into()), sink).await
    }

    async fn rpc(&mut self, call: RpcCall, sink: &mut dyn Sink) -> io::Result<()> {
        self.play(Asked::Rpc(call), sink).await
    }

    async fn transaction(&mut self, request: TransactionRequest, sink: &mut dyn Sink) -> io::Result<()> {
        let change = match &request {
            TransactionRequest::Begin { .. } => Some(EnvChange::BeginTransaction(7)),
            TransactionRequest::Commit { .. } => Some(EnvChange::CommitTransaction(7)),
            TransactionRequest::Rollback { .. } => Some(EnvChange::RollbackTransaction(7)),
            TransactionRequest::Save { .. } => None,
        };
        self.stub.asked.lock().unwrap().push(Asked::Transaction(request));
        if let Some(change) = change {
            sink.send(Token::EnvChange(change)).await?;
        }
        sink.send(Token::Done {
            kind: DoneKind::Done,
            more: false,
            error: false,
            count: None,
            cur_cmd: 0,
        })
        .await
    }

    fn reset(&mut self) {
        self.stub.asked.lock().unwrap().push(Asked::Reset);
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stub: Stub,
    pub(crate) dir: TempDir,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_with(false, script).await
    }

    pub(crate) async fn start_with(
        force_encryption: bool,
        script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stub = Stub {
            script: Arc::new(script),
            asked: Arc::default(),
            logins: Arc::default(),
            closed: Arc::default(),
            folder: dir.path().into(),
            force_encryption,
            spid: Arc::new(AtomicU16::new(51)),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(syncferry_sqlserver::server::serve(
            stub.clone(),
            listener,
            shutdown.clone(),
        ));
        Self {
            address,
            stub,
            dir,
            shutdown,
            serving,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }

    /// A context that would log in, with full encryption.
    pub(crate) fn context(&self) -> ClientContext {
        let mut context = ClientContext::default();
        context.user_name = "sa".into();
        context.password = "Passw0rd!ä".into();
        context.application_name = "adsync-agent/run-1".into();
        context.workstation_id = "CONNECT01".into();
        context.encryption_options.mode = EncryptionSetting::On;
        context.encryption_options.trust_server_certificate = true;
        // This client takes 4060 for a passing failure and would try again after ten seconds.
        context.connect_retry_count = 0;
        context
    }

    pub(crate) async fn connect(&self, context: ClientContext) -> TdsResult<TdsClient> {
        TdsConnectionProvider {}
            .create_client(context, &format!("tcp:localhost,{}", self.address.port()), None)
            .await
    }

    pub(crate) async fn client(&self) -> TdsClient {
        self.connect(self.context()).await.unwrap()
    }
}
