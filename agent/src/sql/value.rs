//! A value from the server, reduced to what we distinguish. Widths differ between versions of SQL Server; here they are gone.

use mssql_tds::datatypes::column_values::{ColumnValues, SqlTime};
use mssql_tds::datatypes::sql_string::{EncodingType, SqlString};
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use uuid::Uuid;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// `bit`.
    Bool(bool),
    /// Every integer.
    Int(i64),
    /// `real` and `float`.
    Float(f64),
    /// `numeric` and `decimal`: the unscaled integer and the scale.
    Decimal(i128, u8),
    /// Every character type and XML.
    Text(String),
    /// Every binary type.
    Bytes(Vec<u8>),
    /// `uniqueidentifier`.
    Guid(Uuid),
    /// `datetime`, `datetime2`, `smalldatetime`, `date`: no offset.
    DateTime(PrimitiveDateTime),
    /// `datetimeoffset`.
    Offset(OffsetDateTime),
    /// A type that none of our statements asks for.
    Other(String),
}

impl Value {
    /// The value as people read it; NULL is empty.
    pub fn shown(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Bool(b) => u8::from(*b).to_string(),
            Value::Int(i) => i.to_string(),
            Value::Float(f) => f.to_string(),
            Value::Decimal(unscaled, scale) => decimal(*unscaled, *scale),
            Value::Text(t) | Value::Other(t) => t.clone(),
            Value::Bytes(b) => b.iter().fold("0x".to_string(), |s, byte| s + &format!("{byte:02X}")),
            Value::Guid(g) => g.hyphenated().to_string(),
            Value::DateTime(t) => t.to_string(),
            Value::Offset(t) => t.to_string(),
        }
    }

    /// Takes a value over from the client library. Whatever the server sent, this never panics; several of the library's own
    /// conversions do.
    pub fn from_column(value: ColumnValues) -> Self {
        match value {
            ColumnValues::Null => Value::Null,
            ColumnValues::Bit(b) => Value::Bool(b),
            ColumnValues::TinyInt(i) => Value::Int(i.into()),
            ColumnValues::SmallInt(i) => Value::Int(i.into()),
            ColumnValues::Int(i) => Value::Int(i.into()),
            ColumnValues::BigInt(i) => Value::Int(i),
            ColumnValues::Real(f) => Value::Float(f.into()),
            ColumnValues::Float(f) => Value::Float(f),
            ColumnValues::Decimal(d) | ColumnValues::Numeric(d) => {
                // 38 digits fit into 127 bits.
                let magnitude = i128::try_from(d.magnitude()).unwrap_or(i128::MAX);
                Value::Decimal(if d.is_positive { magnitude } else { -magnitude }, d.scale)
            }
            ColumnValues::String(s) => text(&s),
            // The library's own conversion panics on a lone surrogate.
            ColumnValues::Xml(x) => Value::Text(utf16(&x.bytes)),
            // The library's own conversion, which its Debug uses too, panics on what is no UTF-8.
            ColumnValues::Json(j) => Value::Text(String::from_utf8_lossy(&j.bytes).into_owned()),
            ColumnValues::Bytes(b) => Value::Bytes(b),
            ColumnValues::Uuid(g) => Value::Guid(Uuid::from_bytes(*g.as_bytes())),
            ColumnValues::DateTime(t) => {
                // 1/300 s, shown by SQL Server as milliseconds rounded to the nearest.
                let millis = (i64::from(t.time) * 10 + 1) / 3;
                day(1900, i64::from(t.days), Duration::milliseconds(millis))
            }
            ColumnValues::SmallDateTime(t) => day(1900, t.days.into(), Duration::minutes(t.time.into())),
            ColumnValues::Date(d) => day(1, d.get_days().into(), Duration::ZERO),
            ColumnValues::DateTime2(t) => day(1, t.days.into(), since_midnight(&t.time)),
            ColumnValues::DateTimeOffset(t) => offset(t.datetime2.days, &t.datetime2.time, t.offset),
            ColumnValues::Time(t) => Value::Other(format!("{:?}", Time::MIDNIGHT + since_midnight(&t))),
            other => Value::Other(format!("{other:?}")),
        }
    }
}

