//! Catalogue and dynamic management views: their columns as SQL Server has them, and where their rows come from.
//! A view that a version does not have is not found: 208.

mod availability;
mod databases;
mod files;
mod information_schema;
mod objects;
mod os;
mod principals;
mod server;
mod sessions;

use std::sync::Arc;

use super::errors::{Result, SqlError, err};
use super::instance::Handle;
use super::query::scope::same;
use super::session::Session;
use crate::storage::{Database, Row};
use crate::types::{SqlType, Value};

/// A column of a view.
#[derive(Debug)]
pub(super) struct ViewColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: SqlType,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// The major version that brought it.
    pub since: u8,
}

/// What a view looks at.
pub(super) struct Scan<'a> {
    /// Who asks.
    pub session: &'a Session,
    /// The database the view is of.
    pub handle: &'a Arc<Handle>,
    /// It, as the session sees it.
    pub database: &'a Arc<Database>,
    /// A function's arguments.
    pub args: &'a [Value],
}

/// A view or table-valued function.
#[derive(Debug)]
pub(super) struct View {
    /// `sys` or `INFORMATION_SCHEMA`.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The major version that brought it.
    pub since: u8,
    /// A function, not a view.
    pub function: bool,
    /// How many arguments.
    pub arguments: usize,
    /// Its columns.
    pub columns: &'static [ViewColumn],
    /// Its rows, with all columns.
    pub rows: fn(&Scan<'_>) -> Result<Vec<Row>>,
}

impl View {
    /// The columns that a version has, with their positions.
    pub(super) fn visible(&'static self, major: u8) -> impl Iterator<Item = (usize, &'static ViewColumn)> {
        self.columns.iter().enumerate().filter(move |(_, c)| c.since <= major)
    }
}

/// `columns![name: TYPE, #[null] maybe: TYPE, new: TYPE; 16]`: the number is the major version that brought it.
macro_rules! columns {
    (@nullable $null:ident) => { true };
    (@nullable) => { false };
    (@since) => { 0 };
    (@since $since:literal) => { $since };
    ($($(#[$null:ident])? $name:ident : $ty:expr $(; $since:literal)?),* $(,)?) => {
        &[$($crate::engine::sysviews::ViewColumn {
            name: stringify!($name),
            ty: $ty,
            nullable: $crate::engine::sysviews::columns!(@nullable $($null)?),
            since: $crate::engine::sysviews::columns!(@since $($since)?),
        }),*]
    };
}
pub(crate) use columns;

pub(crate) const SYSNAME: SqlType = SqlType::NVarChar(Some(128));
pub(crate) const NVARCHAR60: SqlType = SqlType::NVarChar(Some(60));
pub(crate) const SID: SqlType = SqlType::VarBinary(Some(85));
pub(crate) const LSN: SqlType = SqlType::Numeric {
    precision: 25,
    scale: 0,
};

fn all() -> impl Iterator<Item = &'static View> {
    [
        databases::VIEWS,
        availability::VIEWS,
        files::VIEWS,
        objects::VIEWS,
        principals::VIEWS,
        sessions::VIEWS,
        server::VIEWS,
        os::VIEWS,
        information_schema::VIEWS,
    ]
    .into_iter()
    .flatten()
}

/// A view by schema and name, in the session's version. An empty schema finds the old names (`sysdatabases`) only.
pub(super) fn find(session: &Session, schema: &str, name: &str) -> Option<&'static View> {
    let major = session.inst.config().version().0;
    let old = |v: &View| v.name.starts_with("sys") && (schema.is_empty() || same(schema, "dbo"));
    all().find(|v| same(v.name, name) && (same(v.schema, schema) || old(v)) && v.since <= major)
}

/// All views, for `sys.all_objects`.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    all().map(|v| (v.schema, v.name))
}

// ---- values ----

/// Text.
pub(crate) fn text(value: impl Into<Arc<str>>) -> Value {
    Value::Str(value.into())
}

/// Text or NULL.
pub(crate) fn maybe(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

/// An integer.
pub(crate) fn int(value: impl Into<i64>) -> Value {
    Value::Int(value.into())
}

/// A bit.
pub(crate) fn bit(value: bool) -> Value {
    Value::Bit(value)
}

/// Bytes.
pub(crate) fn bytes(value: &[u8]) -> Value {
    Value::Bytes(value.into())
}

/// An LSN.
pub(crate) fn lsn(value: Option<crate::storage::Lsn>) -> Value {
    value.map_or(Value::Null, |l| Value::Decimal(l.as_i128(), 0))
}

impl Scan<'_> {
    /// A moment in the server's local time, as datetime.
    pub(crate) fn moment(&self, at: time::OffsetDateTime) -> Value {
        super::eval::convert::moment_value(at, self.session.inst.offset(), &SqlType::DateTime)
    }

    /// 300 and 297 for a view that shows the server's state.
    pub(crate) fn needs_state(&self) -> Result<()> {
        if self.session.can_view_state() {
            return Ok(());
        }
        Err(state_denied(self.session))
    }
}

/// What a session without VIEW SERVER (PERFORMANCE) STATE is told.
pub(crate) fn state_denied(session: &Session) -> SqlError {
    err!(300, session.state_permission()).then(err!(297))
}
