//! What led to a change of a lease, and what proves one, in words. The documents themselves are in `--json`.

use serde_json::Value;
use syncferry_proto::schema;
use syncferry_proto::v1::Document;

/// Longer than this is cut: the whole is in `--json`.
const LONGEST: usize = 140;

/// Why a lease changed.
pub(super) fn change(event: &str, detail: Option<&Document>) -> String {
    let d = read(detail);
    let words = two_people(&d).unwrap_or_else(|| {
        let mut words = vec![text(&d, "reason").unwrap_or_else(|| by_itself(event).to_string())];
        words.extend(text(&d, "verdict").map(|v| format!("it is {}", v.replace('-', " "))));
        words.extend(staging(&d["seen"]));
        words.extend(service(&d["connect"]));
        words.extend(sessions(&d["sessions"]));
        let command = text(&d, "command").map(|c| format!(" ({c})")).unwrap_or_default();
        words.retain(|w| !w.is_empty());
        words.join("; ") + &command
    });
    cut(words)
}

/// What proves that a holder can no longer act.
pub(super) fn evidence(kind: &str, document: Option<&Document>) -> String {
    let e = read(document);
    let mut words = Vec::new();
    match kind {
        "operator_attested" => words.extend(two_people(&e)),
        "power_off" => {
            let (said, via) = (&e["said"], text(&e, "via").unwrap_or_default());
            let looks = said["looks"].as_array().map_or(0, Vec::len);
            let (machine, id) = (text(said, "machine"), text(said, "id"));
            words.push(format!(
                "{via} said in {looks} looks that {} ({}) is off",
                machine.unwrap_or_default(),
                id.unwrap_or_default()
            ));
            let heard = text(&e["agent"], "last_heard");
            words.extend(heard.map(|t| format!("its agent was last heard of {t}")));
        }
        "sql_fenced" => {
            words.extend(text(&e["read_back"], "server_name").map(|s| format!("{s} answered")));
            words.extend(e["epoch"].as_i64().map(|n| format!("its mark says epoch {n}")));
            words.extend(list(&e["denied"]).map(|l| format!("CONNECT is denied to {l}")));
            let looks = e["read_back"]["looks"].as_array().map_or(0, Vec::len);
            words.push(format!("{looks} looks at its sessions"));
        }
        _ => {
            words.extend(text(&e, "reason"));
            words.extend(text(&e, "registered_by").map(|who| format!("registered by {who}")));
            words.extend(text(&e, "planned_key").map(|_| "the database was still to be restored".to_string()));
            let holder = text(&e, "holder").map(|h| format!(" on {h}")).unwrap_or_default();
            words.extend(service(&e["connect"]).map(|s| s + &holder));
            words.extend(staging(&e["seen"]));
        }
    }
    if kind != "sql_fenced" {
        words.extend(sessions(&e["sessions"]));
        words.extend(sessions(&e["sessions"]["sessions"]));
    }
    words.dedup();
    cut(words.join("; "))
}

fn read(document: Option<&Document>) -> Value {
    document
        .and_then(|d| d.read::<Value>(schema::JSON).ok())
        .unwrap_or(Value::Null)
}

/// What is to be said of a change that carries no word of its own.
fn by_itself(event: &str) -> &'static str {
    match event {
        "expire" => "it was not renewed in time",
        "end-fence" => "the fence is proven",
        _ => "",
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    let text = value.get(field)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_string())
}

