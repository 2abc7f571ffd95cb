//! The TDS client of the programs on this host. A client of its own on purpose: what Connect does to its database must
//! not depend on the agent's code.

use std::net::SocketAddr;
use std::time::Duration;

use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::{ExecuteOptions, ResultSet as _, StatementResult, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{EncryptionOptions, EncryptionSetting};
use mssql_tds::datatypes::column_values::ColumnValues;
use mssql_tds::error::Error as TdsError;

/// The password of every Windows-like login in the lab. Kerberos is what the lab does not have.
pub const WINDOWS_PASSWORD: &str = "Kerberos-1s-elsewhere";

const TIMEOUT: Duration = Duration::from_secs(20);

/// Why SQL Server did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SqlFailure {
    /// It said no, with its number.
    #[error("{text} (Microsoft SQL Server, Error: {number})")]
    Refused {
        /// The number.
        number: i32,
        /// The text.
        text: String,
    },
    /// It was not reached, or the connection broke.
    #[error("{0}")]
    Broken(String),
}

/// How a program connects.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The Windows account of the program.
    pub account: String,
    /// The initial database.
    pub database: String,
    /// The program, as `sys.dm_exec_sessions` shows it.
    pub program: String,
    /// The computer, as `sys.dm_exec_sessions` shows it.
    pub computer: String,
}

/// A value, as far as the lab's programs read them.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// Any integer or bit.
    Int(i64),
    /// Any text or GUID.
    Text(String),
    /// Something that nobody here asks for.
    Other,
}

impl Cell {
    /// The value as text.
    pub fn text(&self) -> String {
        match self {
            Cell::Text(t) => t.clone(),
            Cell::Int(i) => i.to_string(),
            Cell::Null | Cell::Other => String::new(),
        }
    }
    /// The value as a number; 0 where it is none.
    pub fn int(&self) -> i64 {
        match self {
            Cell::Int(i) => *i,
            _ => 0,
        }
    }
}

/// A row.
pub type Row = Vec<Cell>;

/// A session.
pub struct Session {
    client: TdsClient,
}

impl Session {
    /// Connects and logs in.
    pub async fn connect(target: &Target) -> Result<Session, SqlFailure> {
        let source = format!("tcp:{},{}", target.address.ip(), target.address.port());
        let mut context = ClientContext::with_data_source(&source);
        context.user_name = target.account.clone();
        context.password = WINDOWS_PASSWORD.to_string();
        context.database = target.database.clone();
        context.application_name = target.program.clone();
        context.workstation_id = target.computer.clone();
        context.connect_timeout = 10;
        // A broken session must be seen as broken.
        context.connect_retry_count = 0;
        context.encryption_options = EncryptionOptions {
            mode: EncryptionSetting::On,
            trust_server_certificate: true,
            ..EncryptionOptions::new()
        };
        let provider = TdsConnectionProvider::new();
        let connecting = Box::pin(provider.create_client(context, &source, None));
        let client = within(connecting).await?;
        Ok(Session { client })
    }

    /// Runs a batch to its end and returns the rows of its result sets, one after the other.
    pub async fn run(&mut self, sql: &str) -> Result<Vec<Row>, SqlFailure> {
        within(Box::pin(self.run_all(sql.to_string()))).await
    }

    async fn run_all(&mut self, sql: String) -> Result<Vec<Row>, TdsError> {
        let mut rows = Vec::new();
        let mut step = self.client.execute(sql, ExecuteOptions::default()).await?;
        loop {
            match step {
                StatementResult::End => break,
                StatementResult::NoRows { .. } => {}
                StatementResult::Rows => {
                    while let Some(row) = self.client.next_row().await? {
                        rows.push(row.into_iter().map(cell).collect());
                    }
                }
            }
            step = self.client.advance().await?;
        }
        self.client.close_query().await?;
        Ok(rows)
    }

    /// Logs off.
    pub async fn close(mut self) {
        // The other end sees the closed connection either way.
        let _ = self.client.close_connection().await;
    }
}

async fn within<T>(work: impl Future<Output = Result<T, TdsError>>) -> Result<T, SqlFailure> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(result) => result.map_err(failure),
        Err(_) => Err(SqlFailure::Broken(
            "Execution Timeout Expired. The timeout period elapsed prior to completion of the operation or the server is not responding.".into(),
        )),
    }
}

fn failure(error: TdsError) -> SqlFailure {
    match &error {
        TdsError::SqlServerError { diagnostics } => match diagnostics.errors.first() {
            Some(first) => SqlFailure::Refused {
                number: i32::try_from(first.number).unwrap_or(i32::MAX),
                text: first.message.clone(),
            },
            None => SqlFailure::Broken(error.to_string()),
        },
        _ => SqlFailure::Broken(error.to_string()),
    }
}

fn cell(value: ColumnValues) -> Cell {
    match value {
        ColumnValues::Null => Cell::Null,
        ColumnValues::Bit(b) => Cell::Int(b.into()),
        ColumnValues::TinyInt(i) => Cell::Int(i.into()),
        ColumnValues::SmallInt(i) => Cell::Int(i.into()),
        ColumnValues::Int(i) => Cell::Int(i.into()),
        ColumnValues::BigInt(i) => Cell::Int(i),
        ColumnValues::String(s) => Cell::Text(s.to_utf8_string()),
        ColumnValues::Uuid(u) => Cell::Text(u.to_string()),
        _ => Cell::Other,
    }
}

/// A text as a T-SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}
