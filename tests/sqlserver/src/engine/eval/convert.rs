//! Conversions between types: CAST, CONVERT and the implicit ones, with SQL Server's errors.

use std::sync::Arc;

use time::{OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use uuid::Uuid;

use super::dates::{self, Shape};
use super::text::{self, code_page_bytes, code_page_text, utf16_bytes, utf16_text};
use super::types::{Family, family, is_national, type_name, type_of};
use crate::engine::errors::{Result, SqlError, err};
use crate::types::{SqlType, Value};

/// What a conversion depends on besides the value.
#[derive(Debug, Clone)]
pub struct Setting {
    /// DATEFORMAT.
    pub date_format: String,
    /// The server's offset from UTC: a datetimeoffset made of a local time gets +00:00, not this.
    pub offset: UtcOffset,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            date_format: "mdy".to_owned(),
            offset: UtcOffset::UTC,
        }
    }
}

/// Converts a value. `from` is the declared type: error texts name it.
pub(crate) fn cast(value: &Value, from: &SqlType, to: &SqlType, style: i32, setting: &Setting) -> Result<Value> {
    if matches!(value, Value::Null) {
        return Ok(Value::Null);
    }
    let inner;
    let from = if *from == SqlType::Variant {
        inner = type_of(value);
        &inner
    } else {
        from
    };
    match family(to) {
        Family::Variant => Ok(value.clone()),
        Family::Integer => to_integer(value, from, to),
        Family::Approximate => to_float(value, from, to),
        Family::Exact => to_exact(value, from, to),
        Family::Guid => to_guid(value, from, to),
        Family::Text => to_text(value, from, to, style),
        Family::Binary => to_binary(value, from, to, style),
        Family::Date | Family::Time => to_date(value, from, to, setting),
    }
}

fn not_allowed(from: &SqlType, to: &SqlType) -> SqlError {
    super::super::errors::raw_error(
        529,
        16,
        2,
        format!(
            "Explicit conversion from data type {} to {} is not allowed.",
            type_name(from),
            type_name(to)
        ),
    )
    .ends_batch()
}

// ---- numbers ----

fn to_integer(value: &Value, from: &SqlType, to: &SqlType) -> Result<Value> {
    if *to == SqlType::Bit {
        return to_bit(value, from);
    }
    let whole = match value {
        Value::Bit(b) => i128::from(*b),
        Value::Int(i) => i128::from(*i),
        Value::Decimal(v, scale) => v / 10_i128.pow(u32::from((*scale).min(38))),
        Value::Float(f) => float_whole(*f, to)?,
        Value::Str(s) => return text_integer(s, from, to),
        Value::Bytes(b) => bytes_integer(b, to),
        Value::DateTime(d) if matches!(from, SqlType::DateTime | SqlType::SmallDateTime) => {
            (dates::diff(dates::epoch(), *d, dates::Part::Hour) + 12).div_euclid(24)
        }
        _ => return Err(not_allowed(from, to)),
    };
    fit(whole, to).ok_or_else(|| overflow(whole, from, to))
}

