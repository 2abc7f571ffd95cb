//! Windows Installer, run without its windows and with its verbose log.

use std::time::Duration;

use tokio::process::Command;

use super::{refused, system_program};
use crate::connect::{exit_code, msi_log};
use crate::host::{HostError, MsiExit};

/// Longer than any installation; one that hangs must not hold a migration for ever.
const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// `msiexec <verb> <what> /quiet /norestart /l*v <log>`. A time-out ends our wait and not the installation: that is done by a
/// service of Windows, and cutting it off would leave a half-installed product.
pub(super) async fn run(verb: &str, what: &str, log: &str) -> Result<MsiExit, HostError> {
    let program = system_program("msiexec.exe");
    let mut child = Command::new(&program)
        .args([verb, what, "/quiet", "/norestart", "/l*v", log])
        .spawn()
        .map_err(refused(format!("starting {}", program.display())))?;
    let status = match tokio::time::timeout(LIMIT, child.wait()).await {
        Ok(status) => status.map_err(refused("waiting for msiexec.exe"))?,
        Err(_) => {
            return Err(HostError::Timeout {
                what: format!("msiexec {verb} {what}"),
                seconds: LIMIT.as_secs(),
            });
        }
    };
    let code = status.code().ok_or_else(|| HostError::Answer {
        what: "msiexec.exe".to_string(),
        reason: "it ended without an exit code".to_string(),
    })?;
    let good = exit_code::explain(code).is_some_and(|e| e.verdict.is_done());
    let excerpt = match good {
        true => Vec::new(),
        // Without a log there is still the exit code.
        false => tokio::fs::read(log)
            .await
            .map(|bytes| msi_log::excerpt(&msi_log::text(&bytes)))
            .unwrap_or_default(),
    };
    Ok(MsiExit {
        code,
        log: log.to_string(),
        excerpt,
    })
}
