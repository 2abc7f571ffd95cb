//! Comparing, ordering and hashing values under a collation. Both sides have the same type by now.

use std::cmp::Ordering;

use uuid::Uuid;

use crate::types::Value;

/// What a comparison of texts looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Collation {
    /// `_CI_`: case does not count.
    #[default]
    Insensitive,
    /// `_CS_`.
    Sensitive,
    /// `_BIN`, `_BIN2`.
    Binary,
}

impl Collation {
    /// From a collation's name.
    pub(crate) fn from_name(name: &str) -> Collation {
        let upper = name.to_ascii_uppercase();
        if upper.contains("_BIN") {
            Collation::Binary
        } else if upper.contains("_CS") {
            Collation::Sensitive
        } else {
            Collation::Insensitive
        }
    }
}

/// The order of two values; None when one is NULL.
pub(crate) fn compare(a: &Value, b: &Value, collation: Collation) -> Option<Ordering> {
    if matches!(a, Value::Null) || matches!(b, Value::Null) {
        return None;
    }
    Some(order_non_null(a, b, collation))
}

/// The order of ORDER BY: NULL comes first.
pub(crate) fn order(a: &Value, b: &Value, collation: Collation) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => order_non_null(a, b, collation),
    }
}

fn order_non_null(a: &Value, b: &Value, collation: Collation) -> Ordering {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => order_text(x, y, collation),
        (Value::Bytes(x), Value::Bytes(y)) => order_bytes(x, y),
        (Value::Guid(x), Value::Guid(y)) => guid_key(x).cmp(&guid_key(y)),
        (Value::Date(x), Value::Date(y)) => x.cmp(y),
        (Value::Time(x), Value::Time(y)) => x.cmp(y),
        (Value::DateTime(x), Value::DateTime(y)) => x.cmp(y),
        (Value::DateTimeOffset(x), Value::DateTimeOffset(y)) => x.cmp(y),
        _ => order_numbers(a, b),
    }
}

fn order_numbers(a: &Value, b: &Value) -> Ordering {
    match (exact(a), exact(b)) {
        (Some((x, sx)), Some((y, sy))) => {
            let scale = sx.max(sy);
            match (rescale(x, scale - sx), rescale(y, scale - sy)) {
                (Some(x), Some(y)) => x.cmp(&y),
                _ => approximate(a).total_cmp(&approximate(b)),
            }
        }
        // Values of different families meet only inside sql_variant: their families are ordered.
        _ if rank(a) != rank(b) => rank(a).cmp(&rank(b)),
        _ => approximate(a).partial_cmp(&approximate(b)).unwrap_or(Ordering::Equal),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bytes(_) => 1,
        Value::Guid(_) => 2,
        Value::Str(_) => 3,
        Value::Bit(_) | Value::Int(_) | Value::Decimal(..) | Value::Float(_) => 4,
        Value::Time(_) | Value::Date(_) | Value::DateTime(_) | Value::DateTimeOffset(_) => 5,
    }
}

fn exact(value: &Value) -> Option<(i128, u8)> {
    match value {
        Value::Bit(b) => Some((i128::from(*b), 0)),
        Value::Int(i) => Some((i128::from(*i), 0)),
        Value::Decimal(v, s) => Some((*v, *s)),
        _ => None,
    }
}

fn rescale(value: i128, digits: u8) -> Option<i128> {
    value.checked_mul(10_i128.checked_pow(u32::from(digits))?)
}

/// A number as float.
pub(crate) fn approximate(value: &Value) -> f64 {
    match value {
        Value::Bit(b) => f64::from(u8::from(*b)),
        #[expect(clippy::cast_precision_loss, reason = "float arithmetic is what was asked for")]
        Value::Int(i) => *i as f64,
        #[expect(clippy::cast_precision_loss, reason = "float arithmetic is what was asked for")]
        Value::Decimal(v, s) => *v as f64 / 10_f64.powi(i32::from(*s)),
        Value::Float(f) => *f,
        _ => 0.0,
    }
}