fn float_whole(f: f64, to: &SqlType) -> Result<i128> {
    if !f.is_finite() || f.abs() >= 1e19 {
        return Err(err!(8115, "expression", type_name(to)));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above; SQL Server truncates too")]
    let whole = f as i128;
    Ok(whole)
}

fn fit(whole: i128, to: &SqlType) -> Option<Value> {
    let range = match to {
        SqlType::TinyInt => 0..=255,
        SqlType::SmallInt => -32_768..=32_767,
        SqlType::Int => i128::from(i32::MIN)..=i128::from(i32::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    if !range.contains(&whole) {
        return None;
    }
    i64::try_from(whole).ok().map(Value::Int)
}

fn overflow(whole: i128, from: &SqlType, to: &SqlType) -> SqlError {
    match (family(from), to) {
        (Family::Integer, SqlType::TinyInt | SqlType::SmallInt) => err!(220, type_name(to), whole),
        _ => err!(8115, "expression", type_name(to)),
    }
}

/// Signed integers wrap at their own width, like SQL Server's binary conversion.
fn bytes_integer(bytes: &[u8], to: &SqlType) -> i128 {
    let width = match to {
        SqlType::TinyInt => 1,
        SqlType::SmallInt => 2,
        SqlType::Int => 4,
        _ => 8,
    };
    let tail = &bytes[bytes.len().saturating_sub(width)..];
    let unsigned = tail.iter().fold(0_u64, |n, b| (n << 8) | u64::from(*b));
    match width {
        1 => i128::from(unsigned),
        2 => i128::from(u16::try_from(unsigned).unwrap_or(0).cast_signed()),
        4 => i128::from(u32::try_from(unsigned).unwrap_or(0).cast_signed()),
        _ => i128::from(unsigned.cast_signed()),
    }
}

fn text_integer(text: &str, from: &SqlType, to: &SqlType) -> Result<Value> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Value::Int(0));
    }
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed).trim_start();
    let valid = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    if !valid {
        return Err(if *to == SqlType::BigInt {
            err!(8114, type_name(from), type_name(to))
        } else {
            err!(245, type_name(from), text, type_name(to))
        });
    }
    let number: i128 = digits.parse().unwrap_or(i128::MAX);
    let signed = if trimmed.starts_with('-') { -number } else { number };
    fit(signed, to).ok_or_else(|| match to {
        SqlType::Int => err!(248, type_name(from), text),
        SqlType::BigInt => err!(8115, "expression", type_name(to)),
        _ => err!(244, type_name(from), text, type_name(to).to_uppercase()),
    })
}

fn to_bit(value: &Value, from: &SqlType) -> Result<Value> {
    Ok(Value::Bit(match value {
        Value::Bit(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Float(f) => *f != 0.0,
        Value::Decimal(v, _) => *v != 0,
        Value::Bytes(b) => b.iter().any(|x| *x != 0),
        Value::Str(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" => true,
            "false" | "" => false,
            digits => {
                digits
                    .parse::<i64>()
                    .map_err(|_| err!(245, type_name(from), s, "bit"))?
                    != 0
            }
        },
        _ => return Err(not_allowed(from, &SqlType::Bit)),
    }))
}

fn to_float(value: &Value, from: &SqlType, to: &SqlType) -> Result<Value> {
    let float = match value {
        Value::Str(s) => {
            let trimmed = s.trim();
            let plain = trimmed
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
            if trimmed.is_empty() {
                0.0
            } else {
                plain
                    .then(|| trimmed.parse().ok())
                    .flatten()
                    .ok_or_else(|| err!(8114, type_name(from), type_name(to)))?
            }
        }
        Value::Bit(_) | Value::Int(_) | Value::Decimal(..) | Value::Float(_) => super::compare::approximate(value),
        Value::DateTime(d) if matches!(from, SqlType::DateTime | SqlType::SmallDateTime) => {
            (*d - dates::epoch()).as_seconds_f64() / 86_400.0
        }
        _ => return Err(not_allowed(from, to)),
    };
    #[expect(clippy::cast_possible_truncation, reason = "real has the precision of f32")]
    let float = if *to == SqlType::Real {
        f64::from(float as f32)
    } else {
        float
    };
    Ok(Value::Float(float))
}

fn to_exact(value: &Value, from: &SqlType, to: &SqlType) -> Result<Value> {
    let (precision, scale) = match to {
        SqlType::Numeric { precision, scale } => (*precision, *scale),
        _ => (19, 4),
    };
    let too_big = || err!(8115, source_name(from), type_name(to));
    let (v, s) = match value {
        Value::Bit(b) => (i128::from(*b), 0),
        Value::Int(i) => (i128::from(*i), 0),
        Value::Decimal(v, s) => (*v, *s),
        Value::Float(f) => (float_scaled(*f, scale).ok_or_else(too_big)?, scale),
        Value::Str(t) => {
            parse_decimal(t, *to == SqlType::Money).ok_or_else(|| err!(8114, type_name(from), type_name(to)))?
        }
        Value::Bytes(b) => (
            bytes_integer(b, &SqlType::BigInt),
            if *to == SqlType::Money { 4 } else { 0 },
        ),
        _ => return Err(not_allowed(from, to)),
    };
    let scaled = rescale(v, s, scale).filter(|v| v.unsigned_abs() < 10_u128.pow(u32::from(precision.min(38))));
    scaled.map(|v| Value::Decimal(v, scale)).ok_or_else(too_big)
}

fn source_name(from: &SqlType) -> &'static str {
    match family(from) {
        Family::Integer | Family::Approximate => "expression",
        _ => type_name(from),
    }
}

