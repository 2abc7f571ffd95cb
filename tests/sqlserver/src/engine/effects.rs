//! Completed effects, counted in `effects.json` beside the instance: how a test proves that nothing happened twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// One completed effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// `BACKUP DATABASE`, `RESTORE DATABASE`, `DROP DATABASE`, `RENAME DATABASE` …
    pub what: String,
    /// On which database.
    pub database: String,
    /// For example the device, or the new name.
    pub detail: String,
    /// The login.
    pub login: String,
    /// UTC, milliseconds.
    pub at_ms: i64,
}

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// How often each kind was completed.
    pub counts: BTreeMap<String, u64>,
    /// All of them, in order.
    pub effects: Vec<Effect>,
}

/// Keeps the file.
#[derive(Debug)]
pub struct Effects {
    path: PathBuf,
    journal: Mutex<Journal>,
}

impl Effects {
    /// Opens the file in an instance's folder; counts go on after a restart.
    pub fn open(dir: &Path) -> Effects {
        let path = dir.join("effects.json");
        let journal = std::fs::read_to_string(&path)
            .ok()
            .and_then(|t| serde_json::from_str(&t).ok())
            .unwrap_or_default();
        Effects {
            path,
            journal: Mutex::new(journal),
        }
    }

    /// Records an effect once it is complete.
    pub fn record(&self, effect: Effect) {
        let mut journal = self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *journal.counts.entry(effect.what.clone()).or_default() += 1;
        journal.effects.push(effect);
        let written = serde_json::to_vec_pretty(&*journal)
            .map_err(std::io::Error::other)
            .and_then(|bytes| {
                let new = self.path.with_extension("json.new");
                std::fs::write(&new, bytes)?;
                std::fs::rename(&new, &self.path)
            });
        if let Err(e) = written {
            tracing::warn!(error = %e, "effects.json cannot be written");
        }
    }

    /// How often a kind was completed.
    pub fn count(&self, what: &str) -> u64 {
        self.journal
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .counts
            .get(what)
            .copied()
            .unwrap_or(0)
    }
}
