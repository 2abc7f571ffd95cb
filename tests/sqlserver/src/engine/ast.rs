//! What a batch says, as a tree. No name is resolved here and nothing is checked that needs a database.

use crate::types::SqlType;

/// `[server.][database.][schema.]object`; parts that were left out (`db..t`) are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Name {
    /// One to four parts.
    pub parts: Vec<String>,
}

impl Name {
    /// A name of one part.
    pub(super) fn one(part: &str) -> Name {
        Name {
            parts: vec![part.to_owned()],
        }
    }

    /// The last part.
    pub(super) fn object(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    fn from_end(&self, n: usize) -> Option<&str> {
        let at = self.parts.len().checked_sub(n + 1)?;
        Some(self.parts[at].as_str()).filter(|p| !p.is_empty())
    }

    /// The schema, if it was written.
    pub(super) fn schema(&self) -> Option<&str> {
        self.from_end(1)
    }

    /// The database, if it was written.
    pub(super) fn database(&self) -> Option<&str> {
        self.from_end(2)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parts.join("."))
    }
}

/// A statement and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    /// Line in the batch, from 1.
    pub line: i32,
    /// What it does.
    pub kind: Kind,
}

/// Every statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// `DECLARE @a int = 1, @b …`.
    Declare(Vec<Declaration>),
    /// `DECLARE @t TABLE (…)`.
    DeclareTable(String, Vec<ColumnDef>),
    /// `SET @v = e`, `SET @v += e`.
    SetVariable(String, Option<BinaryOp>, Expr),
    /// `SET NOCOUNT ON` and its like.
    SetOption(SetOption),
    /// A query.
    Select(Box<Query>),
    /// `INSERT`.
    Insert(Box<Insert>),
    /// `UPDATE`.
    Update(Box<Update>),
    /// `DELETE`.
    Delete(Box<Delete>),
    /// `TRUNCATE TABLE`.
    Truncate(Name),
    /// `BEGIN … END`.
    Block(Vec<Statement>),
    /// `IF c s ELSE s`.
    If(Expr, Box<Statement>, Option<Box<Statement>>),
    /// `WHILE c s`.
    While(Expr, Box<Statement>),
    /// `BREAK`.
    Break,
    /// `CONTINUE`.
    Continue,
    /// `RETURN e`.
    Return(Option<Expr>),
    /// `PRINT e`.
    Print(Expr),
    /// `RAISERROR (m, severity, state, args…) WITH …`.
    RaiseError(RaiseError),
    /// `THROW n, m, s`, or `THROW` alone.
    Throw(Option<(Expr, Expr, Expr)>),
    /// `BEGIN TRY … END TRY BEGIN CATCH … END CATCH`.
    TryCatch(Vec<Statement>, Vec<Statement>),
    /// `EXEC p …`.
    Execute(Box<Execute>),
    /// `EXEC ('text' + @v)`.
    ExecuteText(Expr),
    /// `EXECUTE AS LOGIN = 'x'`.
    ExecuteAs(ExecuteAs),
    /// `REVERT`.
    Revert,
    /// `BEGIN TRAN`.
    BeginTransaction(Option<NameOrVar>),
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`, to a savepoint or whole.
    Rollback(Option<NameOrVar>),
    /// `SAVE TRAN`.
    Save(NameOrVar),
    /// `USE`.
    Use(String),
    /// `WAITFOR DELAY 'hh:mm:ss'`.
    WaitFor(Expr),
    /// `CREATE TABLE`.
    CreateTable(CreateTable),
    /// `ALTER TABLE t ADD c …` / `DROP COLUMN c`.
    AlterTable(Name, AlterTable),
    /// `DROP TABLE [IF EXISTS]`, `DROP PROCEDURE`, `DROP VIEW`.
    DropObject(ObjectKind, bool, Vec<Name>),
    /// `CREATE [OR ALTER] PROCEDURE`.
    CreateProcedure(CreateProcedure),
    /// `CREATE SCHEMA`.
    CreateSchema(String),
    /// `CREATE INDEX`: checked and remembered by name only.
    CreateIndex(CreateIndex),
    /// `CREATE DATABASE`.
    CreateDatabase(CreateDatabase),
    /// `DROP DATABASE [IF EXISTS]`.
    DropDatabase(bool, Vec<String>),
    /// `ALTER DATABASE`.
    AlterDatabase(AlterDatabase),
    /// `BACKUP DATABASE | LOG`.
    Backup(Box<Backup>),
    /// `RESTORE …`.
    Restore(Box<Restore>),
    /// `DBCC …`.
    Dbcc(Dbcc),
    /// `KILL`.
    Kill(Expr, bool),
    /// `CHECKPOINT`.
    Checkpoint,
    /// `RECONFIGURE`.
    Reconfigure,
    /// `ALTER AUTHORIZATION ON DATABASE::x TO y`.
    AlterAuthorization(String, String),
    /// `CREATE LOGIN`.
    CreateLogin(CreateLogin),
    /// `ALTER LOGIN`.
    AlterLogin(String, AlterLogin),
    /// `DROP LOGIN`.
    DropLogin(String),
    /// `CREATE USER`.
    CreateUser(CreateUser),
    /// `ALTER USER`.
    AlterUser(String, AlterUser),
    /// `DROP USER [IF EXISTS]`.
    DropUser(bool, String),
    /// `CREATE ROLE`.
    CreateRole(String),
    /// `DROP ROLE`.
    DropRole(String),
    /// `ALTER [SERVER] ROLE r ADD | DROP MEMBER m`.
    AlterRole(AlterRole),
    /// `GRANT`, `DENY`, `REVOKE`.
    Permission(Permission),
}

/// One variable of a DECLARE.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Declaration {
    /// With the `@`.
    pub name: String,
    /// The type.
    pub ty: SqlType,
    /// The initial value.
    pub value: Option<Expr>,
}

/// A name, or a variable that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameOrVar {
    /// As written.
    Name(String),
    /// `@v`.
    Var(String),
}

/// Binary operators on values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOp {
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `*`.
    Mul,
    /// `/`.
    Div,
    /// `%`.
    Mod,
    /// `&`.
    And,
    /// `|`.
    Or,
    /// `^`.
    Xor,
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompareOp {
    /// `=`.
    Eq,
    /// `<>`.
    Ne,
    /// `<`.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
}

/// Scalar expressions and conditions.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// `NULL`.
    Null,
    /// `DEFAULT`, in VALUES and in EXEC.
    Default,
    /// An integer literal.
    Int(i64),
    /// A decimal literal: the unscaled number, precision and scale.
    Decimal(i128, u8, u8),
    /// A float literal.
    Float(f64),
    /// A money literal, in ten-thousandths.
    Money(i128),
    /// A string, and whether it is national.
    Str(String, bool),
    /// A binary literal.
    Binary(Vec<u8>),
    /// `@v`.
    Var(String),
    /// `@@x`.
    Global(String),
    /// `[t.]c`.
    Column(Vec<String>),
    /// `-e`.
    Neg(Box<Expr>),
    /// `~e`.
    BitNot(Box<Expr>),
    /// `a + b`.
    Op(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a = b`.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// `a = ANY (q)`; the flag says ALL.
    CompareQuery(CompareOp, Box<Expr>, bool, Box<Query>),
    /// `a AND b`.
    And(Box<Expr>, Box<Expr>),
    /// `a OR b`.
    Or(Box<Expr>, Box<Expr>),
    /// `NOT a`.
    Not(Box<Expr>),
    /// `a IS [NOT] NULL`; the flag says NOT.
    IsNull(Box<Expr>, bool),
    /// `a [NOT] LIKE b ESCAPE c`.
    Like(Box<Expr>, Box<Expr>, Option<Box<Expr>>, bool),
    /// `a [NOT] BETWEEN b AND c`.
    Between(Box<Expr>, Box<Expr>, Box<Expr>, bool),
    /// `a [NOT] IN (b, …)`.
    In(Box<Expr>, Vec<Expr>, bool),
    /// `a [NOT] IN (SELECT …)`.
    InQuery(Box<Expr>, Box<Query>, bool),
    /// `EXISTS (SELECT …)`.
    Exists(Box<Query>),
    /// `CASE`.
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `CAST`, `CONVERT` and their TRY forms.
    Cast(Box<Cast>),
    /// `f(a, …)`.
    Call(Box<Call>),
    /// `(SELECT …)`.
    Subquery(Box<Query>),
    /// `e COLLATE c`.
    Collate(Box<Expr>, String),
    /// `(e)`: kept, because `(a) = b` and error texts need nothing more, but aliases do.
    Paren(Box<Expr>),
}

