//! Result sets, read by column name. Columns come and go between versions, so a missing column and NULL are both "unknown";
//! only what a caller cannot do without is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncferry_shared::Millis;
use uuid::Uuid;

use super::value::Value;

/// A result set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResultSet {
    columns: Arc<[String]>,
    rows: Vec<Row>,
}

/// A row of a result set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

/// A column that a caller cannot do without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer has no usable column '{column}' (it has: {available})")]
pub struct MissingColumn {
    /// The column.
    pub column: String,
    /// The columns that are there.
    pub available: String,
}

impl ResultSet {
    /// A result set from its parts; short rows read as unknown.
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>, rows: Vec<Vec<Value>>) -> Self {
        let columns: Arc<[String]> = columns.into_iter().map(Into::into).collect();
        let rows = rows.into_iter().map(|values| Row {
            columns: columns.clone(),
            values,
        });
        Self {
            rows: rows.collect(),
            columns,
        }
    }
    /// Names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
    /// Its rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
    /// Its first row.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }
}

impl Row {
    /// A value by its column's name; case does not matter, as in SQL Server's own catalogue.
    pub fn get(&self, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|c| c.eq_ignore_ascii_case(column))?;
        self.values.get(at)
    }
    /// A value by its place.
    pub fn at(&self, index: usize) -> Option<&Value> {
        self.values.get(index)
    }
    /// A text.
    pub fn text(&self, column: &str) -> Option<String> {
        match self.get(column)? {
            Value::Null => None,
            // `nchar` is padded.
            Value::Text(t) => Some(t.trim_end_matches([' ', '\0']).to_string()),
            other => Some(other.shown()),
        }
    }
    /// An integer of any width, also when it comes as bit or numeric.
    pub fn int(&self, column: &str) -> Option<i64> {
        match self.get(column)? {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Decimal(unscaled, scale) => {
                let divisor = 10i128.checked_pow(u32::from(*scale))?;
                i64::try_from(unscaled / divisor).ok()
            }
            Value::Float(f) if f.is_finite() && f.abs() < 9e15 => Some(f.round() as i64),
            Value::Text(t) => t.trim().parse().ok(),
            _ => None,
        }
    }
    /// A size: an integer that is not negative.
    pub fn size(&self, column: &str) -> Option<u64> {
        self.int(column).and_then(|i| u64::try_from(i).ok())
    }
    /// A 32-bit integer.
    pub fn int32(&self, column: &str) -> Option<i32> {
        self.int(column).and_then(|i| i32::try_from(i).ok())
    }
    /// A floating-point number.
    pub fn float(&self, column: &str) -> Option<f64> {
        match self.get(column)? {
            Value::Float(f) => Some(*f),
            _ => self.int(column).map(|i| i as f64),
        }
    }
    /// A truth value: bit, or an integer that is not zero.
    pub fn flag(&self, column: &str) -> Option<bool> {
        match self.get(column)? {
            Value::Text(t) if t.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(t) if t.eq_ignore_ascii_case("false") => Some(false),
            _ => self.int(column).map(|i| i != 0),
        }
    }
    /// A GUID, also from text.
    pub fn guid(&self, column: &str) -> Option<Uuid> {
        match self.get(column)? {
            Value::Guid(g) => Some(*g),
            Value::Text(t) => Uuid::try_parse(t.trim()).ok(),
            _ => None,
        }
    }
    /// A time that is known to be UTC, or one with an offset.
    pub fn utc(&self, column: &str) -> Option<Millis> {
        match self.get(column)? {
            Value::DateTime(t) => millis(t.assume_utc()),
            Value::Offset(t) => millis(*t),
            _ => None,
        }
    }
    /// A time with its offset.
    pub fn offset(&self, column: &str) -> Option<time::OffsetDateTime> {
        match self.get(column)? {
            Value::Offset(t) => Some(*t),
            _ => None,
        }
    }
    /// Every column that is not NULL, as people read it.
    pub fn raw(&self) -> BTreeMap<String, String> {
        let pairs = self.columns.iter().zip(&self.values);
        pairs
            .filter(|(_, v)| **v != Value::Null)
            .map(|(c, v)| (c.clone(), v.shown()))
            .collect()
    }
    /// The pairs of column and value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.columns.iter().map(String::as_str).zip(&self.values)
    }
    /// Demands a value that an accessor above reads.
    pub fn need<T>(&self, column: &str, read: impl Fn(&Self, &str) -> Option<T>) -> Result<T, MissingColumn> {
        read(self, column).ok_or_else(|| MissingColumn {
            column: column.to_string(),
            available: self.columns.join(", "),
        })
    }
}

fn millis(t: time::OffsetDateTime) -> Option<Millis> {
    i64::try_from(t.unix_timestamp_nanos() / 1_000_000).ok().map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: Vec<(&str, Value)>) -> Row {
        let (columns, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        ResultSet::new(columns, vec![values]).rows()[0].clone()
    }

    #[test]
    fn width_does_not_matter() {
        let guid = Uuid::from_u128(7);
        let r = row(vec![
            ("Position", Value::Int(1)),
            ("BackupSize", Value::Decimal(123_456, 0)),
            ("HasBackupChecksums", Value::Bool(true)),
            ("Type", Value::Text("D ".into())),
            ("Guid", Value::Text(guid.to_string().to_uppercase())),
            ("Nothing", Value::Null),
        ]);
        assert_eq!(r.int("position"), Some(1));
        assert_eq!(r.size("BackupSize"), Some(123_456));
        assert_eq!(r.flag("HasBackupChecksums"), Some(true));
        assert_eq!(r.int("HasBackupChecksums"), Some(1));
        assert_eq!(r.text("Type").as_deref(), Some("D"));
        assert_eq!(r.guid("Guid"), Some(guid));
        assert_eq!(r.text("Nothing"), None);
        assert_eq!(r.text("NotThere"), None);
        assert!(!r.raw().contains_key("Nothing"));
    }

    #[test]
    fn what_is_needed_and_missing_is_named() {
        let r = row(vec![("a", Value::Null), ("b", Value::Int(-1))]);
        let error = r.need("a", Row::text).unwrap_err();
        assert_eq!(error.to_string(), "the answer has no usable column 'a' (it has: a, b)");
        assert!(r.need("b", Row::size).is_err());
        assert_eq!(r.need("b", Row::int), Ok(-1));
    }
}
