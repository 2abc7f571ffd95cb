//! A migration whose hosts are being asked. When all have answered, or had time enough, the plan is made.

use syncferry_shared::account::AccountRequest;
use syncferry_shared::artifact::Manifest;
use syncferry_shared::inventory::{DatabaseAddress, InspectionRequest, Inventory};
use syncferry_shared::lease::{LeaseKind, Resource};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::plan::{KnownBackup, PlanRequest, Scenario};
use syncferry_shared::state::{MigrationEvent, MigrationState};
use syncferry_shared::{HostId, JobId, MigrationId, Millis, token};
use syncferry_store::{
    AgentState, Database, IdentityState, Inspection, InspectionState, Migration, MigrationFilter, Tx,
};

use crate::core::{Core, migration_event};
use crate::plan::{self, KnownDatabase, KnownExport, KnownHost, PlanIds, PlanInput};
use crate::problem::Problem;
use crate::wake::HostReason;
use crate::{find, inspect};

/// No scenario has more jobs.
const MOST_JOBS: usize = 16;

/// Takes the next step of a migration that is being inspected.
pub(super) async fn advance(core: &Core, id: MigrationId) -> Result<(), Problem> {
    let mut tx = core.store.begin("scheduler.plan").await?;
    let Some(m) = tx
        .migration(id)
        .await?
        .filter(|m| m.state == MigrationState::Inspecting)
    else {
        return Ok(());
    };
    let mut inspections = tx.inspections_of(id).await?;
    let limit = i64::try_from(core.config.inspection_timeout_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let now = tx.now();
    let waits = |i: &Inspection| i.state == InspectionState::Pending && now.since(i.created_at) < limit;
    if inspections.iter().any(waits) {
        return Ok(());
    }
    // Whoever did not answer in time does not answer this question any more: the plan says that it did not.
    let too_late = format!("no answer within {} s", core.config.inspection_timeout_s);
    for i in inspections.iter_mut().filter(|i| i.state == InspectionState::Pending) {
        *i = tx.complete_inspection(i.id, Err(&too_late)).await?;
    }
    let request: PlanRequest = serde_json::from_value(m.request.clone())
        .map_err(|e| Problem::Internal(format!("the request of {id} cannot be read: {e}")))?;
    if let Some(host) = ask_for_reach(core, &mut *tx, &m, &request, &inspections).await? {
        tx.commit().await?;
        core.host_changed(host, HostReason::Inspection);
        return Ok(());
    }
    let input = input(core, &mut *tx, &m, request, &inspections, now).await?;
    let plan = plan::plan(&input);
    let json = serde_json::to_value(&plan).map_err(|e| Problem::Internal(e.to_string()))?;
    let digest = token::digest(json.to_string().as_bytes());
    tx.set_plan(id, &json, &digest).await?;
    let event = if plan.blocked() {
        MigrationEvent::PlanBlocked
    } else {
        MigrationEvent::PlanReady
    };
    let to = m.state.next(event).map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_migration(id, m.state, to).await?;
    let payload = serde_json::json!({
        "digest": digest,
        "blocked": plan.blocked(),
        "findings": plan.findings,
        "jobs": plan.jobs().map(|j| &j.name).collect::<Vec<_>>(),
    });
    tx.append_event(migration_event(id, "plan.made", "controller", payload))
        .await?;
    tx.commit().await?;
    core.migration_changed(id);
    Ok(())
}

/// The newest answer of a host, by host. A later question (for reachability) adds to an earlier answer.
pub(crate) fn inventory_of(inspections: &[Inspection], host: HostId) -> (Option<Inventory>, Option<String>) {
    let mut found: Option<Inventory> = None;
    let mut error = None;
    for i in inspections
        .iter()
        .filter(|i| i.host == host && i.state != InspectionState::Pending)
    {
        match (inspect::answer(i), found.as_mut()) {
            (Ok(new), Some(old)) => {
                old.reach.extend(new.reach);
                old.account = new.account.or(old.account.take());
                old.problems.extend(new.problems);
            }
            (Ok(new), None) => found = Some(new),
            (Err(e), _) => error = Some(e.to_string()),
        }
    }
    (found, error)
}

/// Whether the new server reaches SQL Server can be asked only when the target's agent has said by which name and port.
async fn ask_for_reach(
    core: &Core,
    tx: &mut dyn Tx,
    m: &Migration,
    request: &PlanRequest,
    inspections: &[Inspection],
) -> Result<Option<HostId>, Problem> {
    // Where nothing is installed, nothing has to be reached.
    let nothing = request.installer.is_empty() || request.connect_host == request.target_host;
    if nothing || inspections.iter().any(|i| i.purpose == "reach") {
        return Ok(None);
    }
    let (target, _) = inventory_of(inspections, request.target_host);
    let (connect, _) = inventory_of(inspections, request.connect_host);
    let instance = target.and_then(|t| t.instances.into_iter().find(|i| i.name == request.target_instance));
    let (Some(instance), Some(_)) = (instance, connect) else {
        return Ok(None);
    };
    let (Some(name), Some(port)) = (instance.connect_host, instance.connect_port) else {
        return Ok(None);
    };
    let question = InspectionRequest {
        instances: vec![],
        databases: vec![],
        connect: false,
        installer: None,
        // Who answers to the name that Kerberos asks for shows only now, too.
        account: request.service_account.clone().map(|account| AccountRequest {
            account,
            spns: vec![format!("MSSQLSvc/{name}:{port}")],
        }),
        reach: vec![format!("{name},{port}")],
        preview: None,
        ..InspectionRequest::default()
    };
    inspect::ask(core, tx, request.connect_host, &question, "reach", Some(m.id)).await?;
    Ok(Some(request.connect_host))
}

async fn known_host(tx: &mut dyn Tx, inspections: &[Inspection], id: HostId) -> Result<KnownHost, Problem> {
    let host = tx
        .host(id)
        .await?
        .ok_or_else(|| Problem::Internal("a host of the request is gone".to_string()))?;
    let agent = tx.agent_of_host(id).await?;
    let (inventory, error) = inventory_of(inspections, id);
    Ok(KnownHost {
        id,
        name: host.name,
        online: agent.as_ref().is_some_and(|a| a.state == AgentState::Online),
        inventory,
        error,
        holds: tx.lease_held_by(id, LeaseKind::Database).await?,
        agent_version: agent.as_ref().and_then(|a| a.version.clone()).unwrap_or_default(),
        capabilities: agent.as_ref().map(|a| a.capabilities.clone()).unwrap_or_default(),
        transfer_address: agent.and_then(|a| a.transfer_address),
    })
}

/// A database as it is registered.
async fn known_database(tx: &mut dyn Tx, d: Database) -> Result<KnownDatabase, Problem> {
    Ok(KnownDatabase {
        id: d.id,
        address: d.address.clone(),
        server_name: d.server_name.clone(),
        database_guid: d.guids.database,
        family_guid: d.guids.family,
        lease: tx.lease(&Resource::database(d.id)).await?,
        holder_name: None,
        confirmed: d.identity_state == IdentityState::Confirmed,
        lease_name: find::place(tx, &d).await?,
    })
}

/// A database of which only a backup is there.
fn known_by_its_backup(request: &PlanRequest) -> KnownDatabase {
    KnownDatabase {
        id: request.source,
        address: DatabaseAddress {
            instance: String::new(),
            database: request.target_database.clone(),
        },
        server_name: String::new(),
        database_guid: None,
        family_guid: None,
        lease: None,
        holder_name: None,
        confirmed: false,
        lease_name: "the database in the backup".to_string(),
    }
}

/// The artifact that is to be restored, with what was counted when it was made. `None` when its file is gone.
async fn artifact(tx: &mut dyn Tx, request: &PlanRequest) -> Result<Option<KnownBackup>, Problem> {
    let Some(id) = request.artifact else { return Ok(None) };
    let Some(a) = tx.artifact(id).await?.filter(|a| a.deleted_at.is_none()) else {
        return Ok(None);
    };
    let manifest: Manifest = serde_json::from_value(a.manifest.clone())
        .map_err(|e| Problem::Internal(format!("the manifest of artifact {id} cannot be read: {e}")))?;
    let jobs = crate::progression::jobs_of(tx, a.migration).await?;
    let made = jobs.into_iter().find(|j| j.name == "backup").and_then(|j| j.outcome);
    let outcome: Option<Outcome> = made.and_then(|o| serde_json::from_value(o).ok());
    Ok(Some(KnownBackup {
        path: manifest.path.clone(),
        host: a.host,
        here: a.host == request.target_host,
        artifact: id,
        size: manifest.size,
        root: manifest.root.clone(),
        manifest_digest: manifest.digest(),
        taken_at: Some(manifest.taken_at),
        // Ours always are made with them.
        checksums: true,
        counts: outcome.and_then(|o| o.counts),
        header: manifest.header,
    }))
}

/// The lease of the tenant's export.
async fn export(tx: &mut dyn Tx, m: &Migration) -> Result<Option<KnownExport>, Problem> {
    let Some(site) = tx.site(m.site).await? else {
        return Ok(None);
    };
    let Some(lease) = tx.lease(&Resource::tenant_export(&site.tenant_id)).await? else {
        return Ok(None);
    };
    let holder_name = match lease.holder {
        Some(id) => tx.host(id).await?.map(|h| h.name),
        None => None,
    };
    Ok(Some(KnownExport {
        lease,
        name: format!("{}/export", site.name),
        holder_name,
    }))
}

async fn input(
    core: &Core,
    tx: &mut dyn Tx,
    m: &Migration,
    request: PlanRequest,
    inspections: &[Inspection],
    now: Millis,
) -> Result<PlanInput, Problem> {
    let gone = || Problem::Internal("the source is gone".to_string());
    let artifact = artifact(tx, &request).await?;
    let (source, source_host) = if request.knows_source() {
        let source = tx.database(request.source).await?.ok_or_else(gone)?;
        let host = source.host;
        (known_database(tx, source).await?, host)
    } else {
        (known_by_its_backup(&request), request.target_host)
    };
    // Where a backup is restored, the host that has it takes the source's place.
    let source_host = match (&artifact, request.backup_file.is_some()) {
        (Some(b), _) => b.host,
        (None, true) => request.target_host,
        (None, false) => source_host,
    };
    let export = export(tx, m).await?;
    // Who is put out: as it was said, or as the lease says.
    let holder = request.old_server.or(source.lease.as_ref().and_then(|l| l.holder));
    let holder = match holder {
        Some(holder) => Some(known_host(tx, inspections, holder).await?),
        None => None,
    };
    let holder_exports = match &holder {
        Some(holder) => tx.lease_held_by(holder.id, LeaseKind::TenantExport).await?.is_some(),
        None => false,
    };
    let connect_host = known_host(tx, inspections, request.connect_host).await?;
    let staging = match connect_host.holds.as_ref().and_then(|l| l.resource.database_id()) {
        Some(id) if request.scenario == Scenario::SwitchActive => match tx.database(id).await? {
            Some(d) => Some(known_database(tx, d).await?),
            None => None,
        },
        _ => None,
    };
    let care = match request.scenario {
        Scenario::SwitchActive => crate::aftercare::open_for_server(tx, request.connect_host).await?,
        _ => None,
    };
    let mut registered = Vec::new();
    for d in tx.databases(None).await? {
        if d.host == request.target_host && d.identity_state != IdentityState::Retired {
            registered.push((
                d.address.instance.clone(),
                d.address.database.clone(),
                d.physical_key.clone(),
            ));
        }
    }
    let others = tx
        .migrations(&MigrationFilter {
            site: Some(m.site),
            states: crate::progression::UNDER_WAY.to_vec(),
        })
        .await?;
    let other = others
        .iter()
        .find(|o| o.id != m.id)
        .map(|o| format!("{} {} is {}", o.scenario.as_str(), o.id.short(), o.state));
    Ok(PlanInput {
        ids: PlanIds {
            migration: m.id,
            artifact: syncferry_shared::ArtifactId::new(now, &core.random()),
            target: syncferry_shared::DatabaseId::new(now, &core.random()),
            jobs: (0..MOST_JOBS).map(|_| JobId::new(now, &core.random())).collect(),
        },
        now,
        source: KnownDatabase {
            holder_name: holder.as_ref().map(|h| h.name.clone()),
            ..source
        },
        source_host: known_host(tx, inspections, source_host).await?,
        holder,
        target_host: known_host(tx, inspections, request.target_host).await?,
        connect_host,
        artifact,
        staging,
        export,
        care,
        registered_on_target: registered,
        other_migration: other,
        catalogue: crate::versions::current(core, tx).await?,
        holder_exports,
        request,
    })
}
