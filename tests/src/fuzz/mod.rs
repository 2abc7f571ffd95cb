//! One entry for each reader of bytes that somebody else wrote. The same functions serve the fuzz targets in `tests/fuzz`
//! and `tests/tests/foreign_bytes.rs`, which runs them in CI on arbitrary, cut and flipped bytes.
//!
//! An entry takes any bytes, says whether they were understood, and panics only when something is wrong: in the reader, or
//! with what it made of the bytes.

pub mod bak_header;
pub mod bak_medium;
pub mod config;
pub mod connector_xml;
pub mod event;
pub mod identity;
pub mod job_spec;
pub mod journal;
pub mod manifest;
pub mod msi;
pub mod plan;
pub mod powershell;
pub mod report;
pub mod tds_answer;
pub mod tds_request;
pub mod wire;

/// A reader of foreign bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its file in `tests/fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Reads bytes; true when they were understood.
    pub read: fn(&[u8]) -> bool,
    /// Small valid inputs: where fuzzing begins.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Whether a run takes files or sockets, so that tests try fewer.
    pub slow: bool,
}

macro_rules! targets {
    ($($name:ident $slow:literal),+ $(,)?) => {
        &[$(Target { name: stringify!($name), read: $name::read, seeds: $name::seeds, slow: $slow }),+]
    };
}

/// All of them.
pub const TARGETS: &[Target] = targets![
    bak_header false,
    bak_medium true,
    config false,
    connector_xml false,
    event false,
    identity false,
    job_spec false,
    journal false,
    manifest false,
    msi true,
    plan false,
    powershell false,
    report false,
    tds_answer true,
    tds_request false,
    wire false,
];

/// A report of a whole migration, as the command line's documentation shows it: it has one of everything.
const REPORT: &str = include_str!("../../../docs/samples/cli-report.json");

/// The value at a place in [`REPORT`].
fn sample(pointer: &str) -> serde_json::Value {
    let report: serde_json::Value = serde_json::from_str(REPORT).unwrap_or_default();
    report.pointer(pointer).cloned().unwrap_or_default()
}

/// Reads JSON of one of our types. What was understood is written and read again the same.
fn json<T>(bytes: &[u8]) -> Option<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_value(&read).expect("our types are plain data");
    let again: T = serde_json::from_value(written.clone()).expect("what was written is read");
    assert_eq!(serde_json::to_value(again).ok(), Some(written));
    Some(read)
}
