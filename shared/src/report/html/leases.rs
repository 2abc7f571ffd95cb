//! Leases: which server may use which database, before and after, and what proves that nobody else may.

use serde_json::Value;

use super::markup::{Html, code, table};
use super::words::{moment, state};
use crate::report::{LeasePoint, Report, ReportLease, ReportLeaseChange, ReportProof};

/// What a reader must know first.
pub(super) const LEAD: &str = "One server uses one database. The epoch never goes back; a lease changes hands only on proof that the holder before \
     can no longer act. Changes by this migration are marked.";

/// All leases.
pub(super) fn leases(r: &Report) -> Html {
    r.leases.iter().map(lease).collect()
}

fn lease(l: &ReportLease) -> Html {
    let title = Html::text(&l.subject).then(Html::says("small", "", l.kind.as_str()));
    let before = match &l.before {
        Some(point) => here(point),
        None => Html::says("span", "none", "did not exist"),
    };
    let change = Html::el("div", "", Html::says("span", "label", "Before").then(before)).then(Html::el(
        "div",
        "",
        Html::says("span", "label", "After").then(here(&l.after)),
    ));
    let head = Html::el("h3", "", title)
        .then(Html::el("p", "resource", code(&l.resource.0)))
        .then(Html::el("div", "change", change));
    Html::el(
        "article",
        "lease",
        head.then(proofs(&l.proofs)).then(history(&l.history)),
    )
}

fn here(p: &LeasePoint) -> Html {
    let holder = match &p.holder {
        Some(holder) => format!(" by {holder}"),
        None => String::new(),
    };
    let rest = format!("{holder}, epoch {}, proven up to {}", p.epoch, p.fenced_epoch);
    state(p.state.as_str()).then(Html::text(rest))
}

fn proofs(proofs: &[ReportProof]) -> Html {
    if proofs.is_empty() {
        return Html::new();
    }
    let row = |p: &ReportProof| {
        let by = match &p.actor2 {
            Some(second) => format!("{} and {second}", p.actor),
            None => p.actor.clone(),
        };
        vec![
            Html::text(p.epoch.to_string()),
            Html::text(p.kind.as_str().replace('_', " ")),
            Html::text(by),
            Html::text(moment(p.at)),
            fields(&p.evidence),
        ]
    };
    let head = Html::says("h4", "", "Proofs");
    head.then(table(
        "proofs",
        &["Epoch", "Proof", "By", "At", "Evidence"],
        proofs.iter().map(row),
    ))
}

fn history(history: &[ReportLeaseChange]) -> Html {
    if history.is_empty() {
        return Html::new();
    }
    let row = |c: &ReportLeaseChange| {
        let mark = if c.by_this_migration {
            Html::says("span", "mark", "this migration")
        } else {
            Html::new()
        };
        vec![
            Html::text(c.row_version.to_string()),
            Html::text(moment(c.at)),
            Html::text(&c.event).then(mark),
            Html::text(format!("{} → {}", c.from, c.to)),
            Html::text(c.epoch.to_string()),
            Html::text(c.holder.as_deref().unwrap_or_default()),
            Html::text(&c.actor),
            fields(&c.detail),
        ]
    };
    let head = Html::says("h4", "", "History");
    let headings = ["#", "At", "What", "State", "Epoch", "Holder", "By", "Detail"];
    head.then(table("history", &headings, history.iter().map(row)))
}

/// The fields of a JSON object, one below the other.
fn fields(value: &Value) -> Html {
    let Some(fields) = value.as_object() else {
        return Html::new();
    };
    let line = |(name, value): (&String, &Value)| {
        let value = in_words(value);
        if value.is_empty() {
            return Html::new();
        }
        Html::says("div", "", format!("{}: {value}", name.replace('_', " ")))
    };
    fields.iter().map(line).collect()
}

/// A document inside another one, as people write down such things; what is empty is left out. The JSON has it to the letter.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => listed(items.iter().map(in_words), "; "),
        Value::Object(fields) => listed(
            fields.iter().map(|(name, value)| match in_words(value) {
                words if words.is_empty() => words,
                words => match value {
                    Value::Object(_) | Value::Array(_) => format!("{} ({words})", name.replace('_', " ")),
                    _ => format!("{} {words}", name.replace('_', " ")),
                },
            }),
            ", ",
        ),
        other => other.to_string(),
    }
}

fn listed(words: impl Iterator<Item = String>, between: &str) -> String {
    words.filter(|w| !w.is_empty()).collect::<Vec<_>>().join(between)
}
