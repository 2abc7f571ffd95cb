//! One connection to one instance. A session never reconnects by itself: a reconnected one would silently have lost its SET
//! options and its applocks.
//!
//! BACKUP and RESTORE send each message as a result of its own, and the server aborts them when a client stops reading.
//! So every statement is read to the very end of its batch, whatever happens on the way, and messages are handed on live.

use std::time::Duration;

use async_trait::async_trait;
use mssql_tds::connection::client_context::{ClientContext, TdsAuthenticationMethod};
use mssql_tds::connection::tds_client::{BatchErrorMode, ExecuteOptions, ResultSet as _, StatementResult, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{CancelHandle, EncryptionOptions, EncryptionSetting};
use mssql_tds::error::{Error as TdsError, SqlErrorInfo, SqlInfoMessage};
use tokio_util::sync::CancellationToken;

use super::caught::caught;
use super::errors::{ServerMessage, SqlError, SqlErrorKind};
use super::instance::{ServerCertificate, SqlInstance, SqlLogin};
use super::rows::ResultSet;
use super::statements::{self, Statement};
use super::value::Value;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// BACKUP, RESTORE, CHECKDB and everything that changes something.
    Work,
    /// Looks at the work session from outside, and never waits long.
    Monitor,
    /// Holds applocks, which end with it.
    Lock,
}

impl Role {
    /// How long a query may take. Statements run with [`SqlSession::execute_streaming`] have no limit: the caller watches
    /// that something moves.
    pub fn query_timeout(self) -> Duration {
        match self {
            // Exact counts over a database of 10 GB take their time.
            Role::Work => Duration::from_secs(600),
            Role::Monitor => Duration::from_secs(5),
            Role::Lock => Duration::from_secs(30),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Role::Work => "work",
            Role::Monitor => "monitor",
            Role::Lock => "lock",
        }
    }
}

/// How long the server has to acknowledge a cancellation before the connection is given up.
const CANCEL_TIMEOUT_SECS: u32 = 15;

/// More rows than any statement of ours asks for: an answer that goes on for ever must not fill the memory.
const MOST_ROWS: usize = 1_000_000;

/// How long connecting and logging in may take.
const LOGIN_TIMEOUT_SECS: u32 = 15;

/// What a statement brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Result sets, in order.
    pub sets: Vec<ResultSet>,
    /// Informational messages, in order.
    pub messages: Vec<ServerMessage>,
}

impl Answer {
    /// The first result set.
    pub fn first_set(&self) -> Option<&ResultSet> {
        self.sets.first()
    }
    /// Whether a message of this number was sent.
    pub fn said(&self, number: i32) -> bool {
        self.messages.iter().any(|m| m.number == number)
    }
}

/// Opens connections that are not TDS.
#[async_trait]
pub trait Exchange: Send + Sync + 'static {
    /// A connection under an application name, logged in and in `master`.
    async fn open(&self, application: &str) -> Result<Box<dyn Line>, SqlError>;
}

/// Such a connection. Dropping it ends it.
#[async_trait]
pub trait Line: Send {
    /// Runs a batch to its end: what it brought, and the server's errors. `Err`: the connection broke, and whether the batch
    /// ran is not known.
    async fn run(&mut self, sql: &str) -> Result<(Answer, Vec<ServerMessage>), String>;
}

enum Client {
    Tds(Box<TdsClient>),
    Line(Box<dyn Line>),
}

/// A connection.
pub struct SqlSession {
    client: Client,
    instance: String,
    role: Role,
    spid: i32,
    /// Set when the client library panicked, or was left in the middle of an answer: nobody knows where it stands.
    given_up: bool,
}

impl std::fmt::Debug for SqlSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlSession")
            .field("instance", &self.instance)
            .field("role", &self.role)
            .field("spid", &self.spid)
            .finish_non_exhaustive()
    }
}

