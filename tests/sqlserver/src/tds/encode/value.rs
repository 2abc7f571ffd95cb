//! Values of rows and output parameters.

use time::PrimitiveDateTime;

use crate::tds::bytes::put_utf16;
use crate::tds::collation;
use crate::tds::version::Version;
use crate::types::{SqlType, Value};

use super::moment;
use super::type_info::{Layout, layout, numeric_length};
use super::{Misfit, on_wire};

const PARTIAL_NULL: u64 = u64::MAX;
/// Chunks of a MAX value are at most this long.
const CHUNK: usize = 1 << 20;

/// Appends a value in the form that [`super::put_type_info`] announced for `ty`.
pub(crate) fn put_value(out: &mut Vec<u8>, ty: &SqlType, value: &Value, version: Version) -> Result<(), Misfit> {
    let wire = on_wire(ty, version);
    let layout = layout(&wire, version);
    if layout == Layout::Variant {
        put_variant(out, value, version);
        return Ok(());
    }
    if *value == Value::Null {
        put_null(out, layout);
        return Ok(());
    }
    let bytes = if *wire == *ty {
        bytes(ty, value)?
    } else {
        utf16(&as_text(ty, value)?)
    };
    put_counted(out, layout, &bytes);
    Ok(())
}

fn put_null(out: &mut Vec<u8>, layout: Layout) {
    match layout {
        Layout::Byte | Layout::Long => out.push(0),
        Layout::Short => out.extend(u16::MAX.to_le_bytes()),
        Layout::Partial => out.extend(PARTIAL_NULL.to_le_bytes()),
        Layout::Variant => out.extend(0_u32.to_le_bytes()),
    }
}

fn put_counted(out: &mut Vec<u8>, layout: Layout, bytes: &[u8]) {
    match layout {
        // `bytes` cut fixed and counted types to their declared sizes, which fit.
        Layout::Byte => out.push(bytes.len() as u8),
        Layout::Short => out.extend((bytes.len() as u16).to_le_bytes()),
        Layout::Variant => out.extend((bytes.len() as u32).to_le_bytes()),
        Layout::Long => {
            // A text pointer of 16 bytes and a timestamp of 8, which no client looks into.
            out.push(16);
            out.extend([0; 24]);
            out.extend((bytes.len() as u32).to_le_bytes());
        }
        Layout::Partial => {
            out.extend((bytes.len() as u64).to_le_bytes());
            for chunk in bytes.chunks(CHUNK) {
                out.extend((chunk.len() as u32).to_le_bytes());
                out.extend_from_slice(chunk);
            }
            out.extend(0_u32.to_le_bytes());
            return;
        }
    }
    out.extend_from_slice(bytes);
}

/// A value's bytes without their length.
fn bytes(ty: &SqlType, value: &Value) -> Result<Vec<u8>, Misfit> {
    let misfit = || Misfit::new(ty, value);
    Ok(match ty {
        SqlType::Bit => vec![u8::from(whole(value).ok_or_else(misfit)? != 0)],
        SqlType::TinyInt => vec![u8::try_from(whole(value).ok_or_else(misfit)?).map_err(|_| misfit())?],
        SqlType::SmallInt => narrow::<i16>(value).ok_or_else(misfit)?.to_le_bytes().into(),
        SqlType::Int => narrow::<i32>(value).ok_or_else(misfit)?.to_le_bytes().into(),
        SqlType::BigInt => whole(value).ok_or_else(misfit)?.to_le_bytes().into(),
        SqlType::Float => float(value).ok_or_else(misfit)?.to_le_bytes().into(),
        SqlType::Real => (float(value).ok_or_else(misfit)? as f32).to_le_bytes().into(),
        SqlType::Numeric { precision, scale } => {
            let unscaled = unscaled(value, *scale).ok_or_else(misfit)?;
            numeric(unscaled, numeric_length(*precision)).ok_or_else(misfit)?
        }
        SqlType::Money => money(unscaled(value, 4).ok_or_else(misfit)?).ok_or_else(misfit)?,
        SqlType::Guid => match value {
            Value::Guid(guid) => guid.to_bytes_le().into(),
            _ => return Err(misfit()),
        },
        SqlType::DateTime => moment::datetime(moment_of(value).ok_or_else(misfit)?).into(),
        SqlType::SmallDateTime => moment::smalldatetime(moment_of(value).ok_or_else(misfit)?).into(),
        SqlType::DateTime2(scale) => moment::datetime2(moment_of(value).ok_or_else(misfit)?, *scale),
        SqlType::Date => moment::date(moment_of(value).ok_or_else(misfit)?.date()).into(),
        SqlType::Time(scale) => match value {
            Value::Time(time) => moment::time(*time, *scale),
            _ => return Err(misfit()),
        },
        SqlType::DateTimeOffset(scale) => match value {
            Value::DateTimeOffset(moment) => moment::datetimeoffset(*moment, *scale),
            _ => moment::datetimeoffset(moment_of(value).ok_or_else(misfit)?.assume_utc(), *scale),
        },
        SqlType::Char(size) => padded(collation::encode(text(value).ok_or_else(misfit)?), *size, b" "),
        SqlType::VarChar(size) => cut(collation::encode(text(value).ok_or_else(misfit)?), *size, 1),
        SqlType::NChar(size) => padded(utf16(text(value).ok_or_else(misfit)?), size.saturating_mul(2), b" \0"),
        SqlType::NVarChar(size) => cut(utf16(text(value).ok_or_else(misfit)?), *size, 2),
        SqlType::Xml => utf16(text(value).ok_or_else(misfit)?),
        SqlType::Binary(size) => padded(binary(value).ok_or_else(misfit)?, *size, b"\0"),
        SqlType::VarBinary(size) => cut(binary(value).ok_or_else(misfit)?, *size, 1),
        // Never reached: variants have their own way.
        SqlType::Variant => return Err(misfit()),
    })
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        Value::Bit(value) => Some(i64::from(*value)),
        Value::Decimal(..) => i64::try_from(unscaled(value, 0)?).ok(),
        _ => None,
    }
}

