//! Values and rows as bytes, in pages and (as hex) in JSON. Reading never panics: damaged bytes give `None`.

use time::{Date, PrimitiveDateTime, Time, UtcOffset};
use uuid::Uuid;

use super::Row;
use crate::types::Value;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const DECIMAL: u8 = 5;
const STR: u8 = 6;
const BYTES: u8 = 7;
const GUID: u8 = 8;
const DATE: u8 = 9;
const TIME: u8 = 10;
const DATE_TIME: u8 = 11;
const DATE_TIME_OFFSET: u8 = 12;

/// Appends a row.
pub(crate) fn put_row(out: &mut Vec<u8>, row: &Row) {
    put_varint(out, row.len() as u64);
    for value in row {
        put_value(out, value);
    }
}

/// Reads a whole row. `None` when the bytes are not one.
pub(crate) fn get_row(mut bytes: &[u8]) -> Option<Row> {
    let input = &mut bytes;
    let count = usize::try_from(get_varint(input)?).ok()?;
    // A column takes at least one byte, so a damaged count cannot ask for more memory than the input has.
    let mut row = Vec::with_capacity(count.min(input.len()));
    for _ in 0..count {
        row.push(get_value(input)?);
    }
    input.is_empty().then_some(row)
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bit(b) => out.push(if *b { TRUE } else { FALSE }),
        Value::Int(i) => {
            out.push(INT);
            // Zigzag: small negative numbers stay short.
            put_varint(out, ((i << 1) ^ (i >> 63)).cast_unsigned());
        }
        Value::Float(f) => put(out, FLOAT, &f.to_bits().to_le_bytes()),
        Value::Decimal(unscaled, scale) => {
            put(out, DECIMAL, &unscaled.to_le_bytes());
            out.push(*scale);
        }
        Value::Str(s) => put_sized(out, STR, s.as_bytes()),
        Value::Bytes(b) => put_sized(out, BYTES, b),
        Value::Guid(g) => put(out, GUID, g.as_bytes()),
        Value::Date(d) => put(out, DATE, &d.to_julian_day().to_le_bytes()),
        Value::Time(t) => put(out, TIME, &nanos(*t).to_le_bytes()),
        Value::DateTime(dt) => put_date_time(out, DATE_TIME, *dt),
        Value::DateTimeOffset(dt) => {
            put_date_time(out, DATE_TIME_OFFSET, PrimitiveDateTime::new(dt.date(), dt.time()));
            out.extend_from_slice(&dt.offset().whole_seconds().to_le_bytes());
        }
    }
}

