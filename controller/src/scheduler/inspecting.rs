//! A migration whose hosts are being asked. When all have answered, or had time enough, the plan is made.

use syncferry_shared::inventory::{InspectionRequest, Inventory};
use syncferry_shared::lease::{LeaseKind, Resource};
use syncferry_shared::plan::PlanRequest;
use syncferry_shared::state::{MigrationEvent, MigrationState};
use syncferry_shared::{HostId, JobId, MigrationId, Millis, token};
use syncferry_store::{AgentState, IdentityState, Inspection, InspectionState, Migration, MigrationFilter, Tx};

use crate::core::{Core, migration_event};
use crate::plan::{self, KnownDatabase, KnownHost, PlanIds, PlanInput};
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
    if inspections.iter().any(|i| i.purpose == "reach") || request.connect_host == request.target_host {
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
        reach: vec![format!("{name},{port}")],
        preview: None,
        power: None,
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
        transfer_address: agent.and_then(|a| a.transfer_address),
    })
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
    let source = tx.database(request.source).await?.ok_or_else(gone)?;
    let lease = tx.lease(&Resource::database(source.id)).await?;
    let holder = match lease.as_ref().and_then(|l| l.holder) {
        Some(holder) => Some(known_host(tx, inspections, holder).await?),
        None => None,
    };
    let holder_exports = match &holder {
        Some(holder) => tx.lease_held_by(holder.id, LeaseKind::TenantExport).await?.is_some(),
        None => false,
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
            id: source.id,
            address: source.address.clone(),
            server_name: source.server_name.clone(),
            database_guid: source.guids.database,
            family_guid: source.guids.family,
            lease,
            holder_name: holder.as_ref().map(|h| h.name.clone()),
            confirmed: source.identity_state == IdentityState::Confirmed,
            lease_name: find::place(tx, &source).await?,
        },
        source_host: known_host(tx, inspections, source.host).await?,
        holder,
        target_host: known_host(tx, inspections, request.target_host).await?,
        connect_host: known_host(tx, inspections, request.connect_host).await?,
        registered_on_target: registered,
        other_migration: other,
        catalogue: core.catalogue.clone(),
        holder_exports,
        request,
    })
}
