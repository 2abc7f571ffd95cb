//! A cancelled migration. When no job runs any more, what is done is undone, the last first, each by its own agent. When
//! nothing is left, the seat is given back.

use syncferry_shared::MigrationId;
use syncferry_shared::outcome::Failure;
use syncferry_shared::plan::{Plan, ProveTask, Scenario};
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{JobEvent, JobState, MigrationEvent, MigrationState};
use syncferry_store::{Job, Tx};

use super::handing_over;
use crate::commands::apply::plan_of;
use crate::core::{Core, migration_event};
use crate::plan::move_in_place::POINT_OF_NO_RETURN;
use crate::problem::Problem;
use crate::wake::HostReason;
use crate::{lease_use, progression};

/// Whether a job left something that its agent can take away again. An agent that failed puts back what its attempt did, and
/// says whether it could; what an earlier attempt left, or an undoing that failed, is still there.
async fn left_something(tx: &mut dyn Tx, job: &Job) -> Result<bool, Problem> {
    match job.state {
        // A nonce was shown before it was written, and its removal with it.
        JobState::Succeeded if job.name == ProveTask::WRITE => Ok(true),
        // Marks and denials are taken away by a run of their own, which shows its T-SQL first.
        _ if matches!(job.kind, JobKind::Verify | JobKind::Fence) => Ok(false),
        JobState::Succeeded => Ok(true),
        JobState::Failed => {
            let failure: Option<Failure> = job.failure.clone().and_then(|f| serde_json::from_value(f).ok());
            let clean = failure.is_some_and(|f| f.undone) && tx.attempts(job.id).await?.len() == 1;
            Ok(!clean)
        }
        _ => Ok(false),
    }
}

/// Whether the backup is the way back: the wizard works on the only copy, and from its first page on nobody but the person there
/// knows how far it got.
async fn keeps_backup(tx: &mut dyn Tx, scenario: Scenario, jobs: &[Job]) -> Result<bool, Problem> {
    if scenario != Scenario::ReplaceServer {
        return Ok(false);
    }
    for job in jobs.iter().filter(|j| j.kind == JobKind::Install) {
        if !tx.attempts(job.id).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether Connect was uninstalled on the host that was to go on: what was restored is the only thing that is left to go on with.
fn gave_up_old(plan: &Plan, jobs: &[Job]) -> bool {
    let in_place = plan.request.as_ref().is_some_and(|r| r.in_place);
    // Somebody may have uninstalled it after the cancellation: then the agent that was to start its service did not find it.
    let found_gone = |j: &Job| {
        let failure: Option<Failure> = j.failure.clone().and_then(|f| serde_json::from_value(f).ok());
        j.state == JobState::Failed && failure.is_some_and(|f| f.findings.iter().any(|f| f.rule == "connect-is-gone"))
    };
    let seen_gone = |j: &Job| j.name == POINT_OF_NO_RETURN && j.state == JobState::Succeeded;
    in_place && jobs.iter().any(|j| seen_gone(j) || found_gone(j))
}

/// Takes the next step of a migration that is being unwound.
pub(super) async fn advance(core: &Core, id: MigrationId) -> Result<(), Problem> {
    let mut tx = core.store.begin("scheduler.unwind").await?;
    let Some(m) = tx.migration(id).await?.filter(|m| m.state == MigrationState::Unwinding) else {
        return Ok(());
    };
    let jobs = progression::jobs_of(&mut *tx, id).await?;
    let busy = |j: &Job| {
        matches!(
            j.state,
            JobState::Cancelling | JobState::UndoReady | JobState::Undoing | JobState::Unknown
        )
    };
    if jobs.iter().any(busy) {
        return Ok(());
    }
    let plan = plan_of(&m)?;
    let gone = gave_up_old(&plan, &jobs);
    let kept = gone || keeps_backup(&mut *tx, m.scenario, &jobs).await?;
    let mut last = None;
    // They come by stage and place, so the last one that fits is the last one that was done.
    for job in &jobs {
        let stays = match gone {
            true => job.kind != JobKind::Install,
            false => kept && job.kind == JobKind::Backup,
        };
        if !stays && left_something(&mut *tx, job).await? {
            last = Some(job);
        }
    }
    // What comes after the hand-over is undone by the new server; before anything else is, the lease is given back.
    if let Some(h) = plan.handover.as_ref()
        && last.is_none_or(|j| !lease_use::is_after(h, j.stage))
        && let Some(hosts) = handing_over::give_back(core, &mut *tx, &m, h).await?
    {
        tx.commit().await?;
        for host in hosts {
            core.host_changed(host, HostReason::Lease);
        }
        core.migration_changed(id);
        return Ok(());
    }
    if let Some(job) = last {
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
    // Only a database that was to come into being had a seat made for it.
    let seated = plan.request.as_ref().is_some_and(|r| r.scenario.seats());
    let target = plan.values.map(|v| v.target).filter(|_| seated);
    let hosts = match target {
        // The database stays, for whoever is installed on it next.
        Some(target) if gone => progression::leave_seat(&mut *tx, &m, target).await?,
        Some(target) => progression::give_seat_back(&mut *tx, &m, target).await?,
        None => vec![],
    };
    for artifact in tx.artifacts_of(id).await? {
        if !kept {
            tx.mark_artifact_deleted(artifact.id).await?;
        }
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
        if gone {
            serde_json::json!({"message": "Connect was uninstalled before: the restored database and the backups stay, and nobody holds the database. Install Connect anew on it: `syncferry plan replace-server`"})
        } else if kept {
            serde_json::json!({"message": "the backup is kept: the wizard may have changed the only copy of the database"})
        } else {
            serde_json::json!({})
        },
    ))
    .await?;
    tx.commit().await?;
    for host in hosts {
        core.host_changed(host, HostReason::Lease);
    }
    core.migration_changed(id);
    Ok(())
}
