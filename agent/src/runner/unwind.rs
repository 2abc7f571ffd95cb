//! Going backwards: a failed or cancelled attempt undoes what its steps say they undo, and an UNDO attempt undoes everything
//! that earlier attempts at the job did. What was only found, and not brought about by us, is never undone.

use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::outcome::{Outcome, UNDO_NOTHING_KNOWN};
use syncferry_shared::state::StepState;

use super::cx::Cx;
use super::execute::{Place, enter, settle};
use super::permit;
use super::step::{Job, Step, StepError};
use crate::journal::{AttemptLog, Record};

/// Undoes the done steps of this attempt that ask for it, the last first. Returns what could not be undone.
pub(super) async fn backward(cx: &mut Cx, job: &Job) -> Result<Vec<Finding>, StepError> {
    let mut troubles = Vec::new();
    for (step, place) in reversed(job) {
        let step = step.as_ref();
        if !step.undoes_on_failure() || step.looks_only() {
            continue;
        }
        let own = cx.key.attempt;
        let known = cx.journal.attempt(cx.key);
        let Some(log) = known.as_ref().and_then(|a| a.step(step.name())) else {
            continue;
        };
        let undone = known
            .as_ref()
            .is_some_and(|a| a.undone.contains(&(own, step.name().to_string())));
        if undone || log.found {
            continue;
        }
        enter(cx, step);
        let gone = match &log.effect {
            Some(evidence) => undo_one(cx, step, place, own, evidence).await,
            None => step.discard(cx).await,
        };
        match gone {
            Ok(()) => {}
            Err(e @ (StepError::Journal(_) | StepError::Lost)) => return Err(e),
            Err(e) => troubles.push(not_undone(step, &e)),
        }
    }
    Ok(troubles)
}

/// Undoes everything that earlier attempts at the job did, the last step first.
pub(super) async fn undo_job(cx: &mut Cx, job: &Job) -> Result<Outcome, StepError> {
    let key = cx.key;
    let earlier: Vec<AttemptLog> = cx
        .journal
        .read(|l| l.attempts_of(key.job).filter(|a| a.key() < key).cloned().collect());
    if earlier.is_empty() {
        return Err(nothing_known());
    }
    let mut outcome = Outcome::default();
    for (step, place) in reversed(job) {
        let step = step.as_ref();
        enter(cx, step);
        if step.looks_only() {
            continue;
        }
        for attempt in earlier.iter().rev() {
            let of = attempt.token.attempt;
            let undone = cx.journal.read(|l| {
                let mut all = l.attempts_of(key.job);
                all.any(|a| a.undone.contains(&(of, step.name().to_string())))
            });
            let Some(log) = attempt.step(step.name()).filter(|_| !undone) else {
                continue;
            };
            let evidence = match &log.effect {
                Some(_) if log.found => continue,
                Some(evidence) => Some(evidence.clone()),
                // It began and nobody knows how far it came: look, and clean up what is ours.
                None => settle(cx, step).await?,
            };
            if evidence.is_none() {
                step.discard(cx).await?;
            }
            if let Some(evidence) = evidence {
                if step.destructive() {
                    cx.permit = Some(permit::obtain(cx, step.name(), step.budget()).await?);
                }
                undo_one(cx, step, place, of, &evidence).await?;
                outcome.saw(step.name(), format!("undone (attempt {of})"));
            }
        }
    }
    if outcome.evidence.is_empty() {
        outcome.saw(
            "the agent's journal",
            "no earlier attempt had done anything that needs undoing",
        );
    }
    Ok(outcome)
}

fn reversed(job: &Job) -> impl Iterator<Item = (&Box<dyn Step>, Place)> {
    let total = job.total();
    let places = job.steps.iter().zip(1..);
    let places: Vec<_> = places.map(|(step, ordinal)| (step, Place { ordinal, total })).collect();
    places.into_iter().rev()
}

async fn undo_one(cx: &mut Cx, step: &dyn Step, place: Place, of: i32, evidence: &Value) -> Result<(), StepError> {
    cx.log(format!("undoing '{}'", step.name()));
    let abandon = cx.controls.abandon.clone();
    tokio::select! {
        biased;
        () = abandon.cancelled() => return Err(StepError::Lost),
        undone = tokio::time::timeout(step.limit(), step.undo(cx, evidence)) => {
            undone.unwrap_or_else(|_| Err(StepError::failed(
                Finding::blocker("undo-timeout", format!("undoing '{}' did not end in time", step.name()))
                    .source("the agent's runner")
                    .next("Look at the host, and undo it by hand if it does not end."),
            )))?;
        }
    }
    let record = Record::Undone {
        attempt: cx.key,
        of,
        step: step.name().to_string(),
    };
    cx.journal.append(record).await?;
    place.report(cx, step, StepState::Undone).await
}

fn not_undone(step: &dyn Step, error: &StepError) -> Finding {
    let base = Finding::blocker("undo-failed", format!("'{}' could not be undone", step.name()));
    let with = match error {
        StepError::Failed(findings) => findings.iter().fold(base, |f, inner| {
            f.saw(&inner.rule, format!("{} {}", inner.title, inner.next_step))
        }),
        other => base.saw(step.name(), other),
    };
    with.source("the agent's runner")
        .next("Remove the cause and cancel the migration again, or undo it by hand as the runbook says.")
}

fn nothing_known() -> StepError {
    StepError::unknown(
        Finding::blocker(UNDO_NOTHING_KNOWN, "this agent's journal has no earlier attempt at the job")
            .source("the agent's journal")
            .next("The journal was lost or belongs to another machine. Look at the host, undo by hand as the plan's way back says, and cancel the migration again: your reason then stands for it."),
    )
}
