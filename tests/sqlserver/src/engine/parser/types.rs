//! Data types as they are written.

use super::Parser;
use crate::engine::errors::{Result, err};
use crate::engine::lexer::Tok;
use crate::types::SqlType;

/// A system type by name, with its arguments: length, or precision and scale. `-1` is `max`.
pub(super) fn type_from_name(name: &str, args: &[i64], default_length: u16) -> Option<SqlType> {
    let scale = |default: u8| {
        args.first()
            .map_or(Some(default), |s| u8::try_from(*s).ok().filter(|s| *s <= 7))
    };
    let plain = |ty: SqlType| args.is_empty().then_some(ty);
    let length = |limit: u16| match args {
        [] => Some(default_length),
        [n] => u16::try_from(*n).ok().filter(|n| (1..=limit).contains(n)),
        _ => None,
    };
    let variable = |limit: u16| {
        if args == [-1] {
            Some(None)
        } else {
            length(limit).map(Some)
        }
    };
    Some(match name.to_ascii_lowercase().as_str() {
        "bit" => plain(SqlType::Bit)?,
        "tinyint" => plain(SqlType::TinyInt)?,
        "smallint" => plain(SqlType::SmallInt)?,
        "int" | "integer" => plain(SqlType::Int)?,
        "bigint" => plain(SqlType::BigInt)?,
        "float" => match args {
            [] => SqlType::Float,
            [n @ 1..=53] => {
                if *n <= 24 {
                    SqlType::Real
                } else {
                    SqlType::Float
                }
            }
            _ => return None,
        },
        "real" => plain(SqlType::Real)?,
        "decimal" | "numeric" | "dec" => numeric(args)?,
        "money" | "smallmoney" => plain(SqlType::Money)?,
        "uniqueidentifier" => plain(SqlType::Guid)?,
        "datetime" => plain(SqlType::DateTime)?,
        "smalldatetime" => plain(SqlType::SmallDateTime)?,
        "date" => plain(SqlType::Date)?,
        "time" => SqlType::Time(scale(7)?),
        "datetime2" => SqlType::DateTime2(scale(7)?),
        "datetimeoffset" => SqlType::DateTimeOffset(scale(7)?),
        "char" | "character" => SqlType::Char(length(8000)?),
        "varchar" => SqlType::VarChar(variable(8000)?),
        "nchar" => SqlType::NChar(length(4000)?),
        "nvarchar" => SqlType::NVarChar(variable(4000)?),
        "binary" => SqlType::Binary(length(8000)?),
        "varbinary" => SqlType::VarBinary(variable(8000)?),
        "text" => plain(SqlType::VarChar(None))?,
        "ntext" => plain(SqlType::NVarChar(None))?,
        "image" => plain(SqlType::VarBinary(None))?,
        "timestamp" | "rowversion" => plain(SqlType::Binary(8))?,
        "xml" => plain(SqlType::Xml)?,
        "sql_variant" => plain(SqlType::Variant)?,
        "sysname" => plain(SqlType::NVarChar(Some(128)))?,
        _ => return None,
    })
}

fn numeric(args: &[i64]) -> Option<SqlType> {
    let precision = args.first().map_or(Some(18), |p| u8::try_from(*p).ok())?;
    let scale = args.get(1).map_or(Some(0), |s| u8::try_from(*s).ok())?;
    let fits = args.len() <= 2 && (1..=38).contains(&precision) && scale <= precision;
    fits.then_some(SqlType::Numeric { precision, scale })
}

const NAMES: &[&str] = &[
    "bit",
    "tinyint",
    "smallint",
    "int",
    "integer",
    "bigint",
    "float",
    "real",
    "decimal",
    "numeric",
    "dec",
    "money",
    "smallmoney",
    "uniqueidentifier",
    "datetime",
    "smalldatetime",
    "date",
    "time",
    "datetime2",
    "datetimeoffset",
    "char",
    "character",
    "varchar",
    "nchar",
    "nvarchar",
    "binary",
    "varbinary",
    "text",
    "ntext",
    "image",
    "timestamp",
    "rowversion",
    "xml",
    "sql_variant",
    "sysname",
];

impl Parser<'_> {
    /// A type. `default_length` is 1 in declarations and 30 in CAST.
    pub(super) fn data_type(&mut self, default_length: u16) -> Result<SqlType> {
        if self.eat_words(&["DOUBLE", "PRECISION"]) {
            return Ok(SqlType::Float);
        }
        let at = self.at;
        let name = self.name()?;
        let known = name.parts.len() <= 2
            && name.schema().is_none_or(|s| s.eq_ignore_ascii_case("sys"))
            && NAMES.contains(&name.object().to_ascii_lowercase().as_str());
        if !known {
            let error = if default_length == 30 {
                err!(243, name)
            } else {
                err!(2715, 1, name)
            };
            return Err(error.at(self.tokens[at].line));
        }
        let args = if self.sym("(") { self.type_args()? } else { Vec::new() };
        type_from_name(name.object(), &args, default_length).ok_or_else(|| {
            err!(2717, args.first().copied().unwrap_or(0), "type", name.object(), 8000).at(self.tokens[at].line)
        })
    }

    fn type_args(&mut self) -> Result<Vec<i64>> {
        self.expect("(")?;
        let args = if self.eat_word("MAX") {
            vec![-1]
        } else {
            if !matches!(self.tok(), Tok::Int(_)) {
                return Err(self.syntax());
            }
            self.list(Self::integer)?
        };
        self.expect(")")?;
        Ok(args)
    }
}