fn float_scaled(f: f64, scale: u8) -> Option<i128> {
    let scaled = (f * 10_f64.powi(i32::from(scale))).round();
    if !scaled.is_finite() || scaled.abs() > 1e37 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    let whole = scaled as i128;
    Some(whole)
}

/// Changes the scale; digits that fall off are rounded half away from zero.
pub(crate) fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(10_i128.checked_pow(u32::from(to - from))?);
    }
    let unit = 10_i128.checked_pow(u32::from(from - to))?;
    let half = unit / 2;
    Some(if value < 0 {
        (value - half) / unit
    } else {
        (value + half) / unit
    })
}

fn parse_decimal(text: &str, money: bool) -> Option<(i128, u8)> {
    let cleaned: String = if money {
        text.chars().filter(|c| !matches!(c, ',' | '$')).collect()
    } else {
        text.to_owned()
    };
    let trimmed = cleaned.trim();
    if trimmed.is_empty() {
        return money.then_some((0, 0));
    }
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let joined = format!("{whole}{fraction}");
    if joined.is_empty() || !joined.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let value: i128 = joined
        .trim_start_matches('0')
        .parse()
        .or_else(|e| {
            if joined.chars().all(|c| c == '0') {
                Ok(0)
            } else {
                Err(e)
            }
        })
        .ok()?;
    let scale = u8::try_from(fraction.len()).ok()?;
    Some((if negative { -value } else { value }, scale))
}

// ---- GUIDs ----

fn to_guid(value: &Value, from: &SqlType, to: &SqlType) -> Result<Value> {
    match value {
        Value::Guid(_) => Ok(value.clone()),
        Value::Str(s) => {
            let text: String = s.trim_start_matches('{').chars().take(36).collect();
            let shaped = text.len() == 36 && text.matches('-').count() == 4;
            let guid = shaped.then(|| Uuid::parse_str(&text).ok()).flatten();
            guid.map(Value::Guid).ok_or_else(|| err!(8169))
        }
        Value::Bytes(b) => {
            let mut bytes = [0; 16];
            for (to, from) in bytes.iter_mut().zip(b.iter()) {
                *to = *from;
            }
            Ok(Value::Guid(Uuid::from_bytes_le(bytes)))
        }
        _ => Err(not_allowed(from, to)),
    }
}

// ---- text ----

fn to_text(value: &Value, from: &SqlType, to: &SqlType, style: i32) -> Result<Value> {
    let text = plain_text(value, from, to, style)?;
    fit_text(&text, value, from, to)
}

/// A value as text before it is cut to a length.
pub(crate) fn plain_text(value: &Value, from: &SqlType, to: &SqlType, style: i32) -> Result<Arc<str>> {
    Ok(match value {
        Value::Null => "".into(),
        Value::Str(s) => Arc::clone(s),
        Value::Bit(b) => if *b { "1" } else { "0" }.into(),
        Value::Int(i) => i.to_string().into(),
        Value::Decimal(v, scale) if *from == SqlType::Money => text::money(*v, *scale, style).into(),
        Value::Decimal(v, scale) => text::decimal(*v, *scale).into(),
        Value::Float(f) => text::float(*f, style).into(),
        Value::Guid(g) => g.hyphenated().to_string().to_uppercase().into(),
        Value::Bytes(b) => match style {
            1 => format!("0x{}", text::hex(b)).into(),
            2 => text::hex(b).into(),
            _ if is_national(to) => utf16_text(b).into(),
            _ => code_page_text(b).into(),
        },
        _ => date_text(value, from, to, style)?.into(),
    })
}

