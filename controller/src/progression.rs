//! What follows from the end of an attempt: the job's state, the migration's state, what becomes known of databases,
//! artifacts and leases. Always inside the transaction of the report that caused it.

use syncferry_shared::identity::instance_key;
use syncferry_shared::lease::{Lease, LeaseState, Resource};
use syncferry_shared::outcome::{Outcome, Restored};
use syncferry_shared::plan::Scenario;
use syncferry_shared::spec::{JobKind, JobSpec, Task};
use syncferry_shared::state::{
    AttemptEvent, AttemptState, GateEvent, JobEvent, JobState, MigrationEvent, MigrationState,
};
use syncferry_shared::{HostId, MigrationId};
use syncferry_store::{Attempt, By, DatabaseGuids, IdentityState, Job, JobFilter, Migration, NewArtifact, Tx};

use crate::commands::lease_run;
use crate::core::{Core, migration_event};
use crate::dispatch::report::End;
use crate::problem::Problem;

fn illegal(e: impl std::fmt::Display) -> Problem {
    Problem::Internal(e.to_string())
}

async fn migration_of(tx: &mut dyn Tx, job: &Job) -> Result<Migration, Problem> {
    tx.migration(job.migration)
        .await?
        .ok_or_else(|| Problem::Internal("the job's migration is gone".to_string()))
}

/// Where a migration may have touched something and is not at its end.
pub(crate) const UNDER_WAY: [MigrationState; 4] = [
    MigrationState::Running,
    MigrationState::Stopped,
    MigrationState::Stuck,
    MigrationState::Unwinding,
];

/// The jobs of a migration, by stage and place.
pub(crate) async fn jobs_of(tx: &mut dyn Tx, migration: MigrationId) -> Result<Vec<Job>, Problem> {
    let filter = JobFilter {
        migration: Some(migration),
        ..JobFilter::default()
    };
    Ok(tx.jobs(&filter).await?)
}

/// Whether a migration that was started goes back. Its own state says so only while nothing is unknown; but a cancellation
/// leaves its mark on the jobs, because one of a later stage is always there to be cancelled, and nothing else leaves it.
pub(crate) fn goes_back(jobs: &[Job]) -> bool {
    let marked = |j: &Job| {
        matches!(
            j.state,
            JobState::Cancelled | JobState::Cancelling | JobState::UndoReady | JobState::Undoing | JobState::Undone
        )
    };
    jobs.iter().any(marked)
}

/// What the states of its jobs mean for a migration, all of them together: one job that becomes known ends nothing while
/// another one is unknown.
fn verdict(state: MigrationState, jobs: &[Job]) -> Option<MigrationEvent> {
    let any = |state| jobs.iter().any(|j| j.state == state);
    let (unknown, failed) = (any(JobState::Unknown), any(JobState::Failed));
    match state {
        MigrationState::Running | MigrationState::Stopped | MigrationState::Unwinding if unknown => {
            Some(MigrationEvent::JobUnknown)
        }
        MigrationState::Running if failed => Some(MigrationEvent::JobFailed),
        MigrationState::Stuck if unknown => None,
        // An undoing that failed waits for a person, who cancels again.
        MigrationState::Stuck if goes_back(jobs) => (!failed).then_some(MigrationEvent::Cancel),
        MigrationState::Stuck if failed => Some(MigrationEvent::JobFailed),
        MigrationState::Stuck => Some(MigrationEvent::JobKnown),
        _ => None,
    }
}

/// Moves a migration to where its jobs say that it is.
async fn settle(tx: &mut dyn Tx, id: MigrationId) -> Result<(), Problem> {
    let Some(m) = tx.migration(id).await? else {
        return Ok(());
    };
    let jobs = jobs_of(tx, id).await?;
    if let Some(event) = verdict(m.state, &jobs) {
        let to = m.state.next(event).map_err(illegal)?;
        tx.transition_migration(id, m.state, to).await?;
    }
    Ok(())
}

