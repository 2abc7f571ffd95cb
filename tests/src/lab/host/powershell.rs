//! Windows PowerShell with the ADSync module, as far as scripts of an agent use it: one cmdlet per script, its
//! parameters, and a pipe into `Select-Object` or `ConvertTo-Json` that changes nothing here, because answers are JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Host;
use super::engine::Engine;
use super::layout::{KEY_PARAMETERS, LOCALDB, UPGRADE_ENGINE};
use super::sql::SqlFailure;

/// How `powershell.exe` ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerShellAnswer {
    /// The exit code.
    pub exit_code: i32,
    /// JSON, or nothing.
    pub stdout: String,
    /// What PowerShell writes in red.
    pub stderr: String,
}

/// A cmdlet with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    name: String,
    parameters: Vec<(String, String)>,
}

/// Runs a script.
pub async fn run(host: &Host, script: &str) -> PowerShellAnswer {
    let faults = host.faults();
    if let Some(ms) = faults.powershell_delay_ms {
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
    }
    if faults.powershell_silent {
        return PowerShellAnswer {
            exit_code: 0,
            stdout: String::new(),
            stderr: String::new(),
        };
    }
    let call = parse(script);
    match dispatch(host, &call).await {
        Ok(value) => PowerShellAnswer {
            exit_code: 0,
            stdout: if value.is_null() {
                String::new()
            } else {
                value.to_string()
            },
            stderr: String::new(),
        },
        Err(stderr) => PowerShellAnswer {
            exit_code: 1,
            stdout: String::new(),
            stderr,
        },
    }
}

async fn dispatch(host: &Host, call: &Call) -> Result<Value, String> {
    let known = [
        "get-adsyncscheduler",
        "set-adsyncscheduler",
        "get-adsyncconnector",
        "get-adsyncglobalsettings",
        "get-adsyncautoupgrade",
        "get-adsyncdatabaseconfiguration",
    ];
    let name = call.name.to_ascii_lowercase();
    let installed = host.look(|s| s.products.iter().any(|p| p.upgrade_code == UPGRADE_ENGINE));
    if !known.contains(&name.as_str()) || !installed {
        return Err(format!(
            "{0} : The term '{0}' is not recognized as the name of a cmdlet, function, script file, or operable program. \
             Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
            call.name
        ));
    }
    if name == "get-adsyncautoupgrade" {
        return Ok(auto_upgrade(host));
    }
    let engine = host.engine().await;
    let Some(engine) = engine.as_ref() else {
        return Err(format!(
            "{} : System.ServiceModel.EndpointNotFoundException: There was no endpoint listening at \
             net.pipe://localhost/ADSyncManagement that could accept the message.",
            call.name
        ));
    };
    let answer = match name.as_str() {
        "get-adsyncscheduler" => scheduler(host, engine).await,
        "set-adsyncscheduler" => return set_scheduler(host, call),
        "get-adsyncconnector" => connectors(host, engine).await,
        "get-adsyncglobalsettings" => global_settings(host, engine).await,
        _ => Ok(database_configuration(host)),
    };
    answer.map_err(|e| format!("{} : {e}", call.name))
}

/// The names and values of the database's global settings.
async fn settings(host: &Host, engine: &Engine) -> Result<Vec<(String, String)>, SqlFailure> {
    let rows = engine.ask(host, "EXEC dbo.mms_get_globalsettings").await?;
    Ok(rows
        .iter()
        .filter_map(|r| Some((r.first()?.text(), r.get(1)?.text())))
        .collect())
}

fn setting<'a>(settings: &'a [(String, String)], name: &str) -> &'a str {
    settings.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
}

async fn scheduler(host: &Host, engine: &Engine) -> Result<Value, SqlFailure> {
    let settings = settings(host, engine).await?;
    let staging = setting(&settings, "Microsoft.Synchronize.StagingMode").eq_ignore_ascii_case("true");
    // The wizard suspends the scheduler while it is open; nobody waits for a wizard that is busy.
    let suspended = host.wizard_open();
    let scheduler = host.look(|s| s.scheduler.clone());
    let next = OffsetDateTime::now_utc() + std::time::Duration::from_millis(host.machine().pace.cycle_every_ms);
    Ok(json!({
        "AllowedSyncCycleInterval": "00:30:00",
        "CurrentlyEffectiveSyncCycleInterval": "00:30:00",
        "CustomizedSyncCycleInterval": null,
        "NextSyncCyclePolicyType": scheduler.next_policy,
        "NextSyncCycleStartTimeInUTC": next.format(&Rfc3339).unwrap_or_default(),
        "PurgeRunHistoryInterval": "7.00:00:00",
        "SyncCycleEnabled": scheduler.sync_cycle_enabled,
        "MaintenanceEnabled": scheduler.maintenance_enabled,
        "StagingModeEnabled": staging,
        "SchedulerSuspended": suspended,
        "SyncCycleInProgress": engine.in_cycle(),
    }))
}