fn date_text(value: &Value, from: &SqlType, to: &SqlType, style: i32) -> Result<String> {
    let (at, offset, shape) = moment(value, from).ok_or_else(|| not_allowed(from, to))?;
    dates::format(at, offset, shape, style).ok_or_else(|| {
        super::super::errors::raw_error(
            281,
            16,
            1,
            format!(
                "{style} is not a valid style number when converting from {} to a character string.",
                type_name(from)
            ),
        )
        .ends_batch()
    })
}

fn moment(value: &Value, from: &SqlType) -> Option<(PrimitiveDateTime, UtcOffset, Shape)> {
    let shape = |default| match from {
        SqlType::Date => Shape::Date,
        SqlType::Time(s) => Shape::Time(*s),
        SqlType::DateTime => Shape::DateTime,
        SqlType::SmallDateTime => Shape::SmallDateTime,
        SqlType::DateTime2(s) => Shape::DateTime2(*s),
        SqlType::DateTimeOffset(s) => Shape::Offset(*s),
        _ => default,
    };
    Some(match value {
        Value::Date(d) => (
            PrimitiveDateTime::new(*d, Time::MIDNIGHT),
            UtcOffset::UTC,
            shape(Shape::Date),
        ),
        Value::Time(t) => (
            PrimitiveDateTime::new(dates::epoch().date(), *t),
            UtcOffset::UTC,
            shape(Shape::Time(7)),
        ),
        Value::DateTime(d) => (*d, UtcOffset::UTC, shape(Shape::DateTime2(7))),
        Value::DateTimeOffset(d) => (
            PrimitiveDateTime::new(d.date(), d.time()),
            d.offset(),
            shape(Shape::Offset(7)),
        ),
        _ => return None,
    })
}

fn fit_text(text: &Arc<str>, value: &Value, from: &SqlType, to: &SqlType) -> Result<Value> {
    let (limit, padded) = match to {
        SqlType::Char(n) | SqlType::NChar(n) => (usize::from(*n), true),
        SqlType::VarChar(Some(n)) | SqlType::NVarChar(Some(n)) => (usize::from(*n), false),
        _ => return Ok(Value::Str(Arc::clone(text))),
    };
    let length = text.encode_utf16().count();
    if length <= limit && !(padded && length < limit) {
        return Ok(Value::Str(Arc::clone(text)));
    }
    if length < limit {
        return Ok(Value::Str(format!("{text}{}", " ".repeat(limit - length)).into()));
    }
    match value {
        Value::Int(_) | Value::Bit(_) if !is_national(to) && *from != SqlType::BigInt => Ok(Value::Str("*".into())),
        Value::Int(_) | Value::Bit(_) | Value::Decimal(..) | Value::Float(_) => {
            Err(err!(8115, source_name(from), type_name(to)))
        }
        Value::Guid(_) => Err(err!(8170)),
        _ => Ok(Value::Str(text::prefix(text, limit).into())),
    }
}

// ---- binary ----

fn to_binary(value: &Value, from: &SqlType, to: &SqlType, style: i32) -> Result<Value> {
    let mut bytes: Vec<u8> = match value {
        Value::Bytes(b) => b.to_vec(),
        Value::Str(s) if matches!(style, 1 | 2) => {
            unhex(s, style).ok_or_else(|| err!(8114, type_name(from), type_name(to)))?
        }
        Value::Str(s) if is_national(from) => utf16_bytes(s),
        Value::Str(s) => code_page_bytes(s),
        Value::Bit(b) => vec![u8::from(*b)],
        Value::Int(i) => return Ok(Value::Bytes(integer_bytes(*i, from, to).into())),
        Value::Guid(g) => g.to_bytes_le().to_vec(),
        Value::Float(f) => f.to_be_bytes().to_vec(),
        Value::Decimal(v, _) => v.to_be_bytes()[8..].to_vec(),
        _ => return Err(not_allowed(from, to)),
    };
    match to {
        SqlType::Binary(n) => bytes.resize(usize::from(*n), 0),
        SqlType::VarBinary(Some(n)) => bytes.truncate(usize::from(*n)),
        _ => {}
    }
    Ok(Value::Bytes(bytes.into()))
}

