//! The store's rows without its engine: tables by name, rows of plain values. Backups and moves from one engine to the other
//! are made of these. Engines describe their own tables, so that a new migration is carried along by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::store::Store;

/// Tables that are made and filled by the migrations and never by anybody else.
pub const FIXED: &[&str] = &["schema_migration", "lease_transition"];

/// What is in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row, in the order of the table's columns.
pub type Row = Vec<Value>;

/// What a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Int,
    /// Texts.
    Text,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// The word in a backup.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Int => "int",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
        }
    }
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Kind::Int, Kind::Text, Kind::Bytes]
            .into_iter()
            .find(|k| k.as_str() == text)
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// Its columns by name, sorted, so that two engines agree.
    pub columns: Vec<(String, Kind)>,
    /// The places of the primary key among them.
    pub key: Vec<usize>,
}

impl Shape {
    /// The key of a row.
    pub fn key_of(&self, row: &Row) -> Row {
        self.key.iter().filter_map(|i| row.get(*i).cloned()).collect()
    }

    /// Whether two engines mean the same table.
    pub fn same_as(&self, other: &Shape) -> bool {
        self.name == other.name && self.columns == other.columns
    }
}

/// Sorts tables so that each comes after those that it refers to; by name where that is free. `refers` are pairs of names.
pub fn in_order(mut shapes: Vec<Shape>, refers: &[(String, String)]) -> Vec<Shape> {
    shapes.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut done, mut sorted) = (BTreeSet::new(), Vec::new());
    while !shapes.is_empty() {
        let there: BTreeSet<String> = shapes.iter().map(|s| s.name.clone()).collect();
        let free = |s: &Shape| {
            let waits = |(from, to): &(String, String)| {
                *from == s.name && to != from && there.contains(to) && !done.contains(to)
            };
            !refers.iter().any(waits)
        };
        // A circle cannot be sorted; whatever comes first goes first.
        let next = shapes.iter().position(free).unwrap_or(0);
        let shape = shapes.remove(next);
        done.insert(shape.name.clone());
        sorted.push(shape);
    }
    sorted
}

/// One snapshot of a store, to be read.
#[async_trait]
pub trait Export: Send {
    /// The number of its newest migration.
    fn schema(&self) -> i64;
    /// Its tables, each after those that it refers to.
    fn shapes(&self) -> &[Shape];
    /// How many rows a table has.
    async fn count(&mut self, table: usize) -> Result<i64>;
    /// Rows of a table by its key, after a key, at most so many.
    async fn page(&mut self, table: usize, after: Option<&Row>, most: i64) -> Result<Vec<Row>>;
}

/// An empty store that is filled in one transaction: all of it or nothing. Dropped, it stays empty. Guards sleep meanwhile,
/// because rows come as they stand and not as they came to be; they are awake again before it is committed.
#[async_trait]
pub trait Import: Export {
    /// Adds rows to a table.
    async fn insert(&mut self, table: usize, rows: &[Row]) -> Result<()>;
    /// Wakes the guards, checks every reference, commits, and brings the schema up to this version's. Gives the store.
    async fn finish(self: Box<Self>) -> Result<Arc<dyn Store>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_after_what_they_refer_to() {
        let shape = |name: &str| Shape {
            name: name.into(),
            columns: vec![],
            key: vec![],
        };
        let refers = [("a", "c"), ("c", "b"), ("b", "b"), ("d", "gone")];
        let refers = refers.map(|(f, t)| (f.to_string(), t.to_string()));
        let sorted = in_order(["a", "b", "c", "d"].map(shape).to_vec(), &refers);
        let names: Vec<_> = sorted.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "a", "d"]);
    }
}
