//! What a world's files, a migration and a report show to whoever checks them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use syncferry_proto::v1;

use crate::lab::world::World;

/// Completed statements of a SQL Server by kind: `source` or `target`.
pub fn completed(world: &World, server: &str) -> BTreeMap<String, u64> {
    let Ok(text) = std::fs::read(world.sql_dir(server).join("effects.json")) else {
        return BTreeMap::new();
    };
    let effects: Value = serde_json::from_slice(&text).unwrap();
    serde_json::from_value(effects["counts"].clone()).unwrap_or_default()
}

/// Backups below a folder, whole or in part.
pub fn backups_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.contains(".bak") {
                found.push(path);
            }
        }
    }
    found
}

/// The events of a report of a kind.
pub fn events<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = report["events"].as_array().unwrap();
    all.iter().filter(|e| e["type"] == kind).collect()
}

/// An event's number: what came later has a higher one.
pub fn seq(event: &Value) -> i64 {
    event["seq"].as_i64().unwrap()
}

/// Somebody is waited for.
pub fn at_a_gate(migration: &v1::Migration) -> bool {
    at_the_gate("")(migration)
}

/// Somebody is waited for at the gate whose title begins so.
pub fn at_the_gate(title: &str) -> impl Fn(&v1::Migration) -> bool {
    move |m| {
        let mut open = m.open_gates.iter().filter(|g| g.state == "open");
        open.any(|g| g.title.starts_with(title))
    }
}

/// A job is in a state.
pub fn job_is(name: &str, state: &str) -> impl Fn(&v1::Migration) -> bool {
    move |m| m.jobs.iter().any(|j| j.name == name && j.state == state)
}
