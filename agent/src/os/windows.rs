//! Windows: for now only what needs no Windows API. Everything about Connect, services, the registry and Windows Installer
//! answers `Unsupported`, so that a job says what is missing and never guesses.

use std::path::PathBuf;

use async_trait::async_trait;
use syncferry_shared::inventory::{ConnectFacts, HostFacts};

use crate::host::{Host, HostError, MsiExit, WizardSight};

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Native;

const LATER: HostError = HostError::Unsupported("this part of the agent for Windows");

#[async_trait]
impl Host for Native {
    async fn facts(&self) -> Result<HostFacts, HostError> {
        Err(LATER)
    }

    fn local_path(&self, path: &str) -> PathBuf {
        PathBuf::from(path)
    }

    fn join(&self, folder: &str, name: &str) -> String {
        format!("{}\\{name}", folder.trim_end_matches('\\'))
    }

    async fn free_space(&self, _path: &str) -> Result<u64, HostError> {
        Err(LATER)
    }

    async fn secure_dir(&self, _path: &str, _accounts: &[String]) -> Result<(), HostError> {
        Err(LATER)
    }

    async fn connect_facts(&self) -> Result<ConnectFacts, HostError> {
        Err(LATER)
    }

    async fn connectors(&self) -> Result<Vec<String>, HostError> {
        Err(LATER)
    }

    async fn set_sync_cycle(&self, _enabled: bool) -> Result<(), HostError> {
        Err(LATER)
    }

    async fn signature_trusted(&self, _path: &str) -> Result<Option<bool>, HostError> {
        Ok(None)
    }

    async fn install_msi(&self, _path: &str, _log: &str) -> Result<MsiExit, HostError> {
        Err(LATER)
    }

    async fn uninstall_msi(&self, _product_code: &str, _log: &str) -> Result<MsiExit, HostError> {
        Err(LATER)
    }

    async fn wizard(&self) -> Result<WizardSight, HostError> {
        Err(LATER)
    }
}

/// Waits until somebody wants the process to end: Ctrl-C.
pub async fn stop_signal() {
    // No handler could be set: then the process ends when the service manager ends it.
    let _ = tokio::signal::ctrl_c().await;
}
