//! The fault plan: `faults.json` in the instance's folder, read again for every request, so that a test changes it
//! while the server runs. What was injected is counted in `faults.hits.json`.
//!
//! ```json
//! { "rules": [
//!   { "on": "backup", "error": 823, "times": 1 },
//!   { "on": "login", "probability": 0.2, "drop": true },
//!   { "on": "restore", "at_percent": 50, "hang_ms": 5000 },
//!   { "on": "rename", "database": "ADSync__mig_42", "error": 5061, "times": 2 },
//!   { "on": "verify", "flip": true, "times": 1 },
//!   { "on": "batch", "text": "HEADERONLY", "hold": "wait-here" }
//! ] }
//! ```
//! `on` is one of: login, batch, rpc, backup, restore, verify, headeronly, filelistonly, labelonly, rename, alter, drop,
//! create, dbcc, applock, commit, disk_full (a backup's or restore's write fails with 112).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::errors::{SqlError, raw_error};

/// One rule of the plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// A name for the counts; the rule's number otherwise.
    pub name: Option<String>,
    /// Where it strikes.
    pub on: String,
    /// Only for this database.
    pub database: Option<String>,
    /// Only when the request's text contains this.
    pub text: Option<String>,
    /// The SQL Server number to answer with.
    pub error: Option<i32>,
    /// Its text; a table text otherwise.
    pub message: Option<String>,
    /// 0 to 1; absent is always.
    pub probability: Option<f64>,
    /// How often at most.
    pub times: Option<u64>,
    /// Not before this many occasions have passed.
    pub after: Option<u64>,
    /// Waits this long.
    pub hang_ms: Option<u64>,
    /// Closes the connection.
    pub drop: bool,
    /// Writes fail with 112.
    pub disk_full: bool,
    /// Changes one byte in the middle of each device first: for the statements that read a medium.
    pub flip: bool,
    /// Waits as long as a file of this name stands beside the plan.
    pub hold: Option<String>,
    /// For backup and restore: strikes when this much is done.
    pub at_percent: Option<u8>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Plan {
    rules: Vec<Rule>,
}

/// What a struck rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// Wait first.
    pub hang: Option<Duration>,
    /// Then close the connection.
    pub drop: bool,
    /// Or a full disk.
    pub disk_full: bool,
    /// Damage the medium before it is read.
    pub flip: bool,
    /// Wait as long as this file is there.
    pub hold: Option<PathBuf>,
    /// Or fail.
    pub error: Option<SqlError>,
}

#[derive(Debug, Default)]
struct Counts {
    occasions: BTreeMap<String, u64>,
    hits: BTreeMap<String, u64>,
}

/// The plan of one instance.
#[derive(Debug, Clone)]
pub struct Faults {
    path: PathBuf,
    counts: Arc<Mutex<Counts>>,
}

impl Faults {
    /// The plan in an instance's folder.
    pub fn new(dir: &Path) -> Faults {
        Faults {
            path: dir.join("faults.json"),
            counts: Arc::default(),
        }
    }

    fn plan(&self) -> Plan {
        let Ok(text) = std::fs::read_to_string(&self.path) else {
            return Plan::default();
        };
        serde_json::from_str(&text).unwrap_or_else(|e| {
            tracing::warn!(path = %self.path.display(), error = %e, "the fault plan cannot be read; no faults are injected");
            Plan::default()
        })
    }

    /// Whether a rule strikes here. `percent` is how far a backup or restore is.
    pub fn strike(&self, on: &str, database: &str, text: &str, percent: Option<u8>) -> Option<Strike> {
        let plan = self.plan();
        let found = plan
            .rules
            .iter()
            .enumerate()
            .find(|(n, rule)| self.applies(*n, rule, on, database, text, percent));
        found.map(|(_, rule)| strike(rule, &self.path))
    }

    fn applies(&self, n: usize, rule: &Rule, on: &str, database: &str, text: &str, percent: Option<u8>) -> bool {
        let here = rule.on.eq_ignore_ascii_case(on)
            && rule.database.as_ref().is_none_or(|d| d.eq_ignore_ascii_case(database))
            && rule
                .text
                .as_ref()
                .is_none_or(|t| text.to_lowercase().contains(&t.to_lowercase()))
            && match (rule.at_percent, percent) {
                (None, None) => true,
                (Some(at), Some(done)) => done >= at,
                _ => false,
            };
        here && self.count(n, rule)
    }

    fn count(&self, n: usize, rule: &Rule) -> bool {
        let name = rule.name.clone().unwrap_or_else(|| format!("{n}:{}", rule.on));
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let occasions = counts.occasions.entry(name.clone()).or_default();
        *occasions += 1;
        if rule.after.is_some_and(|after| *occasions <= after) {
            return false;
        }
        if rule.probability.is_some_and(|p| rand::random::<f64>() >= p) {
            return false;
        }
        let hits = counts.hits.entry(name).or_default();
        if rule.times.is_some_and(|times| *hits >= times) {
            return false;
        }
        *hits += 1;
        self.write_hits(&counts.hits);
        true
    }

    fn write_hits(&self, hits: &BTreeMap<String, u64>) {
        let text = serde_json::to_string_pretty(hits).unwrap_or_default();
        if let Err(e) = std::fs::write(self.path.with_file_name("faults.hits.json"), text) {
            tracing::warn!(error = %e, "the counts of injected faults cannot be written");
        }
    }

    /// How often each rule struck.
    pub fn hits(&self) -> BTreeMap<String, u64> {
        self.counts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .hits
            .clone()
    }
}

fn strike(rule: &Rule, plan: &Path) -> Strike {
    Strike {
        flip: rule.flip,
        hold: rule.hold.as_ref().map(|name| plan.with_file_name(name)),
        hang: rule.hang_ms.map(Duration::from_millis),
        drop: rule.drop,
        disk_full: rule.disk_full || rule.on.eq_ignore_ascii_case("disk_full"),
        error: rule.error.map(|number| {
            let known = super::errors::message(number, &[]);
            let text = rule.message.clone().unwrap_or(known.text);
            raw_error(number, known.class.max(11), known.state, text)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_as_often_as_it_says() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("faults.json"),
            r#"{"rules":[{"on":"backup","database":"ADSync","error":823,"times":1}]}"#,
        )
        .unwrap();
        let faults = Faults::new(dir.path());
        assert!(faults.strike("backup", "model", "", None).is_none());
        let strike = faults.strike("backup", "adsync", "", None).unwrap();
        assert_eq!(strike.error.unwrap().number(), 823);
        assert!(faults.strike("backup", "ADSync", "", None).is_none());
        assert_eq!(faults.hits().values().sum::<u64>(), 1);
    }

    #[test]
    fn no_plan_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Faults::new(dir.path()).strike("login", "", "", None).is_none());
        std::fs::write(dir.path().join("faults.json"), "{").unwrap();
        assert!(Faults::new(dir.path()).strike("login", "", "", None).is_none());
    }
}
