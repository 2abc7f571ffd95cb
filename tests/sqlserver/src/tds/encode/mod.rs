//! Encodes tokens, types and values. Pure: it appends to a buffer.

pub(crate) mod login;
pub(crate) mod moment;
mod token;
mod type_info;
mod value;

pub(crate) use token::{
    Done, Text, put_columns, put_done, put_env_change, put_message, put_reset_acknowledgement, put_return_status,
    put_return_value, put_row,
};
pub(crate) use type_info::put_type_info;
pub(crate) use value::put_value;

use std::borrow::Cow;

use crate::types::{SqlType, Value};

use super::version::Version;

/// The engine put a value into a column of a type that cannot hold it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a column of type {ty:?} cannot hold a {value}")]
pub(crate) struct Misfit {
    ty: SqlType,
    value: &'static str,
}

impl Misfit {
    fn new(ty: &SqlType, value: &Value) -> Self {
        Self {
            ty: ty.clone(),
            value: kind(value),
        }
    }
}

impl From<Misfit> for std::io::Error {
    fn from(misfit: Misfit) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, misfit)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Bit(_) => "bit",
        Value::Int(_) => "whole number",
        Value::Float(_) => "float",
        Value::Decimal(..) => "decimal",
        Value::Str(_) => "text",
        Value::Bytes(_) => "binary value",
        Value::Guid(_) => "GUID",
        Value::Date(_) => "date",
        Value::Time(_) => "time",
        Value::DateTime(_) => "date with time",
        Value::DateTimeOffset(_) => "date with time and offset",
    }
}

/// The type as this client gets it: what its version does not know is sent as text, as SQL Server does it.
fn on_wire(ty: &SqlType, version: Version) -> Cow<'_, SqlType> {
    let text = |units| Cow::Owned(SqlType::NVarChar(units));
    match ty {
        SqlType::Date if !version.has_date_types() => text(Some(10)),
        SqlType::Time(_) if !version.has_date_types() => text(Some(16)),
        SqlType::DateTime2(_) if !version.has_date_types() => text(Some(27)),
        SqlType::DateTimeOffset(_) if !version.has_date_types() => text(Some(34)),
        SqlType::Xml if !version.has_large_types() => text(None),
        _ => Cow::Borrowed(ty),
    }
}
