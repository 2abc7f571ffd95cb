//! Small helpers with which the sample's tables are written down.

use time::{OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

use crate::storage::{ColumnDef, PrimaryKey, Table};
use crate::types::{SqlType, Value};

pub(crate) fn text(s: impl AsRef<str>) -> Value {
    Value::Str(s.as_ref().into())
}
pub(crate) fn int(i: impl TryInto<i64>) -> Value {
    i.try_into().map_or(Value::Null, Value::Int)
}
pub(crate) fn bit(b: bool) -> Value {
    Value::Bit(b)
}
pub(crate) fn guid(g: Uuid) -> Value {
    Value::Guid(g)
}
pub(crate) fn bytes(b: &[u8]) -> Value {
    Value::Bytes(b.into())
}
/// `datetime` in UTC, to the millisecond.
pub(crate) fn date(at: OffsetDateTime) -> Value {
    let at = at.to_offset(time::UtcOffset::UTC);
    let at = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    Value::DateTime(PrimitiveDateTime::new(at.date(), at.time()))
}

/// Makes tables with consecutive object ids. Columns are written as `"name type, name type!"`: `!` is NOT NULL.
pub(crate) struct Tables {
    next_id: i32,
    at: OffsetDateTime,
}

impl Tables {
    pub(crate) fn new(at: OffsetDateTime) -> Tables {
        Tables {
            next_id: 245_575_913,
            at,
        }
    }
    pub(crate) fn object_id(&mut self) -> i32 {
        self.next_id += 16;
        self.next_id
    }
    /// An empty table; its first `keys` columns are the primary key.
    pub(crate) fn table(&mut self, name: &str, keys: usize, columns: &str) -> Table {
        let columns = columns.split(',').filter_map(column).collect();
        let mut table = Table::new(self.object_id(), "dbo", name, columns, self.at);
        if keys > 0 {
            table.primary_key = Some(PrimaryKey {
                name: format!("PK_{name}"),
                columns: (0..keys).collect(),
            });
        }
        table
    }
}

fn column(written: &str) -> Option<ColumnDef> {
    let (name, ty) = written.trim().split_once(' ')?;
    let (ty, nullable) = match ty.trim().strip_suffix('!') {
        Some(ty) => (ty, false),
        None => (ty.trim(), true),
    };
    let ty = match ty {
        "bit" => SqlType::Bit,
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "int" => SqlType::Int,
        "bigint" => SqlType::BigInt,
        "guid" => SqlType::Guid,
        "date" => SqlType::DateTime,
        "text" => SqlType::NVarChar(None),
        "name" => SqlType::NVarChar(Some(448)),
        "code" => SqlType::NVarChar(Some(80)),
        "binary" => SqlType::VarBinary(None),
        "key" => SqlType::VarBinary(Some(800)),
        "stamp" => SqlType::Binary(8),
        _ => return None,
    };
    Some(ColumnDef {
        name: name.into(),
        ty,
        nullable,
        default: None,
    })
}