impl SqlSession {
    /// Connects, logs in to `master` and sets the session's options.
    pub async fn connect(instance: &SqlInstance, role: Role) -> Result<Self, SqlError> {
        let client = match &instance.login {
            SqlLogin::Exchange(exchange) => Client::Line(exchange.0.open(&instance.application_name()).await?),
            _ => Client::Tds(Box::new(dialled(instance).await?)),
        };
        let mut session = Self {
            client,
            instance: instance.name.clone(),
            role,
            spid: 0,
            given_up: false,
        };
        let preamble = session.query(&statements::session::preamble()).await?;
        let row = preamble.iter().find_map(ResultSet::first);
        session.spid = row.and_then(|r| r.int32("spid")).ok_or_else(|| {
            SqlError::local(
                SqlErrorKind::Answer,
                &session.instance,
                "session-preamble",
                "the answer has no session id",
            )
        })?;
        tracing::debug!(
            instance = session.instance,
            role = role.as_str(),
            spid = session.spid,
            "connected to SQL Server"
        );
        Ok(session)
    }

    /// The session's id on the server.
    pub fn spid(&self) -> i32 {
        self.spid
    }

    /// The instance, by its name in the agent's configuration.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether the connection is known to be broken; nothing more can be asked of it then.
    pub fn is_dead(&self) -> bool {
        self.given_up
            || match &self.client {
                Client::Tds(client) => client.is_connection_dead(),
                Client::Line(_) => false,
            }
    }

    /// Runs a statement within the time that the role allows, and returns its result sets.
    pub async fn query(&mut self, statement: &Statement) -> Result<Vec<ResultSet>, SqlError> {
        self.ask(statement).await.map(|answer| answer.sets)
    }

    /// Like [`SqlSession::query`], with the messages.
    pub async fn ask(&mut self, statement: &Statement) -> Result<Answer, SqlError> {
        let never = CancellationToken::new();
        let seconds = u32::try_from(self.role.query_timeout().as_secs()).unwrap_or(u32::MAX);
        self.run(statement, &never, Some(seconds), |_| {}).await
    }

    /// Runs a statement in another database and goes back to `master`, also when it fails: a session that stays in a
    /// database blocks RESTORE, renaming and dropping there.
    pub async fn query_in(&mut self, database: &str, statement: &Statement) -> Result<Vec<ResultSet>, SqlError> {
        self.query(&statements::session::use_database(database)).await?;
        let result = self.query(statement).await;
        if self.is_dead() {
            return result;
        }
        let back = self.query(&statements::session::use_database("master")).await;
        match (result, back) {
            (Ok(sets), Ok(_)) => Ok(sets),
            (Ok(_), Err(error)) | (Err(error), _) => Err(error),
        }
    }

    /// Runs a statement without a time limit, hands every message on as it comes, and reads to the end of the batch.
    /// Cancelling the token, from any task, stops the statement on the server.
    pub async fn execute_streaming(
        &mut self,
        statement: &Statement,
        cancel: &CancellationToken,
        on_message: impl FnMut(&ServerMessage) + Send,
    ) -> Result<Answer, SqlError> {
        self.run(statement, cancel, None, on_message).await
    }

    /// Ends the session in order. Dropping it ends it as well, only less politely.
    pub async fn close(mut self) {
        if self.given_up {
            return;
        }
        let Client::Tds(client) = &mut self.client else { return };
        if let Ok(Err(error)) = caught(client.close_connection()).await {
            tracing::debug!(instance = self.instance, %error, "closing a SQL connection failed");
        }
    }

