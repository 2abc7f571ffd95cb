//! `apply`: runs a plan, or goes on with a migration that stopped. Everything that the plan rests on and that the store
//! knows is looked at again in the one transaction that starts it.

use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, Resource};
use syncferry_shared::plan::{Plan, PlanRequest, PlanValues, PlannedHandover, Scenario};
use syncferry_shared::state::{AttemptEvent, AttemptState, JobEvent, JobState, MigrationEvent, MigrationState};
use syncferry_shared::{Finding, Millis};
use syncferry_store::{
    AgentState, By, Database, DatabaseGuids, Grant, IdentityState, Job, JobFilter, LeaseError, Migration,
    MigrationFilter, NewDatabase, NewJob, Tx,
};

use super::{acceptance, lease_run};
use crate::aftercare;
use crate::core::{Core, migration_event};
use crate::find;
use crate::plan::rules::care_is_open;
use crate::plan::switch_active;
use crate::problem::Problem;
use crate::progression;
use crate::recovery;
use crate::wake::HostReason;

/// A plan older than this is refused: the world moved on.
const PLAN_GOOD_FOR_MS: i64 = 24 * 3_600_000;

/// What an operator says with `apply`.
pub struct Consent {
    /// The digest of the plan that was seen; empty only where nothing is planned anew.
    pub plan_digest: String,
    /// Rules whose warnings are accepted.
    pub accept_warnings: Vec<String>,
    /// Why.
    pub reason: String,
    /// Until when the warnings are accepted; `None` for as long as the migration lasts.
    pub until: Option<Millis>,
}

/// Runs or goes on.
pub async fn apply(core: &Core, actor: &str, migration: &str, consent: Consent) -> Result<Migration, Problem> {
    let mut tx = core.store.begin("migration.apply").await?;
    let m = find::migration(&mut *tx, migration).await?;
    let hosts = match m.state {
        MigrationState::Planned => start(core, &mut *tx, actor, &m, &consent).await?,
        MigrationState::Stopped => {
            acceptance::still_in_force(core, &mut *tx, actor, &m, &consent).await?;
            still_cared_for(&mut *tx, &m).await?;
            retry(&mut *tx, actor, &m, &consent).await?
        }
        MigrationState::Stuck => {
            acceptance::still_in_force(core, &mut *tx, actor, &m, &consent).await?;
            still_cared_for(&mut *tx, &m).await?;
            unstick(&mut *tx, actor, &m, &consent).await?
        }
        MigrationState::Blocked => {
            let findings = plan_of(&m)?.findings.into_iter().filter(Finding::blocks).collect();
            return Err(Problem::Refused {
                title: "the plan has blockers; nothing was touched".to_string(),
                findings,
            });
        }
        MigrationState::Running => return Ok(m),
        state => {
            return Err(Problem::NotNow(format!(
                "a migration that is {state} cannot be applied"
            )));
        }
    };
    let m = tx
        .migration(m.id)
        .await?
        .ok_or_else(|| Problem::Internal("the row is gone".to_string()))?;
    tx.commit().await?;
    for host in hosts {
        core.host_changed(host, HostReason::Lease);
    }
    core.migration_changed(m.id);
    Ok(m)
}

/// The plan of a migration.
pub(crate) fn plan_of(m: &Migration) -> Result<Plan, Problem> {
    let json = m
        .plan
        .clone()
        .ok_or_else(|| Problem::Invalid(format!("migration {} has no plan yet", m.id.short())))?;
    serde_json::from_value(json).map_err(|e| Problem::Internal(format!("the plan of {} cannot be read: {e}", m.id)))
}

async fn start(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    consent: &Consent,
) -> Result<Vec<syncferry_shared::HostId>, Problem> {
    let plan = plan_of(m)?;
    if m.plan_digest.as_deref() != Some(consent.plan_digest.as_str()) {
        return Err(Problem::NotNow(
            "this is not the plan that you saw; look at it again with `syncferry plan show`".to_string(),
        ));
    }
    if tx.now().since(m.updated_at) > PLAN_GOOD_FOR_MS {
        return Err(Problem::refused(
            Finding::blocker("plan-too-old", "The plan is more than a day old")
                .saw("plan made at", m.updated_at)
                .source("Syncferry: a plan rests on what the hosts said when it was made")
                .next("Cancel it and plan again."),
        ));
    }
    let accepted = acceptance::in_force(core, tx, actor, m, &plan, consent).await?;
    if let Some(run) = &plan.lease_run {
        lease_run::begin(tx, actor, m, run).await?;
        start_jobs(tx, actor, m, &plan, consent, &accepted).await?;
        return Ok(plan.jobs().map(|j| j.host).collect());
    }
    let (Some(values), Some(request)) = (&plan.values, &plan.request) else {
        return Err(Problem::Internal("a planned migration without values".to_string()));
    };
    check_no_other(tx, m).await?;
    if let Some(h) = &plan.handover {
        check_handover(tx, h).await?;
    }
    if request.scenario == Scenario::SwitchActive {
        check_aftercare(tx, request).await?;
    }
    if !request.scenario.seats() {
        start_jobs(tx, actor, m, &plan, consent, &accepted).await?;
        return Ok(plan.jobs().map(|j| j.host).collect());
    }
    check_name(tx, request, values).await?;
    // The SQL Server of a backup that is restored is gone, and with it perhaps whoever renewed.
    if request.scenario != Scenario::RestoreFromBackup {
        check_source_lease(tx, values).await?;
    }
    seat(core, tx, actor, m, request, values).await?;
    start_jobs(tx, actor, m, &plan, consent, &accepted).await?;
    Ok(vec![request.target_host])
}

