//! What a backup says of itself: at its head what is known before the rows, at its end what they came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use syncferry_store::portable::{Kind, Row, Shape, Value};

/// The format's name and number, which is the file's first line.
pub const FORMAT: &str = "syncferry-store-backup 1";

/// A table as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, with what each takes.
    pub columns: Vec<(String, String)>,
    /// The columns of its primary key.
    pub key: Vec<String>,
    /// How many rows it has.
    pub rows: i64,
}

impl Table {
    /// A table of an engine.
    pub fn of(shape: &Shape, rows: i64) -> Self {
        Self {
            name: shape.name.clone(),
            columns: shape
                .columns
                .iter()
                .map(|(c, k)| (c.clone(), k.as_str().to_string()))
                .collect(),
            key: shape
                .key
                .iter()
                .filter_map(|i| Some(shape.columns.get(*i)?.0.clone()))
                .collect(),
            rows,
        }
    }

    /// The table as engines know it; `None` when the words are not known.
    pub fn shape(&self) -> Option<Shape> {
        let columns: Option<Vec<(String, Kind)>> = self
            .columns
            .iter()
            .map(|(c, k)| Some((c.clone(), Kind::parse(k)?)))
            .collect();
        let columns = columns?;
        let key: Option<Vec<usize>> = self
            .key
            .iter()
            .map(|k| columns.iter().position(|(c, _)| c == k))
            .collect();
        Some(Shape {
            name: self.name.clone(),
            key: key?,
            columns,
        })
    }
}

/// The head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The version that wrote it.
    pub version: String,
    /// When, by the clock of the machine that wrote it, UTC.
    pub written_at: String,
    /// Where the store was, without passwords.
    pub from: String,
    /// The number of the store's newest migration.
    pub schema: i64,
    /// The store's id.
    pub store: String,
    /// The store's incarnation.
    pub incarnation: i64,
    /// The tables, in the order of the rows.
    pub tables: Vec<Table>,
    /// The files that come along, by name: the keys of the authority, the configuration.
    pub files: Vec<String>,
}

/// The head of a chain of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The number of its newest event.
    pub seq: i64,
    /// That one's hash.
    pub hash: String,
}

/// The end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// How many rows came, by table.
    pub rows: BTreeMap<String, i64>,
    /// The newest event of each stream, by its kind and id.
    pub chains: BTreeMap<String, ChainHead>,
}

impl Tail {
    /// Takes a row in.
    pub fn see(&mut self, shape: &Shape, row: &Row) {
        *self.rows.entry(shape.name.clone()).or_default() += 1;
        if shape.name != "event" {
            return;
        }
        let text = |column: &str| match value(shape, row, column) {
            Some(Value::Text(t)) => t.clone(),
            _ => String::new(),
        };
        let Some(Value::Int(seq)) = value(shape, row, "seq") else {
            return;
        };
        let stream = format!("{} {}", text("stream_kind"), text("stream_id"));
        let head = self.chains.entry(stream).or_insert(ChainHead {
            seq: 0,
            hash: String::new(),
        });
        if *seq > head.seq {
            *head = ChainHead {
                seq: *seq,
                hash: text("hash"),
            };
        }
    }
}

/// What a row has in a column.
pub fn value<'a>(shape: &Shape, row: &'a Row, column: &str) -> Option<&'a Value> {
    let at = shape.columns.iter().position(|(c, _)| c == column)?;
    row.get(at)
}

/// The same row with something else in a column. A table without the column stays as it is.
pub fn with(shape: &Shape, mut row: Row, column: &str, value: Value) -> Row {
    if let Some(at) = shape.columns.iter().position(|(c, _)| c == column) {
        row[at] = value;
    }
    row
}
