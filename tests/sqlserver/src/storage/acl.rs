//! `.acl.json` in a drive's root: who may read and write which folder, which files somebody holds, how big the drive is.
//!
//! ```json
//! { "folders": { "Stage\\run42": { "read": ["*"], "write": ["NT SERVICE\\ADSync"] } },
//!   "locked": ["Stage\\x.bak"], "total_bytes": 1073741824 }
//! ```
//!
//! The nearest folder above a path that has an entry decides; the drive itself is `""`. Without an entry everybody may do
//! everything. Write the file under another name and rename it, so that nobody reads half of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table::same_name;
use super::{Access, OsError};

/// The file's name in the root of a drive.
pub(crate) const ACL_FILE: &str = ".acl.json";

/// Who may use a folder; `*` is everybody.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct FolderRule {
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
}

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct DriveRules {
    #[serde(default)]
    folders: BTreeMap<String, FolderRule>,
    #[serde(default)]
    locked: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total_bytes: Option<u64>,
}

impl DriveRules {
    /// A missing file allows everything; one that cannot be read allows nothing.
    pub(crate) fn load(root: &Path) -> Result<DriveRules, OsError> {
        match fs::read(root.join(ACL_FILE)) {
            Ok(json) => serde_json::from_slice(&json).map_err(|_| OsError::AccessDenied),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(DriveRules::default()),
            Err(e) => Err(e.into()),
        }
    }

    pub(crate) fn save(&self, root: &Path) -> Result<(), OsError> {
        let json = serde_json::to_vec_pretty(self).map_err(|_| OsError::IoDevice)?;
        Ok(super::atomic::write(&root.join(ACL_FILE), &json)?)
    }

    pub(crate) fn set_folder(&mut self, parts: &[String], read: &[&str], write: &[&str]) {
        let folder = parts.join("\\");
        self.folders.retain(|name, _| !same_name(&normal(name), &folder));
        let accounts = |list: &[&str]| list.iter().map(|a| (*a).to_string()).collect();
        self.folders.insert(
            folder,
            FolderRule {
                read: accounts(read),
                write: accounts(write),
            },
        );
    }

    pub(crate) fn allows(&self, parts: &[String], account: &str, access: Access) -> bool {
        let above = (0..=parts.len()).rev().map(|depth| parts[..depth].join("\\"));
        let rule = above.into_iter().find_map(|folder| {
            let entry = self.folders.iter().find(|(name, _)| same_name(&normal(name), &folder));
            entry.map(|(_, rule)| rule)
        });
        let Some(rule) = rule else { return true };
        let accounts = match access {
            Access::Read => &rule.read,
            Access::Write => &rule.write,
        };
        accounts.iter().any(|a| a == "*" || same_name(a, account))
    }

    pub(crate) fn is_locked(&self, parts: &[String]) -> bool {
        let path = parts.join("\\");
        self.locked.iter().any(|name| same_name(&normal(name), &path))
    }
}

/// `\Stage\` and `Stage/` are `Stage`.
fn normal(folder: &str) -> String {
    folder.replace('/', "\\").trim_matches('\\').to_string()
}