impl Expr {
    /// Whether this is a condition rather than a value.
    pub(super) fn is_condition(&self) -> bool {
        match self {
            Expr::Paren(inner) => inner.is_condition(),
            Expr::Compare(..)
            | Expr::CompareQuery(..)
            | Expr::And(..)
            | Expr::Or(..)
            | Expr::Not(..)
            | Expr::IsNull(..)
            | Expr::Like(..)
            | Expr::Between(..)
            | Expr::In(..)
            | Expr::InQuery(..)
            | Expr::Exists(..) => true,
            _ => false,
        }
    }
}

/// `CAST(e AS t)`, `CONVERT(t, e, style)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cast {
    /// What is converted.
    pub value: Expr,
    /// To what.
    pub ty: SqlType,
    /// CONVERT's style.
    pub style: Option<Expr>,
    /// `TRY_`: NULL instead of an error.
    pub try_: bool,
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Upper case; schema-qualified calls keep their dots.
    pub name: String,
    /// The arguments; `COUNT(*)` has one [`Expr::Column`] of `*`.
    pub args: Vec<Expr>,
    /// `COUNT(DISTINCT x)`.
    pub distinct: bool,
    /// `OVER (…)`.
    pub over: Option<Over>,
}

/// `OVER (PARTITION BY … ORDER BY …)`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Over {
    /// The partition.
    pub partition: Vec<Expr>,
    /// The order.
    pub order: Vec<OrderItem>,
}

