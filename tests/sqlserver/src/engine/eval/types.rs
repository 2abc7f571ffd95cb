//! What type an expression has: names, precedence, the common type of two operands, results of arithmetic.

use crate::engine::ast::BinaryOp;
use crate::engine::errors::{Result, err};
use crate::types::{SqlType, Value};

/// `int`, `nvarchar`, `varchar(max)`: as error texts name a type.
pub(crate) fn type_name(ty: &SqlType) -> &'static str {
    match ty {
        SqlType::Bit => "bit",
        SqlType::TinyInt => "tinyint",
        SqlType::SmallInt => "smallint",
        SqlType::Int => "int",
        SqlType::BigInt => "bigint",
        SqlType::Float => "float",
        SqlType::Real => "real",
        SqlType::Numeric { .. } => "numeric",
        SqlType::Money => "money",
        SqlType::Guid => "uniqueidentifier",
        SqlType::DateTime => "datetime",
        SqlType::SmallDateTime => "smalldatetime",
        SqlType::Date => "date",
        SqlType::Time(_) => "time",
        SqlType::DateTime2(_) => "datetime2",
        SqlType::DateTimeOffset(_) => "datetimeoffset",
        SqlType::Char(_) => "char",
        SqlType::VarChar(None) => "varchar(max)",
        SqlType::VarChar(_) => "varchar",
        SqlType::NChar(_) => "nchar",
        SqlType::NVarChar(None) => "nvarchar(max)",
        SqlType::NVarChar(_) => "nvarchar",
        SqlType::Binary(_) => "binary",
        SqlType::VarBinary(None) => "varbinary(max)",
        SqlType::VarBinary(_) => "varbinary",
        SqlType::Xml => "xml",
        SqlType::Variant => "sql_variant",
    }
}

/// The kinds of type that behave alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// bit to bigint.
    Integer,
    /// numeric, money.
    Exact,
    /// float, real.
    Approximate,
    /// char to nvarchar, xml.
    Text,
    /// binary, varbinary.
    Binary,
    /// date to datetimeoffset.
    Date,
    /// time.
    Time,
    /// uniqueidentifier.
    Guid,
    /// sql_variant.
    Variant,
}

/// The family of a type.
pub(crate) fn family(ty: &SqlType) -> Family {
    match ty {
        SqlType::Bit | SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => Family::Integer,
        SqlType::Numeric { .. } | SqlType::Money => Family::Exact,
        SqlType::Float | SqlType::Real => Family::Approximate,
        SqlType::Char(_) | SqlType::VarChar(_) | SqlType::NChar(_) | SqlType::NVarChar(_) | SqlType::Xml => {
            Family::Text
        }
        SqlType::Binary(_) | SqlType::VarBinary(_) => Family::Binary,
        SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::Date
        | SqlType::DateTime2(_)
        | SqlType::DateTimeOffset(_) => Family::Date,
        SqlType::Time(_) => Family::Time,
        SqlType::Guid => Family::Guid,
        SqlType::Variant => Family::Variant,
    }
}

/// Whether a text type holds UTF-16.
pub(crate) fn is_national(ty: &SqlType) -> bool {
    matches!(ty, SqlType::NChar(_) | SqlType::NVarChar(_) | SqlType::Xml)
}

/// A number, a date or a bit: what arithmetic works on.
pub(crate) fn is_numeric(ty: &SqlType) -> bool {
    matches!(family(ty), Family::Integer | Family::Exact | Family::Approximate)
}

/// SQL Server's data type precedence; the higher wins.
fn precedence(ty: &SqlType) -> u8 {
    match ty {
        SqlType::Variant => 30,
        SqlType::Xml => 29,
        SqlType::DateTimeOffset(_) => 28,
        SqlType::DateTime2(_) => 27,
        SqlType::DateTime => 26,
        SqlType::SmallDateTime => 25,
        SqlType::Date => 24,
        SqlType::Time(_) => 23,
        SqlType::Float => 22,
        SqlType::Real => 21,
        SqlType::Numeric { .. } => 20,
        SqlType::Money => 19,
        SqlType::BigInt => 17,
        SqlType::Int => 16,
        SqlType::SmallInt => 15,
        SqlType::TinyInt => 14,
        SqlType::Bit => 13,
        SqlType::Guid => 9,
        SqlType::NVarChar(_) => 8,
        SqlType::NChar(_) => 7,
        SqlType::VarChar(_) => 6,
        SqlType::Char(_) => 5,
        SqlType::VarBinary(_) => 4,
        SqlType::Binary(_) => 3,
    }
}