/// An attempt ended. Returns hosts whose lease duties changed.
pub async fn ended(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    attempt: &Attempt,
    job: &Job,
    end: End,
) -> Result<Vec<HostId>, Problem> {
    let m = migration_of(tx, job).await?;
    let jobs = jobs_of(tx, m.id).await?;
    let back = goes_back(&jobs);
    check_end(attempt, job, &end, back)?;
    if was_told(attempt, job, &end)? {
        return Ok(vec![]);
    }
    // What a run at SQL Server read back is held against what was planned, before anything follows from it.
    let end = match end {
        End::Succeeded(outcome) if job.kind == JobKind::Fence => lease_run::judged(tx, actor, &m, job, outcome).await?,
        end => end,
    };
    let (attempt_event, job_event, kind) = match &end {
        End::Succeeded(_) => (AttemptEvent::Succeed, JobEvent::Succeed, "job.succeeded"),
        End::Failed(_) => (AttemptEvent::Fail, JobEvent::Fail, "job.failed"),
        End::Cancelled(_) => (AttemptEvent::Stop, JobEvent::Stop, "job.cancelled"),
        End::Unknown(_) => (AttemptEvent::LoseSight, JobEvent::LoseSight, "job.unknown"),
        End::Undone(_) => (AttemptEvent::Succeed, JobEvent::Undone, "job.undone"),
    };
    // An attempt that is unknown already stays so until it is known.
    if let Ok(to) = attempt.state.next(attempt_event) {
        tx.transition_attempt(attempt.job, attempt.attempt, attempt.state, to)
            .await?;
    }
    if job.state != JobState::Unknown || job_event != JobEvent::LoseSight {
        let to = job.state.next(job_event).map_err(not_expected)?;
        tx.transition_job(job.id, job.state, to).await?;
    }
    let mut payload = serde_json::json!({"job": job.name, "attempt": attempt.attempt, "host": job.host});
    let mut hosts = Vec::new();
    match &end {
        End::Succeeded(outcome) => {
            tx.set_job_outcome(job.id, &serde_json::to_value(outcome).map_err(illegal)?)
                .await?;
            payload["levels"] = serde_json::to_value(&outcome.levels).map_err(illegal)?;
            payload["evidence"] = serde_json::to_value(&outcome.evidence).map_err(illegal)?;
            payload["findings"] = serde_json::to_value(&outcome.findings).map_err(illegal)?;
            if let Some(manifest) = &outcome.manifest {
                let summary = syncferry_shared::report::ManifestSummary::from(manifest);
                payload["manifest"] = serde_json::to_value(summary).map_err(illegal)?;
            }
            hosts = learn(core, tx, actor, &m, job, outcome).await?;
        }
        End::Failed(failure) | End::Unknown(failure) => {
            tx.set_job_failure(job.id, &serde_json::to_value(failure).map_err(illegal)?)
                .await?;
            payload["step"] = failure.step.clone().into();
            payload["findings"] = serde_json::to_value(&failure.findings).map_err(illegal)?;
            payload["undone"] = failure.undone.into();
        }
        // The row says that nothing is left; why the agent says so is in the history. An agent that lost its journal and
        // believes that it never began says that, too.
        End::Cancelled(Some(failure)) => {
            payload["step"] = failure.step.clone().into();
            payload["findings"] = serde_json::to_value(&failure.findings).map_err(illegal)?;
        }
        End::Undone(Some(outcome)) => {
            payload["evidence"] = serde_json::to_value(&outcome.evidence).map_err(illegal)?;
            payload["findings"] = serde_json::to_value(&outcome.findings).map_err(illegal)?;
        }
        End::Cancelled(None) | End::Undone(None) => {}
    }
    tx.append_event(migration_event(m.id, kind, actor, payload)).await?;
    if !matches!(end, End::Unknown(_)) {
        close_gates(tx, job).await?;
    }
    if back && job.kind == JobKind::Install && matches!(end, End::Succeeded(_)) {
        revive(tx, &m).await?;
    } else if m.state == MigrationState::Unwinding && matches!(&end, End::Failed(f) if !f.undone) {
        // What could not be undone is a person's to look at.
        let to = m.state.next(MigrationEvent::JobFailed).map_err(illegal)?;
        tx.transition_migration(m.id, m.state, to).await?;
    }
    settle(tx, m.id).await?;
    Ok(hosts)
}