/// A query with its ORDER BY.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Query {
    /// `WITH name (columns) AS (query)`.
    pub ctes: Vec<Cte>,
    /// SELECTs joined by set operators.
    pub body: Body,
    /// `ORDER BY`.
    pub order: Vec<OrderItem>,
    /// `OFFSET n ROWS`.
    pub offset: Option<Expr>,
    /// `FETCH NEXT n ROWS ONLY`.
    pub fetch: Option<Expr>,
}

/// A common table expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cte {
    /// Its name.
    pub name: String,
    /// Its columns, if they were named.
    pub columns: Vec<String>,
    /// Its query.
    pub query: Query,
}

/// SELECT, or two of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// One SELECT.
    Select(Box<Select>),
    /// Two.
    Set(SetOp, Box<Body>, Box<Body>),
}

impl Default for Body {
    fn default() -> Self {
        Body::Select(Box::default())
    }
}

/// Set operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetOp {
    /// `UNION`.
    Union,
    /// `UNION ALL`.
    UnionAll,
    /// `EXCEPT`.
    Except,
    /// `INTERSECT`.
    Intersect,
}

/// One SELECT.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Select {
    /// `DISTINCT`.
    pub distinct: bool,
    /// `TOP`.
    pub top: Option<Top>,
    /// The list.
    pub items: Vec<Item>,
    /// `INTO t`.
    pub into: Option<Name>,
    /// `FROM`; several are a cross join.
    pub from: Vec<Source>,
    /// `WHERE`.
    pub filter: Option<Expr>,
    /// `GROUP BY`.
    pub group: Vec<Expr>,
    /// `HAVING`.
    pub having: Option<Expr>,
}

/// `TOP (n) [PERCENT] [WITH TIES]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Top {
    /// How many.
    pub count: Expr,
    /// Per cent.
    pub percent: bool,
    /// And those equal to the last.
    pub ties: bool,
}

/// An item of a select list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// `*` or `t.*`.
    Star(Option<Name>),
    /// `e [AS] a`, `a = e`.
    Expr(Expr, Option<String>),
    /// `@v = e`.
    Assign(String, Option<BinaryOp>, Expr),
}

/// `ORDER BY e [ASC | DESC]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OrderItem {
    /// By what.
    pub expr: Expr,
    /// Descending.
    pub desc: bool,
}

/// What a FROM names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// A table or view.
    Named {
        /// Its name.
        name: Name,
        /// `AS a`.
        alias: Option<String>,
        /// `WITH (NOLOCK)`, upper case.
        hints: Vec<String>,
    },
    /// `@t`.
    Variable {
        /// With the `@`.
        name: String,
        /// `AS a`.
        alias: Option<String>,
    },
    /// A table-valued function.
    Function {
        /// Its name.
        name: Name,
        /// Its arguments.
        args: Vec<Expr>,
        /// `AS a`.
        alias: Option<String>,
    },
    /// `(SELECT …) AS a (c, …)`.
    Derived {
        /// The query.
        query: Box<Query>,
        /// The alias; required.
        alias: String,
        /// Column names.
        columns: Vec<String>,
    },
    /// `(VALUES (…), (…)) AS a (c, …)`.
    Values {
        /// The rows.
        rows: Vec<Vec<Expr>>,
        /// The alias.
        alias: String,
        /// Column names.
        columns: Vec<String>,
    },
    /// A join.
    Join {
        /// Which.
        kind: JoinKind,
        /// Left.
        left: Box<Source>,
        /// Right.
        right: Box<Source>,
        /// `ON`.
        on: Option<Expr>,
    },
    /// `CROSS APPLY`, `OUTER APPLY`.
    Apply {
        /// OUTER.
        outer: bool,
        /// Left.
        left: Box<Source>,
        /// Right; sees the left.
        right: Box<Source>,
    },
}

/// Joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinKind {
    /// INNER.
    Inner,
    /// LEFT OUTER.
    Left,
    /// RIGHT OUTER.
    Right,
    /// FULL OUTER.
    Full,
    /// CROSS.
    Cross,
}

/// The table of an INSERT, UPDATE or DELETE.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    /// A table.
    Table(Name),
    /// `@t`.
    Variable(String),
}

/// `INSERT`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Insert {
    /// Into what.
    pub target: Target,
    /// Columns; empty is all.
    pub columns: Vec<String>,
    /// `OUTPUT inserted.x, …`.
    pub output: Vec<Item>,
    /// From where.
    pub source: InsertSource,
}

/// Where the rows of an INSERT come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum InsertSource {
    /// `VALUES`.
    Values(Vec<Vec<Expr>>),
    /// `SELECT`.
    Query(Query),
    /// `EXEC p`.
    Execute(Box<Statement>),
    /// `DEFAULT VALUES`.
    Defaults,
}

/// `UPDATE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Update {
    /// `TOP (n)`.
    pub top: Option<Top>,
    /// The table, or an alias of the FROM.
    pub target: Target,
    /// `SET c = e`, `SET @v = e`; the operator is there for `c += e`.
    pub set: Vec<(SetTarget, Option<BinaryOp>, Expr)>,
    /// `OUTPUT`.
    pub output: Vec<Item>,
    /// `FROM`.
    pub from: Vec<Source>,
    /// `WHERE`.
    pub filter: Option<Expr>,
}

/// What a SET of an UPDATE changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetTarget {
    /// A column.
    Column(String),
    /// A variable.
    Var(String),
}

/// `DELETE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Delete {
    /// `TOP (n)`.
    pub top: Option<Top>,
    /// The table, or an alias of the FROM.
    pub target: Target,
    /// `OUTPUT`.
    pub output: Vec<Item>,
    /// The second FROM.
    pub from: Vec<Source>,
    /// `WHERE`.
    pub filter: Option<Expr>,
}

/// `SET …` without a variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SetOption {
    /// ON/OFF options, upper case.
    Flags(Vec<String>, bool),
    /// `LOCK_TIMEOUT`, `TEXTSIZE`, `ROWCOUNT`, `DATEFIRST`, `DATEFORMAT`, `LANGUAGE`, `DEADLOCK_PRIORITY`, `QUERY_GOVERNOR_COST_LIMIT`,
    /// `CONTEXT_INFO`.
    Value(String, Expr),
    /// `TRANSACTION ISOLATION LEVEL`: 1 read uncommitted … 5 snapshot.
    Isolation(u8),
    /// `IDENTITY_INSERT t ON`.
    IdentityInsert(Name, bool),
    /// `STATISTICS IO ON`.
    Statistics,
}

/// `RAISERROR`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RaiseError {
    /// Text or number.
    pub message: Expr,
    /// Class.
    pub severity: Expr,
    /// State.
    pub state: Expr,
    /// For the text.
    pub args: Vec<Expr>,
    /// `WITH NOWAIT | LOG | SETERROR`, upper case.
    pub options: Vec<String>,
}

/// `EXEC @rc = p @a = 1, @b = @v OUTPUT`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Execute {
    /// The variable for the return value.
    pub result: Option<String>,
    /// Which procedure.
    pub procedure: ProcedureRef,
    /// Its arguments.
    pub args: Vec<Argument>,
}

/// Which procedure an EXEC names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ProcedureRef {
    /// By name.
    Name(Name),
    /// By a variable that holds the name.
    Var(String),
}

/// An argument of EXEC.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Argument {
    /// `@name =`.
    pub name: Option<String>,
    /// A constant, a variable or DEFAULT.
    pub value: Expr,
    /// `OUTPUT`.
    pub output: bool,
}