/// The length of a text or binary type; `None` is max.
pub(crate) fn length(ty: &SqlType) -> Option<u16> {
    match ty {
        SqlType::Char(n) | SqlType::NChar(n) | SqlType::Binary(n) => Some(*n),
        SqlType::VarChar(n) | SqlType::NVarChar(n) | SqlType::VarBinary(n) => *n,
        other => display_width(other),
    }
}

/// How long a value of another type can get as text.
fn display_width(ty: &SqlType) -> Option<u16> {
    Some(match ty {
        SqlType::Bit => 1,
        SqlType::TinyInt => 3,
        SqlType::SmallInt => 6,
        SqlType::Int => 11,
        SqlType::BigInt => 20,
        SqlType::Numeric { precision, .. } => u16::from(*precision) + 3,
        SqlType::Guid => 36,
        SqlType::Xml | SqlType::Variant => return None,
        _ => 40,
    })
}

/// nvarchar or varchar of a length, max when it does not fit.
pub(crate) fn text_type(national: bool, length: Option<usize>) -> SqlType {
    let limit = if national { 4000 } else { 8000 };
    let length = length
        .and_then(|n| u16::try_from(n.max(1)).ok())
        .filter(|n| *n <= limit);
    if national {
        SqlType::NVarChar(length)
    } else {
        SqlType::VarChar(length)
    }
}

/// The numeric type that holds every value of an integer type.
fn as_numeric(ty: &SqlType) -> (u8, u8) {
    match ty {
        SqlType::Bit => (1, 0),
        SqlType::TinyInt => (3, 0),
        SqlType::SmallInt => (5, 0),
        SqlType::Int => (10, 0),
        SqlType::BigInt => (19, 0),
        SqlType::Money => (19, 4),
        SqlType::Numeric { precision, scale } => (*precision, *scale),
        _ => (38, 0),
    }
}

/// The type of CASE, COALESCE, UNION and comparison operands.
pub(crate) fn common_type(a: &SqlType, b: &SqlType) -> SqlType {
    let (high, low) = if precedence(a) >= precedence(b) { (a, b) } else { (b, a) };
    match (high, family(low)) {
        (SqlType::Numeric { .. }, Family::Integer | Family::Exact) => common_numeric(high, low),
        (SqlType::NVarChar(_) | SqlType::NChar(_), Family::Text) => longer(high, low, true),
        (SqlType::VarChar(_) | SqlType::Char(_), Family::Text) => longer(high, low, false),
        (SqlType::VarBinary(_) | SqlType::Binary(_), Family::Binary) => match (length(high), length(low)) {
            (Some(x), Some(y)) => SqlType::VarBinary(Some(x.max(y))),
            _ => SqlType::VarBinary(None),
        },
        (SqlType::DateTime2(x), _) => match low {
            SqlType::DateTime2(y) | SqlType::Time(y) => SqlType::DateTime2(*x.max(y)),
            _ => high.clone(),
        },
        _ => high.clone(),
    }
}

fn longer(high: &SqlType, low: &SqlType, national: bool) -> SqlType {
    if high == low {
        return high.clone();
    }
    match (length(high), length(low)) {
        (Some(x), Some(y)) => text_type(national, Some(usize::from(x.max(y)))),
        _ => text_type(national, None),
    }
}

fn common_numeric(a: &SqlType, b: &SqlType) -> SqlType {
    let ((p1, s1), (p2, s2)) = (as_numeric(a), as_numeric(b));
    let scale = s1.max(s2);
    let precision = (p1 - s1).max(p2 - s2) + scale;
    capped(precision.into(), scale.into())
}

/// Numeric results above 38 digits lose scale, but keep six digits of it.
fn capped(precision: u16, scale: u16) -> SqlType {
    if precision <= 38 {
        return numeric(precision, scale);
    }
    let whole = precision - scale;
    let kept = if whole < 32 { 38 - whole } else { scale.min(6) };
    numeric(38, kept.min(scale))
}

