//! Events: one line each.

use serde_json::Value;
use syncferry_proto::v1::Event;
use syncferry_proto::{millis, schema};

use super::look::Tone;
use super::{Look, clean, moment, short};

/// A payload's fields that are told without their names, in this order.
const TOLD: [&str; 7] = ["job", "step", "gate_title", "title", "host", "site", "message"];
/// Fields that only machines want, or that are too long for a line.
const LEFT_OUT: [&str; 12] = [
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
    let others = fields
        .iter()
        .filter(|(name, _)| !TOLD.contains(&name.as_str()) && !LEFT_OUT.contains(&name.as_str()));
    parts.extend(others.filter_map(|(name, value)| Some(format!("{}={}", name.replace('_', "-"), text_of(value)?))));
    parts.extend(titles(fields.get("findings")));
    parts.extend(titles(fields.get("result").and_then(|r| r.get("findings"))));
    let text = clean(&parts.join("  "));
    match text.char_indices().nth(DETAIL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        // An id says nothing to people: what it is the id of has a name beside it.
        Value::String(text) if text.is_empty() || short(text).len() < text.len() => None,
        Value::String(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Some(format!("{}…", &text[..12]))
        }
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
        _ => None,
    }
}

fn titles(findings: Option<&Value>) -> Vec<String> {
    let titles = findings.and_then(Value::as_array).into_iter().flatten();
    titles
        .filter_map(|f| Some(f.get("title")?.as_str()?.to_string()))
        .collect()
}
