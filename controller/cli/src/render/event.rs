//! Events: one line each.

use serde_json::{Map, Value};
use syncferry_proto::v1::Event;
use syncferry_proto::{millis, schema};
use syncferry_shared::Finding;

use super::finding::count;
use super::look::Tone;
use super::{Look, clean, moment, short};

/// A payload's fields that are told without their names, in this order.
const TOLD: [&str; 7] = ["job", "step", "gate_title", "title", "host", "site", "message"];
/// Fields that only machines want, that are told in another way, or that are too long for a line.
const LEFT_OUT: [&str; 22] = [
    "request",
    "plan",
    "outcome",
    "result",
    "findings",
    "cards",
    "inventory",
    "gate",
    "facts",
    "manifest",
    "evidence",
    "spec",
    "digest",
    "epoch",
    "to",
    "jobs",
    "blocked",
    "state",
    "ordinal",
    "total",
    "attempt",
    "undo",
];
/// The longest line of detail.
const DETAIL: usize = 140;

/// Events of a stream, one line each.
pub fn events(events: &[Event], look: &Look) -> String {
    if events.is_empty() {
        return "There are no events.\n".to_string();
    }
    events.iter().map(|e| event_line(e, look)).collect()
}

/// One event: number, time, type, who, what.
pub fn event_line(e: &Event, look: &Look) -> String {
    let at = e.at.as_ref().map(|t| moment(millis(t))).unwrap_or_default();
    let kind = format!("{:<22}", clean(&e.r#type));
    let line = format!(
        "{} {}  {}  {}{}",
        look.paint(Tone::Dim, &format!("{:>4}", e.seq)),
        look.paint(Tone::Dim, &at),
        look.paint(tone(&e.r#type), &kind),
        look.paint(Tone::Dim, &format!("{:<18}  ", clean(&e.actor))),
        detail(e),
    );
    line.trim_end().to_string() + "\n"
}

fn tone(kind: &str) -> Tone {
    if matches!(kind, "step.done" | "step.running" | "job.ready" | "job.offered") {
        return Tone::Dim;
    }
    let last = kind.rsplit(['.', '-']).next().unwrap_or_default();
    match last {
        "succeeded" | "done" | "proven" | "ready" | "online" | "acquired" | "planned" => Tone::Good,
        "failed" | "stopped" | "stuck" | "unknown" | "blocked" | "lost" | "quarantined" | "silent" => Tone::Bad,
        "opened" | "claimed" | "cancelled" | "by" | "superseded" | "retried" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// What happened, from the payload: known fields first, then the other plain ones, then titles of findings.
fn detail(e: &Event) -> String {
    let Some(Ok(Value::Object(fields))) = e.payload.as_ref().map(|d| d.read::<Value>(schema::JSON)) else {
        return String::new();
    };
    let mut parts: Vec<String> = TOLD.iter().filter_map(|name| text_of(fields.get(*name)?)).collect();
    parts.extend(counted(&fields));
    let others = fields
        .iter()
        .filter(|(name, _)| !TOLD.contains(&name.as_str()) && !LEFT_OUT.contains(&name.as_str()));
    parts.extend(others.filter_map(|(name, value)| Some(format!("{}={}", name.replace('_', "-"), text_of(value)?))));
    let findings = fields.get("findings").or_else(|| fields.get("result")?.get("findings"));
    if e.r#type == "plan.made" {
        // A plan has many; `plan show` tells them.
        let all: Option<Vec<Finding>> = findings.and_then(|f| serde_json::from_value(f.clone()).ok());
        parts.extend(all.map(|f| count(&f)));
    } else {
        parts.extend(titles(findings));
    }
    let text = clean(&parts.join("  "));
    match text.char_indices().nth(DETAIL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Which step of how many, and which try, where it is not the first.
fn counted(fields: &Map<String, Value>) -> Vec<String> {
    let number = |name: &str| fields.get(name).and_then(Value::as_i64);
    let mut parts = Vec::new();
    if let (Some(ordinal), Some(total)) = (number("ordinal"), number("total")) {
        parts.push(format!("({ordinal} of {total})"));
    }
    parts.extend(number("attempt").filter(|n| *n > 1).map(|n| format!("try {n}")));
    parts.extend((fields.get("undo") == Some(&Value::Bool(true))).then(|| "undo".to_string()));
    parts
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        // An id says nothing to people: what it is the id of has a name beside it.
        Value::String(text) if text.is_empty() || short(text).len() < text.len() => None,
        Value::String(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Some(format!("{}…", &text[..12]))
        }
        Value::String(text) => Some(text.clone()),
        Value::Bool(true) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
        _ => None,
    }
}

/// The titles of findings, each once.
fn titles(findings: Option<&Value>) -> Vec<String> {
    let mut titles: Vec<String> = Vec::new();
    for f in findings.and_then(Value::as_array).into_iter().flatten() {
        let title = f.get("title").and_then(Value::as_str).unwrap_or_default().to_string();
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    titles
}
