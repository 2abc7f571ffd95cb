//! `cancel`: running jobs stop at their next safe point and undo; what is done is undone by jobs of its own.

use syncferry_shared::Finding;
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{
    AttemptEvent, AttemptState, GateEvent, JobEvent, JobState, MigrationEvent, MigrationState,
};
use syncferry_store::{JobFilter, Migration, Tx};

use crate::core::{Core, migration_event};
use crate::find;
use crate::problem::Problem;
use crate::wake::HostReason;

/// Cancels a migration.
pub async fn cancel(core: &Core, actor: &str, migration: &str, reason: &str) -> Result<Migration, Problem> {
    let mut tx = core.store.begin("migration.cancel").await?;
    let m = find::migration(&mut *tx, migration).await?;
    if matches!(m.state, MigrationState::Cancelled | MigrationState::Unwinding) {
        return Ok(m);
    }
    let to = m
        .state
        .next(MigrationEvent::Cancel)
        .map_err(|e| Problem::Invalid(e.to_string()))?;
    let jobs = tx
        .jobs(&JobFilter {
            migration: Some(m.id),
            ..JobFilter::default()
        })
        .await?;
    if let Some(done) = jobs
        .iter()
        .find(|j| j.kind == JobKind::Install && j.state == JobState::Succeeded)
    {
        return Err(Problem::refused(
            Finding::blocker("past-point-of-no-return", "The new Connect server uses the database already")
                .saw(format!("job {}", done.name), "succeeded: the wizard was completed")
                .source("Syncferry: the plan's rollback ends at the wizard")
                .next("Finish the migration. To go back, uninstall Connect on the new server by hand; the old server is still active on its own database."),
        ));
    }
    tx.transition_migration(m.id, m.state, to).await?;
    tx.append_event(migration_event(
        m.id,
        "migration.cancelled-by",
        actor,
        serde_json::json!({"reason": reason}),
    ))
    .await?;
    for job in &jobs {
        stop(&mut *tx, job).await?;
    }
    for gate in tx.gates_of(m.id).await? {
        if let Ok(to) = gate.state.next(GateEvent::Cancel) {
            tx.transition_gate(gate.id, gate.state, to).await?;
        }
    }
    let m = tx
        .migration(m.id)
        .await?
        .ok_or_else(|| Problem::Internal("the row is gone".to_string()))?;
    tx.commit().await?;
    for job in jobs {
        core.host_changed(job.host, HostReason::Work);
    }
    core.migration_changed(m.id);
    Ok(m)
}

async fn stop(tx: &mut dyn Tx, job: &syncferry_store::Job) -> Result<(), Problem> {
    // What is done, failed or undone stays; the scheduler undoes it afterwards.
    let event = match job.state {
        JobState::Waiting | JobState::Ready | JobState::Offered | JobState::Running | JobState::Unknown => {
            JobEvent::Cancel
        }
        _ => return Ok(()),
    };
    let to = job.state.next(event).map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_job(job.id, job.state, to).await?;
    // An offer that nobody accepted is void: whoever accepts it from here on is refused.
    if let Some(a) = tx
        .current_attempt(job.id)
        .await?
        .filter(|a| a.state == AttemptState::Offered)
    {
        let to = a
            .state
            .next(AttemptEvent::Supersede)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_attempt(a.job, a.attempt, a.state, to).await?;
    }
    Ok(())
}
