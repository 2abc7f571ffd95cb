//! Arithmetic on values whose types are already common.

use time::Duration;

use super::compare::approximate;
use super::convert::rescale;
use super::types::{Family, family, type_name};
use crate::engine::ast::BinaryOp;
use crate::engine::errors::{Result, SqlError, err};
use crate::types::{SqlType, Value};

/// `a op b` as a value of `ty`.
pub(super) fn apply(op: BinaryOp, a: &Value, b: &Value, ty: &SqlType) -> Result<Value> {
    if matches!(a, Value::Null) || matches!(b, Value::Null) {
        return Ok(Value::Null);
    }
    match family(ty) {
        Family::Text => Ok(concat(a, b)),
        Family::Binary => Ok(concat_bytes(a, b)),
        Family::Integer => integer(op, a, b, ty),
        Family::Exact => exact(op, a, b, ty),
        Family::Approximate => float(op, approximate(a), approximate(b)),
        Family::Date => date(op, a, b, ty),
        _ => Err(err!(8117, type_name(ty), super::types::operator_name(op))),
    }
}

fn overflow(ty: &SqlType) -> SqlError {
    err!(8115, "expression", type_name(ty))
}

fn concat(a: &Value, b: &Value) -> Value {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => Value::Str(format!("{x}{y}").into()),
        _ => Value::Null,
    }
}

fn concat_bytes(a: &Value, b: &Value) -> Value {
    match (a, b) {
        (Value::Bytes(x), Value::Bytes(y)) => Value::Bytes(x.iter().chain(y.iter()).copied().collect()),
        _ => Value::Null,
    }
}

fn as_int(value: &Value) -> i64 {
    match value {
        Value::Bit(b) => i64::from(*b),
        Value::Int(i) => *i,
        Value::Bytes(b) => b
            .iter()
            .rev()
            .take(8)
            .rev()
            .fold(0_i64, |n, x| (n << 8) | i64::from(*x)),
        _ => 0,
    }
}

fn integer(op: BinaryOp, a: &Value, b: &Value, ty: &SqlType) -> Result<Value> {
    let (x, y) = (as_int(a), as_int(b));
    let result = match op {
        BinaryOp::Add => x.checked_add(y),
        BinaryOp::Sub => x.checked_sub(y),
        BinaryOp::Mul => x.checked_mul(y),
        BinaryOp::Div | BinaryOp::Mod if y == 0 => return Err(err!(8134)),
        BinaryOp::Div => x.checked_div(y),
        BinaryOp::Mod => x.checked_rem(y),
        BinaryOp::And => Some(x & y),
        BinaryOp::Or => Some(x | y),
        BinaryOp::Xor => Some(x ^ y),
    };
    let value = result.ok_or_else(|| overflow(ty))?;
    let fits = match ty {
        SqlType::Bit => return Ok(Value::Bit(value != 0)),
        SqlType::TinyInt => (0..=255).contains(&value),
        SqlType::SmallInt => i16::try_from(value).is_ok(),
        SqlType::Int => i32::try_from(value).is_ok(),
        _ => true,
    };
    if fits { Ok(Value::Int(value)) } else { Err(overflow(ty)) }
}

fn decimal(value: &Value) -> (i128, u8) {
    match value {
        Value::Decimal(v, s) => (*v, *s),
        other => (i128::from(as_int(other)), 0),
    }
}

fn exact(op: BinaryOp, a: &Value, b: &Value, ty: &SqlType) -> Result<Value> {
    let ((x, sx), (y, sy)) = (decimal(a), decimal(b));
    let scale = match ty {
        SqlType::Numeric { scale, .. } => *scale,
        _ => 4,
    };
    let both = sx.max(sy);
    let common = || Some((rescale(x, sx, both)?, rescale(y, sy, both)?));
    let result = match op {
        BinaryOp::Add => common().and_then(|(x, y)| rescale(x.checked_add(y)?, both, scale)),
        BinaryOp::Sub => common().and_then(|(x, y)| rescale(x.checked_sub(y)?, both, scale)),
        BinaryOp::Mul => x.checked_mul(y).and_then(|p| rescale(p, sx + sy, scale)),
        BinaryOp::Div | BinaryOp::Mod if y == 0 => return Err(err!(8134)),
        BinaryOp::Div => divide((x, sx), (y, sy), scale),
        BinaryOp::Mod => common().and_then(|(x, y)| rescale(x % y, both, scale)),
        _ => None,
    };
    let value = result
        .filter(|v| v.unsigned_abs() < 10_u128.pow(38))
        .ok_or_else(|| overflow(ty))?;
    Ok(Value::Decimal(value, scale))
}

/// Truncates, as SQL Server does.
fn divide(x: (i128, u8), y: (i128, u8), scale: u8) -> Option<i128> {
    let shift = i32::from(scale) + i32::from(y.1) - i32::from(x.1);
    if shift >= 0 {
        let up = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
        return Some(x.0.checked_mul(up)? / y.0);
    }
    let down = 10_i128.checked_pow(u32::try_from(-shift).ok()?)?;
    Some(x.0 / y.0.checked_mul(down)?)
}

fn float(op: BinaryOp, x: f64, y: f64) -> Result<Value> {
    let value = match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div | BinaryOp::Mod if y == 0.0 => return Err(err!(8134)),
        BinaryOp::Div => x / y,
        _ => return Err(err!(402, "float", "float", super::types::operator_name(op))),
    };
    if value.is_finite() {
        Ok(Value::Float(value))
    } else {
        Err(overflow(&SqlType::Float))
    }
}

/// A datetime plus days, or minus a datetime: the difference counts from 1900.
fn date(op: BinaryOp, a: &Value, b: &Value, ty: &SqlType) -> Result<Value> {
    let days = |v: &Value| match v {
        Value::DateTime(d) => (*d - super::dates::epoch()).as_seconds_f64() / 86_400.0,
        other => approximate(other),
    };
    let total = if op == BinaryOp::Sub {
        days(a) - days(b)
    } else {
        days(a) + days(b)
    };
    let at = super::dates::epoch().checked_add(Duration::seconds_f64(total.clamp(-1e7, 1e7) * 86_400.0));
    at.map(|d| Value::DateTime(super::dates::round_datetime(d)))
        .ok_or_else(|| overflow(ty))
}

/// `-e`.
pub(super) fn negate(value: &Value, ty: &SqlType) -> Result<Value> {
    Ok(match value {
        Value::Int(i) => Value::Int(i.checked_neg().ok_or_else(|| overflow(ty))?),
        Value::Decimal(v, s) => Value::Decimal(-v, *s),
        Value::Float(f) => Value::Float(-f),
        Value::Bit(b) => Value::Int(-i64::from(*b)),
        _ => Value::Null,
    })
}

/// `~e`, in the width of its type.
pub(super) fn bit_not(value: &Value, ty: &SqlType) -> Value {
    match value {
        Value::Bit(b) => Value::Bit(!b),
        Value::Int(i) if *ty == SqlType::TinyInt => Value::Int(!i & 0xff),
        Value::Int(i) => Value::Int(!i),
        _ => Value::Null,
    }
}