/// `EXECUTE AS`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExecuteAs {
    /// `LOGIN = 'x'`.
    Login(Expr),
    /// `USER = 'x'`.
    User(Expr),
    /// `CALLER`.
    Caller,
}

/// A column definition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColumnDef {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// `NULL`, `NOT NULL`, or neither.
    pub nullable: Option<bool>,
    /// `IDENTITY (seed, step)`.
    pub identity: Option<(i64, i64)>,
    /// `DEFAULT e`.
    pub default: Option<Expr>,
    /// `PRIMARY KEY`.
    pub primary_key: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// `COLLATE`.
    pub collation: Option<String>,
}

/// `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CreateTable {
    /// Its name.
    pub name: Name,
    /// Its columns.
    pub columns: Vec<ColumnDef>,
    /// `PRIMARY KEY (a, b)`, with the constraint's name.
    pub primary_key: Option<(Option<String>, Vec<String>)>,
}

/// `ALTER TABLE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AlterTable {
    /// `ADD`.
    Add(Vec<ColumnDef>),
    /// `DROP COLUMN`.
    DropColumn(Vec<String>),
}

/// What DROP drops, among the objects of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    /// A table.
    Table,
    /// A procedure.
    Procedure,
    /// A view.
    View,
}

/// `CREATE PROCEDURE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CreateProcedure {
    /// Its name.
    pub name: Name,
    /// `CREATE OR ALTER`.
    pub or_alter: bool,
    /// `ALTER`.
    pub alter: bool,
    /// Its parameters.
    pub params: Vec<ProcedureParam>,
    /// Its statements.
    pub body: Vec<Statement>,
    /// The whole text, as it is stored.
    pub text: String,
}

/// A parameter of a procedure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ProcedureParam {
    /// With the `@`.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Its default.
    pub default: Option<Expr>,
    /// `OUTPUT`.
    pub output: bool,
}

/// `CREATE INDEX`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CreateIndex {
    /// Its name.
    pub name: String,
    /// On what.
    pub table: Name,
    /// Over which columns.
    pub columns: Vec<String>,
    /// `UNIQUE`.
    pub unique: bool,
}

/// `CREATE DATABASE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CreateDatabase {
    /// Its name.
    pub name: String,
    /// `ON PRIMARY (NAME = …, FILENAME = …)`: logical name, path, size in bytes.
    pub data: Option<FileSpec>,
    /// `LOG ON (…)`.
    pub log: Option<FileSpec>,
    /// `COLLATE`.
    pub collation: Option<String>,
    /// `FOR ATTACH`.
    pub attach: bool,
}

/// `(NAME = a, FILENAME = 'b', SIZE = n MB)`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct FileSpec {
    /// Logical name.
    pub name: Option<String>,
    /// Path.
    pub path: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
}

/// `ALTER DATABASE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AlterDatabase {
    /// `None` is CURRENT.
    pub database: Option<String>,
    /// What.
    pub action: DatabaseAction,
}

/// What an ALTER DATABASE does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DatabaseAction {
    /// `SET a, b WITH …`.
    Set(Vec<DatabaseOption>, Termination),
    /// `MODIFY NAME = x`.
    Rename(String),
    /// `COLLATE x`.
    Collate(String),
    /// `MODIFY FILE (NAME = …, …)`.
    ModifyFile(FileSpec, Option<String>),
}

/// How an ALTER DATABASE deals with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Termination {
    /// Waits.
    Wait,
    /// `NO_WAIT`.
    NoWait,
    /// `ROLLBACK IMMEDIATE`.
    RollbackImmediate,
    /// `ROLLBACK AFTER n SECONDS`.
    RollbackAfter(u32),
}

/// One option of ALTER DATABASE SET: its name and its value, upper case (`RECOVERY`, `SIMPLE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseOption {
    /// Name.
    pub name: String,
    /// Value; empty for `READ_ONLY` and its like.
    pub value: String,
}

/// A backup device.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Device {
    /// DISK, URL, TAPE, or a logical device.
    pub kind: DeviceKind,
    /// Path: a constant, a variable, or a logical name as a string.
    pub path: Expr,
}

/// Kinds of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceKind {
    /// `DISK =`.
    Disk,
    /// `URL =`.
    Url,
    /// `TAPE =`.
    Tape,
    /// A name.
    Logical,
}

