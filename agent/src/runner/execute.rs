//! Doing a job: its steps in order. What is done is skipped, what may have happened is looked at before anything is done,
//! and what a step is about to do is in the journal before it does it.

use std::time::Duration;

use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::finding::Evidence;
use syncferry_shared::state::StepState;
use tokio::time::Instant;

use super::cx::Cx;
use super::permit;
use super::report;
use super::step::{Job, Policy, Probe, Step, StepError};
use crate::journal::Record;

/// Runs the steps that are not done yet.
pub(super) async fn forward(cx: &mut Cx, job: &Job) -> Result<(), StepError> {
    for (step, ordinal) in job.steps.iter().zip(1..) {
        let place = Place {
            ordinal,
            total: job.total(),
        };
        enter(cx, step.as_ref());
        if cx.evidence.contains_key(step.name()) {
            continue;
        }
        if cx.controls.abandon.is_cancelled() {
            return Err(StepError::Lost);
        }
        if cx.cancelled() {
            stop_before(cx, step.as_ref(), place).await?;
            return Err(StepError::Cancelled);
        }
        place.report(cx, step.as_ref(), StepState::Running).await?;
        match one(cx, step.as_ref()).await {
            Ok((evidence, found)) => done(cx, step.as_ref(), place, evidence, found).await?,
            Err(error) => {
                place.report_error(cx, step.as_ref(), &error).await?;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Before going backwards: a step that this attempt began before a crash may have had its effect, and then it must be undone
/// like any other.
async fn stop_before(cx: &mut Cx, step: &dyn Step, place: Place) -> Result<(), StepError> {
    let open = cx.journal.attempt(cx.key);
    let began = open.is_some_and(|a| a.step(step.name()).is_some_and(|s| s.intent.is_some()));
    if !began {
        return Ok(());
    }
    match settle(cx, step).await {
        Ok(None) => Ok(()),
        Ok(Some(evidence)) => done(cx, step, place, evidence, false).await,
        Err(error) => {
            place.report_error(cx, step, &error).await?;
            Err(error)
        }
    }
}

/// Where a step stands in its job.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) ordinal: i32,
    pub(super) total: i32,
}

impl Place {
    /// Reports a step's state with the facts that it collected.
    pub(super) async fn report(self, cx: &mut Cx, step: &dyn Step, state: StepState) -> Result<(), StepError> {
        let evidence = std::mem::take(&mut cx.saw);
        self.report_with(cx, step, state, evidence).await
    }

    async fn report_with(
        self,
        cx: &Cx,
        step: &dyn Step,
        state: StepState,
        evidence: Vec<Evidence>,
    ) -> Result<(), StepError> {
        let report = report::step(self.ordinal, self.total, step.name(), state, evidence);
        report::write(&cx.journal, cx.key, report).await
    }

    async fn report_error(self, cx: &mut Cx, step: &dyn Step, error: &StepError) -> Result<(), StepError> {
        let (state, findings): (_, &[Finding]) = match error {
            StepError::Failed(findings) => (StepState::Failed, findings),
            StepError::Passing(finding) => (StepState::Failed, std::slice::from_ref(finding)),
            StepError::Unknown(finding) => (StepState::Unknown, std::slice::from_ref(finding)),
            StepError::Cancelled => (StepState::Failed, &[]),
            StepError::Lost | StepError::Journal(_) => return Ok(()),
        };
        let mut evidence = std::mem::take(&mut cx.saw);
        for finding in findings {
            evidence.push(Evidence {
                looked_at: finding.rule.clone(),
                found: finding.title.clone(),
            });
            evidence.extend(finding.evidence.iter().cloned());
        }
        if matches!(error, StepError::Cancelled) {
            evidence.push(Evidence {
                looked_at: step.name().to_string(),
                found: "stopped at a safe point, as asked".into(),
            });
        }
        self.report_with(cx, step, state, evidence).await
    }
}

/// Makes a step the current one of the context.
pub(super) fn enter(cx: &mut Cx, step: &dyn Step) {
    cx.step = step.name().to_string();
    cx.saw.clear();
    cx.permit = None;
    let (job, name) = (cx.key.job, step.name());
    // The newest INTENT of any attempt at the job: an attempt that crashed left traces that the next one must recognise.
    cx.intent = cx
        .journal
        .read(|l| l.attempts_of(job).filter_map(|a| a.step(name)?.intent.clone()).last());
    cx.controls.progress.send_replace(syncferry_shared::progress::Progress {
        step: cx.step.clone(),
        ..Default::default()
    });
}

async fn done(cx: &mut Cx, step: &dyn Step, place: Place, evidence: Value, found: bool) -> Result<(), StepError> {
    let record = Record::Effect {
        attempt: cx.key,
        step: step.name().to_string(),
        evidence: evidence.clone(),
        found,
    };
    cx.journal.append(record).await?;
    if cx.saw.is_empty() {
        flatten(step.name(), &evidence, &mut cx.saw);
    }
    cx.evidence.insert(step.name().to_string(), evidence);
    place.report(cx, step, StepState::Done).await
}

/// One step; its evidence, and whether it was found done by somebody else.
async fn one(cx: &mut Cx, step: &dyn Step) -> Result<(Value, bool), StepError> {
    if step.looks_only() {
        return repeat_passing(cx, step).await.map(|evidence| (evidence, false));
    }
    let ours = began_by_us(cx, step);
    if let Some(evidence) = settle(cx, step).await? {
        return Ok((evidence, !ours));
    }
    let mut tries = 0;
    loop {
        let error = match act(cx, step).await {
            Ok(evidence) => return Ok((evidence, false)),
            Err(e @ (StepError::Journal(_) | StepError::Lost | StepError::Unknown(_))) => return Err(e),
            Err(e) => e,
        };
        // A failed act may still have had its effect: an answer can be lost after a COMMIT. So look.
        if let Some(evidence) = settle(cx, step).await? {
            cx.saw(step.name(), format!("it happened, although it reported: {error}"));
            return Ok((evidence, false));
        }
        tries += 1;
        match error {
            StepError::Passing(finding) if tries <= cx.env.pace.retries => {
                cx.log(format!(
                    "'{}' failed for a passing reason ({}); trying again",
                    step.name(),
                    finding.title
                ));
                cx.sleep(cx.env.pace.pause(tries)).await?;
            }
            StepError::Passing(finding) => return Err(StepError::Failed(vec![*finding])),
            other => return Err(other),
        }
    }
}

/// Runs a step that only looks, again when its trouble may pass.
async fn repeat_passing(cx: &mut Cx, step: &dyn Step) -> Result<Value, StepError> {
    let mut tries = 0;
    loop {
        match within(cx, step, step.limit()).await {
            Err(StepError::Passing(finding)) => {
                tries += 1;
                if tries > cx.env.pace.retries {
                    return Err(StepError::Failed(vec![*finding]));
                }
                cx.log(format!(
                    "'{}' failed for a passing reason ({}); trying again",
                    step.name(),
                    finding.title
                ));
                cx.sleep(cx.env.pace.pause(tries)).await?;
            }
            other => return other,
        }
    }
}

/// Whether an attempt of this job wrote an INTENT for the step: then what is found is ours.
fn began_by_us(cx: &Cx, step: &dyn Step) -> bool {
    let (job, name) = (cx.key.job, step.name());
    cx.journal.read(|l| {
        l.attempts_of(job)
            .any(|a| a.step(name).is_some_and(|s| s.intent.is_some()))
    })
}

/// Looks until it is clear whether the step happened: its evidence when it did, `None` when nothing of it did. A partial
/// effect of ours is cleaned up, where the step allows it.
pub(super) async fn settle(cx: &mut Cx, step: &dyn Step) -> Result<Option<Value>, StepError> {
    let until = Instant::now() + step.limit();
    let mut cleaned = false;
    let mut tries = 0;
    loop {
        match look(cx, step).await {
            Ok(Probe::NotStarted) => return Ok(None),
            Ok(Probe::Done(evidence)) => return Ok(Some(evidence)),
            // Also when the attempt is being cancelled: what is under way cannot be undone yet.
            Ok(Probe::InProgress) if Instant::now() < until => still(cx, cx.env.pace.look_again).await?,
            Ok(Probe::InProgress) => return Err(undecided(step, "it is still under way, longer than it may take")),
            Ok(Probe::Partial(what)) => {
                if step.on_partial() == Policy::Ask || cleaned {
                    return Err(undecided(step, &what));
                }
                cx.log(format!("'{}' happened in part ({what}); cleaning up", step.name()));
                step.clean(cx, &what).await?;
                cleaned = true;
            }
            Ok(Probe::Unknown(why)) => return Err(undecided(step, &why)),
            Err(StepError::Passing(finding)) => {
                tries += 1;
                if tries > cx.env.pace.retries {
                    return Err(blind(cx, step, *finding));
                }
                still(cx, cx.env.pace.pause(tries)).await?;
            }
            Err(StepError::Failed(mut findings)) if began_by_us(cx, step) => {
                let first = if findings.is_empty() {
                    None
                } else {
                    Some(findings.swap_remove(0))
                };
                return Err(blind(
                    cx,
                    step,
                    first.unwrap_or_else(|| Finding::blocker("probe-failed", "the look failed")),
                ));
            }
            Err(e) => return Err(e),
        }
    }
}

/// Waits, whatever is asked of the attempt, as long as it is ours.
async fn still(cx: &Cx, how_long: Duration) -> Result<(), StepError> {
    tokio::select! {
        biased;
        () = cx.controls.abandon.cancelled() => Err(StepError::Lost),
        () = tokio::time::sleep(how_long) => Ok(()),
    }
}

async fn look(cx: &mut Cx, step: &dyn Step) -> Result<Probe, StepError> {
    let abandon = cx.controls.abandon.clone();
    tokio::select! {
        biased;
        () = abandon.cancelled() => Err(StepError::Lost),
        probe = step.probe(cx) => probe,
    }
}

/// Nobody can look. Before anything was begun that is a plain failure; afterwards it is an unknown.
fn blind(cx: &Cx, step: &dyn Step, finding: Finding) -> StepError {
    if began_by_us(cx, step) {
        StepError::unknown(finding)
    } else {
        StepError::failed(finding)
    }
}

fn undecided(step: &dyn Step, why: &str) -> StepError {
    StepError::unknown(
        Finding::blocker(
            "step-unknown",
            format!("it cannot be told whether '{}' happened", step.name()),
        )
        .saw(step.name(), why)
        .source("the agent's runner")
        .next("Look at the host, settle what is there, and then retry or cancel the migration. Nothing was touched."),
    )
}

/// Permit, INTENT, act, confirm.
async fn act(cx: &mut Cx, step: &dyn Step) -> Result<Value, StepError> {
    if cx.cancelled() {
        return Err(StepError::Cancelled);
    }
    let before = step.before(cx).await?;
    for tries in 1.. {
        cx.permit = if step.destructive() {
            Some(permit::obtain(cx, step.name(), step.budget()).await?)
        } else {
            None
        };
        let intent = Record::Intent {
            attempt: cx.key,
            step: step.name().to_string(),
            before: before.clone(),
        };
        cx.journal.append(intent).await?;
        cx.intent = Some(before.clone());
        // The disk may have been slow, or the machine may have slept: a permit is looked at again right before the act.
        if cx.permit.is_none_or(|p| p.holds(cx.env.clocks.as_ref())) {
            break;
        }
        if tries > cx.env.pace.retries {
            return Err(permit::never_in_time(step.name()));
        }
        cx.log(format!(
            "the permit for '{}' is over before it was used; asking again",
            step.name()
        ));
    }
    let evidence = within(cx, step, step.limit()).await?;
    step.confirm(cx, &evidence).await?;
    Ok(evidence)
}

/// Acts within a time, and not a moment longer than the attempt is ours.
async fn within(cx: &mut Cx, step: &dyn Step, budget: Duration) -> Result<Value, StepError> {
    let abandon = cx.controls.abandon.clone();
    tokio::select! {
        biased;
        () = abandon.cancelled() => Err(StepError::Lost),
        acted = tokio::time::timeout(budget, step.act(cx)) => acted.unwrap_or_else(|_| {
            Err(StepError::failed(
                Finding::blocker("step-timeout", format!("'{}' did not end within {} s", step.name(), budget.as_secs()))
                    .source("the agent's runner")
                    .next("Look at the load of the host and at what the step waits for; then apply the migration again."),
            ))
        }),
    }
}

/// Makes facts of plain evidence, for a step that collected none.
fn flatten(step: &str, evidence: &Value, out: &mut Vec<Evidence>) {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
    let short = |t: String| {
        if t.chars().count() > 300 {
            t.chars().take(300).chain(['…']).collect()
        } else {
            t
        }
    };
    match evidence {
        Value::Null => {}
        Value::Object(map) => out.extend(map.iter().map(|(k, v)| Evidence {
            looked_at: k.clone(),
            found: short(text(v)),
        })),
        other => out.push(Evidence {
            looked_at: step.to_string(),
            found: short(text(other)),
        }),
    }
}
