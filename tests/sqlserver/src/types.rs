//! The values, columns and messages that travel between the T-SQL engine and the TDS layer. Neither decides here.
//!
//! The engine produces [`Token`]s in the order in which SQL Server would send them; the TDS layer encodes them and
//! flushes after each one, so that a client sees `STATS` messages while a BACKUP runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};
use uuid::Uuid;

/// A SQL Server type as it is declared to the client in COLMETADATA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SqlType {
    /// `bit`.
    Bit,
    /// `tinyint`, unsigned.
    TinyInt,
    /// `smallint`.
    SmallInt,
    /// `int`.
    Int,
    /// `bigint`.
    BigInt,
    /// `float(53)`.
    Float,
    /// `real`.
    Real,
    /// `numeric(precision, scale)`.
    Numeric {
        /// Total digits, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `money`.
    Money,
    /// `uniqueidentifier`.
    Guid,
    /// `datetime`: 1/300 s.
    DateTime,
    /// `smalldatetime`: 1 minute.
    SmallDateTime,
    /// `date`.
    Date,
    /// `time(scale)`.
    Time(u8),
    /// `datetime2(scale)`.
    DateTime2(u8),
    /// `datetimeoffset(scale)`.
    DateTimeOffset(u8),
    /// `char(n)`, n bytes.
    Char(u16),
    /// `varchar(n)`; `None` is `varchar(max)`.
    VarChar(Option<u16>),
    /// `nchar(n)`, n UTF-16 units.
    NChar(u16),
    /// `nvarchar(n)`; `None` is `nvarchar(max)`.
    NVarChar(Option<u16>),
    /// `binary(n)`.
    Binary(u16),
    /// `varbinary(n)`; `None` is `varbinary(max)`.
    VarBinary(Option<u16>),
    /// `xml`.
    Xml,
    /// `sql_variant`.
    Variant,
}

/// A value. Integers of every width share one variant; the column's [`SqlType`] says how to encode it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// `bit`.
    Bit(bool),
    /// `tinyint` to `bigint`.
    Int(i64),
    /// `float` and `real`.
    Float(f64),
    /// `numeric` and `money`: the unscaled integer and the scale (12.34 is 1234 and 2).
    Decimal(i128, u8),
    /// Every character type.
    Str(Arc<str>),
    /// Every binary type.
    Bytes(Arc<[u8]>),
    /// `uniqueidentifier`.
    Guid(Uuid),
    /// `date`.
    Date(Date),
    /// `time`.
    Time(Time),
    /// `datetime`, `smalldatetime`, `datetime2`: no offset.
    DateTime(PrimitiveDateTime),
    /// `datetimeoffset`.
    DateTimeOffset(OffsetDateTime),
}

/// One column of a result set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name, empty for an unnamed expression.
    pub name: String,
    /// The declared type.
    pub ty: SqlType,
    /// Whether NULL may occur.
    pub nullable: bool,
}

/// An INFO (class 0 to 10) or ERROR (class 11 and above) message, with SQL Server's own numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// For example 3013.
    pub number: i32,
    /// The state, which tells causes of one number apart.
    pub state: u8,
    /// The severity.
    pub class: u8,
    /// The text.
    pub text: String,
    /// The server's name as `@@SERVERNAME` gives it; the TDS layer fills an empty one in.
    pub server: String,
    /// The procedure, empty in a batch.
    pub procedure: String,
    /// The line in the batch, from 1.
    pub line: i32,
}

/// Which of the three DONE tokens ends a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoneKind {
    /// A statement of a batch.
    Done,
    /// A stored procedure or RPC.
    DoneProc,
    /// A statement inside a procedure.
    DoneInProc,
}

/// An ENVCHANGE the engine asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvChange {
    /// `USE`: new database, old database.
    Database(String, String),
    /// `SET LANGUAGE`: new, old.
    Language(String, String),
    /// BEGIN TRAN: the new descriptor.
    BeginTransaction(u64),
    /// COMMIT: the descriptor that ended.
    CommitTransaction(u64),
    /// ROLLBACK: the descriptor that ended.
    RollbackTransaction(u64),
}

/// What the engine says, in SQL Server's order.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// Starts a result set.
    Columns(Vec<Column>),
    /// A row of the result set that was started last.
    Row(Vec<Value>),
    /// An informational message.
    Info(Message),
    /// An error message.
    Error(Message),
    /// Something about the session changed.
    EnvChange(EnvChange),
    /// The return status of a procedure.
    ReturnStatus(i32),
    /// An output parameter of an RPC.
    ReturnValue {
        /// Its name with the `@`.
        name: String,
        /// Its type.
        ty: SqlType,
        /// Its value.
        value: Value,
    },
    /// Ends a statement. `more` says that something of the same request follows.
    Done {
        /// Which token.
        kind: DoneKind,
        /// More of this request follows.
        more: bool,
        /// An error ended the statement.
        error: bool,
        /// Rows affected or returned, where there is a count.
        count: Option<u64>,
        /// CurCmd: 193 SELECT, 228 BACKUP DATABASE, 229 RESTORE DATABASE, 230 RESTORE HEADERONLY, 376 FILELISTONLY …
        cur_cmd: u16,
    },
    /// Bytes as they are, right or wrong. No engine says this: it is for tests of clients.
    Raw(Vec<u8>),
}

/// Where the engine's tokens go. Sending waits while the client does not read.
#[async_trait::async_trait]
pub trait Sink: Send {
    /// Sends one token. An error means that the client is gone: the statement must be aborted.
    async fn send(&mut self, token: Token) -> std::io::Result<()>;
}

/// Set by an Attention packet or by KILL; long statements look at it often.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the running statement to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
    /// Forgets the request, before the next batch.
    pub fn reset(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A parameter of an RPC or of `sp_executesql`.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// With the `@`; empty when it was sent by position.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Its value.
    pub value: Value,
    /// Passed by reference.
    pub output: bool,
}

/// What the client said at login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The SQL login.
    pub user: String,
    /// Its password, in clear as LOGIN7 unscrambles it.
    pub password: String,
    /// The client's machine name, `host_name` of `sys.dm_exec_sessions`.
    pub host_name: String,
    /// The program name.
    pub app_name: String,
    /// The client's interface library.
    pub library: String,
    /// The server name that the client typed.
    pub server_name: String,
    /// The initial database, empty for the login's default.
    pub database: String,
    /// The client's process id.
    pub client_pid: u32,
    /// The client's address.
    pub client_address: String,
    /// Whether the whole connection is encrypted.
    pub encrypted: bool,
}
