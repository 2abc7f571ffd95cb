//! The verdict: how it ended, in a sentence that claims no more than the jobs prove, and whether the report holds.

use super::markup::{Html, code};
use super::words::{bytes, counted, span, state};
use crate::report::{BrokenReport, Report, ReportJob, Verified};
use crate::state::{JobState, MigrationState};

/// The verdict.
pub(super) fn verdict(r: &Report, check: &Result<Verified, BrokenReport>) -> Html {
    let class = match (check, r.state) {
        (Err(_), _) => "verdict bad",
        (_, MigrationState::Succeeded) => "verdict good",
        (_, MigrationState::Stopped | MigrationState::Stuck) => "verdict bad",
        (_, MigrationState::Blocked | MigrationState::Cancelled | MigrationState::Unwinding) => "verdict warn",
        _ => "verdict",
    };
    let inner = Html::el("p", "word", state(r.state.as_str()))
        .then(Html::says("p", "sentence", sentence(r)))
        .then(holds(check))
        .then(figures(r));
    Html::el("section", class, inner)
}

fn holds(check: &Result<Verified, BrokenReport>) -> Html {
    match check {
        Ok(v) => {
            let said = format!(
                "The chain of {} is whole, and plan and backup are the ones it names. Head ",
                counted(v.events, "event")
            );
            Html::el("p", "holds", Html::text(said).then(code(&v.head)))
        }
        Err(e) => Html::says(
            "p",
            "broken",
            format!("This report does not hold: {e}. Do not rely on it."),
        ),
    }
}

fn sentence(r: &Report) -> String {
    match r.state {
        MigrationState::Succeeded => succeeded(r),
        MigrationState::Inspecting => "The hosts are being asked. Nothing was touched.".to_string(),
        MigrationState::Planned => "The plan stands. Nothing was touched.".to_string(),
        MigrationState::Blocked => "The plan has blockers. Nothing was touched.".to_string(),
        MigrationState::Running => "It is running: this report shows what has happened so far.".to_string(),
        MigrationState::Stopped => failed(r, "stopped"),
        MigrationState::Stuck => failed(
            r,
            "is stuck: what happened on a host is not known, and a person must look",
        ),
        MigrationState::Unwinding => "It was cancelled, and what can be undone is being undone.".to_string(),
        MigrationState::Cancelled if r.jobs.is_empty() => "It was cancelled before anything was touched.".to_string(),
        MigrationState::Cancelled => {
            "It was cancelled. What could be undone was undone; the jobs below say how.".to_string()
        }
    }
}

/// What the jobs prove, and nothing else.
fn succeeded(r: &Report) -> String {
    let done = |name: &str| r.jobs.iter().find(|j| j.name == name && j.state == JobState::Succeeded);
    let outcome = |name: &str| done(name).and_then(|j| j.outcome.as_ref());
    let mut sentences = vec!["Every job is done and verified.".to_string()];
    if let (Some(m), Some(to)) = (
        outcome("backup").and_then(|o| o.manifest.as_ref()),
        outcome("restore").and_then(|o| o.restored.as_ref()),
    ) {
        sentences.push(format!(
            "Database {} of {} was backed up online, restored on {} as {} and checked against its source.",
            m.database_name, m.server_name, to.server_name, to.database
        ));
    }
    if let (Some(job), Some(seen)) = (
        done("verify-server"),
        outcome("verify-server").and_then(|o| o.connect.as_ref()),
    ) {
        let staging = if seen.staging_mode {
            "in staging mode"
        } else {
            "NOT in staging mode"
        };
        sentences.push(format!("{} runs Connect {} on it, {staging}.", job.host, seen.version));
    }
    if done("verify-old-server").is_some() {
        sentences.push("The old server was looked at again at the end: it is as it was.".to_string());
    }
    sentences.join(" ")
}

fn failed(r: &Report, what: &str) -> String {
    let bad = |j: &&ReportJob| matches!(j.state, JobState::Failed | JobState::Unknown);
    let Some(job) = r.jobs.iter().find(bad) else {
        return format!("The migration {what}.");
    };
    let title = job
        .failure
        .as_ref()
        .and_then(|f| f.findings.first())
        .map(|f| f.title.as_str());
    let why = title.map(|t| format!(": {t}")).unwrap_or_default();
    let undone = match job.failure.as_ref().map(|f| f.undone) {
        Some(true) => " What it had changed was put back.",
        Some(false) => " Not everything it had changed was put back: see the job.",
        None => "",
    };
    format!(
        "The migration {what}. Job {} on {} did not end well{why}.{undone}",
        job.name, job.host
    )
}

fn figures(r: &Report) -> Html {
    let done = r.jobs.iter().filter(|j| j.state == JobState::Succeeded).count();
    let retries: usize = r
        .jobs
        .iter()
        .map(|j| j.attempts.iter().filter(|a| !a.undo).count().saturating_sub(1))
        .sum();
    let moved: u64 = r
        .jobs
        .iter()
        .filter_map(|j| Some(j.outcome.as_ref()?.manifest.as_ref()?.size))
        .sum();
    let waited: i64 = r
        .gates
        .iter()
        .filter_map(|g| Some(g.closed_at?.since(g.opened_at)))
        .sum();
    let mut figures = Html::new();
    let mut figure = |name: &'static str, value: String| {
        figures.push(Html::el(
            "div",
            "",
            Html::says("b", "", value).then(Html::says("span", "", name)),
        ));
    };
    if let Some(end) = r.ended_at {
        figure("from request to end", span(end.since(r.created_at).max(0)));
    }
    if !r.jobs.is_empty() {
        figure("jobs done", format!("{done} of {}", r.jobs.len()));
        figure("tried again", retries.to_string());
    }
    if moved > 0 {
        figure("backup", bytes(moved));
    }
    if waited > 0 {
        figure("waited for people", span(waited));
    }
    if figures.is_empty() {
        figures
    } else {
        Html::el("div", "figures", figures)
    }
}