/// Writes the plan's jobs down and lets the migration run.
async fn start_jobs(
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    plan: &Plan,
    consent: &Consent,
    accepted: &[String],
) -> Result<(), Problem> {
    let jobs: Vec<NewJob> = plan
        .stages
        .iter()
        .zip(0..)
        .flat_map(|(stage, number)| {
            stage
                .jobs
                .iter()
                .zip(0..)
                .map(move |(job, ordinal)| (number, ordinal, job))
        })
        .map(|(stage, ordinal, job)| NewJob {
            id: job.id,
            stage,
            ordinal,
            name: job.name.clone(),
            kind: job.kind,
            host: job.host,
            resource: job.resource.clone(),
        })
        .collect();
    tx.add_jobs(m.id, &jobs).await?;
    let to = m
        .state
        .next(MigrationEvent::Apply)
        .map_err(|e| Problem::Invalid(e.to_string()))?;
    tx.transition_migration(m.id, m.state, to).await?;
    let payload = serde_json::json!({
        "plan_digest": m.plan_digest,
        "accepted_warnings": accepted,
        "reason": consent.reason,
    });
    tx.append_event(migration_event(m.id, "migration.applied", actor, payload))
        .await?;
    Ok(())
}

/// One migration of a site at a time: the rule of the plan, looked at again, because another plan may have been applied since.
async fn check_no_other(tx: &mut dyn Tx, m: &Migration) -> Result<(), Problem> {
    let filter = MigrationFilter {
        site: Some(m.site),
        states: progression::UNDER_WAY.to_vec(),
    };
    let Some(other) = tx.migrations(&filter).await?.into_iter().find(|o| o.id != m.id) else {
        return Ok(());
    };
    Err(Problem::refused(
        Finding::blocker(
            "migration-in-progress",
            "Another migration of this site is not at its end",
        )
        .saw(
            "migrations of the site",
            format!("{} {} is {}", other.scenario.as_str(), other.id.short(), other.state),
        )
        .source("Syncferry: one migration of a site at a time")
        .next("Finish it (`syncferry watch`) or end it (`syncferry cancel`), then plan again."),
    ))
}

/// What is left to do on the server that is to become active: the rule of the plan, looked at again, because agents may have seen
/// otherwise since.
async fn check_aftercare(tx: &mut dyn Tx, request: &PlanRequest) -> Result<(), Problem> {
    let Some(care) = aftercare::open_for_server(tx, request.connect_host).await? else {
        return Ok(());
    };
    let host = tx.host(request.connect_host).await?;
    match care_is_open(host.as_ref().map_or("the server", |h| h.name.as_str()), &care) {
        Some(open) => Err(Problem::refused(open)),
        None => Ok(()),
    }
}

/// The same for a migration that goes on, for as long as the server is not active yet: a word may be over or taken back by now, and
/// agents may have seen otherwise. Once it is out of staging mode, going on is the way to an end.
async fn still_cared_for(tx: &mut dyn Tx, m: &Migration) -> Result<(), Problem> {
    if m.scenario != Scenario::SwitchActive {
        return Ok(());
    }
    let jobs = progression::jobs_of(tx, m.id).await?;
    let out = jobs.iter().find(|j| j.name == switch_active::NEW_OUT);
    match plan_of(m)?.request {
        Some(request) if out.is_none_or(|j| j.state == JobState::Waiting) => check_aftercare(tx, &request).await,
        _ => Ok(()),
    }
}