/// The library believes a column that calls itself UTF-8, and panics when it is not.
fn text(s: &SqlString) -> Value {
    match s.encoding_type() {
        EncodingType::Utf8 => Value::Text(String::from_utf8_lossy(&s.bytes).into_owned()),
        EncodingType::Utf16 | EncodingType::LcidBased(_) => Value::Text(s.to_utf8_string()),
        EncodingType::DelayedSet => Value::Other("text in an unknown encoding".to_string()),
    }
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16_lossy(&units)
        .trim_start_matches('\u{feff}')
        .to_string()
}

fn since_midnight(time: &SqlTime) -> Duration {
    // The library's field is called nanoseconds and counts units of 100 ns.
    let hundreds = i64::try_from(time.time_nanoseconds).unwrap_or(0);
    Duration::nanoseconds(hundreds.saturating_mul(100))
}

fn plain(year: i32, days: i64, time: Duration) -> Option<PrimitiveDateTime> {
    let first = Date::from_calendar_date(year, time::Month::January, 1).ok()?;
    let date = first.checked_add(Duration::days(days))?;
    PrimitiveDateTime::new(date, Time::MIDNIGHT).checked_add(time)
}

fn day(year: i32, days: i64, time: Duration) -> Value {
    plain(year, days, time).map_or_else(|| Value::Other(format!("day {days} since {year}")), Value::DateTime)
}

/// `datetimeoffset` travels in UTC with its offset beside it.
fn offset(days: u32, time: &SqlTime, minutes: i16) -> Value {
    let offset = UtcOffset::from_whole_seconds(i32::from(minutes) * 60).ok();
    let utc = plain(1, days.into(), since_midnight(time));
    // At either end of the calendar the local time may lie outside of it.
    let local = utc
        .zip(offset)
        .and_then(|(utc, offset)| utc.assume_utc().checked_to_offset(offset));
    match local {
        Some(local) => Value::Offset(local),
        None => Value::Other(format!("day {days} at offset {minutes}")),
    }
}