fn narrow<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    T::try_from(whole(value)?).ok()
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::Int(value) => Some(*value as f64),
        Value::Decimal(value, scale) => Some(*value as f64 / 10_f64.powi((*scale).into())),
        _ => None,
    }
}

/// The unscaled integer at `scale`; digits that do not fit are cut off.
fn unscaled(value: &Value, scale: u8) -> Option<i128> {
    let (unscaled, from) = match value {
        Value::Decimal(unscaled, from) => (*unscaled, *from),
        Value::Int(value) => (i128::from(*value), 0),
        Value::Bit(value) => (i128::from(*value), 0),
        Value::Float(value) => ((value * 10_f64.powi(scale.into())).round() as i128, scale),
        _ => return None,
    };
    if from <= scale {
        return unscaled.checked_mul(10_i128.checked_pow(u32::from(scale - from))?);
    }
    Some(
        10_i128
            .checked_pow(u32::from(from - scale))
            .map_or(0, |divisor| unscaled / divisor),
    )
}

/// A sign byte and a little-endian magnitude.
fn numeric(unscaled: i128, length: u8) -> Option<Vec<u8>> {
    let magnitude = unscaled.unsigned_abs().to_le_bytes();
    let (kept, rest) = magnitude.split_at(usize::from(length) - 1);
    if rest.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut out = vec![u8::from(unscaled >= 0)];
    out.extend_from_slice(kept);
    Some(out)
}

/// Eight bytes with the upper half first.
fn money(unscaled: i128) -> Option<Vec<u8>> {
    let units = i64::try_from(unscaled).ok()?;
    let mut out = ((units >> 32) as i32).to_le_bytes().to_vec();
    out.extend((units as u32).to_le_bytes());
    Some(out)
}

fn moment_of(value: &Value) -> Option<PrimitiveDateTime> {
    match value {
        Value::DateTime(value) => Some(*value),
        Value::Date(value) => Some(value.midnight()),
        Value::DateTimeOffset(value) => Some(PrimitiveDateTime::new(value.date(), value.time())),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Str(text) => Some(text),
        _ => None,
    }
}

/// Dates and times for clients before 7.3, XML for clients before 7.2.
fn as_text(ty: &SqlType, value: &Value) -> Result<String, Misfit> {
    let misfit = || Misfit::new(ty, value);
    Ok(match (ty, value) {
        (SqlType::Date, _) => moment::date_text(moment_of(value).ok_or_else(misfit)?.date()),
        (SqlType::Time(scale), Value::Time(time)) => moment::time_text(*time, *scale),
        (SqlType::DateTime2(scale), _) => moment::datetime_text(moment_of(value).ok_or_else(misfit)?, *scale),
        (SqlType::DateTimeOffset(scale), Value::DateTimeOffset(moment)) => moment::offset_text(*moment, *scale),
        (_, Value::Str(text)) => text.to_string(),
        _ => return Err(misfit()),
    })
}