fn list(value: &Value) -> Option<String> {
    let all: Vec<&str> = value.as_array()?.iter().filter_map(Value::as_str).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Two people's word on one server.
fn two_people(d: &Value) -> Option<String> {
    let person = |which: &str| {
        let who = text(&d[which], "who")?;
        let why = text(&d[which], "reason").map(|r| format!(" ({r})")).unwrap_or_default();
        Some(format!("{}{why}", who.trim_start_matches("operator:")))
    };
    let (first, second) = (person("first")?, person("second")?);
    let server = text(d, "server").unwrap_or_default();
    let ticket = text(d, "ticket").map(|t| format!(", ticket {t}")).unwrap_or_default();
    Some(format!("{first} and {second} gave their word on {server}{ticket}"))
}

/// The synchronisation service, or the scheduler where that is what was seen.
fn service(connect: &Value) -> Option<String> {
    let s = &connect["service"];
    if let Some(word) = s.as_str() {
        return Some(format!("ADSync is {word}"));
    }
    match (text(s, "state"), text(s, "start")) {
        (Some(state), Some(start)) => Some(format!("ADSync is {state}, its start type {start}")),
        _ => staging(&connect["scheduler"]),
    }
}

fn staging(seen: &Value) -> Option<String> {
    let mode = match seen["staging_mode"].as_bool()? {
        true => "in staging mode",
        false => "out of staging mode",
    };
    let by = text(seen, "said_by").map(|s| format!(" by {s}")).unwrap_or_default();
    Some(format!("{mode}{by}"))
}

/// How many were connected, by a number or by a list of them.
fn sessions(value: &Value) -> Option<String> {
    let n = value.as_u64().or_else(|| Some(value.as_array()?.len() as u64))?;
    Some(match n {
        0 => "nobody was connected".to_string(),
        1 => "1 session was seen".to_string(),
        n => format!("{n} sessions were seen"),
    })
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_event_is_told_in_words() {
        let of = |event: &str, detail: Value| change(event, Some(&Document::of(schema::JSON, &detail)));
        let service = json!({"service": {"state": "running", "start": "automatic", "account": "x"}, "products": []});
        let seen = json!({"staging_mode": false, "said_by": "Get-ADSyncScheduler", "database": "ADSync"});
        let words = |who: &str, why: &str| json!({"who": who, "reason": why, "at": "2026-11-22T08:54:03Z"});
        let both = json!({
            "server": "SYNC01", "ticket": "INC-1", "purpose": "break-glass",
            "first": words("operator:ada", "the rack burnt"), "second": words("operator:bob", "I stood before it"),
        });
        let told = [
            of("create", json!({"reason": "registered"})),
            of(
                "acquire",
                json!({"reason": "seen to use the database", "sessions": [{}, {}], "connect": service}),
            ),
            of(
                "acquire",
                json!({"reason": "seen when its database was registered", "seen": seen}),
            ),
            of(
                "begin-fence",
                json!({"reason": "SYNC02 is scrap", "command": "lease fence --sql"}),
            ),
            of(
                "quarantine",
                json!({"reason": "doubt", "verdict": "restored-in-place", "seen": {"server_name": "SQL01"}}),
            ),
            of("break-glass", both.clone()),
            of("expire", json!({})),
            of("renew", json!({})),
            of("adopt", json!({"reason": "x".repeat(200)})),
            change("create", None),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
registered
seen to use the database; ADSync is running, its start type automatic; 2 sessions were seen
seen when its database was registered; out of staging mode by Get-ADSyncScheduler
SYNC02 is scrap (lease fence --sql)
doubt; it is restored in place
ada (the rack burnt) and bob (I stood before it) gave their word on SYNC01, ticket INC-1
it was not renewed in time

xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
"#);
        let proof = |kind: &str, e: Value| evidence(kind, Some(&Document::of(schema::JSON, &e)));
        let look = json!({"printed": "{}"});
        let told = [
            proof(
                "never_used",
                json!({"registered_by": "operator:ada", "server_name": "SQL01", "sessions": []}),
            ),
            proof(
                "never_used",
                json!({"planned_key": "planned:SQL01|adsync", "sessions": 0}),
            ),
            proof(
                "holder_stopped",
                json!({
                    "holder": "SYNC01", "connect": {"service": {"state": "stopped", "start": "disabled"}},
                    "sessions": {"server_name": "SQL01", "database": "ADSync", "sessions": [{}]},
                }),
            ),
            proof(
                "holder_stopped",
                json!({"holder": "SYNC01", "connect": {"scheduler": {"staging_mode": true}, "service": null}}),
            ),
            proof(
                "holder_stopped",
                json!({"holder": "SYNC01", "connect": {"service": "not installed"}}),
            ),
            proof(
                "sql_fenced",
                json!({
                    "epoch": 4, "denied": ["CONTOSO\\svc"], "read_back": {"server_name": "SQL01", "looks": [{}, {}]},
                }),
            ),
            proof(
                "power_off",
                json!({
                    "via": "HV01", "said": {"machine": "SYNC01", "id": "vm-7", "looks": [look, look]},
                    "agent": {"state": "silent", "last_heard": "2026-11-22T08:54:03Z"}, "sessions": null,
                }),
            ),
            proof("operator_attested", both),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
registered by operator:ada; nobody was connected
the database was still to be restored; nobody was connected
ADSync is stopped, its start type disabled on SYNC01; 1 session was seen
in staging mode on SYNC01
ADSync is not installed on SYNC01
SQL01 answered; its mark says epoch 4; CONNECT is denied to CONTOSO\svc; 2 looks at its sessions
HV01 said in 2 looks that SYNC01 (vm-7) is off; its agent was last heard of 2026-11-22T08:54:03Z
ada (the rack burnt) and bob (I stood before it) gave their word on SYNC01, ticket INC-1
"#);
    }
}