/// What was registered under the target's name since the plan was made.
async fn check_name(tx: &mut dyn Tx, request: &PlanRequest, v: &PlanValues) -> Result<(), Problem> {
    let same = |d: &Database| {
        d.identity_state != IdentityState::Retired
            && d.host == request.target_host
            && d.address.instance == v.target_address.instance
            && d.address.database.eq_ignore_ascii_case(&v.target_address.database)
    };
    match tx.databases(None).await?.into_iter().find(same) {
        Some(there) => Err(Problem::refused(promised(v, &there.physical_key))),
        None => Ok(()),
    }
}

fn promised(v: &PlanValues, key: &str) -> Finding {
    Finding::blocker(
        "target-name-promised",
        format!(
            "{} on {} is registered or promised to another migration",
            v.expect.database, v.target_server_name
        ),
    )
    .saw("registered databases", key)
    .source("Syncferry: one migration at a time seats a database")
    .next("Finish or cancel the other migration first, or plan again with another --target-database.")
}

async fn check_source_lease(tx: &mut dyn Tx, v: &PlanValues) -> Result<(), Problem> {
    let resource = Resource::database(v.source.id);
    let lease = tx.lease(&resource).await?;
    let held = lease
        .as_ref()
        .is_some_and(|l| l.state == LeaseState::Held && l.holder == v.source_holder);
    if held {
        return Ok(());
    }
    Err(Problem::refused(
        Finding::blocker(
            "source-lease-changed",
            "The lease of the source is not what it was when the plan was made",
        )
        .saw(
            format!("lease {resource}"),
            lease.map_or("gone".to_string(), |l| format!("{}, epoch {}", l.state, l.epoch)),
        )
        .source("Syncferry: no job uses a database without its lease")
        .next("Look at `syncferry lease show`, then plan again."),
    ))
}

/// The lease may have been lost or freed since the plan was made, and may even be the new server's: that is what the hand-over
/// is for. It must not be in doubt, nor somebody else's, and the new server must not have taken another one.
async fn check_handover(tx: &mut dyn Tx, h: &PlannedHandover) -> Result<(), Problem> {
    let lease = tx.lease(&h.resource).await?;
    let as_planned = |l: &Lease| {
        l.state != LeaseState::Quarantined && (l.holder.is_none() || l.holder == h.from || l.holder == Some(h.to))
    };
    if !lease.as_ref().is_some_and(as_planned) {
        return Err(Problem::refused(
            Finding::blocker(
                "source-lease-changed",
                format!(
                    "The lease of {} is not what it was when the plan was made",
                    h.lease_name
                ),
            )
            .saw(
                format!("lease {}", h.resource),
                lease.map_or("gone".to_string(), |l| format!("{}, epoch {}", l.state, l.epoch)),
            )
            .saw("its holder in the plan", &h.from_name)
            .source("Syncferry: one Connect server uses one database")
            .next("Look at `syncferry lease show`, then plan again."),
        ));
    }
    // A lease that is only freed seats nobody, and an export is beside the database that a server has.
    if h.frees || h.resource.database_id().is_none() {
        return Ok(());
    }
    let other = tx
        .lease_held_by(h.to, LeaseKind::Database)
        .await?
        .filter(|l| l.resource != h.resource);
    match other {
        Some(other) => Err(Problem::refused(
            Finding::blocker("lease-held", format!("{} holds another database now", h.to_name))
                .saw(
                    format!("lease {}", other.resource),
                    format!("{}, epoch {}", other.state, other.epoch),
                )
                .source("Syncferry: one Connect server uses one database")
                .next("Use another host, or hand that lease over first."),
        )),
        None => Ok(()),
    }
}