fn order_text(a: &str, b: &str, collation: Collation) -> Ordering {
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    if collation == Collation::Binary {
        return a.encode_utf16().cmp(b.encode_utf16());
    }
    let folded = fold(a).cmp(fold(b));
    if collation == Collation::Sensitive && folded == Ordering::Equal {
        // Lower case sorts before upper case.
        return b.cmp(a);
    }
    folded
}

fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

/// Zeros at the end do not count.
fn order_bytes(a: &[u8], b: &[u8]) -> Ordering {
    let length = a.len().max(b.len());
    let padded = |s: &[u8], i: usize| s.get(i).copied().unwrap_or(0);
    (0..length)
        .map(|i| padded(a, i).cmp(&padded(b, i)))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// SQL Server orders uniqueidentifier by its last six bytes first.
fn guid_key(guid: &Uuid) -> [u8; 16] {
    let b = guid.to_bytes_le();
    [
        b[10], b[11], b[12], b[13], b[14], b[15], b[8], b[9], b[6], b[7], b[4], b[5], b[0], b[1], b[2], b[3],
    ]
}

/// A value as a key of a hash table: equal values have equal keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// NULL: one group, but never joined.
    Null,
    /// Numbers: without trailing zeros.
    Exact(i128, u8),
    /// Floats by their bits.
    Float(u64),
    /// Texts, folded.
    Text(String),
    /// Bytes without trailing zeros.
    Bytes(Vec<u8>),
    /// A GUID.
    Guid(Uuid),
    /// Dates and times in nanoseconds.
    Moment(i128),
}

/// The key of a value.
pub(crate) fn key(value: &Value, collation: Collation) -> Key {
    match value {
        Value::Null => Key::Null,
        Value::Bit(_) | Value::Int(_) | Value::Decimal(..) => {
            let (v, s) = exact(value).unwrap_or_default();
            normal(v, s)
        }
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 1e18 => {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 1e18")]
            let whole = *f as i128;
            Key::Exact(whole, 0)
        }
        Value::Float(f) => Key::Float(f.to_bits()),
        Value::Str(s) => Key::Text(match collation {
            Collation::Insensitive => fold(s.trim_end_matches(' ')).collect(),
            Collation::Sensitive | Collation::Binary => s.trim_end_matches(' ').to_owned(),
        }),
        Value::Bytes(b) => {
            let end = b.iter().rposition(|x| *x != 0).map_or(0, |p| p + 1);
            Key::Bytes(b[..end].to_vec())
        }
        Value::Guid(g) => Key::Guid(*g),
        Value::Date(d) => Key::Moment(i128::from(d.to_julian_day()) * 86_400_000_000_000),
        Value::Time(t) => Key::Moment((*t - time::Time::MIDNIGHT).whole_nanoseconds()),
        Value::DateTime(d) => Key::Moment(d.assume_utc().unix_timestamp_nanos()),
        Value::DateTimeOffset(d) => Key::Moment(d.unix_timestamp_nanos()),
    }
}

fn normal(mut value: i128, mut scale: u8) -> Key {
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    Key::Exact(value, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Value {
        Value::Str(s.into())
    }

    #[test]
    fn case_and_trailing_blanks_do_not_count() {
        assert_eq!(
            compare(&text("ADSync "), &text("adsync"), Collation::Insensitive),
            Some(Ordering::Equal)
        );
        assert_eq!(
            key(&text("ADSync "), Collation::Insensitive),
            key(&text("adsync"), Collation::Insensitive)
        );
        assert_ne!(
            compare(&text("A"), &text("a"), Collation::Sensitive),
            Some(Ordering::Equal)
        );
    }

    #[test]
    fn numbers_of_different_scale_are_equal() {
        assert_eq!(
            compare(&Value::Decimal(150, 2), &Value::Decimal(15, 1), Collation::default()),
            Some(Ordering::Equal)
        );
        assert_eq!(
            key(&Value::Decimal(100, 2), Collation::default()),
            key(&Value::Int(1), Collation::default())
        );
    }

    #[test]
    fn null_is_unknown_but_sorts_first() {
        assert_eq!(compare(&Value::Null, &Value::Int(1), Collation::default()), None);
        assert_eq!(
            order(&Value::Null, &Value::Int(1), Collation::default()),
            Ordering::Less
        );
    }
}
