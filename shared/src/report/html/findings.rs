//! Findings: those of the preflight, and those from on the way.

use super::markup::{Html, code, pairs};
use super::unseen::unseen;
use super::words::moment;
use crate::finding::{Finding, Severity};
use crate::report::{Report, ReportAcceptance, ReportPlan};

/// What a reader must know first.
pub(super) const LEAD: &str = "Each with what it rests on, where the rule comes from, and what to do. A blocker stops everything; a warning \
     must be accepted by name before anything runs.";

/// All findings.
pub(super) fn findings(r: &Report) -> Html {
    let mut all = Html::new();
    if let Some(plan) = &r.plan {
        all.push(preflight(plan));
    }
    for job in &r.jobs {
        let failure = job.failure.iter().flat_map(|f| &f.findings);
        let found = job.outcome.iter().flat_map(|o| &o.findings).chain(failure);
        let mut once: Vec<&Finding> = Vec::new();
        // Two attempts may have found the same.
        found.for_each(|f| {
            if !once.contains(&f) {
                once.push(f);
            }
        });
        let found: Html = once.into_iter().map(|f| finding(f, Html::new())).collect();
        if !found.is_empty() {
            all.push(Html::says("h3", "", format!("In job {} on {}", job.name, job.host)).then(found));
        }
    }
    all
}

fn preflight(plan: &ReportPlan) -> Html {
    let head = Html::says("h3", "", "Before anything was done");
    let Some(document) = plan.plan() else {
        return head.then(Html::says(
            "p",
            "none",
            "The plan is of a newer shape than this page knows; see the JSON.",
        ));
    };
    let unseen = unseen(plan, &document);
    if document.findings.is_empty() {
        return head
            .then(Html::says("p", "none", "The preflight found nothing to say."))
            .then(unseen);
    }
    let one = |f: &Finding| finding(f, consent(f, plan));
    head.then(document.findings.iter().map(one).collect()).then(unseen)
}

/// What became of a warning.
fn consent(f: &Finding, plan: &ReportPlan) -> Html {
    match consent_in_words(f, plan) {
        Some(text) => Html::says("span", "accepted", text),
        None if f.severity == Severity::Warning => Html::says("span", "open", "not accepted"),
        None => Html::new(),
    }
}

/// Who accepted a warning, and why; `None` where nobody did.
pub(super) fn consent_in_words(f: &Finding, plan: &ReportPlan) -> Option<String> {
    let by = plan.applied_by.as_ref()?;
    if f.severity != Severity::Warning || !plan.accepted_warnings.contains(&f.rule) {
        return None;
    }
    let told = plan.acceptances.iter().filter(|a| a.rule == f.rule).map(taken);
    let told: Vec<String> = told.collect();
    Some(match told.is_empty() {
        true => format!("accepted by {by}"),
        false => told.join("; "),
    })
}

/// Who accepted it, why, and until when.
fn taken(a: &ReportAcceptance) -> String {
    let until = a
        .until
        .map_or(String::new(), |until| format!(", until {}", moment(until)));
    format!("accepted by {} at {}{until}: {}", a.by, moment(a.at), a.reason)
}

fn finding(f: &Finding, mark: Html) -> Html {
    let class = match f.severity {
        Severity::Blocker => "finding bad",
        Severity::Warning => "finding warn",
        Severity::Note => "finding",
    };
    let head = Html::says("span", "severity", f.severity.as_str())
        .then(code(&f.rule))
        .then(mark);
    let seen: Html = f
        .evidence
        .iter()
        .map(|e| {
            Html::el(
                "li",
                "",
                Html::says("span", "", format!("{}: ", e.looked_at)).then(code(&e.found)),
            )
        })
        .collect();
    let seen = if seen.is_empty() {
        seen
    } else {
        Html::el("ul", "", seen)
    };
    let body = pairs([
        ("Seen", seen),
        ("Source", Html::text(&f.source)),
        ("Next", Html::text(&f.next_step)),
    ]);
    Html::el(
        "article",
        class,
        Html::el("p", "head", head)
            .then(Html::says("p", "title", &f.title))
            .then(body),
    )
}
