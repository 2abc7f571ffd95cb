//! The timeline: jobs as bars, and the events that people ask about.

use serde_json::Value;

use super::markup::{Html, table};
use super::words::{counted, moment, span, took};
use crate::clock::Millis;
use crate::event::Event;
use crate::report::{Report, ReportJob};
use crate::state::JobState;

/// The narrowest bar, in per cent: what took a moment must still be seen.
const NARROWEST: f64 = 0.4;

/// Bars, and events below.
pub(super) fn timeline(r: &Report) -> Html {
    bars(r).then(events(r))
}

fn bars(r: &Report) -> Html {
    let starts = r.jobs.iter().filter_map(|j| j.started_at);
    let ends = r.jobs.iter().filter_map(|j| j.ended_at.or(j.started_at));
    let (Some(from), Some(to)) = (starts.min(), ends.max()) else {
        return Html::new();
    };
    let whole = to.since(from).max(1);
    let lines: Html = r.jobs.iter().filter_map(|j| line(j, from, to, whole)).collect();
    let lines = lines.then(gates(r, from, whole));
    let ends = Html::says("span", "", moment(from)).then(Html::says(
        "span",
        "",
        format!("{}  (+{})", moment(to), span(whole)),
    ));
    Html::el("div", "bars", lines.then(Html::el("div", "ends", ends)))
}

fn line(j: &ReportJob, from: Millis, to: Millis, whole: i64) -> Option<Html> {
    let start = j.started_at?;
    let end = j.ended_at.unwrap_or(to);
    let class = match j.state {
        JobState::Succeeded => "good",
        JobState::Failed | JobState::Unknown => "bad",
        _ => "warn",
    };
    let bar = bar(class, start, end, from, whole);
    let name = Html::says("span", "name", &j.name).then(Html::says("span", "on", &j.host));
    let time = Html::says("span", "took", took(j.started_at, j.ended_at));
    Some(Html::el(
        "div",
        "line",
        name.then(Html::el("span", "track", bar)).then(time),
    ))
}

fn bar(class: &'static str, start: Millis, end: Millis, from: Millis, whole: i64) -> Html {
    let left = percent(start.since(from), whole).min(100.0 - NARROWEST);
    let width = percent(end.since(start), whole).max(NARROWEST).min(100.0 - left);
    Html::bar(class, left, width)
}

#[expect(clippy::cast_precision_loss, reason = "a bar on a page")]
fn percent(part: i64, whole: i64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// When people were waited for.
fn gates(r: &Report, from: Millis, whole: i64) -> Html {
    let mut lines = Html::new();
    for gate in &r.gates {
        let Some(closed) = gate.closed_at else { continue };
        let bar = bar("person", gate.opened_at, closed, from, whole);
        let name = Html::says("span", "name", "a person acts").then(Html::says("span", "on", &gate.host));
        let time = Html::says("span", "took", span(closed.since(gate.opened_at)));
        lines.push(Html::el(
            "div",
            "line",
            name.then(Html::el("span", "track", bar)).then(time),
        ));
    }
    lines
}

/// Events that people ask about. All of them are in the chain.
fn events(r: &Report) -> Html {
    let told: Vec<Vec<Html>> = r.events.iter().filter_map(told).collect();
    if told.is_empty() {
        return Html::new();
    }
    table("events", &["At", "What", "By", ""], told)
}

fn told(e: &Event) -> Option<Vec<Html>> {
    let what = match e.kind.as_str() {
        "migration.created" => "asked for",
        "plan.made" => "plan made",
        "migration.applied" => "plan applied",
        "migration.resumed" => "applied again",
        "migration.succeeded" => "succeeded",
        "migration.cancelled-by" => "cancelled",
        "migration.cancelled" => "everything undone",
        "job.succeeded" => "job succeeded",
        "job.failed" => "job failed",
        "job.unknown" => "job's end unknown",
        "job.resumed" => "job known again",
        "job.retried" => "job tried again",
        "job.superseded" => "attempt given up",
        "job.cancelled" => "job stopped",
        "job.undone" => "job undone",
        "gate.opened" => "gate opened",
        "gate.claimed" => "gate said to be done",
        "gate.contradicted" => "gate not done yet",
        "gate.proven" => "gate proven",
        _ => return None,
    };
    Some(vec![
        Html::text(moment(e.at)),
        Html::text(what),
        Html::text(&e.actor),
        Html::text(if e.kind == "plan.made" {
            weights(&e.payload)
        } else {
            detail(&e.payload)
        }),
    ])
}

/// How many findings of each severity a plan has.
fn weights(payload: &Value) -> String {
    let findings = payload
        .get("findings")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of = |severity: &str| {
        let n = findings
            .iter()
            .filter(|f| f.get("severity").and_then(Value::as_str) == Some(severity))
            .count();
        (n > 0).then(|| counted(n, severity))
    };
    ["blocker", "warning", "note"]
        .into_iter()
        .filter_map(of)
        .collect::<Vec<_>>()
        .join(", ")
}

fn detail(payload: &Value) -> String {
    let text = |name: &str| {
        payload
            .get(name)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
            .map(str::to_string)
    };
    let first = payload
        .get("findings")
        .and_then(|f| f.get(0))
        .and_then(|f| f.get("title"))
        .and_then(Value::as_str);
    let parts = [
        text("job"),
        text("step").map(|s| format!("step {s}")),
        text("title"),
        text("observation"),
        text("reason"),
        text("remark"),
        first.map(str::to_string),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}
