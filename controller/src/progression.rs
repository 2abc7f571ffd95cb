//! What follows from the end of an attempt: the job's state, the migration's state, what becomes known of databases,
//! artifacts and leases. Always inside the transaction of the report that caused it.

use syncferry_shared::lease::{LeaseState, Resource};
use syncferry_shared::outcome::{Outcome, Restored};
use syncferry_shared::spec::{JobKind, JobSpec, Task};
use syncferry_shared::state::{AttemptEvent, JobEvent, JobState, MigrationEvent};
use syncferry_shared::{HostId, MigrationId};
use syncferry_store::{Attempt, By, DatabaseGuids, IdentityState, Job, Migration, NewArtifact, Tx};

use crate::commands::add_database::physical_key;
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

async fn move_migration(tx: &mut dyn Tx, m: &Migration, event: MigrationEvent) -> Result<(), Problem> {
    // A second failure in a stage finds the migration stopped already, which is fine.
    if let Ok(to) = m.state.next(event)
        && to != m.state
    {
        tx.transition_migration(m.id, m.state, to).await?;
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
    let (attempt_event, job_event, kind) = match &end {
        End::Succeeded(_) => (AttemptEvent::Succeed, JobEvent::Succeed, "job.succeeded"),
        End::Failed(_) => (AttemptEvent::Fail, JobEvent::Fail, "job.failed"),
        End::Cancelled => (AttemptEvent::Stop, JobEvent::Stop, "job.cancelled"),
        End::Unknown(_) => (AttemptEvent::LoseSight, JobEvent::LoseSight, "job.unknown"),
        End::Undone => (AttemptEvent::Succeed, JobEvent::Undone, "job.undone"),
    };
    // An attempt that is unknown already stays so until it is known.
    if let Ok(to) = attempt.state.next(attempt_event) {
        tx.transition_attempt(attempt.job, attempt.attempt, attempt.state, to)
            .await?;
    }
    let m = migration_of(tx, job).await?;
    if job.state != JobState::Unknown || job_event != JobEvent::LoseSight {
        let to = job.state.next(job_event).map_err(illegal)?;
        tx.transition_job(job.id, job.state, to).await?;
    }
    // What was unknown is known now, and the migration goes on.
    let known = matches!(end, End::Succeeded(_) | End::Cancelled | End::Undone);
    if job.state == JobState::Unknown && known {
        move_migration(tx, &m, MigrationEvent::JobKnown).await?;
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
            let event = if matches!(end, End::Failed(_)) {
                MigrationEvent::JobFailed
            } else {
                MigrationEvent::JobUnknown
            };
            move_migration(tx, &m, event).await?;
        }
        End::Cancelled | End::Undone => {}
    }
    tx.append_event(migration_event(m.id, kind, actor, payload)).await?;
    Ok(hosts)
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
        &physical_key(&r.server_name, r.database_guid),
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
    let Some(lease) = tx.lease(&job.resource).await?.filter(|l| l.renewer != Some(job.host)) else {
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
    let m = migration_of(tx, &job).await?;
    if let Ok(to) = job.state.next(JobEvent::LoseSight) {
        tx.transition_job(job.id, job.state, to).await?;
    }
    move_migration(tx, &m, MigrationEvent::JobUnknown).await?;
    let payload = serde_json::json!({"job": job.name, "attempt": attempt.attempt, "why": why});
    tx.append_event(migration_event(m.id, "job.unknown", actor, payload))
        .await?;
    Ok(Some(m.id))
}

/// Everything is undone: the seat is given back, with the proof that nobody ever sat on it.
pub async fn give_seat_back(
    tx: &mut dyn Tx,
    m: &Migration,
    target: syncferry_shared::DatabaseId,
) -> Result<Vec<HostId>, Problem> {
    let resource = Resource::database(target);
    let Some(lease) = tx.lease(&resource).await? else {
        return Ok(vec![]);
    };
    if matches!(lease.state, LeaseState::Held | LeaseState::Draining) {
        let proof = syncferry_store::NewProof {
            kind: syncferry_shared::lease::ProofKind::NeverUsed,
            evidence: serde_json::json!({"reason": "Connect was never installed on it; the jobs' journals say that everything was undone"}),
            actor: "controller".to_string(),
            second: None,
        };
        let by = By::new("controller")
            .migration(m.id)
            .detail(serde_json::json!({"reason": "migration cancelled"}));
        tx.release_lease(&resource, lease.epoch, None, &proof, &by).await?;
    }
    tx.retire_database(target).await?;
    Ok(lease.renewer.into_iter().collect())
}
