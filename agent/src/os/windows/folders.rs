//! Folders: free space, and who may use them.

use std::path::Path;

use syncferry_win32::{access, machine};

use super::refused;
use crate::host::HostError;

/// The nearest folder above that exists: a staging folder may still have to be made.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|p| p.is_dir()).unwrap_or(path)
}

pub(super) fn free_space(path: &Path) -> Result<u64, HostError> {
    machine::free_space(existing(path)).map_err(refused(format!("asking for free space at {}", path.display())))
}

/// Full rights for the system, administrators and this agent; reading, writing and deleting for the accounts. Nobody else, and
/// nothing inherited. Files in it inherit the list.
pub fn make_private(path: &Path, accounts: &[String]) -> Result<(), HostError> {
    let what = || format!("making {} private", path.display());
    let own = access::own_sid().map_err(refused(what()))?;
    let mut sddl = format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{own})");
    for account in accounts {
        let sid = access::sid_of(account).map_err(refused(format!("{}: the account '{account}'", what())))?;
        // Modify: everything but changing the list and taking ownership.
        sddl += &format!("(A;OICI;0x1301bf;;;{sid})");
    }
    std::fs::create_dir_all(path).map_err(refused(what()))?;
    access::set_access(path, &sddl).map_err(refused(what()))
}
