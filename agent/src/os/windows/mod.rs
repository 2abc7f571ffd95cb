//! Windows: the machine, Connect, Windows Installer and Windows PowerShell, as they are. What Windows answers is read here;
//! what an answer means stands in `connect/`, where every system can test it.

mod exports;
mod folders;
mod local_db;
mod machine;
mod msiexec;
mod powershell;
mod registry;
mod services;
mod wizard;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use syncferry_shared::account::{AccountFacts, AccountRequest};
use syncferry_shared::exports::ExportList;
use syncferry_shared::inventory::{ConnectFacts, ConnectParameters, HostFacts, ProductFacts};
use syncferry_win32::{installer, signature};

use crate::connect::account;
use crate::connect::script;
use crate::connect::script::Script;
use crate::connect::{UPGRADE_ENGINE, UPGRADE_WIZARD, powershell_json};
use crate::host::{Host, HostError, MsiExit, WizardSight};

pub use folders::make_private;
pub use local_db::local_databases;
pub use powershell::run as run_script;
pub use services::facts as service_facts;

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Native;

/// The synchronisation service.
const ADSYNC: &str = "ADSync";
const KEY_PARAMETERS: &str = r"SYSTEM\CurrentControlSet\Services\ADSync\Parameters";
const KEY_COEXISTENCE: &str = r"SOFTWARE\Microsoft\MSOLCoExistence";
/// How long a query may take: loading the ADSync module alone takes seconds.
const QUERY_LIMIT: Duration = Duration::from_secs(120);
/// How long a directory may take: everything else that a plan asks of this host waits for it.
const DIRECTORY_LIMIT: Duration = Duration::from_secs(30);

/// Windows' own words for an error of a call.
fn refused(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> HostError {
    let what = what.into();
    move |e| HostError::Os {
        what,
        error: e.to_string(),
    }
}

/// Runs what blocks where it holds nobody up.
async fn aside<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(HostError::Os {
            what: what.to_string(),
            error: e.to_string(),
        }),
    }
}

/// ERROR_UNKNOWN_PRODUCT.
const UNKNOWN_PRODUCT: i32 = 1605;

/// A property of a product. One that is listed and not known yet, or not any more, is just being installed or removed: the wizard
/// does that while we look.
fn property(product_code: &str, name: &str) -> std::io::Result<Option<String>> {
    match installer::property(product_code, name) {
        Err(e) if e.raw_os_error() == Some(UNKNOWN_PRODUCT) => Ok(None),
        read => read,
    }
}

/// Products of Connect: the wizard first, then the engine. Others are nobody's business.
fn products() -> Result<Vec<ProductFacts>, HostError> {
    let what = || "the list of installed products".to_string();
    let mut found = Vec::new();
    for upgrade_code in [UPGRADE_WIZARD, UPGRADE_ENGINE] {
        for product_code in installer::related(upgrade_code).map_err(refused(what()))? {
            let property = |name: &str| property(&product_code, name).map_err(refused(what()));
            if let (Some(name), Some(version)) = (property("ProductName")?, property("VersionString")?) {
                found.push(ProductFacts {
                    name,
                    version,
                    product_code: product_code.clone(),
                });
            }
        }
    }
    Ok(found)
}

/// The engine's own version; `None` while it is not installed.
fn engine_version() -> Result<Option<syncferry_shared::ConnectVersion>, HostError> {
    let what = || "the engine's version".to_string();
    let codes = installer::related(UPGRADE_ENGINE).map_err(refused(what()))?;
    let Some(code) = codes.first() else { return Ok(None) };
    let version = property(code, "VersionString").map_err(refused(what()))?;
    Ok(version.and_then(|v| v.parse().ok()))
}

/// `ADSync\Parameters`; `None` while the wizard has not written them.
fn parameters() -> Result<Option<ConnectParameters>, HostError> {
    let value = |name| registry::text(KEY_PARAMETERS, name);
    Ok(match (value("Server")?, value("DBName")?) {
        (Some(server), Some(database)) => Some(ConnectParameters {
            server,
            instance: value("SQLInstance")?.unwrap_or_default(),
            database,
        }),
        _ => None,
    })
}

