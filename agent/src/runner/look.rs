//! Looking at an open attempt without acting: what the agent says in Hello after a restart. The controller decides.

use syncferry_proto::v1;
use syncferry_shared::finding::Evidence;
use tokio::sync::{mpsc, watch};

use super::controls::Controls;
use super::execute::enter;
use super::run::{Deps, context, prepare};
use super::step::Probe;
use crate::journal::{AttemptLog, Mode};

/// What is found at an attempt: the step in which it stands, and what a look at it says.
pub async fn look(deps: &Deps, open: &AttemptLog) -> v1::OpenAttempt {
    let (step, probe, detail) = match tokio::time::timeout(deps.env.pace.look_limit, find(deps, open)).await {
        Ok(found) => found,
        Err(_) => (
            String::new(),
            v1::ProbeResult::Unknown,
            "looking took too long".to_string(),
        ),
    };
    v1::OpenAttempt {
        token: Some((&open.token).into()),
        step,
        probe: probe.into(),
        detail,
    }
}

async fn find(deps: &Deps, open: &AttemptLog) -> (String, v1::ProbeResult, String) {
    use v1::ProbeResult::{Done, InProgress, NotStarted, Partial, Unknown};
    let (spec, job) = match prepare(deps, open) {
        Ok(ready) => ready,
        Err(finding) => return (String::new(), Unknown, finding.title),
    };
    if open.unwind.is_some() || open.mode == Mode::Undo {
        let began = if open.unwind.is_some() || !open.undone.is_empty() {
            InProgress
        } else {
            NotStarted
        };
        return (String::new(), began, "the attempt goes backwards".into());
    }
    let (_pause, paused) = watch::channel(false);
    let (log, _lines) = mpsc::unbounded_channel();
    let controls = Controls::new(paused);
    // When nobody waits for the answer any more, work in the background (hashing a file) ends as well.
    let _stop = controls.cancel.clone().drop_guard();
    let mut cx = context(deps, open, spec, controls, log);
    let Some(step) = job.steps.iter().find(|s| cx.evidence(s.name()).is_none()) else {
        return (String::new(), Done, "every step is done".into());
    };
    enter(&mut cx, step.as_ref());
    let name = step.name().to_string();
    if step.looks_only() {
        return (name, NotStarted, "it only looks".into());
    }
    let (result, mut detail) = match step.probe(&mut cx).await {
        Ok(Probe::NotStarted) => (NotStarted, String::new()),
        Ok(Probe::InProgress) => (InProgress, String::new()),
        Ok(Probe::Done(_)) => (Done, String::new()),
        Ok(Probe::Partial(what)) => (Partial, what),
        Ok(Probe::Unknown(why)) => (Unknown, why),
        Err(e) => (Unknown, e.to_string()),
    };
    for Evidence { looked_at, found } in cx.saw {
        detail.push_str(&format!(
            "{}{looked_at}: {found}",
            if detail.is_empty() { "" } else { "; " }
        ));
    }
    (name, result, detail)
}