/// Integers are right-aligned: the high bytes are cut or padded.
fn integer_bytes(value: i64, from: &SqlType, to: &SqlType) -> Vec<u8> {
    let width = match from {
        SqlType::TinyInt => 1,
        SqlType::SmallInt => 2,
        SqlType::BigInt => 8,
        _ => 4,
    };
    let all = value.to_be_bytes();
    let own = &all[8 - width..];
    match to {
        SqlType::Binary(n) => {
            let n = usize::from(*n);
            let mut out = vec![0; n.saturating_sub(width)];
            out.extend_from_slice(&own[width.saturating_sub(n)..]);
            out
        }
        SqlType::VarBinary(Some(n)) => own[width.saturating_sub(usize::from(*n))..].to_vec(),
        _ => own.to_vec(),
    }
}

fn unhex(text: &str, style: i32) -> Option<Vec<u8>> {
    let digits = if style == 1 {
        text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?
    } else {
        text
    };
    if digits.len() % 2 == 1 || !digits.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok())
        .collect()
}

// ---- dates ----

fn to_date(value: &Value, from: &SqlType, to: &SqlType, setting: &Setting) -> Result<Value> {
    let (local, offset) = match value {
        Value::Str(s) => {
            let parsed = dates::parse(s, &setting.date_format)?;
            (parsed.local, parsed.offset)
        }
        Value::Int(_) | Value::Float(_) | Value::Decimal(..)
            if matches!(to, SqlType::DateTime | SqlType::SmallDateTime) =>
        {
            let days = super::compare::approximate(value);
            let added = dates::epoch().checked_add(time::Duration::seconds_f64(days.clamp(-1e7, 1e7) * 86_400.0));
            (added.ok_or_else(|| err!(8115, "expression", type_name(to)))?, None)
        }
        _ => {
            let (at, offset, shape) = moment(value, from).ok_or_else(|| not_allowed(from, to))?;
            if matches!(
                (shape, to),
                (Shape::Date, SqlType::Time(_)) | (Shape::Time(_), SqlType::Date)
            ) {
                return Err(not_allowed(from, to));
            }
            (at, matches!(value, Value::DateTimeOffset(_)).then_some(offset))
        }
    };
    shape_date(local, offset, from, to)
}

fn shape_date(local: PrimitiveDateTime, offset: Option<UtcOffset>, from: &SqlType, to: &SqlType) -> Result<Value> {
    let out_of_range = || err!(242, type_name(from), type_name(to));
    Ok(match to {
        SqlType::Date => Value::Date(local.date()),
        SqlType::Time(scale) => Value::Time(dates::round_scale(local, *scale).time()),
        SqlType::DateTime => {
            if local.year() < 1753 {
                return Err(out_of_range());
            }
            Value::DateTime(dates::round_datetime(local))
        }
        SqlType::SmallDateTime => {
            if local < dates::epoch() || local.year() > 2079 {
                return Err(out_of_range());
            }
            Value::DateTime(dates::round_minute(local))
        }
        SqlType::DateTimeOffset(scale) => {
            Value::DateTimeOffset(dates::round_scale(local, *scale).assume_offset(offset.unwrap_or(UtcOffset::UTC)))
        }
        SqlType::DateTime2(scale) => Value::DateTime(dates::round_scale(local, *scale)),
        _ => return Err(out_of_range()),
    })
}