async fn query(script: Script) -> Result<serde_json::Value, HostError> {
    powershell::run(script, &[], QUERY_LIMIT).await
}

fn unusable(script: Script) -> impl FnOnce(powershell_json::PowerShellError) -> HostError {
    move |e| HostError::Answer {
        what: format!("the script {}", script.name),
        reason: e.to_string(),
    }
}

#[async_trait]
impl Host for Native {
    async fn facts(&self) -> Result<HostFacts, HostError> {
        aside("the machine", machine::facts).await
    }

    fn local_path(&self, path: &str) -> PathBuf {
        PathBuf::from(path)
    }

    fn join(&self, folder: &str, name: &str) -> String {
        format!("{}\\{name}", folder.trim_end_matches('\\'))
    }

    async fn free_space(&self, path: &str) -> Result<u64, HostError> {
        let path = PathBuf::from(path);
        aside("free space", move || folders::free_space(&path)).await
    }

    async fn secure_dir(&self, path: &str, accounts: &[String]) -> Result<(), HostError> {
        let (path, accounts) = (PathBuf::from(path), accounts.to_vec());
        aside("access lists", move || folders::make_private(&path, &accounts)).await
    }

    async fn connect_facts(&self) -> Result<ConnectFacts, HostError> {
        let mut facts = aside("Connect", || {
            Ok(ConnectFacts {
                products: products()?,
                service: services::facts(ADSYNC)?,
                parameters: parameters()?,
                version: engine_version()?,
                service_account_type: registry::text(KEY_COEXISTENCE, "ServiceAccountType")?,
                scheduler: None,
                auto_upgrade: None,
            })
        })
        .await?;
        // Without a running service, or when the module does not answer, PowerShell has nothing to say: a fact, no failure.
        if facts.service.as_ref().is_some_and(|s| s.state == services::RUNNING) {
            match query(script::SCHEDULER).await {
                Ok(value) => facts.scheduler = powershell_json::scheduler_of(&value).ok(),
                Err(e) => tracing::warn!("Get-ADSyncScheduler: {e}"),
            }
            match query(script::AUTO_UPGRADE).await {
                Ok(value) => {
                    facts.auto_upgrade = value
                        .get("State")
                        .and_then(serde_json::Value::as_str)
                        .map(str::to_string)
                }
                Err(e) => tracing::warn!("Get-ADSyncAutoUpgrade: {e}"),
            }
        }
        Ok(facts)
    }

    async fn account(&self, request: &AccountRequest) -> Result<AccountFacts, HostError> {
        let machine = aside("the machine", machine::facts).await?;
        // A name goes into a filter: what no name has is not looked up.
        let plain = |s: &&String| s.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:/".contains(&b));
        let spns: Vec<String> = request.spns.iter().filter(plain).cloned().collect();
        let (name, spns) = (account::quoted(&request.account), account::quoted(&spns.join("\n")));
        let values = [("ACCOUNT", name.as_str()), ("SPNS", spns.as_str())];
        let answer = powershell::run(script::SERVICE_ACCOUNT, &values, DIRECTORY_LIMIT).await?;
        Ok(account::read(request, &machine.computer_name, &answer))
    }

    async fn pending_exports(&self) -> Result<ExportList, HostError> {
        exports::list(&self.connectors().await?).await
    }

    async fn connectors(&self) -> Result<Vec<String>, HostError> {
        let value = query(script::CONNECTORS).await?;
        powershell_json::connectors_of(&value).map_err(unusable(script::CONNECTORS))
    }

