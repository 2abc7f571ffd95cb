//! Progress of a job, for people. Nothing is decided by it.

use serde::{Deserialize, Serialize};

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The step that runs, for example `transfer`.
    pub step: String,
    /// A few words, for example `BACKUP DATABASE 43 %`.
    pub message: String,
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when it is not known.
    pub total: u64,
    /// What the units are.
    pub unit: Unit,
    /// Units per second, where measured.
    pub rate: f64,
    /// Milliseconds left, where it can be estimated.
    pub left_ms: Option<u64>,
}

/// What progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nothing that can be counted.
    #[default]
    None,
    /// Bytes.
    Bytes,
    /// Per cent.
    Percent,
    /// Steps, pages, rows: a plain count.
    Count,
}