/// A moment as the value of a date type, in the server's local time.
pub(crate) fn moment_value(at: OffsetDateTime, offset: UtcOffset, ty: &SqlType) -> Value {
    let local = dates::local(at, offset);
    match ty {
        SqlType::DateTime => Value::DateTime(dates::round_datetime(local)),
        SqlType::DateTimeOffset(scale) => {
            let rounded = dates::round_scale(local, *scale);
            Value::DateTimeOffset(rounded.assume_offset(offset))
        }
        SqlType::DateTime2(scale) => Value::DateTime(dates::round_scale(local, *scale)),
        SqlType::Date => Value::Date(local.date()),
        _ => Value::DateTime(local),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Value {
        Value::Str(s.into())
    }

    fn to(value: &Value, from: &SqlType, to: &SqlType) -> Result<Value> {
        cast(value, from, to, 0, &Setting::default())
    }

    const NVARCHAR: SqlType = SqlType::NVarChar(Some(30));

    #[test]
    fn texts_become_numbers() {
        assert_eq!(to(&text(" 42 "), &NVARCHAR, &SqlType::Int).unwrap(), Value::Int(42));
        assert_eq!(
            to(&text("1.50"), &NVARCHAR, &SqlType::Numeric { precision: 5, scale: 1 }).unwrap(),
            Value::Decimal(15, 1)
        );
        let failed = to(&text("abc"), &NVARCHAR, &SqlType::Int).unwrap_err();
        assert_eq!(
            failed.messages[0].text,
            "Conversion failed when converting the nvarchar value 'abc' to data type int."
        );
        assert_eq!(
            to(&text("99999999999"), &NVARCHAR, &SqlType::Int).unwrap_err().number(),
            248
        );
        assert_eq!(to(&text("x"), &NVARCHAR, &SqlType::BigInt).unwrap_err().number(), 8114);
    }

    #[test]
    fn numbers_overflow() {
        assert_eq!(
            to(&Value::Int(300), &SqlType::Int, &SqlType::TinyInt)
                .unwrap_err()
                .number(),
            220
        );
        assert_eq!(
            to(&Value::Int(1 << 40), &SqlType::BigInt, &SqlType::Int)
                .unwrap_err()
                .number(),
            8115
        );
    }

    #[test]
    fn numbers_become_text() {
        let varchar = SqlType::VarChar(Some(30));
        assert_eq!(to(&Value::Int(7), &SqlType::Int, &varchar).unwrap(), text("7"));
        assert_eq!(
            to(
                &Value::Decimal(-150, 2),
                &SqlType::Numeric { precision: 5, scale: 2 },
                &varchar
            )
            .unwrap(),
            text("-1.50")
        );
        assert_eq!(to(&Value::Float(0.1), &SqlType::Float, &varchar).unwrap(), text("0.1"));
        assert_eq!(
            to(&Value::Int(12345), &SqlType::Int, &SqlType::VarChar(Some(2))).unwrap(),
            text("*")
        );
    }

    #[test]
    fn guids_and_bytes() {
        let guid = Uuid::parse_str("6F9619FF-8B86-D011-B42D-00C04FC964FF").unwrap();
        assert_eq!(
            to(&text("6F9619FF-8B86-D011-B42D-00C04FC964FF"), &NVARCHAR, &SqlType::Guid).unwrap(),
            Value::Guid(guid)
        );
        assert_eq!(to(&text("nope"), &NVARCHAR, &SqlType::Guid).unwrap_err().number(), 8169);
        let bytes = to(&Value::Guid(guid), &SqlType::Guid, &SqlType::VarBinary(Some(16))).unwrap();
        assert_eq!(
            bytes,
            Value::Bytes(
                vec![
                    0xff, 0x19, 0x96, 0x6f, 0x86, 0x8b, 0x11, 0xd0, 0xb4, 0x2d, 0, 0xc0, 0x4f, 0xc9, 0x64, 0xff
                ]
                .into()
            )
        );
        assert_eq!(
            cast(
                &Value::Bytes(vec![1, 0xab].into()),
                &SqlType::VarBinary(None),
                &NVARCHAR,
                1,
                &Setting::default()
            )
            .unwrap(),
            text("0x01AB")
        );
    }
}