/// Takes the seat: a provisional database and its lease, held by the new server. Two migrations cannot both get it,
/// because key and lease are unique.
async fn seat(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    request: &PlanRequest,
    v: &PlanValues,
) -> Result<(), Problem> {
    let key = format!(
        "planned:{}|{}",
        v.target_server_name.to_uppercase(),
        v.expect.database.to_lowercase()
    );
    let taken = |e: syncferry_store::StoreError| match e.is_conflict() {
        false => Problem::from(e),
        true => Problem::refused(promised(v, &key)),
    };
    tx.add_database(&NewDatabase {
        id: v.target,
        site: m.site,
        physical_key: key.clone(),
        guids: DatabaseGuids {
            family: Some(v.source.family_guid),
            ..DatabaseGuids::default()
        },
        server_name: v.target_server_name.clone(),
        host: request.target_host,
        address: v.target_address.clone(),
        identity_state: IdentityState::Provisional,
        facts: serde_json::json!({}),
    })
    .await
    .map_err(taken)?;
    let resource = Resource::database(v.target);
    let by = By::new(actor)
        .migration(m.id)
        .detail(serde_json::json!({"reason": "the database does not exist yet"}));
    let evidence = serde_json::json!({"reason": "the database does not exist yet", "planned_key": key});
    tx.create_lease(&resource, LeaseKind::Database, Some(&evidence), &by)
        .await?;
    // Where the same host goes on, nobody may use the new database before the old one is given up.
    if request.in_place {
        return Ok(());
    }
    let session = tx
        .agent_of_host(request.target_host)
        .await?
        .and_then(|a| a.session)
        .ok_or_else(|| {
            Problem::NoAnswer("the target's agent has not connected yet; start it and apply again".to_string())
        })?;
    let grant = Grant {
        resource: resource.clone(),
        seen_epoch: 0,
        holder: request.connect_host,
        session,
        renewer: request.target_host,
        ttl_ms: core.config.leases.ttl_ms(),
    };
    let by = By::new(actor)
        .migration(m.id)
        .detail(serde_json::json!({"reason": "seat of the new Connect server"}));
    match tx.acquire_lease(&grant, &by).await {
        Ok(_) => Ok(()),
        Err(LeaseError::HolderHasAnother { resource }) => Err(Problem::refused(
            Finding::blocker("lease-held", format!("{} holds a database already", v.connect_name))
                .saw(format!("lease {resource}"), format!("held by {}", v.connect_name))
                .source("Syncferry: one Connect server uses one database")
                .next("Use another host, or finish what this one is there for."),
        )),
        Err(e) => Err(e.into()),
    }
}

async fn retry(
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    consent: &Consent,
) -> Result<Vec<syncferry_shared::HostId>, Problem> {
    let filter = JobFilter {
        migration: Some(m.id),
        states: vec![JobState::Failed],
        ..JobFilter::default()
    };
    for job in tx.jobs(&filter).await? {
        let to = job
            .state
            .next(JobEvent::Retry)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_job(job.id, job.state, to).await?;
        let payload = serde_json::json!({"job": job.name, "reason": consent.reason});
        tx.append_event(migration_event(m.id, "job.retried", actor, payload))
            .await?;
    }
    let to = m
        .state
        .next(MigrationEvent::Apply)
        .map_err(|e| Problem::Invalid(e.to_string()))?;
    tx.transition_migration(m.id, m.state, to).await?;
    let payload = serde_json::json!({"reason": consent.reason});
    tx.append_event(migration_event(m.id, "migration.resumed", actor, payload))
        .await?;
    Ok(vec![])
}

/// What happened is unknown. A person who looked may order another try, which looks before it acts; but only while the
/// agent is in touch and does not have the old attempt open any more.
async fn unstick(
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    consent: &Consent,
) -> Result<Vec<syncferry_shared::HostId>, Problem> {
    if consent.reason.trim().is_empty() {
        return Err(Problem::Invalid(
            "what happened on a host is unknown: look there first, then apply again with --reason".to_string(),
        ));
    }
    let jobs = progression::jobs_of(tx, m.id).await?;
    // Its later jobs are cancelled already: nothing could go on from here.
    if progression::goes_back(&jobs) {
        return Err(Problem::NotNow(
            "this migration is being cancelled and cannot be applied; look at the host, then cancel it again to go on undoing"
                .to_string(),
        ));
    }
    for job in jobs.iter().filter(|j| j.state == JobState::Unknown) {
        recovery::must_be_heard(tx, job.host).await?;
        supersede(tx, actor, m, job, consent).await?;
    }
    let to = m
        .state
        .next(MigrationEvent::JobFailed)
        .map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_migration(m.id, m.state, to).await?;
    let stopped = tx
        .migration(m.id)
        .await?
        .ok_or_else(|| Problem::Internal("the row is gone".to_string()))?;
    retry(tx, actor, &stopped, consent).await
}

async fn supersede(tx: &mut dyn Tx, actor: &str, m: &Migration, job: &Job, consent: &Consent) -> Result<(), Problem> {
    let online = tx
        .agent_of_host(job.host)
        .await?
        .is_some_and(|a| a.state == AgentState::Online);
    if !online {
        return Err(Problem::NoAnswer(format!(
            "the agent of job {} is not in touch: it may still be at work. Bring it back first",
            job.name
        )));
    }
    if let Some(a) = tx
        .current_attempt(job.id)
        .await?
        .filter(|a| a.state == AttemptState::Unknown)
    {
        let to = a
            .state
            .next(AttemptEvent::Supersede)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_attempt(a.job, a.attempt, a.state, to).await?;
    }
    let to = job
        .state
        .next(JobEvent::Fail)
        .map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_job(job.id, job.state, to).await?;
    let payload = serde_json::json!({"job": job.name, "reason": consent.reason});
    tx.append_event(migration_event(m.id, "job.superseded", actor, payload))
        .await?;
    Ok(())
}
