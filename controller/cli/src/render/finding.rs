//! Findings: what is wrong, what it rests on, where the rule comes from, and what to do next.

use syncferry_shared::{Finding, Severity};

use super::{Look, Tone, clean, wrap};

/// The severities, the heaviest first.
const ORDER: [Severity; 3] = [Severity::Blocker, Severity::Warning, Severity::Note];

/// All findings, blockers first, each with its evidence, source and next step.
pub fn findings(findings: &[Finding], look: &Look) -> String {
    let of = |severity| findings.iter().filter(move |f| f.severity == severity);
    let texts: Vec<String> = ORDER.into_iter().flat_map(of).map(|f| finding(f, look)).collect();
    texts.join("\n")
}

/// How many findings there are of each severity, in words; empty when there are none.
pub(super) fn count(findings: &[Finding]) -> String {
    let counted = ORDER.into_iter().filter_map(|severity| {
        let n = findings.iter().filter(|f| f.severity == severity).count();
        let s = if n == 1 { "" } else { "s" };
        (n > 0).then(|| format!("{n} {}{s}", severity.as_str()))
    });
    counted.collect::<Vec<_>>().join(", ")
}

/// One finding.
pub fn finding(f: &Finding, look: &Look) -> String {
    let tone = match f.severity {
        Severity::Blocker => Tone::Bad,
        Severity::Warning => Tone::Warn,
        Severity::Note => Tone::Busy,
    };
    let word = look.paint(tone, &f.severity.as_str().to_uppercase());
    let mut text = format!("{word}  {}\n", look.paint(Tone::Dim, &clean(&f.rule)));
    text.push_str(&wrap(&f.title, look.width, "  ", "  "));
    for e in &f.evidence {
        text.push_str(&labelled("seen", &format!("{}: {}", e.looked_at, e.found), look));
    }
    if !f.source.is_empty() {
        text.push_str(&labelled("source", &f.source, look));
    }
    if !f.next_step.is_empty() {
        text.push_str(&labelled("next", &f.next_step, look));
    }
    text
}

fn labelled(label: &str, value: &str, look: &Look) -> String {
    let body = wrap(value, look.width.saturating_sub(12), "", "            ");
    format!("    {}{body}", look.paint(Tone::Dim, &format!("{label:<8}")))
}
