//! What the preflight could not see: every rule whose verdict is unknown, what was not seen, and what became of that.

use super::findings::consent_in_words;
use super::markup::{Html, code, table};
use super::words::counted;
use crate::finding::{Finding, Severity};
use crate::plan::Plan;
use crate::report::ReportPlan;
use crate::rule::{self, Kind};
use crate::verdict::{self, Judged, Verdict};

/// How the rules were decided, and those that were not; nothing for plans of earlier versions, which did not say.
pub(super) fn unseen(plan: &ReportPlan, document: &Plan) -> Html {
    if document.verdicts.is_empty() {
        return Html::new();
    }
    let of = |verdict| document.verdicts.iter().filter(move |v| v.verdict == verdict);
    let said = format!(
        "Of {}: {}. Unknown is an answer of its own: what a hard gate depends on must be known, and blocks a plan where nobody saw it.",
        counted(document.verdicts.len(), "rule"),
        verdict::counts(&document.verdicts)
    );
    let head = Html::says("h3", "", "What was not seen").then(Html::says("p", "lead", said));
    if of(Verdict::Unknown).next().is_none() {
        return head;
    }
    let rows = of(Verdict::Unknown).map(|v| {
        vec![
            about(v),
            Html::text(rule::get(&v.rule).map_or(String::new(), |r| r.gates.join(" "))),
            Html::text(not_seen(v)),
            Html::text(became(v, plan, document)),
        ]
    });
    head.then(table(
        "unseen",
        &["Rule", "Hard gate", "What was not seen", "What became of it"],
        rows,
    ))
}

fn about(v: &Judged) -> Html {
    let title = rule::get(&v.rule).map_or("", |r| r.title.as_str());
    code(&v.rule).then(Html::says("div", "proves", title))
}

/// The facts that nobody saw; all of them where none is marked so.
fn not_seen(v: &Judged) -> String {
    let of = |marked: bool| -> Vec<String> {
        let facts = v.saw.iter().filter(|e| !marked || e.found.starts_with("unknown: "));
        facts
            .map(|e| format!("{}: {}", e.looked_at, e.found.trim_start_matches("unknown: ")))
            .collect()
    };
    if rule::get(&v.rule).is_some_and(|r| r.is(Kind::Attested)) {
        return "nothing of it can be seen by an agent".to_string();
    }
    let marked = of(true);
    if marked.is_empty() { of(false) } else { marked }.join("; ")
}

/// Who answers for it.
fn became(v: &Judged, plan: &ReportPlan, document: &Plan) -> String {
    let rule = rule::get(&v.rule);
    if rule.is_some_and(|r| r.is(Kind::Attested)) {
        return "a person confirms it at the gate".to_string();
    }
    let says_so = |f: &&Finding| rule::get(&f.rule).and_then(|r| r.unknown_of.as_deref()) == Some(v.rule.as_str());
    if let Some(f) = document.findings.iter().find(says_so) {
        return match f.severity {
            Severity::Blocker => format!("{} blocks the plan", f.rule),
            Severity::Warning => format!(
                "{}: {}",
                f.rule,
                consent_in_words(f, plan).unwrap_or_else(|| "not accepted".to_string())
            ),
            Severity::Note => format!("noted as {}", f.rule),
        };
    }
    if rule.is_some_and(|r| !r.gates.is_empty()) && document.findings.iter().any(Finding::blocks) {
        return "the plan is blocked".to_string();
    }
    "no hard gate depends on it: the plan goes on without it".to_string()
}
