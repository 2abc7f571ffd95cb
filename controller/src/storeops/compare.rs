//! Whether two stores hold the same, row by row: the hash of each row here is there as often as it is here. Engines sort texts
//! differently, so the order does not count; that histories have no gaps and chains are whole, the audit says.

use std::collections::BTreeMap;

use serde::Serialize;
use syncferry_store::portable::Export;

use super::progress::Progress;
use super::{pump, rows};

/// A table that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Its name.
    pub table: String,
    /// How many rows it has here.
    pub here: usize,
    /// How many rows it has there.
    pub there: usize,
    /// The BLAKE3 of the sorted hashes of its rows.
    pub blake3: String,
    /// Whether every row is the same.
    pub same: bool,
}

/// The hashes of a store's rows, sorted, by table.
pub async fn hashes(from: &mut dyn Export, progress: &mut Progress) -> anyhow::Result<BTreeMap<String, Vec<[u8; 32]>>> {
    let shapes = from.shapes().to_vec();
    let mut found: BTreeMap<String, Vec<[u8; 32]>> = shapes.iter().map(|s| (s.name.clone(), vec![])).collect();
    pump::each(from, progress, async |table, page| {
        let shape = &shapes[table];
        let some = page.into_iter().map(|row| {
            // Where a store stands is its own, and no part of what it holds.
            let row = pump::stood(shape, row, "live");
            *blake3::hash(rows::line(&shape.name, &row).as_bytes()).as_bytes()
        });
        found.entry(shape.name.clone()).or_default().extend(some);
        Ok(())
    })
    .await?;
    found.values_mut().for_each(|hashes| hashes.sort_unstable());
    Ok(found)
}

/// Compares.
pub fn compare(here: &BTreeMap<String, Vec<[u8; 32]>>, there: &BTreeMap<String, Vec<[u8; 32]>>) -> Vec<Compared> {
    let mut names: Vec<&String> = here.keys().chain(there.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let none = Vec::new();
    names
        .into_iter()
        .map(|name| {
            let (a, b) = (here.get(name).unwrap_or(&none), there.get(name).unwrap_or(&none));
            let mut all = blake3::Hasher::new();
            for hash in a {
                all.update(hash);
            }
            Compared {
                table: name.clone(),
                here: a.len(),
                there: b.len(),
                blake3: all.finalize().to_hex().to_string(),
                same: a == b,
            }
        })
        .collect()
}
