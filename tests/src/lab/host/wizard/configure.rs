//! "Ready to configure" → Install: staging mode is set in the database and the service starts.

use std::time::Duration;

use syncferry_shared::catalogue::Catalogue;

use super::super::Host;
use super::super::engine;
use super::super::engine::cycle::INITIAL;
use super::super::layout::{
    KEY_COEXISTENCE, KEY_PARAMETERS, LOCALDB, SERVICE, SERVICE_DISPLAY, VIRTUAL_ACCOUNT, account_type,
};
use super::super::services::{Service, ServiceAction, ServiceError, ServiceState, StartType};
use super::super::sql::literal;
use super::components::{INSTALLER, connect, installed_version};
use super::machine::SqlChoice;

/// Configures a server on an existing database. The new server is in staging mode, always.
pub(crate) async fn run(host: &Host, choice: &SqlChoice) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(host.machine().pace.configure_ms)).await;
    if let Some(error) = host.faults().wizard_configure {
        return Err(error);
    }
    let mut session = connect(host, choice, INSTALLER).await?;
    let version = installed_version(host);
    let used = session
        .run("SELECT value FROM dbo.mms_global_settings WHERE name = N'Microsoft.Synchronize.ServerConfigurationVersion'")
        .await
        .map_err(|e| e.to_string())?;
    let used = used
        .first()
        .and_then(|r| r.first())
        .map(|c| c.text())
        .unwrap_or_default();
    let mut result = Ok(());
    for (name, value) in [
        ("Microsoft.Synchronize.StagingMode", "True"),
        ("Microsoft.Synchronize.ServerConfigurationVersion", version.as_str()),
        ("Microsoft.OptionalFeature.AutoUpgradeState", "Suspended"),
        (
            "Microsoft.OptionalFeature.AutoUpgradeSuspensionReason",
            "UpgradeNotSupportedNonLocalDbInstall",
        ),
    ] {
        let update = format!(
            "UPDATE dbo.mms_global_settings SET value = {} WHERE name = {}",
            literal(value),
            literal(name)
        );
        result = session.run(&update).await.map(|_| ()).map_err(|e| e.to_string());
        if result.is_err() {
            break;
        }
    }
    session.close().await;
    result?;
    if host.faults().full_first_cycle || brings_full(&used, &version) {
        host.change(|s| s.scheduler.next_policy = INITIAL.into())
            .map_err(|e| e.to_string())?;
    }
    match engine::control(host, SERVICE, ServiceAction::Start).await {
        // Somebody pressed Install again after an error on the way.
        Ok(()) | Err(ServiceError::AlreadyRunning) => Ok(()),
        Err(error) => Err(format!(
            "Windows could not start the Microsoft Entra ID Sync service on Local Computer. {error}"
        )),
    }
}

/// Whether a newer version makes its first cycle a full one: its schema or its rules changed on the way.
fn brings_full(used: &str, installed: &str) -> bool {
    let (Ok(used), Ok(installed)) = (used.parse(), installed.parse()) else {
        return false;
    };
    let changes = Catalogue::embedded().changes(used, installed);
    changes.full_sync || changes.rules || changes.schema
}

/// What the express path leaves behind: a server of its own with an empty LocalDB, active. The mistake that the gate
/// looks for. The lab has no LocalDB for it, so its service does not get further than starting.
pub(crate) async fn express(host: &Host) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(host.machine().pace.configure_ms)).await;
    let changed = host.change(|s| {
        s.registry.set(KEY_PARAMETERS, "Server", LOCALDB);
        s.registry.set(KEY_PARAMETERS, "SQLInstance", r".\ADSync2022");
        s.registry.set(KEY_PARAMETERS, "DBName", "ADSync");
        s.registry
            .set(KEY_COEXISTENCE, "ServiceAccountType", account_type(VIRTUAL_ACCOUNT));
        s.put_service(Service {
            name: SERVICE.into(),
            display_name: SERVICE_DISPLAY.into(),
            state: ServiceState::StartPending,
            start: StartType::Automatic,
            account: VIRTUAL_ACCOUNT.into(),
        });
    });
    changed.map_err(|e| e.to_string())
}
