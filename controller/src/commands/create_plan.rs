//! `plan`: writes the migration down and asks every host concerned. The plan itself is made when all have answered.

use syncferry_shared::account::AccountRequest;
use syncferry_shared::fence::FencePreviewRequest;
use syncferry_shared::inventory::InspectionRequest;
use syncferry_shared::plan::{HandoverWay, PlanRequest, Scenario};
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{HostId, MigrationId};
use syncferry_store::{AgentState, Host, HostRole, Migration, NewMigration, Site, Tx};

use super::concerned;
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
    /// How the old server's lease becomes free; empty for the default.
    pub handover: String,
    /// The instance of the test restore; empty for the database's own.
    pub test_instance: String,
    /// A backup file on the target; empty where none is restored.
    pub backup_file: String,
    /// An artifact, or `newest`; empty where none is restored.
    pub artifact: String,
    /// The server that used the database, or that is retired; empty where a lease says it.
    pub old_server: String,
    /// The Connect server stays the same host.
    pub in_place: bool,
    /// A DBA runs what needs rights in SQL Server.
    pub dba: bool,
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
    if typed.dba && matches!(scenario, Scenario::SwitchActive | Scenario::Decommission) {
        return Err(Problem::Invalid(format!(
            "--dba: nothing in {} needs rights in SQL Server",
            scenario.as_str()
        )));
    }
    let mut tx = core.store.begin("plan.create").await?;
    let site = find::site(&mut *tx, &typed.site).await?;
    if concerned::is_for(scenario) {
        let concerned = concerned::of(&mut *tx, scenario, &site, &typed).await?;
        let m = write_down(core, &mut *tx, actor, &site, &concerned.request).await?;
        let asked = concerned.ask(core, &mut *tx, m.id).await?;
        tx.commit().await?;
        for host in asked {
            core.host_changed(host, HostReason::Inspection);
        }
        core.migration_changed(m.id);
        return Ok(m);
    }
    let source = find::database(&mut *tx, &typed.source).await?;
    let target = match scenario {
        // The database stays where it is.
        Scenario::ReplaceServer => tx
            .host(source.host)
            .await?
            .ok_or_else(|| Problem::Internal("the database's host is gone".to_string()))?,
        _ => find::host(&mut *tx, &typed.target_host).await?,
    };
    let connect = match typed.in_place {
        true => server_of(&mut *tx, scenario, &source, &typed).await?,
        false => find::host(&mut *tx, &typed.connect_host).await?,
    };
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
    let replaces = scenario == Scenario::ReplaceServer;
    if typed.installer.trim().is_empty() || (typed.target_instance.trim().is_empty() && !replaces) {
        return Err(Problem::Invalid(
            "the installer's path and the target instance must be given".to_string(),
        ));
    }
    let filled = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_string());
    let handover = match filled(&typed.handover) {
        Some(word) if replaces => Some(HandoverWay::parse(&word).ok_or_else(|| {
            let ways: Vec<&str> = HandoverWay::ALL.iter().map(|w| w.as_str()).collect();
            Problem::Invalid(format!(
                "'{word}' is no way to hand over; there are: {}",
                ways.join(", ")
            ))
        })?),
        _ => replaces.then(HandoverWay::default),
    };
    let request = PlanRequest {
        scenario,
        site: site.id,
        source: source.id,
        target_host: target.id,
        target_instance: if replaces {
            source.address.instance.clone()
        } else {
            typed.target_instance.clone()
        },
        target_database: filled(&typed.target_database)
            .filter(|_| !replaces)
            .unwrap_or_else(|| source.address.database.clone()),
        connect_host: connect.id,
        installer: typed.installer.clone(),
        service_account: filled(&typed.service_account),
        data_dir: filled(&typed.data_dir),
        log_dir: filled(&typed.log_dir),
        // Where a server is replaced, or its host stays, the backup is the way back: it stays.
        keep_backup: typed.keep_backup || replaces || typed.in_place,
        handover,
        test_instance: filled(&typed.test_instance).filter(|_| replaces),
        backup_file: None,
        artifact: None,
        old_server: None,
        in_place: typed.in_place,
        dba: typed.dba,
    };
    let migration = write_down(core, &mut *tx, actor, &site, &request).await?;
    let id = migration.id;
    let asked = ask_hosts(core, &mut *tx, id, &source, &target, &connect, &request).await?;
    tx.commit().await?;
    for host in asked {
        core.host_changed(host, HostReason::Inspection);
    }
    core.migration_changed(id);
    Ok(migration)
}