/// An option of BACKUP or RESTORE.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MediaOption {
    /// Upper case.
    pub name: String,
    /// Its value.
    pub value: Option<Expr>,
}

/// What a BACKUP backs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackupKind {
    /// `BACKUP DATABASE`.
    Database,
    /// `BACKUP LOG`.
    Log,
}

/// `BACKUP`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Backup {
    /// Database or log.
    pub kind: BackupKind,
    /// A name as a string constant, or a variable.
    pub database: Expr,
    /// `TO …`.
    pub devices: Vec<Device>,
    /// `WITH …`.
    pub options: Vec<MediaOption>,
}

/// What a RESTORE does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestoreKind {
    /// `RESTORE DATABASE`.
    Database,
    /// `RESTORE LOG`.
    Log,
    /// `RESTORE HEADERONLY`.
    HeaderOnly,
    /// `RESTORE FILELISTONLY`.
    FileListOnly,
    /// `RESTORE LABELONLY`.
    LabelOnly,
    /// `RESTORE VERIFYONLY`.
    VerifyOnly,
}

/// `RESTORE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Restore {
    /// What it does.
    pub kind: RestoreKind,
    /// For DATABASE and LOG.
    pub database: Option<Expr>,
    /// `FROM …`.
    pub devices: Vec<Device>,
    /// `MOVE a TO b`.
    pub moves: Vec<(Expr, Expr)>,
    /// `WITH …`.
    pub options: Vec<MediaOption>,
}

/// `DBCC name (args) WITH options`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dbcc {
    /// Upper case.
    pub command: String,
    /// Arguments.
    pub args: Vec<Expr>,
    /// Options, upper case.
    pub options: Vec<String>,
}

/// `CREATE LOGIN`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CreateLogin {
    /// Its name.
    pub name: String,
    /// `FROM WINDOWS`.
    pub windows: bool,
    /// `WITH PASSWORD = 'x'`.
    pub password: Option<String>,
    /// `SID = 0x…`.
    pub sid: Option<Vec<u8>>,
    /// `DEFAULT_DATABASE = x`.
    pub default_database: Option<String>,
    /// `DEFAULT_LANGUAGE = x`.
    pub default_language: Option<String>,
}

/// `ALTER LOGIN`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AlterLogin {
    /// `ENABLE`.
    Enable,
    /// `DISABLE`.
    Disable,
    /// `WITH …`.
    With {
        /// `PASSWORD = 'x'`.
        password: Option<String>,
        /// `DEFAULT_DATABASE = x`.
        default_database: Option<String>,
        /// `NAME = x`.
        name: Option<String>,
    },
}

/// `CREATE USER`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CreateUser {
    /// Its name.
    pub name: String,
    /// `FOR LOGIN x`; `None` takes the login of the same name.
    pub login: Option<String>,
    /// `WITHOUT LOGIN`.
    pub without_login: bool,
    /// `WITH DEFAULT_SCHEMA = x`.
    pub default_schema: Option<String>,
}

/// `ALTER USER u WITH …`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct AlterUser {
    /// `LOGIN = x`.
    pub login: Option<String>,
    /// `NAME = x`.
    pub name: Option<String>,
    /// `DEFAULT_SCHEMA = x`.
    pub default_schema: Option<String>,
}

/// `ALTER ROLE`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AlterRole {
    /// `ALTER SERVER ROLE`.
    pub server: bool,
    /// Which role.
    pub role: String,
    /// Added or dropped.
    pub add: bool,
    /// Who.
    pub member: String,
}

/// GRANT, DENY, REVOKE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PermissionVerb {
    /// GRANT.
    Grant,
    /// DENY.
    Deny,
    /// REVOKE.
    Revoke,
}

/// What a permission is on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Securable {
    /// The current database, or the server for server permissions.
    Scope,
    /// An object.
    Object(Name),
    /// `DATABASE::x`.
    Database(String),
    /// `LOGIN::x`.
    Login(String),
    /// `SCHEMA::x`.
    Schema(String),
}

/// `GRANT SELECT, EXECUTE ON x TO y, z`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Permission {
    /// Which verb.
    pub verb: PermissionVerb,
    /// Upper case: `VIEW SERVER STATE`, `CONNECT`.
    pub permissions: Vec<String>,
    /// On what.
    pub securable: Securable,
    /// To or from whom.
    pub principals: Vec<String>,
    /// `WITH GRANT OPTION`.
    pub grant_option: bool,
}
