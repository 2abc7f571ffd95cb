//! What was done to the machine, counted: `effects.json` in the host's folder. "Nothing twice" is proven with it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;

/// The counts since the machine was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effects {
    /// Completed installations.
    pub msi_installs: u32,
    /// Installations that failed.
    pub msi_failures: u32,
    /// Completed removals.
    pub msi_uninstalls: u32,
    /// Starts of the ADSync service.
    pub service_starts: u32,
    /// Stops of the ADSync service.
    pub service_stops: u32,
    /// Calls of `Set-ADSyncScheduler` that changed something.
    pub scheduler_changes: u32,
    /// Wizards that were started.
    pub wizards_started: u32,
    /// Wizards that reached "Configuration complete".
    pub wizards_completed: u32,
    /// Finished synchronisation cycles.
    pub sync_cycles: u32,
    /// Exports among them: none in staging mode.
    pub exports: u32,
    /// Reboots.
    pub reboots: u32,
}

impl Effects {
    /// Reads the counts of a host's folder.
    pub fn load(dir: &Path) -> io::Result<Effects> {
        files::load(&dir.join("effects.json"))
    }
}