/// Refuses an end that no order led to. It is the agent's mistake, and nothing is changed by it.
fn check_end(attempt: &Attempt, job: &Job, end: &End, back: bool) -> Result<(), Problem> {
    let refuse = |why: &str| Err(Problem::Invalid(format!("job {}: {why}", job.name)));
    match end {
        _ if attempt.state == AttemptState::Offered => refuse("the attempt was not accepted yet"),
        End::Undone(_) if !attempt.undo => refuse("an attempt that does something cannot end as undone"),
        End::Succeeded(_) | End::Cancelled(_) if attempt.undo => refuse("an attempt that undoes ends as undone"),
        End::Cancelled(_) if !back => refuse("nobody asked to cancel it"),
        _ => Ok(()),
    }
}

/// Whether it is the second time that an agent says that it cannot tell.
fn was_told(attempt: &Attempt, job: &Job, end: &End) -> Result<bool, Problem> {
    let End::Unknown(failure) = end else {
        return Ok(false);
    };
    let told = job.failure == Some(serde_json::to_value(failure).map_err(illegal)?);
    Ok(told && attempt.state == AttemptState::Unknown && job.state == JobState::Unknown)
}

fn not_expected(e: impl std::fmt::Display) -> Problem {
    Problem::Invalid(e.to_string())
}

/// Nobody waits at a gate of a job that ended.
async fn close_gates(tx: &mut dyn Tx, job: &Job) -> Result<(), Problem> {
    for gate in tx
        .gates_of(job.migration)
        .await?
        .into_iter()
        .filter(|g| g.job == job.id)
    {
        if let Ok(to) = gate.state.next(GateEvent::Cancel) {
            tx.transition_gate(gate.id, gate.state, to).await?;
            let payload = serde_json::json!({"gate": gate.id, "title": gate.title, "why": "its job ended"});
            tx.append_event(migration_event(job.migration, "gate.cancelled", "controller", payload))
                .await?;
        }
    }
    Ok(())
}

/// The wizard was completed before the agent heard of the cancellation: the new server uses the database. Undoing would take
/// it away under a running server, so what is left is done after all, and that is only to look.
async fn revive(tx: &mut dyn Tx, m: &Migration) -> Result<(), Problem> {
    for job in jobs_of(tx, m.id).await? {
        if let Ok(to) = job.state.next(JobEvent::Revive) {
            tx.transition_job(job.id, job.state, to).await?;
        }
    }
    let event = if m.state == MigrationState::Stuck {
        MigrationEvent::JobKnown
    } else {
        MigrationEvent::Overtaken
    };
    let to = m.state.next(event).map_err(illegal)?;
    tx.transition_migration(m.id, m.state, to).await?;
    let payload = serde_json::json!({"reason": "Connect was installed before the cancellation took effect"});
    tx.append_event(migration_event(
        m.id,
        "migration.cancel-overtaken",
        "controller",
        payload,
    ))
    .await?;
    Ok(())
}

