//! Functions on numbers.

use super::compare::approximate;
use super::convert::rescale;
use super::functions::Call;
use crate::engine::errors::Result;
use crate::types::{SqlType, Value};

fn map(call: &Call<'_>, int: fn(i64) -> i64, decimal: fn(i128, u8) -> i128, float: fn(f64) -> f64) -> Value {
    match &call.values[0] {
        Value::Int(i) => Value::Int(int(*i)),
        Value::Bit(b) => Value::Int(int(i64::from(*b))),
        Value::Decimal(v, s) => Value::Decimal(decimal(*v, *s), *s),
        other => Value::Float(float(match other {
            Value::Str(s) => s.trim().parse().unwrap_or(0.0),
            value => approximate(value),
        })),
    }
}

fn unit(scale: u8) -> i128 {
    10_i128.pow(u32::from(scale.min(38)))
}

pub(super) fn abs(call: &Call<'_>) -> Result<Value> {
    Ok(map(call, i64::abs, |v, _| v.abs(), f64::abs))
}

pub(super) fn ceiling(call: &Call<'_>) -> Result<Value> {
    Ok(map(call, |i| i, |v, s| -(-v).div_euclid(unit(s)) * unit(s), f64::ceil))
}

pub(super) fn floor(call: &Call<'_>) -> Result<Value> {
    Ok(map(call, |i| i, |v, s| v.div_euclid(unit(s)) * unit(s), f64::floor))
}

pub(super) fn sign(call: &Call<'_>) -> Result<Value> {
    Ok(map(call, i64::signum, |v, s| v.signum() * unit(s), f64::signum))
}

pub(super) fn round(call: &Call<'_>) -> Result<Value> {
    let places = call.int(1).unwrap_or(0).clamp(-30, 30);
    let truncate = call.int(2).is_some_and(|t| t != 0);
    Ok(match &call.values[0] {
        Value::Decimal(v, s) => Value::Decimal(round_decimal(*v, *s, places, truncate), *s),
        Value::Int(i) => {
            let rounded = round_decimal(i128::from(*i), 0, places, truncate);
            Value::Int(i64::try_from(rounded).unwrap_or(0))
        }
        other => {
            let factor = 10_f64.powi(i32::try_from(places).unwrap_or(0));
            let scaled = approximate(other) * factor;
            Value::Float(if truncate { scaled.trunc() } else { scaled.round() } / factor)
        }
    })
}

fn round_decimal(value: i128, scale: u8, places: i64, truncate: bool) -> i128 {
    let drop = i64::from(scale) - places;
    let Ok(drop) = u8::try_from(drop) else { return value };
    if drop > 37 {
        return 0;
    }
    let kept = if truncate {
        value / unit(drop)
    } else {
        rescale(value, drop, 0).unwrap_or(0)
    };
    kept * unit(drop)
}

pub(super) fn power(call: &Call<'_>) -> Result<Value> {
    Ok(Value::Float(
        approximate(&call.values[0]).powf(approximate(&call.values[1])),
    ))
}

pub(super) fn sqrt(call: &Call<'_>) -> Result<Value> {
    Ok(Value::Float(approximate(&call.values[0]).sqrt()))
}

pub(super) fn rand(_: &Call<'_>) -> Result<Value> {
    Ok(Value::Float(rand::random::<f64>()))
}

/// Not SQL Server's own function, but equal for equal rows, which is what it is used for.
pub(super) fn checksum(call: &Call<'_>) -> Result<Value> {
    let mut hasher = crc32fast::Hasher::new();
    for (value, arg) in call.values.iter().zip(call.args) {
        let collation = if call.name == "CHECKSUM" {
            super::compare::Collation::Insensitive
        } else {
            super::compare::Collation::Binary
        };
        hasher.update(format!("{:?}", super::compare::key(value, collation)).as_bytes());
        hasher.update(&[u8::from(arg.ty == SqlType::Bit)]);
    }
    Ok(Value::Int(i64::from(hasher.finalize().cast_signed())))
}