    /// Runs a statement, whatever the server answers: bytes that make the client library panic end this session, and nothing
    /// else.
    async fn run(
        &mut self,
        statement: &Statement,
        cancel: &CancellationToken,
        timeout: Option<u32>,
        on_message: impl FnMut(&ServerMessage) + Send,
    ) -> Result<Answer, SqlError> {
        if self.given_up {
            return Err(SqlError::local(
                SqlErrorKind::ConnectionLost,
                &self.instance,
                statement.name,
                "the connection was given up after an answer that could not be understood",
            ));
        }
        if let Client::Line(line) = &mut self.client {
            let limit = timeout.map_or(Duration::MAX, |s| Duration::from_secs(s.into()));
            let failed = |kind, detail: String| SqlError::local(kind, &self.instance, statement.name, detail);
            let ran = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(failed(SqlErrorKind::Cancelled, "cancelled".into())),
                ran = tokio::time::timeout(limit, line.run(&statement.sql)) => match ran {
                    Ok(ran) => ran.map_err(|broken| failed(SqlErrorKind::ConnectionLost, broken)),
                    Err(_) => Err(failed(SqlErrorKind::TimedOut, "no answer in time".into())),
                },
            };
            return match ran {
                Ok((answer, errors)) if errors.is_empty() => Ok(answer),
                Ok((_, errors)) => Err(SqlError::server(&self.instance, statement.name, errors)),
                Err(error) => {
                    self.given_up = true;
                    Err(error)
                }
            };
        }
        match caught(self.run_to_end(statement, cancel, timeout, on_message)).await {
            Ok(result) => result,
            Err(panic) => {
                self.given_up = true;
                Err(not_understood(&self.instance, statement.name, &panic))
            }
        }
    }

    async fn run_to_end(
        &mut self,
        statement: &Statement,
        cancel: &CancellationToken,
        timeout: Option<u32>,
        mut on_message: impl FnMut(&ServerMessage) + Send,
    ) -> Result<Answer, SqlError> {
        let mut handle = CancelHandle::from(cancel.clone());
        handle.set_cancel_timeout_secs(CANCEL_TIMEOUT_SECS);
        let options = ExecuteOptions {
            timeout,
            cancel: Some(&handle),
            // Results and errors after the first error are wanted too.
            on_error: BatchErrorMode::Continue,
            ..ExecuteOptions::default()
        };
        let mut answer = Answer::default();
        let mut errors: Vec<ServerMessage> = Vec::new();
        let mut step = self.tds()?.execute(statement.sql.clone(), options).await;
        loop {
            self.hand_on(&mut answer, &mut on_message);
            match step {
                Ok(StatementResult::End) => break,
                Ok(StatementResult::NoRows { .. }) => {}
                Ok(StatementResult::Rows) => {
                    let (set, error) = self.read_rows().await;
                    answer.sets.push(set);
                    self.hand_on(&mut answer, &mut on_message);
                    if let Some(error) = error {
                        self.note(statement, error, &mut errors)?;
                    }
                }
                Err(error) => self.note(statement, error, &mut errors)?,
            }
            let client = self.tds()?;
            if !client.has_open_batch() {
                break;
            }
            step = client.advance().await;
        }
        self.hand_on(&mut answer, &mut on_message);
        if errors.is_empty() {
            return Ok(answer);
        }
        Err(SqlError::server(&self.instance, statement.name, errors))
    }

    /// Keeps the server's errors; anything else ends the statement.
    fn note(&self, statement: &Statement, error: TdsError, errors: &mut Vec<ServerMessage>) -> Result<(), SqlError> {
        let TdsError::SqlServerError { diagnostics } = error else {
            let mut failed = in_use(&self.instance, statement.name, &error);
            // What the server said before the connection broke is worth more than how it broke.
            failed.errors = std::mem::take(errors);
            return Err(failed);
        };
        errors.extend(diagnostics.errors.iter().map(error_message));
        Ok(())
    }

    /// The TDS client. Lines are run elsewhere.
    fn tds(&mut self) -> Result<&mut TdsClient, SqlError> {
        match &mut self.client {
            Client::Tds(client) => Ok(client),
            Client::Line(_) => Err(SqlError::local(
                SqlErrorKind::Usage,
                &self.instance,
                "tds",
                "this is a line",
            )),
        }
    }

    async fn read_rows(&mut self) -> (ResultSet, Option<TdsError>) {
        let Client::Tds(client) = &mut self.client else {
            return (ResultSet::default(), None);
        };
        let columns: Vec<String> = client.get_metadata().iter().map(|c| c.column_name.clone()).collect();
        let mut rows = Vec::new();
        let error = loop {
            if rows.len() == MOST_ROWS {
                self.given_up = true;
                break Some(TdsError::ProtocolError(format!("more than {MOST_ROWS} rows")));
            }
            match client.next_row().await {
                Ok(Some(row)) => rows.push(row.into_iter().map(Value::from_column).collect()),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        (ResultSet::new(columns, rows), error)
    }

    fn hand_on(&mut self, answer: &mut Answer, on_message: &mut (impl FnMut(&ServerMessage) + Send)) {
        let Client::Tds(client) = &mut self.client else { return };
        for message in client.take_info_messages() {
            let message = info_message(&message);
            // Changes of database and language are our own doing.
            if matches!(message.number, 5701 | 5703) {
                continue;
            }
            on_message(&message);
            answer.messages.push(message);
        }
    }
}

async fn dialled(instance: &SqlInstance) -> Result<TdsClient, SqlError> {
    let context = context(instance);
    let source = instance.endpoint.data_source();
    let provider = TdsConnectionProvider::new();
    caught(provider.create_client(context, &source, None))
        .await
        .map_err(|panic| not_understood(&instance.name, "connect", &panic))?
        .map_err(|e| at_connect(instance, e))
}

fn context(instance: &SqlInstance) -> ClientContext {
    let mut context = ClientContext::with_data_source(&instance.endpoint.data_source());
    context.application_name = instance.application_name();
    context.database = "master".to_string();
    context.login_timeout = Some(LOGIN_TIMEOUT_SECS);
    // No silent reconnecting, see above.
    context.connect_retry_count = 0;
    context.pooling = false;
    match &instance.login {
        // An exchange is never dialled.
        SqlLogin::Integrated | SqlLogin::Exchange(_) => {
            context.tds_authentication_method = TdsAuthenticationMethod::SSPI
        }
        SqlLogin::Sql { user, password } => {
            context.tds_authentication_method = TdsAuthenticationMethod::Password;
            context.user_name = user.clone();
            context.password = password.reveal().to_string();
        }
    }
    let mut encryption = EncryptionOptions {
        mode: EncryptionSetting::Required,
        trust_server_certificate: false,
        host_name_in_cert: None,
        server_certificate: None,
    };
    match &instance.certificate {
        ServerCertificate::Verified => {}
        ServerCertificate::VerifiedAs(name) => encryption.host_name_in_cert = Some(name.clone()),
        ServerCertificate::Pinned(path) => encryption.server_certificate = Some(path.clone()),
        ServerCertificate::Any => encryption.trust_server_certificate = true,
    }
    context.encryption_options = encryption;
    context
}

fn at_connect(instance: &SqlInstance, error: TdsError) -> SqlError {
    let kind = match &error {
        TdsError::SqlServerError { diagnostics } => {
            let errors = diagnostics.errors.iter().map(error_message).collect();
            return SqlError::server(&instance.name, "connect", errors);
        }
        TdsError::TlsError(_)
        | TdsError::TlsHandshakeError { .. }
        | TdsError::CertificateNotFound { .. }
        | TdsError::InvalidCertificateFormat { .. }
        | TdsError::CertificateExpired
        | TdsError::CertificateMismatch
        | TdsError::CertificateFileIoError { .. }
        | TdsError::NoServerCertificate => SqlErrorKind::Tls,
        TdsError::Security(_) => SqlErrorKind::LoginFailed,
        _ => SqlErrorKind::Unreachable,
    };
    SqlError::local(
        kind,
        &instance.name,
        "connect",
        format!("{}: {error}", instance.endpoint),
    )
}

fn in_use(instance: &str, statement: &str, error: &TdsError) -> SqlError {
    let kind = match error {
        TdsError::OperationCancelledError(_) => SqlErrorKind::Cancelled,
        TdsError::TimeoutError(_) => SqlErrorKind::TimedOut,
        TdsError::UsageError(_) => SqlErrorKind::Usage,
        TdsError::ProtocolError(_) | TdsError::TypeConversionError(_) | TdsError::UnsupportedEncoding { .. } => {
            SqlErrorKind::Answer
        }
        _ => SqlErrorKind::ConnectionLost,
    };
    SqlError::local(kind, instance, statement, error.to_string())
}

fn not_understood(instance: &str, statement: &str, panic: &str) -> SqlError {
    let detail = format!("the server's answer could not be understood, and the connection was given up ({panic})");
    SqlError::local(SqlErrorKind::Answer, instance, statement, detail)
}

fn error_message(error: &SqlErrorInfo) -> ServerMessage {
    ServerMessage {
        number: i32::try_from(error.number).unwrap_or(i32::MAX),
        state: error.state,
        class: u8::try_from(error.class).unwrap_or(u8::MAX),
        text: error.message.clone(),
    }
}

fn info_message(message: &SqlInfoMessage) -> ServerMessage {
    ServerMessage {
        number: i32::try_from(message.number).unwrap_or(i32::MAX),
        state: message.state,
        class: u8::try_from(message.class).unwrap_or(u8::MAX),
        text: message.message.clone(),
    }
}