/// What a job that ended well teaches us.
async fn learn(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    job: &Job,
    outcome: &Outcome,
) -> Result<Vec<HostId>, Problem> {
    if let Some(manifest) = &outcome.manifest {
        let json = serde_json::to_value(manifest).map_err(illegal)?;
        tx.add_artifact(&NewArtifact {
            id: manifest.artifact,
            migration: m.id,
            host: job.host,
            manifest: json,
        })
        .await?;
    }
    if let (Some(restored), Some(database)) = (&outcome.restored, job.resource.database_id()) {
        know_database(tx, database, restored).await?;
    }
    if job.kind == JobKind::Install {
        return hand_renewal_over(core, tx, actor, m, job).await;
    }
    // Connect is gone from the server: what it had is nobody's any more, and stays on its SQL Server.
    if let (Scenario::Decommission, "uninstall", Some(database)) =
        (m.scenario, job.name.as_str(), job.resource.database_id())
    {
        tx.retire_database(database).await?;
    }
    if deletes_artifact(job) {
        for artifact in tx.artifacts_of(m.id).await? {
            tx.mark_artifact_deleted(artifact.id).await?;
        }
    }
    Ok(vec![])
}

async fn know_database(tx: &mut dyn Tx, id: syncferry_shared::DatabaseId, r: &Restored) -> Result<(), Problem> {
    let guids = DatabaseGuids {
        database: Some(r.database_guid),
        family: Some(r.family_guid),
        recovery_fork: r.recovery_fork_guid,
        service_broker: r.service_broker_guid,
        group_database: None,
    };
    tx.set_database_identity(
        id,
        &instance_key(&r.server_name, r.database_guid),
        &guids,
        &r.server_name,
    )
    .await?;
    if tx
        .database(id)
        .await?
        .is_some_and(|d| d.identity_state == IdentityState::Provisional)
    {
        tx.set_identity_state(id, IdentityState::Provisional, IdentityState::Confirmed)
            .await?;
    }
    Ok(())
}

/// Connect is installed: from here on its own host's agent renews the lease.
async fn hand_renewal_over(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    job: &Job,
) -> Result<Vec<HostId>, Problem> {
    // A lease that is being fenced, or in doubt, is nobody's to hand over; the report of the installation counts all the same.
    let alive = |l: &syncferry_shared::lease::Lease| {
        matches!(l.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost)
    };
    let lease = tx.lease(&job.resource).await?.filter(alive);
    let Some(lease) = lease.filter(|l| l.renewer != Some(job.host)) else {
        return Ok(vec![]);
    };
    let Some(session) = tx.agent_of_host(job.host).await?.and_then(|a| a.session) else {
        return Ok(vec![]);
    };
    let by = By::new(actor)
        .migration(m.id)
        .detail(serde_json::json!({"reason": "Connect is installed; its own host's agent renews"}));
    tx.adopt_lease(
        &lease.resource,
        lease.epoch,
        session,
        job.host,
        core.config.leases.ttl_ms(),
        &by,
    )
    .await?;
    Ok([Some(job.host), lease.renewer].into_iter().flatten().collect())
}

fn deletes_artifact(job: &Job) -> bool {
    let spec: Option<JobSpec> = job.spec.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok());
    matches!(spec.map(|s| s.task), Some(Task::VerifyOldServer(t)) if t.delete_artifact.is_some())
}

/// Nobody knows how an attempt goes on: its agent is silent, or does not know it any more. Returns its migration, if
/// something changed.
pub async fn lose_sight(
    tx: &mut dyn Tx,
    attempt: &Attempt,
    actor: &str,
    why: &str,
) -> Result<Option<MigrationId>, Problem> {
    let Ok(to) = attempt.state.next(AttemptEvent::LoseSight) else {
        return Ok(None);
    };
    tx.transition_attempt(attempt.job, attempt.attempt, attempt.state, to)
        .await?;
    let Some(job) = tx.job(attempt.job).await? else {
        return Ok(None);
    };
    if let Ok(to) = job.state.next(JobEvent::LoseSight) {
        tx.transition_job(job.id, job.state, to).await?;
    }
    let payload = serde_json::json!({"job": job.name, "attempt": attempt.attempt, "why": why});
    tx.append_event(migration_event(job.migration, "job.unknown", actor, payload))
        .await?;
    settle(tx, job.migration).await?;
    Ok(Some(job.migration))
}