fn numeric(precision: u16, scale: u16) -> SqlType {
    let narrow = |n: u16| u8::try_from(n.min(38)).unwrap_or(38);
    SqlType::Numeric {
        precision: narrow(precision),
        scale: narrow(scale),
    }
}

/// The type of `a op b`.
pub(crate) fn arithmetic_type(op: BinaryOp, a: &SqlType, b: &SqlType) -> Result<SqlType> {
    use BinaryOp::{Add, And, Div, Mod, Mul, Or, Sub, Xor};
    let (fa, fb) = (family(a), family(b));
    if op == Add && fa == Family::Text && fb == Family::Text {
        return Ok(concatenation(a, b));
    }
    if op == Add && fa == Family::Binary && fb == Family::Binary {
        let both = length(a)
            .zip(length(b))
            .map(|(x, y)| x.saturating_add(y))
            .filter(|n| *n <= 8000);
        return Ok(SqlType::VarBinary(both));
    }
    if matches!(op, And | Or | Xor) {
        let integers = matches!(
            (fa, fb),
            (Family::Integer, Family::Integer | Family::Binary) | (Family::Binary, Family::Integer)
        );
        let ty = if fa == Family::Integer && fb == Family::Integer {
            common_type(a, b)
        } else {
            integer_of(a, b)
        };
        return if integers { Ok(ty) } else { Err(incompatible(op, a, b)) };
    }
    if let Some(date) = date_arithmetic(op, a, b) {
        return Ok(date);
    }
    // Text takes part in arithmetic by becoming the other's type.
    let (a, b) = match (fa, fb) {
        (Family::Text, _) if is_numeric(b) => (b, b),
        (_, Family::Text) if is_numeric(a) => (a, a),
        _ => (a, b),
    };
    if !is_numeric(a) || !is_numeric(b) {
        return Err(incompatible(op, a, b));
    }
    let common = common_type(a, b);
    if !matches!(common, SqlType::Numeric { .. }) {
        return Ok(if common == SqlType::Bit { SqlType::Int } else { common });
    }
    let ((p1, s1), (p2, s2)) = (wide(a), wide(b));
    Ok(match op {
        Add | Sub => capped((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
        Mul => capped(p1 + p2 + 1, s1 + s2),
        Div => {
            let scale = (s1 + p2 + 1).max(6);
            capped(p1 - s1 + s2 + scale, scale)
        }
        Mod => capped((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
        And | Or | Xor => common,
    })
}

fn wide(ty: &SqlType) -> (u16, u16) {
    let (p, s) = as_numeric(ty);
    (p.into(), s.into())
}

fn integer_of(a: &SqlType, b: &SqlType) -> SqlType {
    if family(a) == Family::Integer {
        a.clone()
    } else {
        b.clone()
    }
}

/// datetime + number, datetime - datetime: only the two old types allow it.
fn date_arithmetic(op: BinaryOp, a: &SqlType, b: &SqlType) -> Option<SqlType> {
    let old = |t: &SqlType| matches!(t, SqlType::DateTime | SqlType::SmallDateTime);
    let plus_minus = matches!(op, BinaryOp::Add | BinaryOp::Sub);
    if plus_minus && old(a) && (is_numeric(b) || old(b)) {
        return Some(a.clone());
    }
    (op == BinaryOp::Add && is_numeric(a) && old(b)).then(|| b.clone())
}

fn concatenation(a: &SqlType, b: &SqlType) -> SqlType {
    let national = is_national(a) || is_national(b);
    match (length(a), length(b)) {
        (Some(x), Some(y)) => {
            let limit = if national { 4000 } else { 8000 };
            text_type(national, Some((usize::from(x) + usize::from(y)).min(limit)))
        }
        _ => text_type(national, None),
    }
}

/// How an operator is named in errors.
pub(crate) fn operator_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "add",
        BinaryOp::Sub => "subtract",
        BinaryOp::Mul => "multiply",
        BinaryOp::Div => "divide",
        BinaryOp::Mod => "modulo",
        BinaryOp::And => "'&'",
        BinaryOp::Or => "'|'",
        BinaryOp::Xor => "'^'",
    }
}

fn incompatible(op: BinaryOp, a: &SqlType, b: &SqlType) -> crate::engine::errors::SqlError {
    if a == b {
        return err!(8117, type_name(a), operator_name(op));
    }
    err!(402, type_name(a), type_name(b), operator_name(op))
}

/// Whether a value of one type becomes another without CAST.
pub(crate) fn implicit(from: &SqlType, to: &SqlType) -> bool {
    let (f, t) = (family(from), family(to));
    if f == t || t == Family::Variant {
        return true;
    }
    match (f, t) {
        (Family::Text, Family::Binary) | (Family::Variant, _) => false,
        (Family::Text, _) | (_, Family::Text) => !(f == Family::Binary && t != Family::Text),
        (
            Family::Integer | Family::Exact | Family::Approximate,
            Family::Integer | Family::Exact | Family::Approximate,
        ) => true,
        (Family::Integer, Family::Binary) | (Family::Exact, Family::Binary) => true,
        (Family::Binary, Family::Integer | Family::Exact | Family::Guid) | (Family::Guid, Family::Binary) => true,
        (Family::Integer | Family::Exact | Family::Approximate, Family::Date) => {
            matches!(to, SqlType::DateTime | SqlType::SmallDateTime)
        }
        (Family::Date, Family::Time) | (Family::Time, Family::Date) => true,
        _ => false,
    }
}

/// The type of a value inside a sql_variant.
pub(crate) fn type_of(value: &Value) -> SqlType {
    match value {
        Value::Null => SqlType::Int,
        Value::Bit(_) => SqlType::Bit,
        Value::Int(i) => {
            if i32::try_from(*i).is_ok() {
                SqlType::Int
            } else {
                SqlType::BigInt
            }
        }
        Value::Float(_) => SqlType::Float,
        Value::Decimal(v, scale) => {
            let digits = u8::try_from(v.unsigned_abs().to_string().len()).unwrap_or(38);
            SqlType::Numeric {
                precision: digits.max(*scale).clamp(1, 38),
                scale: *scale,
            }
        }
        Value::Str(s) => text_type(true, Some(s.encode_utf16().count())),
        Value::Bytes(b) => SqlType::VarBinary(u16::try_from(b.len().max(1)).ok().filter(|n| *n <= 8000)),
        Value::Guid(_) => SqlType::Guid,
        Value::Date(_) => SqlType::Date,
        Value::Time(_) => SqlType::Time(7),
        Value::DateTime(_) => SqlType::DateTime2(7),
        Value::DateTimeOffset(_) => SqlType::DateTimeOffset(7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(precision: u8, scale: u8) -> SqlType {
        SqlType::Numeric { precision, scale }
    }

    #[test]
    fn precedence_picks_the_higher_type() {
        assert_eq!(common_type(&SqlType::Int, &SqlType::NVarChar(Some(5))), SqlType::Int);
        assert_eq!(
            common_type(&SqlType::VarChar(Some(3)), &SqlType::NVarChar(Some(5))),
            SqlType::NVarChar(Some(5))
        );
        assert_eq!(common_type(&SqlType::Int, &numeric(5, 2)), numeric(12, 2));
    }

    #[test]
    fn numeric_arithmetic_follows_the_documented_formulas() {
        assert_eq!(
            arithmetic_type(BinaryOp::Add, &numeric(5, 2), &numeric(5, 2)).unwrap(),
            numeric(6, 2)
        );
        assert_eq!(
            arithmetic_type(BinaryOp::Mul, &numeric(5, 2), &SqlType::Int).unwrap(),
            numeric(16, 2)
        );
        assert_eq!(
            arithmetic_type(BinaryOp::Div, &numeric(5, 2), &SqlType::Int).unwrap(),
            numeric(16, 13)
        );
        assert_eq!(
            arithmetic_type(BinaryOp::Mul, &numeric(38, 10), &numeric(38, 10)).unwrap(),
            numeric(38, 6)
        );
    }

    #[test]
    fn what_does_not_add_is_an_error() {
        assert_eq!(
            arithmetic_type(BinaryOp::Add, &SqlType::Guid, &SqlType::Int)
                .unwrap_err()
                .number(),
            402
        );
        assert_eq!(
            arithmetic_type(BinaryOp::Sub, &SqlType::Date, &SqlType::Date)
                .unwrap_err()
                .number(),
            8117
        );
    }
}