    async fn set_sync_cycle(&self, enabled: bool) -> Result<(), HostError> {
        let word = if enabled { "true" } else { "false" };
        let value = powershell::run(script::SET_SYNC_CYCLE, &[("ENABLED", word)], QUERY_LIMIT).await?;
        // The cmdlet says nothing; the script looks at what it did.
        if value.get("SyncCycleEnabled").and_then(serde_json::Value::as_bool) == Some(enabled) {
            Ok(())
        } else {
            Err(HostError::Answer {
                what: format!("Set-ADSyncScheduler -SyncCycleEnabled ${word}"),
                reason: "Get-ADSyncScheduler shows the old value".to_string(),
            })
        }
    }

    async fn stop_sync_service(&self) -> Result<(), HostError> {
        aside("stopping ADSync", || services::stop(ADSYNC)).await
    }

    async fn start_sync_service(&self) -> Result<(), HostError> {
        aside("starting ADSync", || services::start(ADSYNC)).await
    }

    async fn set_sync_service_start(&self, start: &str) -> Result<(), HostError> {
        let start = start.to_string();
        aside("how ADSync starts", move || services::set_start(ADSYNC, &start)).await
    }

    async fn signature_trusted(&self, path: &str) -> Result<Option<bool>, HostError> {
        let path = PathBuf::from(path);
        aside("the signature", move || {
            let verdict = signature::verify(&path).map_err(refused("WinVerifyTrust"))?;
            tracing::debug!(path = %path.display(), verdict, "WinVerifyTrust");
            Ok(Some(verdict == 0))
        })
        .await
    }

    async fn install_msi(&self, path: &str, log: &str) -> Result<MsiExit, HostError> {
        msiexec::run("/i", path, log).await
    }

    async fn uninstall_msi(&self, product_code: &str, log: &str) -> Result<MsiExit, HostError> {
        msiexec::run("/x", product_code, log).await
    }

    async fn wizard(&self) -> Result<WizardSight, HostError> {
        aside("the wizard", wizard::sight).await
    }
}

/// A program of Windows by its absolute path: the search path is somebody else's.
fn system_program(relative: &str) -> PathBuf {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    Path::new(&root).join("System32").join(relative)
}

/// Waits until somebody wants the process to end: Ctrl-C, Ctrl-Break, the console's end. As a service, the service manager
/// tells `service` instead.
pub async fn stop_signal() {
    use tokio::signal::windows::{ctrl_break, ctrl_close};
    let (Ok(mut by_break), Ok(mut by_close)) = (ctrl_break(), ctrl_close()) else {
        // No handler could be set: then only Ctrl-C ends it politely.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = by_break.recv() => {}
        _ = by_close.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_says_who_it_is() {
        let facts = Native.facts().await.unwrap();
        assert!(!facts.computer_name.is_empty());
        assert!(facts.os.contains("Windows"), "{}", facts.os);
        assert_eq!(facts.boot_id, Native.facts().await.unwrap().boot_id);
        assert!(facts.memory_mb.unwrap() > 64);
    }

    #[tokio::test]
    async fn a_machine_without_connect_says_so() {
        let facts = Native.connect_facts().await.unwrap();
        assert_eq!(facts.service, None);
        assert_eq!(facts.parameters, None);
        assert_eq!(facts.scheduler, None);
        assert!(!Native.wizard().await.unwrap().running);
    }

    #[tokio::test]
    async fn folders_are_made_and_have_space() {
        let dir = tempfile::tempdir().unwrap();
        let path = Native.join(dir.path().to_str().unwrap(), "a");
        assert!(
            Native.free_space(&path).await.unwrap() > 0,
            "a folder that is still to be made"
        );
        Native.secure_dir(&path, &[]).await.unwrap();
        Native.secure_dir(&path, &["SYSTEM".into()]).await.unwrap();
        assert!(Path::new(&path).is_dir());
        let e = Native.secure_dir(&path, &[r"NOWHERE\nobody".into()]).await.unwrap_err();
        assert!(e.to_string().contains(r"NOWHERE\nobody"), "{e}");
    }

    #[tokio::test]
    async fn what_is_not_signed_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.msi");
        std::fs::write(&path, "no installer").unwrap();
        assert_eq!(
            Native.signature_trusted(path.to_str().unwrap()).await.unwrap(),
            Some(false)
        );
    }
}