fn decimal(unscaled: i128, scale: u8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rows::ResultSet;
    use mssql_tds::datatypes::column_values::{
        SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlSmallDateTime, SqlXml,
    };
    use mssql_tds::datatypes::decoder::DecimalParts;
    use mssql_tds::datatypes::sql_json::SqlJson;
    use proptest::prelude::*;

    #[test]
    fn log_sequence_numbers_keep_all_digits() {
        let lsn = DecimalParts::new(true, 25, 0, 41_000_000_123_400_001_u128 * 100_000_000);
        assert_eq!(
            Value::from_column(ColumnValues::Numeric(lsn)).shown(),
            "4100000012340000100000000"
        );
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(1234, 2), "12.34");
    }

    #[test]
    fn times_are_read_as_sql_server_means_them() {
        let t = Value::from_column(ColumnValues::DateTime(SqlDateTime { days: 0, time: 299 }));
        assert_eq!(t.shown(), "1900-01-01 0:00:00.997");
        let time = SqlTime {
            time_nanoseconds: 23 * 36_000_000_000,
            scale: 7,
        };
        let t = ColumnValues::DateTimeOffset(SqlDateTimeOffset {
            datetime2: SqlDateTime2 { days: 738_000, time },
            offset: 120,
        });
        let Value::Offset(t) = Value::from_column(t) else {
            panic!()
        };
        assert_eq!((t.hour(), t.offset().whole_minutes()), (1, 120));
    }

    #[test]
    fn broken_text_does_not_panic() {
        let xml = SqlXml {
            bytes: vec![0xFF, 0xFE, 0x3C, 0x00, 0x00, 0xD8],
        };
        assert_eq!(Value::from_column(ColumnValues::Xml(xml)).shown(), "<\u{fffd}");
        let json = SqlJson::new(vec![b'{', 0xFF]);
        assert_eq!(Value::from_column(ColumnValues::Json(json)).shown(), "{\u{fffd}");
        let string = SqlString::new(vec![b'a', 0xFF], EncodingType::Utf8);
        assert_eq!(Value::from_column(ColumnValues::String(string)).shown(), "a\u{fffd}");
        let string = SqlString::new(vec![b'a'], EncodingType::DelayedSet);
        assert!(matches!(
            Value::from_column(ColumnValues::String(string)),
            Value::Other(_)
        ));
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        let at = |days, hundreds, offset| {
            let time = SqlTime {
                time_nanoseconds: hundreds,
                scale: 7,
            };
            Value::from_column(ColumnValues::DateTimeOffset(SqlDateTimeOffset {
                datetime2: SqlDateTime2 { days, time },
                offset,
            }))
        };
        // 9999-12-31 23:00 UTC, an hour and a half further east.
        assert!(matches!(at(3_652_058, 23 * 36_000_000_000, 90), Value::Other(_)));
        assert!(matches!(at(3_652_058, 23 * 36_000_000_000, 30), Value::Offset(_)));
        assert!(matches!(at(u32::MAX, u64::MAX, i16::MIN), Value::Other(_)));
    }

    /// Everything that the library can hand over, in every encoding.
    fn columns() -> impl Strategy<Value = ColumnValues> {
        let time = (any::<u64>(), any::<u8>()).prop_map(|(time_nanoseconds, scale)| SqlTime {
            time_nanoseconds,
            scale,
        });
        let datetime2 = (any::<u32>(), time.clone()).prop_map(|(days, time)| SqlDateTime2 { days, time });
        let encoding = prop_oneof![
            Just(EncodingType::Utf8),
            Just(EncodingType::Utf16),
            Just(EncodingType::DelayedSet),
        ];
        let bytes = prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            Just(ColumnValues::Null),
            any::<bool>().prop_map(ColumnValues::Bit),
            any::<i64>().prop_map(ColumnValues::BigInt),
            any::<f32>().prop_map(ColumnValues::Real),
            any::<f64>().prop_map(ColumnValues::Float),
            (any::<bool>(), any::<u8>(), any::<u8>(), any::<u128>())
                .prop_map(|(sign, p, s, m)| ColumnValues::Numeric(DecimalParts::new(sign, p, s, m))),
            (bytes.clone(), encoding).prop_map(|(b, e)| ColumnValues::String(SqlString::new(b, e))),
            bytes.clone().prop_map(|bytes| ColumnValues::Xml(SqlXml { bytes })),
            bytes.clone().prop_map(|bytes| ColumnValues::Json(SqlJson::new(bytes))),
            bytes.prop_map(ColumnValues::Bytes),
            any::<u128>().prop_map(|id| ColumnValues::Uuid(Uuid::from_u128(id))),
            (any::<i32>(), any::<u32>()).prop_map(|(days, time)| ColumnValues::DateTime(SqlDateTime { days, time })),
            (any::<u16>(), any::<u16>())
                .prop_map(|(days, time)| ColumnValues::SmallDateTime(SqlSmallDateTime { days, time })),
            (0..=3_652_058_u32).prop_map(|days| ColumnValues::Date(SqlDate::create(days).unwrap())),
            datetime2.clone().prop_map(ColumnValues::DateTime2),
            (datetime2, any::<i16>())
                .prop_map(|(datetime2, offset)| ColumnValues::DateTimeOffset(SqlDateTimeOffset { datetime2, offset })),
            time.prop_map(ColumnValues::Time),
            (any::<i32>(), any::<i32>()).prop_map(|pair| ColumnValues::Money(pair.into())),
        ]
    }

    proptest! {
        #[test]
        fn any_value_is_taken_over_and_read_in_every_way(column in columns()) {
            let value = Value::from_column(column);
            let row = ResultSet::new(["x"], vec![vec![value.clone()]]).rows()[0].clone();
            // NULL has no text, everything else has.
            prop_assert_eq!(row.text("x").is_none(), value == Value::Null);
            prop_assert_eq!(row.raw().len(), usize::from(value != Value::Null));
            let int = row.int("x");
            prop_assert_eq!(row.size("x"), int.and_then(|i| u64::try_from(i).ok()));
            prop_assert_eq!(row.int32("x"), int.and_then(|i| i32::try_from(i).ok()));
            let _ = (row.float("x"), row.flag("x"), row.guid("x"), row.utc("x"), row.offset("x"), row.int("y"));
        }
    }
}
