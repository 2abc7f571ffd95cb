//! Hosts, their agents, and the tokens with which agents enrol.

use serde_json::Value;
use syncferry_proto::v1::{Document, Host};
use syncferry_proto::{millis, schema};

use super::table::{dim, pairs, plain, state};
use super::{Look, Table, Tone, ago, at, bytes, clean, short};

/// A table of hosts.
pub fn hosts(hosts: &[Host], look: &Look) -> String {
    if hosts.is_empty() {
        return "There are no hosts yet. Add one: syncferry host add NAME --site SITE --role sql-host\n".to_string();
    }
    let mut table = Table::new(&["ID", "SITE", "NAME", "ROLES", "AGENT", "VERSION", "HEARD OF"]);
    for h in hosts {
        let heard = h
            .last_heartbeat_at
            .as_ref()
            .map(|t| ago(millis(t), look.now))
            .unwrap_or_default();
        table.row([
            dim(short(&h.id)),
            plain(&h.site),
            plain(&h.name),
            plain(h.roles.join(", ")),
            state(&h.agent_state),
            plain(&h.agent_version),
            plain(heard),
        ]);
    }
    table.render(look, "")
}

/// One host, with what its agent says of it.
pub fn host(h: &Host, look: &Look) -> String {
    let agent = match h.agent_id.as_str() {
        "" => look.state(&h.agent_state),
        id => format!(
            "{}  {} {}",
            look.state(&h.agent_state),
            short(id),
            clean(&h.agent_version)
        ),
    };
    let mut text = format!("{} {}\n", look.heading("Host"), look.heading(&clean(&h.name)));
    text.push_str(&pairs(
        look,
        "  ",
        &[
            ("id", clean(&h.id)),
            ("site", clean(&h.site)),
            ("roles", clean(&h.roles.join(", "))),
            ("computer", clean(&h.computer_name)),
            ("agent", agent),
            ("heard of", at(h.last_heartbeat_at.as_ref(), look)),
        ],
    ));
    let facts = facts(h.facts.as_ref(), schema::HOST_FACTS, &["computer_name"]);
    if !facts.is_empty() {
        text.push_str(&format!("\n  {}\n", look.heading("What its agent says")));
        text.push_str(&fact_lines(&facts, look));
    }
    text
}

/// The plain facts of a document, by name; empty ones and those named in `but` left out. A list shows as one line.
pub(super) fn facts(document: Option<&Document>, shape: &'static str, but: &[&str]) -> Vec<(String, String)> {
    let Some(Ok(Value::Object(fields))) = document.map(|d| d.read::<Value>(shape)) else {
        return Vec::new();
    };
    let wanted = fields.into_iter().filter(|(name, _)| !but.contains(&name.as_str()));
    let fact = |(name, value): (String, Value)| Some((name.replace('_', " "), shown(&name, &value)?));
    wanted.filter_map(fact).filter(|(_, text)| !text.is_empty()).collect()
}

fn shown(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) if name.ends_with("bytes") || name.ends_with("free") => Some(bytes(n.as_u64()?)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => match items.iter().map(one).collect::<Option<Vec<_>>>() {
            Some(names) => Some(names.join(", ")),
            None => Some(items.len().to_string()),
        },
        _ => None,
    }
}

/// An item of a list: its name where it has one.
fn one(item: &Value) -> Option<String> {
    match item.get("name").unwrap_or(item) {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

pub(super) fn fact_lines(facts: &[(String, String)], look: &Look) -> String {
    let lines: Vec<(&str, String)> = facts.iter().map(|(n, v)| (n.as_str(), clean(v))).collect();
    pairs(look, "    ", &lines)
}

/// A token, which is shown once.
pub fn token(host: &str, token: &str, expires: Option<&prost_types::Timestamp>, look: &Look) -> String {
    format!(
        "{} for the agent on {} (shown once; good for one enrolment)\n\n  {}\n\n  expires  {}\n  use      \
         syncferry-agent enrol --token-file FILE   (on {}, with the token in FILE)\n",
        look.heading("Enrolment token"),
        clean(host),
        look.paint(Tone::Bold, &clean(token)),
        at(expires, look),
        clean(host),
    )
}
