//! Linux: facts from /proc and the C library. SQL Server runs here, Connect does not.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::Gid;
use syncferry_shared::inventory::{ConnectFacts, HostFacts};

use crate::host::{Host, HostError, MsiExit, WizardSight};

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Native;

/// Connect and everything around it exists on Windows only.
const CONNECT: HostError = HostError::Unsupported("Microsoft Entra Connect");

fn refused(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> HostError {
    let what = what.into();
    move |e| HostError::Os {
        what,
        error: e.to_string(),
    }
}

fn read(path: &str) -> Result<String, HostError> {
    let text = std::fs::read_to_string(path).map_err(refused(format!("reading {path}")))?;
    match text.trim() {
        "" => Err(HostError::Answer {
            what: path.to_string(),
            reason: "it is empty".into(),
        }),
        text => Ok(text.to_string()),
    }
}

/// A value of a file with `KEY=value` or `Key: value` lines.
fn field(text: &str, key: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(key)?.trim_start().strip_prefix(['=', ':']))?;
    Some(line.trim().trim_matches('"').to_string())
}

/// The nearest folder above that exists: a staging folder may still have to be made.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|p| p.exists()).unwrap_or(path)
}

/// The primary group of a local account.
fn group_of(account: &str) -> Result<Gid, HostError> {
    let passwd = read("/etc/passwd")?;
    let mut entries = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>());
    let entry = entries.find(|e| e.first() == Some(&account));
    let gid = entry.and_then(|e| e.get(3)?.parse().ok());
    gid.map(Gid::from_raw).ok_or_else(|| HostError::Answer {
        what: format!("the account '{account}'"),
        reason: "it is not in /etc/passwd".into(),
    })
}

#[async_trait]
impl Host for Native {
    async fn facts(&self) -> Result<HostFacts, HostError> {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_kb = field(&memory, "MemTotal").and_then(|m| m.split(' ').next()?.parse::<u64>().ok());
        let domain = read("/proc/sys/kernel/domainname").ok().filter(|d| d != "(none)");
        Ok(HostFacts {
            computer_name: read("/proc/sys/kernel/hostname")?,
            os: field(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
            os_version: rustix::system::uname().release().to_string_lossy().into_owned(),
            domain,
            boot_id: read("/proc/sys/kernel/random/boot_id")?,
            memory_mb: memory_kb.map(|kb| kb / 1024),
            ..HostFacts::default()
        })
    }

    fn local_path(&self, path: &str) -> PathBuf {
        PathBuf::from(path)
    }

    fn join(&self, folder: &str, name: &str) -> String {
        format!("{}/{name}", folder.trim_end_matches('/'))
    }

    async fn free_space(&self, path: &str) -> Result<u64, HostError> {
        let volume = rustix::fs::statvfs(existing(Path::new(path)))
            .map_err(|e| refused(format!("asking for free space at {path}"))(e.into()))?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }

    async fn secure_dir(&self, path: &str, accounts: &[String]) -> Result<(), HostError> {
        let what = || format!("making {path} private");
        let mode = if accounts.is_empty() { 0o700 } else { 0o770 };
        if !Path::new(path).exists() {
            let mut builder = std::fs::DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(refused(what()))?;
        }
        // A folder here has one group, so one account besides our own can be let in.
        match accounts {
            [] => {}
            [account] => {
                let gid = group_of(account)?;
                rustix::fs::chown(path, None, Some(gid)).map_err(|e| refused(what())(e.into()))?;
            }
            _ => return Err(HostError::Unsupported("letting more than one account into a folder")),
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(refused(what()))
    }

    async fn connect_facts(&self) -> Result<ConnectFacts, HostError> {
        Err(CONNECT)
    }

    async fn connectors(&self) -> Result<Vec<String>, HostError> {
        Err(CONNECT)
    }

    async fn set_sync_cycle(&self, _enabled: bool) -> Result<(), HostError> {
        Err(CONNECT)
    }

    async fn signature_trusted(&self, _path: &str) -> Result<Option<bool>, HostError> {
        Ok(None)
    }

    async fn install_msi(&self, _path: &str, _log: &str) -> Result<MsiExit, HostError> {
        Err(HostError::Unsupported("Windows Installer"))
    }

    async fn uninstall_msi(&self, _product_code: &str, _log: &str) -> Result<MsiExit, HostError> {
        Err(HostError::Unsupported("Windows Installer"))
    }

    async fn wizard(&self) -> Result<WizardSight, HostError> {
        Err(CONNECT)
    }
}

/// Waits until somebody wants the process to end: Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // No handler could be set: then only Ctrl-C ends it politely.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_says_who_it_is() {
        let facts = Native.facts().await.unwrap();
        assert!(!facts.computer_name.is_empty());
        assert_eq!(facts.boot_id.len(), 36);
        assert_eq!(facts.boot_id, Native.facts().await.unwrap().boot_id);
        assert!(Native.connect_facts().await.is_err());
    }

    #[tokio::test]
    async fn folders_are_private_and_have_space() {
        let dir = tempfile::tempdir().unwrap();
        let path = Native.join(dir.path().to_str().unwrap(), "a");
        let path = Native.join(&path, "b");
        assert!(
            Native.free_space(&path).await.unwrap() > 0,
            "a folder that is still to be made"
        );
        Native.secure_dir(&path, &[]).await.unwrap();
        Native.secure_dir(&path, &[]).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(Native.secure_dir(&path, &["nobody-here".into()]).await.is_err());
    }

    #[test]
    fn fields_of_files() {
        assert_eq!(
            field("A=1\nPRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME").as_deref(),
            Some("Debian 12")
        );
        assert_eq!(field("MemTotal:       16 kB", "MemTotal").as_deref(), Some("16 kB"));
        assert_eq!(field("X=1", "Y"), None);
    }
}