fn get_value(input: &mut &[u8]) -> Option<Value> {
    Some(match take::<1>(input)?[0] {
        NULL => Value::Null,
        FALSE => Value::Bit(false),
        TRUE => Value::Bit(true),
        INT => {
            let zigzag = get_varint(input)?;
            Value::Int((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
        }
        FLOAT => Value::Float(f64::from_bits(u64::from_le_bytes(take(input)?))),
        DECIMAL => Value::Decimal(i128::from_le_bytes(take(input)?), take::<1>(input)?[0]),
        STR => Value::Str(std::str::from_utf8(get_sized(input)?).ok()?.into()),
        BYTES => Value::Bytes(get_sized(input)?.into()),
        GUID => Value::Guid(Uuid::from_bytes(take(input)?)),
        DATE => Value::Date(get_date(input)?),
        TIME => Value::Time(get_time(input)?),
        DATE_TIME => Value::DateTime(get_date_time(input)?),
        DATE_TIME_OFFSET => {
            let local = get_date_time(input)?;
            let offset = UtcOffset::from_whole_seconds(i32::from_le_bytes(take(input)?)).ok()?;
            Value::DateTimeOffset(local.assume_offset(offset))
        }
        _ => return None,
    })
}

fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn put_sized(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_date_time(out: &mut Vec<u8>, tag: u8, dt: PrimitiveDateTime) {
    put(out, tag, &dt.date().to_julian_day().to_le_bytes());
    out.extend_from_slice(&nanos(dt.time()).to_le_bytes());
}

fn nanos(t: Time) -> u64 {
    let (h, m, s, n) = t.as_hms_nano();
    (u64::from(h) * 3600 + u64::from(m) * 60 + u64::from(s)) * 1_000_000_000 + u64::from(n)
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = input.split_first_chunk::<N>()?;
    *input = tail;
    Some(*head)
}

fn get_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take::<1>(input)?[0];
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn get_sized<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(get_varint(input)?).ok()?;
    let (head, tail) = input.split_at_checked(len)?;
    *input = tail;
    Some(head)
}

fn get_date(input: &mut &[u8]) -> Option<Date> {
    Date::from_julian_day(i32::from_le_bytes(take(input)?)).ok()
}

fn get_time(input: &mut &[u8]) -> Option<Time> {
    let nanos = u64::from_le_bytes(take(input)?);
    let seconds = nanos / 1_000_000_000;
    let hour = u8::try_from(seconds / 3600).ok()?;
    // Both are below 60, and the rest is below 10^9.
    Time::from_hms_nano(
        hour,
        (seconds / 60 % 60) as u8,
        (seconds % 60) as u8,
        (nanos % 1_000_000_000) as u32,
    )
    .ok()
}

fn get_date_time(input: &mut &[u8]) -> Option<PrimitiveDateTime> {
    Some(PrimitiveDateTime::new(get_date(input)?, get_time(input)?))
}

/// A value as hex text in JSON.
pub(crate) mod value_hex {
    use std::fmt::Write;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::types::Value;

    pub(crate) fn serialize<S: Serializer>(value: &Value, s: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        super::put_value(&mut bytes, value);
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            write!(text, "{byte:02x}").map_err(serde::ser::Error::custom)?;
        }
        s.serialize_str(&text)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Value, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = text.as_bytes().chunks(2).map(|pair| {
            let digits = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        let bytes: Vec<u8> = bytes
            .collect::<Option<_>>()
            .ok_or_else(|| D::Error::custom("not hex"))?;
        super::get_value(&mut bytes.as_slice()).ok_or_else(|| D::Error::custom("not a value"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bit),
            any::<i64>().prop_map(Value::Int),
            (-1e300f64..1e300).prop_map(Value::Float),
            (any::<i128>(), any::<u8>()).prop_map(|(v, s)| Value::Decimal(v, s)),
            ".{0,40}".prop_map(|s| Value::Str(s.into())),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| Value::Bytes(b.into())),
            any::<u128>().prop_map(|g| Value::Guid(Uuid::from_u128(g))),
            (
                -2_000_000_000i64..200_000_000_000,
                0u32..1_000_000_000,
                -50_000i32..50_000
            )
                .prop_map(|(s, n, o)| {
                    let at = OffsetDateTime::from_unix_timestamp(s)
                        .unwrap()
                        .replace_nanosecond(n)
                        .unwrap();
                    Value::DateTimeOffset(at.to_offset(UtcOffset::from_whole_seconds(o).unwrap()))
                }),
            (0i64..200_000_000_000).prop_map(|s| {
                let at = OffsetDateTime::from_unix_timestamp(s).unwrap();
                Value::DateTime(PrimitiveDateTime::new(at.date(), at.time()))
            }),
            (0i64..200_000_000_000).prop_map(|s| Value::Date(OffsetDateTime::from_unix_timestamp(s).unwrap().date())),
            (0i64..86_400).prop_map(|s| Value::Time(OffsetDateTime::from_unix_timestamp(s).unwrap().time())),
        ]
    }

    proptest! {
        #[test]
        fn a_row_survives(row in prop::collection::vec(value(), 0..12)) {
            let mut bytes = Vec::new();
            put_row(&mut bytes, &row);
            prop_assert_eq!(get_row(&bytes), Some(row));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = get_row(&bytes);
        }

        #[test]
        fn a_value_survives_json(value in value()) {
            #[derive(serde::Serialize, serde::Deserialize)]
            struct Holder(#[serde(with = "value_hex")] Value);
            let json = serde_json::to_string(&Holder(value.clone())).unwrap();
            prop_assert_eq!(serde_json::from_str::<Holder>(&json).unwrap().0, value);
        }
    }
}
