//! `plan`: writes the migration down and asks every host concerned. The plan itself is made when all have answered.

use syncferry_shared::inventory::InspectionRequest;
use syncferry_shared::plan::{PlanRequest, Scenario};
use syncferry_shared::{HostId, MigrationId};
use syncferry_store::{Host, HostRole, Migration, NewMigration, Tx};

use crate::core::{Core, migration_event};
use crate::problem::Problem;
use crate::wake::HostReason;
use crate::{find, inspect};

/// What an operator typed.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// The scenario's name.
    pub scenario: String,
    /// The site, by name or id.
    pub site: String,
    /// The database, by name or id.
    pub source: String,
    /// The SQL host.
    pub target_host: String,
    /// The instance there.
    pub target_instance: String,
    /// The name there; empty for the source's.
    pub target_database: String,
    /// The new Connect server.
    pub connect_host: String,
    /// The installer's path there.
    pub installer: String,
    /// The service account; empty when it is not known.
    pub service_account: String,
    /// Data folder; empty for the default.
    pub data_dir: String,
    /// Log folder; empty for the default.
    pub log_dir: String,
    /// Keep the backup.
    pub keep_backup: bool,
}

/// Writes the migration down and asks the hosts.
pub async fn create_plan(core: &Core, actor: &str, typed: Typed) -> Result<Migration, Problem> {
    let scenario = Scenario::parse(&typed.scenario).filter(|s| Scenario::PLANNED.contains(s));
    let scenario = scenario.ok_or_else(|| {
        let names: Vec<&str> = Scenario::PLANNED.iter().map(|s| s.as_str()).collect();
        Problem::Invalid(format!(
            "'{}' is not a scenario; there are: {}",
            typed.scenario,
            names.join(", ")
        ))
    })?;
    let mut tx = core.store.begin("plan.create").await?;
    let site = find::site(&mut *tx, &typed.site).await?;
    let source = find::database(&mut *tx, &typed.source).await?;
    let target = find::host(&mut *tx, &typed.target_host).await?;
    let connect = find::host(&mut *tx, &typed.connect_host).await?;
    for (host, role) in [(&target, HostRole::SqlHost), (&connect, HostRole::ConnectServer)] {
        if !host.roles.contains(&role) {
            return Err(Problem::Invalid(format!(
                "host {} does not have the role {role}",
                host.name
            )));
        }
    }
    for (what, of) in [
        ("database", source.site),
        ("target host", target.site),
        ("Connect host", connect.site),
    ] {
        if of != site.id {
            return Err(Problem::Invalid(format!(
                "the {what} belongs to another site than {}",
                site.name
            )));
        }
    }
    if typed.installer.trim().is_empty() || typed.target_instance.trim().is_empty() {
        return Err(Problem::Invalid(
            "the installer's path and the target instance must be given".to_string(),
        ));
    }
    let filled = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_string());
    let request = PlanRequest {
        scenario,
        site: site.id,
        source: source.id,
        target_host: target.id,
        target_instance: typed.target_instance.clone(),
        target_database: filled(&typed.target_database).unwrap_or_else(|| source.address.database.clone()),
        connect_host: connect.id,
        installer: typed.installer.clone(),
        service_account: filled(&typed.service_account),
        data_dir: filled(&typed.data_dir),
        log_dir: filled(&typed.log_dir),
        keep_backup: typed.keep_backup,
    };
    let id = MigrationId::new(tx.now(), &core.random());
    let json = serde_json::to_value(&request).map_err(|e| Problem::Internal(e.to_string()))?;
    let new = NewMigration {
        id,
        site: site.id,
        scenario,
        request: json.clone(),
        actor: actor.to_string(),
    };
    let migration = tx.add_migration(&new).await?;
    let payload = serde_json::json!({"scenario": scenario.as_str(), "site": site.name, "request": json});
    tx.append_event(migration_event(id, "migration.created", actor, payload))
        .await?;
    let asked = ask_hosts(core, &mut *tx, id, &source, &target, &connect, &request).await?;
    tx.commit().await?;
    for host in asked {
        core.host_changed(host, HostReason::Inspection);
    }
    core.migration_changed(id);
    Ok(migration)
}

async fn ask_hosts(
    core: &Core,
    tx: &mut dyn Tx,
    migration: MigrationId,
    source: &syncferry_store::Database,
    target: &Host,
    connect: &Host,
    request: &PlanRequest,
) -> Result<Vec<HostId>, Problem> {
    let nothing = InspectionRequest {
        instances: vec![],
        databases: vec![],
        connect: false,
        installer: None,
        reach: vec![],
        preview: None,
        power: None,
    };
    let mut wanted: Vec<(HostId, InspectionRequest)> = Vec::new();
    let mut want = |host: HostId, change: &mut dyn FnMut(&mut InspectionRequest)| {
        let known = wanted.iter().position(|(h, _)| *h == host);
        let index = known.unwrap_or_else(|| {
            wanted.push((host, nothing.clone()));
            wanted.len() - 1
        });
        change(&mut wanted[index].1);
    };
    want(source.host, &mut |r| {
        r.instances.push(source.address.instance.clone());
        r.databases.push(source.address.clone());
        r.connect = true;
    });
    let holder = tx
        .lease(&syncferry_shared::lease::Resource::database(source.id))
        .await?
        .and_then(|l| l.holder);
    if let Some(holder) = holder.filter(|h| *h != source.host) {
        want(holder, &mut |r| r.connect = true);
    }
    want(target.id, &mut |r| {
        if !r.instances.contains(&request.target_instance) {
            r.instances.push(request.target_instance.clone());
        }
    });
    want(connect.id, &mut |r| {
        r.connect = true;
        r.installer = Some(request.installer.clone());
    });
    for (host, request) in &wanted {
        inspect::ask(core, tx, *host, request, "plan", Some(migration)).await?;
    }
    Ok(wanted.into_iter().map(|(h, _)| h).collect())
}
