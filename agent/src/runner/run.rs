//! One attempt from its beginning, or from where a crash left it, to its end.

use std::sync::Arc;

use syncferry_shared::Finding;
use syncferry_shared::outcome::Failure;
use syncferry_shared::spec::JobSpec;
use tokio::sync::mpsc;

use super::controls::Controls;
use super::cx::Cx;
use super::env::{Builder, Env};
use super::step::{Job, StepError};
use super::{execute, hold, report, unwind};
use crate::journal::{AttemptKey, AttemptLog, End, Journal, JournalError, Mode, Record, Unwind};

/// What a runner needs.
#[derive(Clone)]
pub struct Deps {
    /// The journal.
    pub journal: Journal,
    /// What jobs can use.
    pub env: Arc<Env>,
    /// Makes jobs.
    pub builder: Arc<dyn Builder>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With an end in the journal, to be delivered.
    Reported,
    /// Without a word: the attempt is not ours any more, or the process ends.
    Silent,
    /// The journal cannot be written. The agent must stop.
    Broken(JournalError),
}

/// Runs an attempt that is open in the journal and that the controller lets us work on.
pub async fn run(deps: &Deps, key: AttemptKey, controls: Controls, log: mpsc::UnboundedSender<String>) -> Ended {
    match attempt(deps, key, controls, log).await {
        Ok(()) => Ended::Reported,
        Err(StepError::Journal(e)) => Ended::Broken(e),
        Err(e) => {
            tracing::info!(attempt = %key, "stopped: {e}");
            Ended::Silent
        }
    }
}

async fn attempt(
    deps: &Deps,
    key: AttemptKey,
    controls: Controls,
    log: mpsc::UnboundedSender<String>,
) -> Result<(), StepError> {
    let Some(open) = deps.journal.attempt(key).filter(AttemptLog::is_open) else {
        return Err(StepError::Lost);
    };
    deps.journal.append(Record::Resumed { attempt: key }).await?;
    let (spec, job) = match prepare(deps, &open) {
        Ok(ready) => ready,
        Err(finding) => {
            let failure = Failure {
                step: "prepare".into(),
                findings: vec![*finding],
                undone: true,
            };
            return report::write_end(&deps.journal, key, End::Failed { failure }).await;
        }
    };
    let mut cx = context(deps, &open, spec, controls, log);
    let result = match (open.mode, open.unwind) {
        (Mode::Undo, _) => return undo(&mut cx, &job).await,
        (Mode::Do, Some(unwind)) => return go_back(&mut cx, &job, unwind).await,
        (Mode::Do, None) => execute::forward(&mut cx, &job).await,
    };
    let step = cx.step.clone();
    match result {
        Ok(()) => succeed(&mut cx, &job).await,
        Err(StepError::Unknown(finding)) => park(&mut cx, step, vec![*finding]).await,
        Err(e @ (StepError::Journal(_) | StepError::Lost)) => Err(e),
        Err(StepError::Cancelled) => turn_back(&mut cx, &job, Unwind::Cancelled { step }).await,
        Err(StepError::Failed(findings)) => turn_back(&mut cx, &job, failed(step, findings)).await,
        Err(StepError::Passing(finding)) => turn_back(&mut cx, &job, failed(step, vec![*finding])).await,
    }
}

fn failed(step: String, findings: Vec<Finding>) -> Unwind {
    let undone = false;
    let failure = Failure { step, findings, undone };
    Unwind::Failed { failure }
}

/// The specification and its job.
pub(super) fn prepare(deps: &Deps, open: &AttemptLog) -> Result<(Arc<JobSpec>, Job), Box<Finding>> {
    let unreadable = |reason: String| {
        Box::new(
            Finding::blocker("spec-unreadable", "this agent cannot read the job's specification")
                .saw("the specification", reason)
                .source("the agent's runner")
                .next("Give agent and controller the same version, then apply the migration again."),
        )
    };
    let spec: JobSpec = serde_json::from_str(&open.spec).map_err(|e| unreadable(e.to_string()))?;
    if spec.job != open.token.job {
        return Err(unreadable(format!("it is for job {}", spec.job)));
    }
    let job = deps.builder.build(&spec)?;
    Ok((Arc::new(spec), job))
}

/// A context with everything that the attempt has done so far.
pub(super) fn context(
    deps: &Deps,
    open: &AttemptLog,
    spec: Arc<JobSpec>,
    controls: Controls,
    log: mpsc::UnboundedSender<String>,
) -> Cx {
    let done = open.steps.iter();
    Cx {
        spec,
        token: open.token.clone(),
        env: Arc::clone(&deps.env),
        findings: Vec::new(),
        key: open.key(),
        journal: deps.journal.clone(),
        controls,
        evidence: done.filter_map(|s| Some((s.name.clone(), s.effect.clone()?))).collect(),
        intent: None,
        permit: None,
        saw: Vec::new(),
        step: String::new(),
        log,
    }
}