fn binary(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn utf16(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    put_utf16(&mut out, text);
    out
}

/// Exactly `size` bytes, filled up with `filler`.
fn padded(mut bytes: Vec<u8>, size: u16, filler: &[u8]) -> Vec<u8> {
    let size = usize::from(size);
    bytes.truncate(size);
    while bytes.len() < size {
        bytes.extend_from_slice(filler);
    }
    bytes.truncate(size);
    bytes
}

/// No more than the declared size, or the column would contradict its own metadata.
fn cut(mut bytes: Vec<u8>, size: Option<u16>, unit: usize) -> Vec<u8> {
    if let Some(size) = size {
        bytes.truncate(usize::from(size) * unit);
    }
    bytes
}

/// `sql_variant`: the base type follows from the value, since there is nothing else to know it from.
fn put_variant(out: &mut Vec<u8>, value: &Value, version: Version) {
    let Some((id, properties, bytes)) = variant(value, version) else {
        return put_null(out, Layout::Variant);
    };
    out.extend(((2 + properties.len() + bytes.len()) as u32).to_le_bytes());
    // At most seven bytes of properties.
    out.extend([id, properties.len() as u8]);
    out.extend(properties);
    out.extend(bytes);
}

fn variant(value: &Value, version: Version) -> Option<(u8, Vec<u8>, Vec<u8>)> {
    let plain = |id: u8, bytes: &[u8]| Some((id, Vec::new(), bytes.to_vec()));
    match value {
        Value::Null => None,
        Value::Bit(value) => plain(0x32, &[u8::from(*value)]),
        Value::Int(value) => match i32::try_from(*value) {
            Ok(value) => plain(0x38, &value.to_le_bytes()),
            Err(_) => plain(0x7F, &value.to_le_bytes()),
        },
        Value::Float(value) => plain(0x3E, &value.to_le_bytes()),
        Value::Decimal(unscaled, scale) => Some((0x6C, vec![38, *scale], numeric(*unscaled, 17)?)),
        Value::Str(text) => Some(variant_text(text)),
        Value::Bytes(bytes) => Some((0xA5, 8000_u16.to_le_bytes().into(), cut(bytes.to_vec(), Some(8000), 1))),
        Value::Guid(guid) => plain(0x24, &guid.to_bytes_le()),
        Value::Date(date) if version.has_date_types() => plain(0x28, &moment::date(*date)),
        Value::Date(date) => Some(variant_text(&moment::date_text(*date))),
        Value::Time(time) if version.has_date_types() => Some((0x29, vec![7], moment::time(*time, 7))),
        Value::Time(time) => Some(variant_text(&moment::time_text(*time, 7))),
        Value::DateTime(moment) if moment.year() >= 1753 => plain(0x3D, &moment::datetime(*moment)),
        Value::DateTime(moment) => Some(variant_text(&moment::datetime_text(*moment, 7))),
        Value::DateTimeOffset(moment) if version.has_date_types() => {
            Some((0x2B, vec![7], moment::datetimeoffset(*moment, 7)))
        }
        Value::DateTimeOffset(moment) => Some(variant_text(&moment::offset_text(*moment, 7))),
    }
}

fn variant_text(text: &str) -> (u8, Vec<u8>, Vec<u8>) {
    let mut properties = collation::DEFAULT.to_vec();
    properties.extend(8000_u16.to_le_bytes());
    (0xE7, properties, cut(utf16(text), Some(4000), 2))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn encoded(ty: SqlType, value: Value, version: Version) -> Vec<u8> {
        let mut out = Vec::new();
        put_value(&mut out, &ty, &value, version).unwrap();
        out
    }

    #[test]
    fn fixed_types_are_padded_and_counted_types_cut() {
        assert_eq!(
            encoded(SqlType::Char(3), Value::Str("a".into()), Version::V74),
            [3, 0, b'a', b' ', b' ']
        );
        assert_eq!(
            encoded(SqlType::NChar(2), Value::Str("a".into()), Version::V74),
            [4, 0, b'a', 0, b' ', 0]
        );
        assert_eq!(
            encoded(SqlType::NVarChar(Some(1)), Value::Str("ab".into()), Version::V74),
            [2, 0, b'a', 0]
        );
    }

    #[test]
    fn a_client_before_7_3_gets_dates_as_text() {
        let moment = Value::DateTime(datetime!(2026-01-02 03:04:05.123));
        let text = encoded(SqlType::DateTime2(3), moment, Version::V72);
        assert_eq!(crate::tds::bytes::utf16(&text[2..]), "2026-01-02 03:04:05.123");
    }

    #[test]
    fn a_client_before_7_2_gets_max_types_with_a_text_pointer() {
        let text = encoded(SqlType::NVarChar(None), Value::Str("ab".into()), Version::V71);
        assert_eq!(text.len(), 1 + 24 + 4 + 4);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut out = Vec::new();
        for (ty, value) in [
            (SqlType::TinyInt, Value::Int(256)),
            (SqlType::Int, Value::Str("1".into())),
            (SqlType::Numeric { precision: 5, scale: 0 }, Value::Decimal(1 << 40, 0)),
            (SqlType::Money, Value::Decimal(i128::MAX, 4)),
        ] {
            assert!(put_value(&mut out, &ty, &value, Version::V74).is_err(), "{ty:?}");
        }
    }
}