/// The agent is back with an attempt that was unknown: it goes on in the direction in which it went.
pub(crate) async fn resume(tx: &mut dyn Tx, attempt: &Attempt, job: &Job, actor: &str) -> Result<(), Problem> {
    let to = attempt.state.next(AttemptEvent::Resume).map_err(illegal)?;
    tx.transition_attempt(attempt.job, attempt.attempt, attempt.state, to)
        .await?;
    if job.state != JobState::Unknown {
        return Ok(());
    }
    let back = goes_back(&jobs_of(tx, job.migration).await?);
    let way: &[JobEvent] = match (attempt.undo, back) {
        (true, _) => &[JobEvent::Undo, JobEvent::Accept],
        (false, true) => &[JobEvent::Cancel],
        (false, false) => &[JobEvent::Resume],
    };
    let mut state = job.state;
    for event in way {
        let to = state.next(*event).map_err(illegal)?;
        tx.transition_job(job.id, state, to).await?;
        state = to;
    }
    let payload = serde_json::json!({"job": job.name, "attempt": attempt.attempt, "state": state});
    tx.append_event(migration_event(job.migration, "job.resumed", actor, payload))
        .await?;
    settle(tx, job.migration).await
}

/// Everything is undone: the seat is given back, with the proof that nobody ever sat on it.
pub async fn give_seat_back(
    tx: &mut dyn Tx,
    m: &Migration,
    target: syncferry_shared::DatabaseId,
) -> Result<Vec<HostId>, Problem> {
    let Some(lease) = tx.lease(&Resource::database(target)).await? else {
        return Ok(vec![]);
    };
    free_seat(tx, m, &lease).await?;
    tx.retire_database(target).await?;
    Ok(lease.renewer.into_iter().collect())
}

/// The seat is given up, and the database stays with a lease that is nobody's: the next server can take it.
pub async fn leave_seat(
    tx: &mut dyn Tx,
    m: &Migration,
    target: syncferry_shared::DatabaseId,
) -> Result<Vec<HostId>, Problem> {
    let Some(lease) = tx.lease(&Resource::database(target)).await? else {
        return Ok(vec![]);
    };
    free_seat(tx, m, &lease).await?;
    Ok(lease.renewer.into_iter().collect())
}

/// Frees the lease of a new server on which Connect was never installed.
pub(crate) async fn free_seat(tx: &mut dyn Tx, m: &Migration, lease: &Lease) -> Result<(), Problem> {
    let resource = &lease.resource;
    let proof = syncferry_store::NewProof {
        kind: syncferry_shared::lease::ProofKind::NeverUsed,
        evidence: serde_json::json!({"reason": "Connect was never installed on it; the jobs' journals say that everything was undone"}),
        actor: "controller".to_string(),
        second: None,
    };
    let by = By::new("controller")
        .migration(m.id)
        .detail(serde_json::json!({"reason": "migration cancelled"}));
    match lease.state {
        LeaseState::Free => {}
        LeaseState::Held | LeaseState::Draining => {
            tx.release_lease(resource, lease.epoch, None, &proof, &by).await?;
        }
        // Its renewer is away, or its identity was in doubt. What is never used can be fenced by the word of the journals;
        // otherwise the new server could never be seated again.
        LeaseState::Lost | LeaseState::Quarantined => {
            let fencing = tx.begin_fence(resource, lease.epoch, None, &by).await?;
            end_fence(tx, &fencing, &proof, &by).await?;
        }
        LeaseState::Fencing => end_fence(tx, lease, &proof, &by).await?,
    }
    Ok(())
}

async fn end_fence(
    tx: &mut dyn Tx,
    fencing: &syncferry_shared::lease::Lease,
    proof: &syncferry_store::NewProof,
    by: &By,
) -> Result<(), Problem> {
    tx.add_proof(&fencing.resource, fencing.epoch, proof).await?;
    tx.end_fence(&fencing.resource, fencing.epoch, by).await?;
    Ok(())
}