/// The server that uses the database and goes on doing so from the new one.
async fn server_of(
    tx: &mut dyn Tx,
    scenario: Scenario,
    source: &syncferry_store::Database,
    typed: &Typed,
) -> Result<Host, Problem> {
    if scenario != Scenario::MoveToFullSql {
        return Err(Problem::Invalid(format!(
            "--in-place belongs to move-to-full-sql; {} seats another host",
            scenario.as_str()
        )));
    }
    let lease = tx
        .lease(&syncferry_shared::lease::Resource::database(source.id))
        .await?;
    let Some(holder) = lease.and_then(|l| l.holder) else {
        return Err(Problem::NotNow(format!(
            "no Connect server is known to use {}: which host --in-place means is not known",
            source.address.database
        )));
    };
    let host = tx
        .host(holder)
        .await?
        .ok_or_else(|| Problem::Internal("the holder's host is gone".to_string()))?;
    let named = typed.connect_host.trim();
    if !named.is_empty() && find::host(tx, named).await?.id != host.id {
        return Err(Problem::Invalid(format!(
            "--in-place means {}, which uses the database; {named} is another host",
            host.name
        )));
    }
    Ok(host)
}

/// The migration's row and its first event.
async fn write_down(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    site: &Site,
    request: &PlanRequest,
) -> Result<Migration, Problem> {
    let id = MigrationId::new(tx.now(), &core.random());
    let json = serde_json::to_value(request).map_err(|e| Problem::Internal(e.to_string()))?;
    let new = NewMigration {
        id,
        site: site.id,
        scenario: request.scenario,
        request: json.clone(),
        actor: actor.to_string(),
    };
    let migration = tx.add_migration(&new).await?;
    let payload = serde_json::json!({"scenario": request.scenario.as_str(), "site": site.name, "request": json});
    tx.append_event(migration_event(id, "migration.created", actor, payload))
        .await?;
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
        ..InspectionRequest::default()
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
    let lease = tx
        .lease(&syncferry_shared::lease::Resource::database(source.id))
        .await?;
    let holder = lease.as_ref().and_then(|l| l.holder);
    // A server that is replaced may be gone for ever: it is asked when its agent is there, or when it has to act.
    let asked = match holder {
        Some(h) if request.handover.is_some_and(|w| w != HandoverWay::Host) => tx
            .agent_of_host(h)
            .await?
            .is_some_and(|a| a.state == AgentState::Online),
        _ => true,
    };
    if let Some(holder) = holder.filter(|h| *h != source.host && asked) {
        want(holder, &mut |r| r.connect = true);
    }
    if let Some(way) = request.handover {
        let deny = match holder.filter(|h| *h != request.connect_host && way == HandoverWay::Sql) {
            Some(holder) => account_of(tx, holder).await?,
            None => vec![],
        };
        let test = request.test_instance.clone();
        want(source.host, &mut |r| {
            r.instances
                .extend(test.iter().filter(|t| **t != source.address.instance).cloned());
            // What the accounts of both servers are in the database. Nothing of it is run.
            if request.service_account.is_some() || !deny.is_empty() {
                r.preview = Some(FencePreviewRequest::Fence {
                    database: source.address.clone(),
                    uid: source.id,
                    epoch: lease.as_ref().map_or(0, |l| l.epoch) + 1,
                    owner: None,
                    deny: deny.clone(),
                    grant: request.service_account.clone(),
                });
            }
        });
    }
    want(target.id, &mut |r| {
        if !r.instances.contains(&request.target_instance) {
            r.instances.push(request.target_instance.clone());
        }
    });
    want(connect.id, &mut |r| {
        r.connect = true;
        r.installer = Some(request.installer.clone());
        r.account = request
            .service_account
            .clone()
            .map(|account| AccountRequest { account, spns: vec![] });
    });
    for (host, request) in &wanted {
        inspect::ask(core, tx, *host, request, "plan", Some(migration)).await?;
    }
    Ok(wanted.into_iter().map(|(h, _)| h).collect())
}

/// The account of a Connect server's service, as its agent saw it last.
async fn account_of(tx: &mut dyn Tx, host: HostId) -> Result<Vec<String>, Problem> {
    let watches = tx.watches().await?;
    let report = watches.into_iter().find(|w| w.host == host).map(|w| w.report);
    let report: Option<WatchReport> = report.and_then(|r| serde_json::from_value(r).ok());
    let account = report.and_then(|r| Some(r.connect?.facts.service?.account));
    Ok(account.filter(|a| a.contains('\\')).into_iter().collect())
}
