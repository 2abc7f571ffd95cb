//! The configuration of an ADSync database, part by part: connectors, rules, settings, and what could not be read of it and why.
//! Nothing of it is a secret: columns that hold credentials are never read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;

/// The configuration of one ADSync database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncConfig {
    /// The connectors, by name.
    pub connectors: Vec<ConnectorConfig>,
    /// The synchronisation rules, by connector, direction and precedence; `None` when they could not be read.
    pub rules: Option<Vec<RuleConfig>>,
    /// Settings by their full name, without those that change with every cycle.
    pub settings: BTreeMap<String, String>,
    /// Connector-space objects whose connector is in no list: rows of a connector that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stray_objects: Option<i64>,
}

/// One connector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectorConfig {
    /// `ma_name`.
    pub name: String,
    /// `ma_id`.
    pub id: Option<Uuid>,
    /// `AD`, `Entra`, or what `ma_type` says.
    pub kind: String,
    /// The forest of an AD connector.
    pub forest: Option<String>,
    /// The end of its newest completed run, in UTC.
    pub last_sync: Option<Millis>,
    /// Objects in its connector space.
    pub objects: Option<i64>,
    /// What it is to export.
    pub pending: Option<PendingExports>,
    /// Whether a full import is flagged.
    pub full_import_required: Option<bool>,
    /// Whether a full synchronisation is flagged.
    pub full_sync_required: Option<bool>,
    /// The attributes that are included, sorted.
    pub attributes: Option<Vec<String>>,
    /// Its partitions: which are selected, and what is filtered in each.
    pub partitions: Option<Vec<PartitionConfig>>,
}

/// Exports that wait at a connector. The numbers of `export_operation` are not published; these are those of the product's
/// ancestor, and a number that is not known is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PendingExports {
    /// Objects to be added.
    pub adds: i64,
    /// Objects to be changed.
    pub updates: i64,
    /// Objects to be deleted.
    pub deletes: i64,
    /// Objects with an operation that is not known.
    pub other: i64,
}

impl PendingExports {
    /// Counts `count` objects with a value of `export_operation`.
    pub fn count(&mut self, operation: i64, count: i64) {
        match operation {
            0 => {}
            1 => self.adds += count,
            2 | 3 => self.updates += count,
            4 | 5 => self.deletes += count,
            _ => self.other += count,
        }
    }
    /// All of them.
    pub fn total(self) -> i64 {
        self.adds + self.updates + self.deletes + self.other
    }
    /// For people: `2 adds, 10 updates, 0 deletes`.
    pub fn shown(self) -> String {
        let mut text = format!("{} adds, {} updates, {} deletes", self.adds, self.updates, self.deletes);
        if self.other > 0 {
            text.push_str(&format!(", {} of another kind", self.other));
        }
        text
    }
}

/// A partition of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionConfig {
    /// Its name, usually the domain's distinguished name.
    pub name: String,
    /// Whether it is selected.
    pub selected: Option<bool>,
    /// What is filtered: the containers that are named, each with its sign; or a digest where the text is not understood.
    pub filter: Vec<String>,
}

/// A synchronisation rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleConfig {
    /// Its name.
    pub name: String,
    /// The connector's name, or its id where no connector has it.
    pub connector: String,
    /// `in` or `out`; `None` where no column says so.
    pub direction: Option<String>,
    /// Its precedence.
    pub precedence: Option<i64>,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
    /// Whether it is one of Microsoft's own; `None` where the tag's column is not found.
    pub standard: Option<bool>,
    /// Its attribute flows, `destination <- source`, sorted; `None` where the text is not understood.
    pub flows: Option<Vec<String>>,
    /// BLAKE3 of the rule's text without name and precedence: scoping filter, join conditions and flows.
    pub digest: Option<String>,
}

/// A fact that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Which fact, for example `custom rules`.
    pub fact: String,
    /// Why it is not known.
    pub why: String,
}

/// Settings that every cycle changes, or that differ between servers by their nature.
const RESTLESS: &[&str] = &[
    "Microsoft.Synchronize.NextStartTime",
    "Microsoft.Synchronize.SchedulerSuspended",
];

/// Whether a setting belongs to the configuration.
pub fn is_configuration(name: &str) -> bool {
    !RESTLESS.iter().any(|r| r.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_and_none_is_lost() {
        let mut pending = PendingExports::default();
        for (operation, count) in [(0, 100), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (9, 7)] {
            pending.count(operation, count);
        }
        assert_eq!(
            pending,
            PendingExports {
                adds: 2,
                updates: 7,
                deletes: 11,
                other: 7
            }
        );
        assert_eq!(pending.total(), 27);
        assert_eq!(pending.shown(), "2 adds, 7 updates, 11 deletes, 7 of another kind");
    }

    #[test]
    fn what_changes_by_itself_is_no_configuration() {
        assert!(!is_configuration("microsoft.synchronize.nextstarttime"));
        assert!(is_configuration("Microsoft.UserSignIn.SignOnMethod"));
    }
}
