//! A migration that runs. The jobs of a stage become ready when every job of the stages before is done; their
//! specifications are made then, because only then their inputs are known.

use std::collections::BTreeMap;

use syncferry_shared::MigrationId;
use syncferry_shared::lease::{LeaseRef, LeaseState};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::plan::Plan;
use syncferry_shared::state::{JobEvent, JobState, MigrationEvent, MigrationState};
use syncferry_store::{Job, JobFilter, Tx};

use crate::commands::apply::plan_of;
use crate::core::{Core, migration_event};
use crate::plan::specs::{self, Known};
use crate::problem::Problem;
use crate::wake::HostReason;

/// Takes the next step of a running migration.
pub(super) async fn advance(core: &Core, id: MigrationId) -> Result<(), Problem> {
    let mut tx = core.store.begin("scheduler.advance").await?;
    let Some(m) = tx.migration(id).await?.filter(|m| m.state == MigrationState::Running) else {
        return Ok(());
    };
    let jobs = tx
        .jobs(&JobFilter {
            migration: Some(id),
            ..JobFilter::default()
        })
        .await?;
    let done = |j: &Job| j.state == JobState::Succeeded;
    if jobs.iter().all(done) {
        let to = m
            .state
            .next(MigrationEvent::AllJobsDone)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_migration(id, m.state, to).await?;
        tx.append_event(migration_event(
            id,
            "migration.succeeded",
            "controller",
            serde_json::json!({}),
        ))
        .await?;
        tx.commit().await?;
        core.migration_changed(id);
        return Ok(());
    }
    let Some(stage) = jobs.iter().filter(|j| !done(j)).map(|j| j.stage).min() else {
        return Ok(());
    };
    // A job that was made ready keeps its specification; one that is tried again gets a new one, because leases and
    // addresses may have changed.
    let wanting: Vec<&Job> = jobs
        .iter()
        .filter(|j| j.stage == stage)
        .filter(|j| j.state == JobState::Waiting || (j.state == JobState::Ready && j.spec.is_some()))
        .collect();
    if wanting.is_empty() {
        return Ok(());
    }
    let plan = plan_of(&m)?;
    let outcomes = outcomes(&jobs)?;
    let mut changed = Vec::new();
    for job in wanting {
        if prepare(&mut *tx, &plan, job, &outcomes).await? {
            changed.push(job.host);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    tx.commit().await?;
    for host in changed {
        core.host_changed(host, HostReason::Work);
    }
    core.wake.ring(crate::wake::Reason::Migration(id));
    Ok(())
}

fn outcomes(jobs: &[Job]) -> Result<BTreeMap<String, Outcome>, Problem> {
    let mut found = BTreeMap::new();
    for job in jobs {
        if let Some(json) = &job.outcome {
            let outcome = serde_json::from_value(json.clone())
                .map_err(|e| Problem::Internal(format!("the outcome of job {} cannot be read: {e}", job.name)))?;
            found.insert(job.name.clone(), outcome);
        }
    }
    Ok(found)
}

/// Gives a job its specification and makes it ready. Says whether something changed.
async fn prepare(
    tx: &mut dyn Tx,
    plan: &Plan,
    job: &Job,
    outcomes: &BTreeMap<String, Outcome>,
) -> Result<bool, Problem> {
    let Some(lease) = tx.lease(&job.resource).await?.filter(|l| l.state == LeaseState::Held) else {
        tracing::warn!(job = %job.name, resource = %job.resource, "a job waits: its lease is not held");
        return Ok(false);
    };
    let Some(planned) = plan.jobs().find(|p| p.id == job.id) else {
        return Err(Problem::Internal(format!("job {} is not in its plan", job.name)));
    };
    let source_agent = match &plan.values {
        Some(v) => tx.agent_of_host(v.source_host).await?,
        None => None,
    };
    let known = Known {
        outcomes,
        lease: LeaseRef {
            resource: job.resource.clone(),
            epoch: lease.epoch,
        },
        source_agent: source_agent.as_ref().map(|a| a.id),
        source_address: source_agent.and_then(|a| a.transfer_address),
    };
    let spec = specs::spec(plan, planned, &known).map_err(|e| Problem::Internal(e.to_string()))?;
    let bytes = serde_json::to_vec(&spec).map_err(|e| Problem::Internal(e.to_string()))?;
    if job.spec.as_deref() == Some(bytes.as_slice()) {
        return Ok(false);
    }
    let digest = tx.set_job_spec(job.id, &bytes).await?;
    if job.state == JobState::Waiting {
        let to = job
            .state
            .next(JobEvent::Prepare)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_job(job.id, job.state, to).await?;
    }
    let payload = serde_json::json!({"job": job.name, "digest": digest, "epoch": lease.epoch});
    tx.append_event(migration_event(job.migration, "job.ready", "controller", payload))
        .await?;
    Ok(true)
}
