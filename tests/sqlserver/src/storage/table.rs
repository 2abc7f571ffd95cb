//! Tables with their rows, and stored procedures.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::types::{SqlType, Value};

/// One row, a value per column.
pub type Row = Vec<Value>;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// The name.
    pub name: String,
    /// The type.
    pub ty: SqlType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// The default as T-SQL, for example `(getutcdate())`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl ColumnDef {
    /// A column that allows NULL.
    pub fn null(name: &str, ty: SqlType) -> ColumnDef {
        ColumnDef {
            name: name.into(),
            ty,
            nullable: true,
            default: None,
        }
    }
    /// A column that does not.
    pub fn not_null(name: &str, ty: SqlType) -> ColumnDef {
        ColumnDef {
            name: name.into(),
            ty,
            nullable: false,
            default: None,
        }
    }
}

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryKey {
    /// The constraint's name.
    pub name: String,
    /// Positions in [`Table::columns`].
    pub columns: Vec<usize>,
}

/// An identity column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Position in [`Table::columns`].
    pub column: usize,
    /// The first value.
    pub seed: i64,
    /// The step.
    pub increment: i64,
    /// The value given out last.
    pub last: Option<i64>,
}

impl Identity {
    /// Gives out the next value.
    pub fn next_value(&mut self) -> i64 {
        let value = self.last.map_or(self.seed, |last| last.saturating_add(self.increment));
        self.last = Some(value);
        value
    }
}

/// A user table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// `sys.tables.object_id`, unique in the database.
    pub object_id: i32,
    /// The schema, usually `dbo`.
    pub schema: String,
    /// The name.
    pub name: String,
    /// `is_ms_shipped`: part of a system database.
    pub is_ms_shipped: bool,
    /// UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub create_date: OffsetDateTime,
    /// UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub modify_date: OffsetDateTime,
    /// The columns, in order.
    pub columns: Vec<ColumnDef>,
    /// The primary key, if any.
    pub primary_key: Option<PrimaryKey>,
    /// The identity column, if any.
    pub identity: Option<Identity>,
    /// The rows. They are stored in pages, not in the catalogue.
    #[serde(skip)]
    pub rows: Vec<Row>,
}

impl Table {
    /// An empty table.
    pub fn new(object_id: i32, schema: &str, name: &str, columns: Vec<ColumnDef>, at: OffsetDateTime) -> Table {
        Table {
            object_id,
            schema: schema.into(),
            name: name.into(),
            is_ms_shipped: false,
            create_date: at,
            modify_date: at,
            columns,
            primary_key: None,
            identity: None,
            rows: Vec::new(),
        }
    }
    /// The position of a column, ignoring case.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| same_name(&c.name, name))
    }
}

/// A stored procedure (or function) as T-SQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Procedure {
    /// `sys.procedures.object_id`.
    pub object_id: i32,
    /// The schema, usually `dbo`.
    pub schema: String,
    /// The name.
    pub name: String,
    /// The whole `CREATE PROCEDURE …`, as `sys.sql_modules.definition` has it.
    pub definition: String,
    /// UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub create_date: OffsetDateTime,
}

/// Whether two identifiers are the same under a case-insensitive collation.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a == b || a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
