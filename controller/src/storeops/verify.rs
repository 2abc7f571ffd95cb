//! `verify`: whether a backup, or the store itself, is whole. Nothing is changed by it.

use std::path::Path;

use serde::Serialize;
use syncferry_store::Store;
use syncferry_store::portable::Import;
use syncferry_store_sqlite::SqliteImport;

use super::file::Reader;
use super::progress::Progress;
use super::pump;
use crate::config::Config;
use crate::store;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The store's id.
    pub store: String,
    /// The store's incarnation.
    pub incarnation: i64,
    /// The number of its newest migration.
    pub schema: i64,
    /// When the backup was written; none for the store itself.
    pub written_at: Option<String>,
    /// How many rows each table has.
    pub rows: std::collections::BTreeMap<String, i64>,
    /// The files that come along.
    pub files: Vec<String>,
    /// What must not be: invariant, subject, what was found.
    pub findings: Vec<(String, String, String)>,
}

/// Reads a backup to its end, checks its hash and its counts, and asks its rows everything that the audit asks, in memory.
pub async fn backup(path: &Path, quiet: bool) -> anyhow::Result<Verdict> {
    let mut reader = Reader::open(path)?;
    let head = reader.head.clone();
    // By an unfit version this is refused here, with the number of its schema.
    let mut import = SqliteImport::in_memory(head.schema).await?;
    let total = head.tables.iter().map(|t| t.rows).sum();
    let mut progress = Progress::new("verify", total, quiet);
    let (tail, _, _) = pump::load(&mut reader, Some(&mut import), "live", &mut progress).await?;
    let store = Box::new(import).finish().await?;
    let findings = audit(&*store).await?;
    Ok(Verdict {
        store: head.store,
        incarnation: head.incarnation,
        schema: head.schema,
        written_at: Some(head.written_at),
        rows: tail.rows,
        files: head.files,
        findings,
    })
}

/// Asks the store itself, beside controllers that may run on it.
pub async fn live(config: &Config) -> anyhow::Result<Verdict> {
    let mut export = store::export(config).await?;
    let (id, incarnation) = super::backup::identity(&mut *export).await?;
    let mut rows = std::collections::BTreeMap::new();
    for at in 0..export.shapes().len() {
        rows.insert(export.shapes()[at].name.clone(), export.count(at).await?);
    }
    let schema = export.schema();
    drop(export);
    let store = store::look(config).await?;
    let findings = audit(&*store).await?;
    store.shut_down().await;
    Ok(Verdict {
        store: id,
        incarnation,
        schema,
        written_at: None,
        rows,
        files: vec![],
        findings,
    })
}

/// Everything that the audit finds.
pub(super) async fn audit(store: &dyn Store) -> anyhow::Result<Vec<(String, String, String)>> {
    let findings = store.read("store.verify").await?.audit().await?;
    let plain = findings
        .into_iter()
        .map(|f| (f.invariant.to_string(), f.subject, f.found));
    Ok(plain.collect())
}
