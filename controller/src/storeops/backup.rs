//! `backup`: one snapshot of the store in a file, while controllers run.

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;
use syncferry_shared::Millis;
use syncferry_store::portable::Value;

use super::file::Writer;
use super::manifest::{Head, Table, value};
use super::progress::Progress;
use super::{pump, secrets};
use crate::config::Config;
use crate::store;

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    /// The file.
    pub file: PathBuf,
    /// The store's id.
    pub store: String,
    /// The store's incarnation.
    pub incarnation: i64,
    /// The number of its newest migration.
    pub schema: i64,
    /// How many rows each table has.
    pub rows: std::collections::BTreeMap<String, i64>,
    /// How many chains of events there are.
    pub chains: usize,
    /// The files that come along.
    pub files: Vec<String>,
    /// The BLAKE3 of everything in the file before its last line.
    pub blake3: String,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The file, or a folder in which it gets a name.
    pub to: &'a Path,
    /// The configuration's own file, which comes along.
    pub config_file: Option<&'a Path>,
    /// Whether the authority's keys come along.
    pub identity: bool,
    /// Whether to say nothing meanwhile.
    pub quiet: bool,
}

/// Writes a backup.
pub async fn backup(config: &Config, ask: Ask<'_>, now: Millis) -> anyhow::Result<Written> {
    let mut from = store::export(config).await?;
    let shapes = from.shapes().to_vec();
    let (store, incarnation) = identity(&mut *from).await?;
    let mut tables = Vec::new();
    for (at, shape) in shapes.iter().enumerate() {
        tables.push(Table::of(shape, from.count(at).await?));
    }
    let along = secrets::gather(&config.data_dir, ask.config_file, ask.identity)?;
    let total = tables.iter().map(|t| t.rows).sum();
    let head = Head {
        version: env!("CARGO_PKG_VERSION").to_string(),
        written_at: now.rfc3339(),
        from: config.store.to_string(),
        schema: from.schema(),
        store: store.clone(),
        incarnation,
        tables,
        files: along.iter().map(|(name, _)| name.clone()).collect(),
    };
    let path = file_name(ask.to, &store, now);
    let mut writer = Writer::create(&path, &head, &shapes)?;
    let mut progress = Progress::new("backup", total, ask.quiet);
    pump::each(&mut *from, &mut progress, async |table, rows| {
        rows.iter().try_for_each(|row| writer.row(table, row))
    })
    .await?;
    for (name, text) in &along {
        writer.along(name, text)?;
    }
    let (tail, blake3) = writer.finish()?;
    Ok(Written {
        file: path,
        store,
        incarnation,
        schema: head.schema,
        rows: tail.rows,
        chains: tail.chains.len(),
        files: head.files,
        blake3,
    })
}

/// The store's id and incarnation.
pub(super) async fn identity(from: &mut dyn syncferry_store::portable::Export) -> anyhow::Result<(String, i64)> {
    let Some(table) = from.shapes().iter().position(|s| s.name == "store_meta") else {
        bail!("there is no store");
    };
    let shape = from.shapes()[table].clone();
    let rows = from.page(table, None, 1).await?;
    let found = rows
        .first()
        .map(|row| (value(&shape, row, "store_id"), value(&shape, row, "incarnation")));
    match found {
        Some((Some(Value::Text(id)), Some(Value::Int(incarnation)))) => Ok((id.clone(), *incarnation)),
        _ => bail!("the store is empty: no controller has run on it yet"),
    }
}

/// In a folder, a backup is named by its store and its time.
fn file_name(to: &Path, store: &str, now: Millis) -> PathBuf {
    if !to.is_dir() {
        return to.to_path_buf();
    }
    let time: String = now.rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let tail = store.get(store.len().saturating_sub(8)..).unwrap_or(store);
    to.join(format!("syncferry-{tail}-{time}.backup"))
}
