//! Rules: the list, one of them, and what became of them in a plan.

use syncferry_shared::Severity;
use syncferry_shared::plan::Plan;
use syncferry_shared::rule::Rule;
use syncferry_shared::verdict::{Judged, Verdict};

use super::table::{dim, plain};
use super::{Look, Table, Tone, clean, wrap};

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Blocker => Tone::Bad,
        Severity::Warning => Tone::Warn,
        Severity::Note => Tone::Busy,
    }
}

fn severities(rule: &Rule) -> String {
    rule.severity.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", ")
}

/// Many rules, a line each.
pub fn rules(rules: &[&Rule], look: &Look) -> String {
    if rules.is_empty() {
        return "There is no such rule.\n".to_string();
    }
    let mut table = Table::new(&["RULE", "SEVERITY", "GATE", "SAYS"]);
    for r in rules {
        table.row([
            plain(&r.id),
            (severities(r), tone(r.gravest())),
            dim(r.gates.join(" ")),
            plain(&r.title),
        ]);
    }
    let count = match rules.len() {
        1 => "1 rule".to_string(),
        n => format!("{n} rules"),
    };
    format!(
        "{}\n{count}. `syncferry explain RULE` says why and what to do.\n",
        table.render(look, "")
    )
}

/// One rule.
pub fn rule(r: &Rule, look: &Look) -> String {
    let mut text = format!(
        "{}  {}\n",
        look.heading(&r.id),
        look.paint(tone(r.gravest()), &severities(r))
    );
    text.push_str(&wrap(&r.title, look.width, "  ", "  "));
    text.push('\n');
    let kinds: Vec<&str> = r.kinds.iter().map(|k| k.as_str()).collect();
    let numbers: Vec<String> = r.foresees.iter().map(u8::to_string).collect();
    let scenarios: Vec<&str> = r.scenarios.iter().map(|s| s.as_str()).collect();
    let lines = [
        ("why", r.why.clone()),
        ("to do", r.todo.clone()),
        ("looks at", r.looks_at.clone()),
        (
            "source",
            format!("{} ({})", r.sources.join("; "), r.confidence.as_str()),
        ),
        ("speaks in", kinds.join(", ")),
        ("scenarios", scenarios.join(", ")),
        ("hard gate", r.gates.join(", ")),
        ("foresees", known_failures(&numbers)),
        ("going on", r.overriding.sentence().to_string()),
        (
            "unknown",
            r.unknown_of
                .as_ref()
                .map_or(String::new(), |o| format!("says that the verdict of {o} is unknown")),
        ),
    ];
    for (label, value) in lines.iter().filter(|(_, v)| !v.is_empty()) {
        text.push_str(&labelled(label, value, look));
    }
    for quote in &r.seed {
        text.push_str(&labelled("the page", &format!("“{quote}”"), look));
    }
    text
}

fn known_failures(numbers: &[String]) -> String {
    match numbers.len() {
        0 => String::new(),
        1 => format!("known failure {}", numbers[0]),
        _ => format!("known failures {}", numbers.join(", ")),
    }
}

fn labelled(label: &str, value: &str, look: &Look) -> String {
    let body = wrap(value, look.width.saturating_sub(13), "", "             ");
    format!("  {} {body}", look.paint(Tone::Dim, &format!("{label:<10}")))
}

/// How many rules of a plan passed, failed, are unknown or do not apply; empty for a plan that was made without.
pub fn verdict_counts(plan: &Plan) -> String {
    let counted = Verdict::ALL.iter().filter_map(|verdict| {
        let n = plan.verdicts.iter().filter(|v| v.verdict == *verdict).count();
        (n > 0).then(|| format!("{n} {}", verdict.as_str()))
    });
    counted.collect::<Vec<_>>().join(", ")
}

/// What became of every rule of a plan, with what it looked at.
pub fn verdicts(plan: &Plan, look: &Look) -> String {
    let mut text = format!("{} {}\n", look.heading("The rules:"), verdict_counts(plan));
    for verdict in Verdict::ALL {
        let of_it: Vec<&Judged> = plan.verdicts.iter().filter(|v| v.verdict == *verdict).collect();
        if of_it.is_empty() {
            continue;
        }
        let tone = match verdict {
            Verdict::Failed => Tone::Bad,
            Verdict::Unknown => Tone::Warn,
            Verdict::Passed => Tone::Good,
            Verdict::DoesNotApply => Tone::Dim,
        };
        text.push_str(&format!("\n  {}\n", look.paint(tone, verdict.as_str())));
        for judged in of_it {
            text.push_str(&format!("    {}\n", clean(&judged.rule)));
            for e in &judged.saw {
                text.push_str(&wrap(
                    &format!("{}: {}", e.looked_at, e.found),
                    look.width,
                    "      ",
                    "        ",
                ));
            }
        }
    }
    text
}
