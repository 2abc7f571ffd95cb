//! What goes wrong on demand: `faults.json` in the host's folder, read anew each time it matters.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::breakdown::{self, Breakdown};
use super::files;

/// The fault plan. Everything absent is well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// `msiexec` ends with this code: 1602, 1603, 1618, 3010 … (3010 is a success that wants a reboot).
    pub msi_exit: Option<i32>,
    /// How often; `None` is always.
    pub msi_times: Option<u32>,
    /// The ADSync service does not start: 1053, 1069 …
    pub service_start: Option<u32>,
    /// PowerShell takes this long before it answers.
    pub powershell_delay_ms: Option<u64>,
    /// PowerShell prints nothing and exits with 0, as a stub does.
    pub powershell_silent: bool,
    /// Setup breaks down in a way that is known of it: a name of `breakdown.rs`.
    pub breakdown: Option<String>,
    /// The wizard ends with this error on its last page.
    pub wizard_configure: Option<String>,
    /// The first cycle after the installation reads everything, although nothing says that it must.
    pub full_first_cycle: bool,
    /// The domain does not give this machine the password of the managed account.
    pub account_not_usable: bool,
    /// A policy denies the service account the logon as a service.
    pub service_logon_denied: bool,
    /// No domain controller answers this machine.
    pub directory_silent: bool,
    /// Names of SQL Server are registered for a second account as well.
    pub spn_twice: bool,
    /// The size of drives, `D:` to bytes, so that they are full.
    pub drive_bytes: BTreeMap<String, u64>,
}

impl Faults {
    /// Reads the plan of a host's folder; a missing file is no faults.
    pub fn load(dir: &Path) -> io::Result<Faults> {
        files::load(&dir.join("faults.json"))
    }

    /// Writes the plan of a host's folder.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        files::save(&dir.join("faults.json"), self)
    }

    /// The breakdown that setup is in for; a name that nobody knows is none, and is told.
    pub(crate) fn broken_down(&self) -> Option<&'static Breakdown> {
        let name = self.breakdown.as_deref()?;
        let known = breakdown::named(name);
        if known.is_none() {
            tracing::warn!(name, "there is no breakdown of that name");
        }
        known
    }

    /// Takes the exit code that the next `msiexec` ends with, and counts it down.
    pub(crate) fn take_msi_exit(dir: &Path) -> io::Result<Option<i32>> {
        let mut faults = Faults::load(dir)?;
        let exit = faults.msi_exit;
        if let (Some(_), Some(times)) = (exit, faults.msi_times) {
            faults.msi_times = Some(times.saturating_sub(1));
            if times <= 1 {
                faults.msi_exit = None;
                faults.msi_times = None;
            }
            faults.save(dir)?;
        }
        Ok(exit)
    }
}
