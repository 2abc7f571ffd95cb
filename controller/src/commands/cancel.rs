//! `cancel`: running jobs stop at their next safe point and undo; what is done is undone by jobs of its own.

use syncferry_shared::Finding;
use syncferry_shared::lease::LeaseState;
use syncferry_shared::outcome::Failure;
use syncferry_shared::plan::Scenario;
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{
    AttemptEvent, AttemptState, GateEvent, JobEvent, JobState, MigrationEvent, MigrationState,
};
use syncferry_store::{AgentState, Attempt, InspectionState, Job, Migration, Tx};

use crate::core::{Core, migration_event};
use crate::find;
use crate::plan::move_in_place::POINT_OF_NO_RETURN;
use crate::problem::Problem;
use crate::progression;
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
        .map_err(|e| Problem::NotNow(e.to_string()))?;
    let jobs = progression::jobs_of(&mut *tx, m.id).await?;
    if let Some(done) = jobs
        .iter()
        .find(|j| j.kind == JobKind::Install && j.state == JobState::Succeeded)
    {
        return Err(Problem::refused(
            Finding::blocker(
                "past-point-of-no-return",
                "The new Connect server uses the database already",
            )
            .saw(format!("job {}", done.name), "succeeded: the wizard was completed")
            .source("Syncferry: the plan's rollback ends at the wizard")
            .next(match super::apply::plan_of(&m)?.request.is_some_and(|r| r.in_place) {
                true => "Finish the migration. There is no old installation to go back to; the new one is in staging mode and exports nothing.",
                false => way_back(m.scenario),
            }),
        ));
    }
    between_two_leases(&mut *tx, &m, &jobs).await?;
    let out = jobs
        .iter()
        .find(|j| j.name == "new-out-of-staging" && j.state == JobState::Succeeded);
    if let Some(out) = out.filter(|_| m.scenario == Scenario::SwitchActive) {
        return Err(Problem::refused(
            Finding::blocker("past-point-of-no-return", "The new server exports already")
                .saw(format!("job {}", out.name), "succeeded: it is out of staging mode")
                .source("Syncferry: the plan's rollback ends where the export changes hands")
                .next("Finish the migration. To stop it again, put the server into staging mode in the wizard, or make another one active: `syncferry plan switch-active`."),
        ));
    }
    if let Some(finding) = switched(&mut *tx, &m).await? {
        return Err(Problem::refused(finding));
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
        stop(&mut *tx, actor, job, reason).await?;
    }
    for i in tx.inspections_of(m.id).await? {
        if i.state == InspectionState::Pending {
            tx.complete_inspection(i.id, Err("the migration was cancelled")).await?;
        }
    }
    for gate in tx.gates_of(m.id).await? {
        if let Ok(to) = gate.state.next(GateEvent::Cancel) {
            tx.transition_gate(gate.id, gate.state, to).await?;
            let payload =
                serde_json::json!({"gate": gate.id, "title": gate.title, "why": "the migration was cancelled"});
            tx.append_event(migration_event(m.id, "gate.cancelled", actor, payload))
                .await?;
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

/// Connect is uninstalled and its lease not yet given up: what is left belongs together, and takes a moment.
async fn between_two_leases(tx: &mut dyn Tx, m: &Migration, jobs: &[Job]) -> Result<(), Problem> {
    let gone = |j: &Job| j.name == POINT_OF_NO_RETURN && j.state == JobState::Succeeded;
    if m.scenario != Scenario::MoveToFullSql || !jobs.iter().any(gone) {
        return Ok(());
    }
    let Some(h) = super::apply::plan_of(m)?.handover else {
        return Ok(());
    };
    let free = tx
        .lease(&h.resource)
        .await?
        .is_some_and(|l| l.state == LeaseState::Free);
    if free {
        return Ok(());
    }
    Err(Problem::NotNow(format!(
        "Connect is uninstalled on {}, and its lease of {} is about to be freed: cancel again when it is (`syncferry status` says what it waits for)",
        h.from_name, h.lease_name
    )))
}

/// Whether the export changed hands already: then nobody but the new server may leave staging mode, and the way back is the same way
/// in the other direction.
async fn switched(tx: &mut dyn Tx, m: &Migration) -> Result<Option<Finding>, Problem> {
    if m.scenario != Scenario::SwitchActive || m.state == MigrationState::Planned {
        return Ok(None);
    }
    let Ok(plan) = super::apply::plan_of(m) else {
        return Ok(None);
    };
    let Some(h) = plan.handover else { return Ok(None) };
    let lease = tx.lease(&h.resource).await?.filter(|l| l.holder == Some(h.to));
    Ok(lease.map(|lease| {
        Finding::blocker(
            "past-point-of-no-return",
            format!("{} is {}'s already", h.lease_name, h.to_name),
        )
        .saw(
            format!("lease {}", lease.resource),
            format!("{}, epoch {}", lease.state, lease.epoch),
        )
        .source("Syncferry: the plan's rollback ends where the export changes hands")
        .next(format!(
            "Finish the migration. To go back afterwards: `syncferry plan switch-active --to {}`.",
            h.from_name
        ))
    }))
}

/// How to go back when Syncferry does not.
fn way_back(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::ReplaceServer => {
            "Finish the migration. To go back, uninstall Connect on the new server by hand, and have a DBA restore the backup that the plan made: the wizard worked on the only copy."
        }
        Scenario::RestoreFromBackup => {
            "Finish the migration. To go back, uninstall Connect on the new server by hand; the old server must stay out unless its own database is back."
        }
        Scenario::ProvisionStaging => {
            "Finish the migration. To take the staging server away again: `syncferry plan decommission`; the active server was never touched."
        }
        _ => {
            "Finish the migration. To go back, uninstall Connect on the new server by hand; the old server is still active on its own database."
        }
    }
}

async fn stop(tx: &mut dyn Tx, actor: &str, job: &Job, reason: &str) -> Result<(), Problem> {
    let attempt = tx.current_attempt(job.id).await?.filter(Attempt::is_open);
    if job.state == JobState::Unknown && nothing_known(job) {
        return take_the_word(tx, actor, job, attempt.as_ref(), reason).await;
    }
    // What is done, failed or undone stays; the scheduler undoes it afterwards.
    let event = match job.state {
        JobState::Waiting | JobState::Ready | JobState::Offered | JobState::Running => JobEvent::Cancel,
        // Its undoing went astray. Another try looks before it acts; but only one may be at it.
        JobState::Unknown if attempt.as_ref().is_none_or(|a| a.undo) => {
            give_up_undoing(tx, job, attempt.as_ref()).await?;
            JobEvent::Undo
        }
        JobState::Unknown => JobEvent::Cancel,
        _ => return Ok(()),
    };
    let to = job.state.next(event).map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_job(job.id, job.state, to).await?;
    // An offer that nobody accepted is void: whoever accepts it from here on is refused.
    if let Some(offered) = attempt.filter(|a| a.state == AttemptState::Offered) {
        supersede(tx, &offered).await?;
    }
    Ok(())
}

/// Whether its agent said that its journal knows nothing of it.
fn nothing_known(job: &Job) -> bool {
    let failure: Option<Failure> = job.failure.clone().and_then(|f| serde_json::from_value(f).ok());
    failure.is_some_and(|f| f.nothing_known())
}

/// No agent can say what the job left, and the operator was told so: to cancel once more is their word that they looked and
/// put it back. Nothing else would ever bring the migration to its end.
async fn take_the_word(
    tx: &mut dyn Tx,
    actor: &str,
    job: &Job,
    attempt: Option<&Attempt>,
    reason: &str,
) -> Result<(), Problem> {
    let event = match attempt {
        Some(a) if a.undo => JobEvent::Undone,
        _ => JobEvent::Stop,
    };
    if let Some(attempt) = attempt {
        supersede(tx, attempt).await?;
    }
    let to = job.state.next(event).map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_job(job.id, job.state, to).await?;
    let payload = serde_json::json!({"job": job.name, "state": to, "reason": reason});
    tx.append_event(migration_event(job.migration, "job.undone-by-hand", actor, payload))
        .await?;
    Ok(())
}

async fn give_up_undoing(tx: &mut dyn Tx, job: &Job, attempt: Option<&Attempt>) -> Result<(), Problem> {
    let Some(attempt) = attempt else { return Ok(()) };
    let agent = tx.agent_of_host(job.host).await?;
    if agent.is_none_or(|a| a.state != AgentState::Online) {
        return Err(Problem::NoAnswer(format!(
            "the agent that undoes job {} is not in touch: it may still be at work. Bring it back first",
            job.name
        )));
    }
    supersede(tx, attempt).await
}

async fn supersede(tx: &mut dyn Tx, a: &Attempt) -> Result<(), Problem> {
    let to = a
        .state
        .next(AttemptEvent::Supersede)
        .map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_attempt(a.job, a.attempt, a.state, to).await?;
    Ok(())
}
