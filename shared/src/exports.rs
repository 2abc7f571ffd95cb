//! What a server would export, attribute by attribute, as its own tool lists it. Only names and numbers: no value of any object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sync_config::Unknown;

/// The most attributes that a line names.
const NAMED: usize = 12;

/// Pending exports of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExportList {
    /// By connector and operation: `add`, `update`, `delete`, `replace`, as the tool says it.
    pub connectors: BTreeMap<String, BTreeMap<String, OperationExports>>,
    /// What could not be listed, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown>,
}

/// Exports of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OperationExports {
    /// Objects.
    pub objects: i64,
    /// Objects by the attribute that is exported of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, i64>,
}

impl OperationExports {
    /// For people: `12 objects: mail 10, displayName 3`. The most frequent first.
    pub fn shown(&self) -> String {
        let mut all: Vec<(&String, &i64)> = self.attributes.iter().collect();
        all.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), name.to_lowercase()));
        let mut named: Vec<String> = all.iter().take(NAMED).map(|(name, n)| format!("{name} {n}")).collect();
        if all.len() > NAMED {
            named.push(format!("and {} more attributes", all.len() - NAMED));
        }
        let objects = match self.objects {
            1 => "1 object".to_string(),
            n => format!("{n} objects"),
        };
        if named.is_empty() {
            return objects;
        }
        format!("{objects}: {}", named.join(", "))
    }
}

impl ExportList {
    /// Objects of a connector by operation, in the words in which what the database counts is shown.
    pub fn counted(&self, connector: &str) -> BTreeMap<String, i64> {
        let mut found = BTreeMap::new();
        for (operation, exports) in self.connectors.get(connector).into_iter().flatten() {
            let word = match operation.as_str() {
                "add" => "adds",
                "update" | "replace" => "updates",
                "delete" => "deletes",
                other => other,
            };
            *found.entry(word.to_string()).or_default() += exports.objects;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_attributes_are_named() {
        let mut o = OperationExports {
            objects: 20,
            attributes: (0..14).map(|n| (format!("a{n:02}"), 1)).collect(),
        };
        o.attributes.insert("mail".into(), 9);
        let shown = o.shown();
        assert!(shown.starts_with("20 objects: mail 9, a00 1, "), "{shown}");
        assert!(shown.ends_with("and 3 more attributes"), "{shown}");
        let bare = OperationExports {
            objects: 1,
            ..OperationExports::default()
        };
        assert_eq!(bare.shown(), "1 object");
        let by = BTreeMap::from(["update", "replace", "delete"].map(|o| (o.to_string(), bare.clone())));
        let list = ExportList {
            connectors: BTreeMap::from([("AAD".to_string(), by)]),
            unknown: vec![],
        };
        let counted: Vec<(String, i64)> = list.counted("AAD").into_iter().collect();
        assert_eq!(counted, [("deletes".to_string(), 1), ("updates".to_string(), 2)]);
        assert!(list.counted("another").is_empty());
    }
}
