//! What a SQL Server answers, as the agent's own client reads it: over a real socket and real TLS, from a server that logs
//! the client in and then says anything.
//!
//! The first byte chooses what is replaced: the answer to the login, or that to the first question.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use syncferry_agent::sql::{Role, ServerCertificate, SqlErrorKind, SqlInstance, SqlLogin, SqlSession, Statement};
use syncferry_shared::secret::Secret;
use syncferry_sqlserver::tds::backend::{Backend, BackendSession, LoginReply, RpcCall, TransactionRequest};
use syncferry_sqlserver::types::{Cancel, Column, DoneKind, Login, Message, Sink, SqlType, Token, Value};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Reads bytes as an answer.
pub fn read(bytes: &[u8]) -> bool {
    let Some((which, answer)) = bytes.split_first() else {
        return false;
    };
    let liar = &*LIAR;
    {
        let mut lie = liar.lie.lock().unwrap_or_else(PoisonError::into_inner);
        *lie = Lie::default();
        if which % 4 == 0 {
            lie.login = Some(answer.to_vec());
        } else {
            lie.question = Some(answer.to_vec());
        }
    }
    liar.runtime.block_on(ask(&liar.instance))
}

async fn ask(instance: &SqlInstance) -> bool {
    let mut session = match SqlSession::connect(instance, Role::Monitor).await {
        Ok(session) => session,
        Err(error) => {
            assert_ne!(error.kind, SqlErrorKind::TimedOut, "{error}");
            return false;
        }
    };
    let question = Statement {
        name: "fuzz",
        sql: "SELECT".into(),
    };
    match session.ask(&question).await {
        Ok(_) => true,
        Err(error) => {
            // The server closes the connection after its answer: nobody may wait for more.
            assert_ne!(error.kind, SqlErrorKind::TimedOut, "{error}");
            !error.errors.is_empty()
        }
    }
}

/// Answers to the question: one row, an error, nothing. The server ends each as it should.
pub fn seeds() -> Vec<Vec<u8>> {
    let row = vec![
        1, 0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0x26, 4, 1, b'n', 0, 0xD1, 4, 42, 0, 0, 0,
    ];
    // Number, state, class, text, server, procedure, line.
    let body = [0xD0, 7, 0, 0, 1, 16, 1, 0, b'x', 0, 0, 0, 1, 0, 0, 0];
    let error = [&[1, 0xAA, body.len() as u8, 0], &body[..]].concat();
    vec![row, error, vec![1]]
}

/// What is said instead of the truth.
#[derive(Default)]
struct Lie {
    login: Option<Vec<u8>>,
    question: Option<Vec<u8>>,
}

/// A server that lies.
struct Liar {
    lie: Arc<Mutex<Lie>>,
    instance: SqlInstance,
    runtime: Runtime,
    _dir: TempDir,
}

static LIAR: LazyLock<Liar> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let lie = Arc::new(Mutex::new(Lie::default()));
    let server = Server {
        lie: lie.clone(),
        folder: dir.path().into(),
    };
    let listener = runtime
        .block_on(TcpListener::bind(("127.0.0.1", 0)))
        .expect("a free port");
    let port = listener.local_addr().map_or(0, |a| a.port());
    runtime.spawn(syncferry_sqlserver::server::serve(
        server,
        listener,
        CancellationToken::new(),
    ));
    let instance = SqlInstance {
        name: "liar".into(),
        endpoint: format!("tcp:127.0.0.1,{port}").parse().expect("an endpoint"),
        login: SqlLogin::Sql {
            user: "agent".into(),
            password: Secret::new("x"),
        },
        certificate: ServerCertificate::Any,
        purpose: "fuzz".into(),
    };
    Liar {
        lie,
        instance,
        runtime,
        _dir: dir,
    }
});

#[derive(Clone)]
struct Server {
    lie: Arc<Mutex<Lie>>,
    folder: PathBuf,
}

impl Server {
    fn take(&self, which: impl FnOnce(&mut Lie) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        which(&mut self.lie.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Session {
    server: Server,
    cancel: Cancel,
    killed: CancellationToken,
}

impl Backend for Server {
    type Session = Session;

    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }
    fn server_name(&self) -> String {
        "LIAR".into()
    }
    fn product_version(&self) -> (u8, u8, u16) {
        (16, 0, 4236)
    }
    fn force_encryption(&self) -> bool {
        true
    }
    async fn login(&self, login: Login) -> Result<(Session, LoginReply), Message> {
        let session = Session {
            server: self.clone(),
            cancel: Cancel::default(),
            killed: CancellationToken::new(),
        };
        let reply = LoginReply {
            database: login.database,
            language: "us_english".into(),
            infos: Vec::new(),
        };
        Ok((session, reply))
    }
    async fn shutdown(&self) {}
    fn tamper(&self, login_answer: &mut Vec<u8>) {
        if let Some(lie) = self.take(|l| l.login.take()) {
            *login_answer = lie;
        }
    }
}

impl BackendSession for Session {
    fn spid(&self) -> u16 {
        51
    }
    fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
    fn killed(&self) -> CancellationToken {
        self.killed.clone()
    }
    async fn batch(&mut self, sql: &str, sink: &mut dyn Sink) -> io::Result<()> {
        if sql.contains("@@SPID") {
            return spid(sink).await;
        }
        if let Some(lie) = self.server.take(|l| l.question.take()) {
            sink.send(Token::Raw(lie)).await?;
        }
        // After the end of the answer the connection ends too: nobody waits for the rest of a lie.
        self.killed.cancel();
        Ok(())
    }
    async fn rpc(&mut self, _: RpcCall, _: &mut dyn Sink) -> io::Result<()> {
        Err(io::Error::other("nobody calls"))
    }
    async fn transaction(&mut self, _: TransactionRequest, _: &mut dyn Sink) -> io::Result<()> {
        Err(io::Error::other("nobody asks"))
    }
    fn reset(&mut self) {}
}

async fn spid(sink: &mut dyn Sink) -> io::Result<()> {
    let column = Column {
        name: "spid".into(),
        ty: SqlType::Int,
        nullable: true,
    };
    sink.send(Token::Columns(vec![column])).await?;
    sink.send(Token::Row(vec![Value::Int(51)])).await?;
    sink.send(Token::Done {
        kind: DoneKind::Done,
        more: false,
        error: false,
        count: Some(1),
        cur_cmd: 193,
    })
    .await
}
