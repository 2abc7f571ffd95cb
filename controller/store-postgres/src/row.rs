//! Reading rows: columns become types here, once. What cannot be read is `Corrupt`, with the column's name.

use std::str::FromStr;

use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use syncferry_shared::Millis;
use syncferry_store::Cause;

use crate::error::cause;

/// What a row gives, or why not.
pub(crate) type Read<T> = Result<T, Cause>;

/// Typed columns.
pub(crate) trait Columns {
    fn text(&self, column: &str) -> Read<String>;
    fn opt_text(&self, column: &str) -> Read<Option<String>>;
    fn int(&self, column: &str) -> Read<i64>;
    fn opt_int(&self, column: &str) -> Read<Option<i64>>;
    fn opt_bytes(&self, column: &str) -> Read<Option<Vec<u8>>>;

    fn flag(&self, column: &str) -> Read<bool> {
        Ok(self.int(column)? != 0)
    }
    fn small(&self, column: &str) -> Read<i32> {
        i32::try_from(self.int(column)?).map_err(|e| corrupt(column, &e))
    }
    fn at(&self, column: &str) -> Read<Millis> {
        self.int(column).map(Millis)
    }
    fn opt_at(&self, column: &str) -> Read<Option<Millis>> {
        Ok(self.opt_int(column)?.map(Millis))
    }
    /// An id, or a state.
    fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Read<T> {
        self.text(column)?.parse().map_err(|e| corrupt(column, &e))
    }
    fn opt_parsed<T: FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Read<Option<T>> {
        let text = self.opt_text(column)?;
        text.map(|t| t.parse().map_err(|e| corrupt(column, &e))).transpose()
    }
    /// An enumeration that has words.
    fn word<T>(&self, column: &str, parse: fn(&str) -> Option<T>) -> Read<T> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| corrupt(column, &format!("'{text}' is unknown")))
    }
    fn json(&self, column: &str) -> Read<Value> {
        serde_json::from_str(&self.text(column)?).map_err(|e| corrupt(column, &e))
    }
    fn opt_json(&self, column: &str) -> Read<Option<Value>> {
        let text = self.opt_text(column)?;
        text.map(|t| serde_json::from_str(&t).map_err(|e| corrupt(column, &e)))
            .transpose()
    }
    /// A JSON array of texts.
    fn texts(&self, column: &str) -> Read<Vec<String>> {
        serde_json::from_str(&self.text(column)?).map_err(|e| corrupt(column, &e))
    }
}

impl Columns for PgRow {
    fn text(&self, column: &str) -> Read<String> {
        self.try_get(column).map_err(cause)
    }
    fn opt_text(&self, column: &str) -> Read<Option<String>> {
        self.try_get(column).map_err(cause)
    }
    fn int(&self, column: &str) -> Read<i64> {
        self.try_get(column).map_err(cause)
    }
    fn opt_int(&self, column: &str) -> Read<Option<i64>> {
        self.try_get(column).map_err(cause)
    }
    fn opt_bytes(&self, column: &str) -> Read<Option<Vec<u8>>> {
        self.try_get(column).map_err(cause)
    }
}

/// A column that cannot be read.
pub(crate) fn corrupt(column: &str, why: &dyn std::fmt::Display) -> Cause {
    Cause::Corrupt(format!("column {column}: {why}"))
}

/// The words of states as a JSON array, for `IN (SELECT json_array_elements_text(…))`; `None` when there are none.
pub(crate) fn word_list<T: Copy>(values: &[T], word: fn(T) -> &'static str) -> Option<String> {
    let words: Vec<&str> = values.iter().copied().map(word).collect();
    (!words.is_empty()).then(|| Value::from(words).to_string())
}
