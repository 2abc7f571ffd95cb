//! A cancelled migration. When no job runs any more, what is done is undone, the last first, each by its own agent. When
//! nothing is left, the seat is given back.

use syncferry_shared::MigrationId;
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{JobEvent, JobState, MigrationEvent, MigrationState};
use syncferry_store::{Job, JobFilter};

use crate::commands::apply::plan_of;
use crate::core::{Core, migration_event};
use crate::problem::Problem;
use crate::progression;
use crate::wake::HostReason;

/// Whether a job leaves something that its agent can take away again.
fn leaves_something(job: &Job) -> bool {
    job.kind != JobKind::Verify
}

/// Takes the next step of a migration that is being unwound.
pub(super) async fn advance(core: &Core, id: MigrationId) -> Result<(), Problem> {
    let mut tx = core.store.begin("scheduler.unwind").await?;
    let Some(m) = tx.migration(id).await?.filter(|m| m.state == MigrationState::Unwinding) else {
        return Ok(());
    };
    let jobs = tx
        .jobs(&JobFilter {
            migration: Some(id),
            ..JobFilter::default()
        })
        .await?;
    let busy = |j: &Job| {
        matches!(
            j.state,
            JobState::Cancelling | JobState::UndoReady | JobState::Undoing | JobState::Unknown
        )
    };
    if jobs.iter().any(busy) {
        return Ok(());
    }
    let undoable = |j: &&Job| j.state == JobState::Succeeded && leaves_something(j);
    if let Some(job) = jobs.iter().filter(undoable).max_by_key(|j| (j.stage, j.ordinal)) {
        let to = job
            .state
            .next(JobEvent::Undo)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_job(job.id, job.state, to).await?;
        let payload = serde_json::json!({"job": job.name});
        tx.append_event(migration_event(id, "job.undo", "controller", payload))
            .await?;
        let host = job.host;
        tx.commit().await?;
        core.host_changed(host, HostReason::Work);
        core.wake.ring(crate::wake::Reason::Migration(id));
        return Ok(());
    }
    let target = plan_of(&m)?.values.map(|v| v.target);
    let hosts = match target {
        Some(target) => progression::give_seat_back(&mut *tx, &m, target).await?,
        None => vec![],
    };
    for artifact in tx.artifacts_of(id).await? {
        tx.mark_artifact_deleted(artifact.id).await?;
    }
    let to = m
        .state
        .next(MigrationEvent::Unwound)
        .map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_migration(id, m.state, to).await?;
    tx.append_event(migration_event(
        id,
        "migration.cancelled",
        "controller",
        serde_json::json!({}),
    ))
    .await?;
    tx.commit().await?;
    for host in hosts {
        core.host_changed(host, HostReason::Lease);
    }
    core.migration_changed(id);
    Ok(())
}