fn set_scheduler(host: &Host, call: &Call) -> Result<Value, String> {
    for (name, value) in &call.parameters {
        if !name.eq_ignore_ascii_case("SyncCycleEnabled") {
            return Err(format!(
                "Set-ADSyncScheduler : A parameter cannot be found that matches parameter name '{name}'."
            ));
        }
        let enabled = match value.to_ascii_lowercase().as_str() {
            "$true" | "true" | "1" => true,
            "$false" | "false" | "0" => false,
            _ => {
                return Err(format!(
                    "Set-ADSyncScheduler : Cannot convert value \"{value}\" to type \"System.Boolean\"."
                ));
            }
        };
        let changed = host.change(|s| {
            let changed = s.scheduler.sync_cycle_enabled != enabled;
            s.scheduler.sync_cycle_enabled = enabled;
            s.effects.scheduler_changes += u32::from(changed);
        });
        changed.map_err(|e| format!("Set-ADSyncScheduler : {e}"))?;
    }
    Ok(Value::Null)
}

async fn connectors(host: &Host, engine: &Engine) -> Result<Value, SqlFailure> {
    let rows = engine
        .ask(
            host,
            "SELECT ma_name, ma_id, ma_type, subtype FROM dbo.mms_management_agent ORDER BY ma_name",
        )
        .await?;
    let connector = |row: &super::sql::Row| {
        let text = |i: usize| row.get(i).map(super::sql::Cell::text).unwrap_or_default();
        json!({
            "Name": text(0),
            "Identifier": text(1).to_ascii_lowercase(),
            "Type": text(2),
            "Subtype": text(3),
            "ConnectorTypeName": text(2),
        })
    };
    Ok(Value::Array(rows.iter().map(connector).collect()))
}

async fn global_settings(host: &Host, engine: &Engine) -> Result<Value, SqlFailure> {
    let settings = settings(host, engine).await?;
    let rows = engine
        .ask(host, "SELECT instance_id FROM dbo.mms_server_configuration")
        .await?;
    let instance = rows.first().and_then(|r| r.first()).map(super::sql::Cell::text);
    let parameters: Vec<Value> = settings.iter().map(|(n, v)| json!({ "Name": n, "Value": v })).collect();
    Ok(json!({
        "Version": setting(&settings, "Microsoft.Synchronize.ServerConfigurationVersion"),
        "InstanceId": instance.unwrap_or_default().to_ascii_lowercase(),
        "SqlSchemaVersion": 616,
        "Parameters": parameters,
    }))
}

fn database_configuration(host: &Host) -> Value {
    host.look(|s| {
        let text = |name| s.registry.text(KEY_PARAMETERS, name);
        json!({
            "IsLocalDBInstalled": text("Server").eq_ignore_ascii_case(LOCALDB),
            "LocalDBUsedSpaceInMb": null,
            "SqlServerName": text("Server"),
            "SqlServerInstanceName": text("SQLInstance"),
            "SqlServerDBName": text("DBName"),
        })
    })
}

fn auto_upgrade(host: &Host) -> Value {
    let local = host.look(|s| s.registry.text(KEY_PARAMETERS, "Server").eq_ignore_ascii_case(LOCALDB));
    if local {
        json!({ "AutoUpgradeState": "Enabled", "SuspensionReason": null })
    } else {
        json!({ "AutoUpgradeState": "Suspended", "SuspensionReason": "UpgradeNotSupportedNonLocalDbInstall" })
    }
}

/// The first cmdlet of a script that is no `Import-Module`, with its parameters up to the first pipe.
fn parse(script: &str) -> Call {
    let statement = script
        .split([';', '\n'])
        .map(str::trim)
        .find(|s| !s.is_empty() && !s.to_ascii_lowercase().starts_with("import-module") && !s.starts_with('$'))
        .unwrap_or_default();
    let command = statement.split('|').next().unwrap_or_default();
    // `(Get-ADSyncScheduler)` and `@(Get-ADSyncConnector)` are the same to us.
    let command = command.trim().trim_start_matches(['@', '(']).trim_end_matches(')');
    let mut words = command.split_whitespace().peekable();
    let name = words.next().unwrap_or_default().to_string();
    let mut parameters = Vec::new();
    while let Some(word) = words.next() {
        let Some(parameter) = word.strip_prefix('-') else {
            continue;
        };
        let (parameter, inline) = match parameter.split_once(':') {
            Some((p, v)) => (p, Some(v.to_string())),
            None => (parameter, None),
        };
        let value = inline.or_else(|| words.next_if(|w| !w.starts_with('-')).map(str::to_string));
        parameters.push((parameter.to_string(), value.unwrap_or_else(|| "$true".into())));
    }
    // -ErrorAction and friends are common parameters, not the cmdlet's own.
    parameters
        .retain(|(p, _)| !["erroraction", "detail", "verbose", "confirm"].contains(&p.to_ascii_lowercase().as_str()));
    Call { name, parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_up_to_the_pipe() {
        let call = parse("Import-Module ADSync; Set-ADSyncScheduler -SyncCycleEnabled $false -ErrorAction Stop");
        assert_eq!(call.name, "Set-ADSyncScheduler");
        assert_eq!(
            call.parameters,
            [("SyncCycleEnabled".to_string(), "$false".to_string())]
        );
        assert_eq!(
            parse("@(Get-ADSyncConnector | Select-Object Name) | ConvertTo-Json").name,
            "Get-ADSyncConnector"
        );
        assert_eq!(
            parse("Set-ADSyncScheduler -SyncCycleEnabled:$true").parameters,
            [("SyncCycleEnabled".to_string(), "$true".to_string())]
        );
    }
}
