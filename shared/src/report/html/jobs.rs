//! Jobs and steps: what was done where, how long it took, and what was seen.

use super::markup::{Html, code, pairs, table};
use super::words::{counted, moment, state, took};
use crate::report::{Report, ReportAttempt, ReportJob, ReportStep};
use crate::state::JobState;

/// All jobs, in order.
pub(super) fn jobs(r: &Report) -> Html {
    r.jobs.iter().map(job).collect()
}

fn job(j: &ReportJob) -> Html {
    let title = Html::text(&j.name).then(Html::says("small", "", format!("{} on {}", j.kind.as_str(), j.host)));
    let head = Html::el("h3", "", title.then(state(j.state.as_str())));
    let times = pairs([
        ("Stage", Html::text(j.stage.to_string())),
        ("Began", Html::text(j.started_at.map(moment).unwrap_or_default())),
        ("Ended", Html::text(j.ended_at.map(moment).unwrap_or_default())),
        ("Took", Html::text(took(j.started_at, j.ended_at))),
        ("Failed", Html::text(failed(j))),
    ]);
    let inner = head
        .then(times)
        .then(attempts(&j.attempts))
        .then(steps(&j.steps))
        .then(seen(j));
    Html::el("article", "job", inner)
}

/// How it failed, last or before it succeeded.
fn failed(j: &ReportJob) -> String {
    let Some(f) = &j.failure else { return String::new() };
    let undone = if f.undone {
        "everything it had changed was put back"
    } else {
        "not everything it had changed was put back"
    };
    let before = if j.state == JobState::Succeeded {
        " before it succeeded"
    } else {
        ""
    };
    format!("in step {}{before}; {undone}", f.step)
}

/// The attempts, where there is more to say than one that went well.
fn attempts(attempts: &[ReportAttempt]) -> Html {
    if attempts.len() < 2 {
        return Html::new();
    }
    let row = |a: &ReportAttempt| {
        let what = if a.undo { "undo" } else { "do" };
        vec![
            Html::text(a.attempt.to_string()),
            Html::text(what),
            state(a.state.as_str()),
            Html::text(moment(a.opened_at)),
            Html::text(took(Some(a.opened_at), a.ended_at)),
            Html::text(a.epoch.to_string()),
            code(a.digest.chars().take(16).collect::<String>()),
        ]
    };
    let head = Html::says("h4", "", counted(attempts.len(), "attempt"));
    head.then(table(
        "attempts",
        &["#", "To", "State", "Opened", "Took", "Lease epoch", "Specification"],
        attempts.iter().map(row),
    ))
}

fn steps(steps: &[ReportStep]) -> Html {
    if steps.is_empty() {
        return Html::new();
    }
    let row = |s: &ReportStep| {
        vec![
            Html::text(s.ordinal.to_string()),
            Html::text(&s.name),
            state(s.state.as_str()),
            Html::text(s.started_at.map(moment).unwrap_or_default()),
            Html::text(took(s.started_at, s.ended_at)),
        ]
    };
    table("steps", &["#", "Step", "State", "Began", "Took"], steps.iter().map(row))
}

/// What the agent saw, and who was connected.
fn seen(j: &ReportJob) -> Html {
    let Some(o) = &j.outcome else { return Html::new() };
    let mut all = Html::new();
    if !o.evidence.is_empty() {
        let rows = o
            .evidence
            .iter()
            .map(|e| vec![Html::text(&e.looked_at), code(&e.found)]);
        all.push(table("evidence", &["Looked at", "Found"], rows));
    }
    if !o.sessions.is_empty() {
        let text = |t: &Option<String>| Html::text(t.as_deref().unwrap_or_default());
        let rows = o.sessions.iter().map(|s| {
            vec![
                Html::text(s.id.to_string()),
                code(&s.login),
                text(&s.host),
                text(&s.program),
                text(&s.address),
            ]
        });
        all.push(Html::says("h4", "", "Sessions on the database"));
        all.push(table(
            "sessions",
            &["Session", "Login", "Host", "Program", "Address"],
            rows,
        ));
    }
    all
}