async fn succeed(cx: &mut Cx, job: &Job) -> Result<(), StepError> {
    let left = put_back(cx, cx.key).await?;
    let mut outcome = (job.finish)(cx);
    outcome.findings.append(&mut cx.findings);
    outcome.findings.extend(left);
    let outcome = Box::new(outcome);
    report::write_end(&cx.journal, cx.key, End::Succeeded { outcome }).await
}

/// Writes down that the attempt goes backwards, and does.
async fn turn_back(cx: &mut Cx, job: &Job, unwind: Unwind) -> Result<(), StepError> {
    let record = Record::Undoing {
        attempt: cx.key,
        unwind: unwind.clone(),
    };
    cx.journal.append(record).await?;
    go_back(cx, job, unwind).await
}

async fn go_back(cx: &mut Cx, job: &Job, unwind: Unwind) -> Result<(), StepError> {
    let mut troubles = unwind::backward(cx, job).await?;
    troubles.extend(put_back(cx, cx.key).await?);
    let undone = troubles.is_empty();
    let end = match unwind {
        Unwind::Failed { mut failure } => {
            failure.undone = undone;
            failure.findings.append(&mut cx.findings);
            failure.findings.extend(troubles);
            End::Failed { failure }
        }
        Unwind::Cancelled { step } => {
            let note = Finding::note("cancelled", format!("stopped at '{step}', as asked"))
                .source("an operator's order")
                .next("Nothing: the job can be planned anew.");
            let findings = [note].into_iter().chain(troubles).collect();
            let failure = Failure { step, findings, undone };
            if undone {
                End::Cancelled { failure }
            } else {
                // The controller must not take it for undone.
                End::Failed { failure }
            }
        }
    };
    report::write_end(&cx.journal, cx.key, end).await
}

async fn undo(cx: &mut Cx, job: &Job) -> Result<(), StepError> {
    let step = |cx: &Cx| cx.step.clone();
    let findings = match unwind::undo_job(cx, job).await {
        Ok(mut outcome) => {
            outcome.findings = put_earlier_back(cx).await?;
            let outcome = Box::new(outcome);
            return report::write_end(&cx.journal, cx.key, End::Undone { outcome }).await;
        }
        Err(e @ (StepError::Journal(_) | StepError::Lost)) => return Err(e),
        Err(StepError::Unknown(finding)) => {
            let step = step(cx);
            return park(cx, step, vec![*finding]).await;
        }
        Err(StepError::Failed(findings)) => findings,
        Err(StepError::Passing(finding)) => vec![*finding],
        Err(StepError::Cancelled) => vec![
            Finding::note("undo-cancelled", "undoing was stopped, as asked")
                .source("an operator's order")
                .next("Cancel the migration again to go on undoing."),
        ],
    };
    let failure = Failure {
        step: step(cx),
        findings,
        undone: false,
    };
    report::write_end(&cx.journal, cx.key, End::Failed { failure }).await
}

/// Puts back what an attempt holds. What stood in the way of the job may stand in the way of this as well, and pass.
async fn put_back(cx: &Cx, key: AttemptKey) -> Result<Vec<Finding>, StepError> {
    let mut tries = 0;
    loop {
        let left = hold::put_all_back(&cx.journal, cx.env.host.as_ref(), key).await?;
        tries += 1;
        if left.is_empty() || tries > cx.env.pace.retries {
            return Ok(left);
        }
        cx.log("what the job had changed could not be put back; trying again");
        tokio::select! {
            biased;
            () = cx.controls.abandon.cancelled() => return Err(StepError::Lost),
            () = tokio::time::sleep(cx.env.pace.pause(tries)) => {}
        }
    }
}

/// Puts back what earlier attempts at the job still hold.
async fn put_earlier_back(cx: &Cx) -> Result<Vec<Finding>, StepError> {
    let job = cx.key.job;
    let keys: Vec<AttemptKey> = cx.journal.read(|l| l.attempts_of(job).map(AttemptLog::key).collect());
    let mut findings = Vec::new();
    for key in keys {
        findings.extend(put_back(cx, key).await?);
    }
    Ok(findings)
}

/// Says that nobody can tell, and waits for an order. What is held stays held: the attempt may still go on.
async fn park(cx: &mut Cx, step: String, mut findings: Vec<Finding>) -> Result<(), StepError> {
    let holds = cx.journal.attempt(cx.key).map(|a| a.holds).unwrap_or_default();
    findings.extend(holds.iter().map(|h| {
        Finding::warning(
            "hold-remains",
            format!("'{}' stays as the job set it until this is settled", h.what),
        )
        .saw("its value before", &h.old)
        .source("the agent's journal")
        .next("Retry or cancel the migration; either puts it back.")
    }));
    findings.append(&mut cx.findings);
    let failure = Failure {
        step,
        findings,
        undone: false,
    };
    report::write_end(&cx.journal, cx.key, End::Unknown { failure }).await
}
