//! What became of every rule of a plan. A rule that spoke failed; one whose facts were not seen is unknown; and an unknown that
//! a hard gate depends on blocks, unless a finding of its own says so already.

use syncferry_shared::Finding;
use syncferry_shared::finding::Evidence;
use syncferry_shared::plan::{Plan, Scenario};
use syncferry_shared::rule::{self, Kind, Rule};
use syncferry_shared::verdict::{Judged, Verdict};

use super::PlanInput;
use super::rules::facts::{Seen, fact};

/// Judges every rule of the plan's scenario and writes the verdicts into the plan.
pub(super) fn judge(input: &PlanInput, plan: &mut Plan) {
    let scenario = input.request.scenario;
    let mut verdicts = verdicts(input, scenario, &plan.findings);
    if !plan.findings.iter().any(Finding::blocks)
        && let Some(finding) = open_gates(&verdicts, &plan.findings)
    {
        block(plan, vec![finding]);
        verdicts = self::verdicts(input, scenario, &plan.findings);
    }
    plan.verdicts = verdicts;
}

/// Nothing is left of a plan but what was found, with this first.
pub(super) fn block(plan: &mut Plan, mut findings: Vec<Finding>) {
    findings.append(&mut plan.findings);
    *plan = Plan {
        request: plan.request.take(),
        findings,
        ..Plan::nothing(plan.migration)
    };
}

fn verdicts(input: &PlanInput, scenario: Scenario, findings: &[Finding]) -> Vec<Judged> {
    let of_plans = rule::all().filter(|r| r.concerns(scenario) && (r.is(Kind::Preflight) || r.is(Kind::Attested)));
    of_plans.map(|r| verdict(input, r, findings)).collect()
}

fn verdict(input: &PlanInput, rule: &Rule, findings: &[Finding]) -> Judged {
    let judged = |verdict, saw| Judged {
        rule: rule.id.clone(),
        verdict,
        saw,
    };
    let spoke: Vec<&Finding> = findings.iter().filter(|f| f.rule == rule.id).collect();
    if !spoke.is_empty() {
        return judged(Verdict::Failed, spoke.iter().flat_map(|f| f.evidence.clone()).collect());
    }
    if rule.is(Kind::Attested) {
        let nobody = evidence("seen from here", "nothing: a person confirms it at the gate");
        return judged(Verdict::Unknown, vec![nobody]);
    }
    if let Some(doubt) = findings.iter().find(|f| says_unknown(f, rule)) {
        return judged(Verdict::Unknown, doubt.evidence.clone());
    }
    let (mut saw, mut unknown, mut elsewhere) = (Vec::new(), false, false);
    for name in &rule.facts {
        // A test knows that every name is one.
        let Some(fact) = fact(name) else { continue };
        let text = match (fact.look)(input) {
            Seen::Known(text) => text,
            Seen::Unknown(why) => {
                unknown = true;
                format!("unknown: {why}")
            }
            Seen::Elsewhere(why) => {
                elsewhere = true;
                why
            }
        };
        saw.push(evidence(fact.label, &text));
    }
    let verdict = match (elsewhere, unknown) {
        (true, _) => Verdict::DoesNotApply,
        (false, true) => Verdict::Unknown,
        (false, false) => Verdict::Passed,
    };
    judged(verdict, saw)
}

fn evidence(looked_at: &str, found: &str) -> Evidence {
    Evidence {
        looked_at: looked_at.to_string(),
        found: found.to_string(),
    }
}

/// Whether a finding says that another rule's verdict is unknown.
fn says_unknown(finding: &Finding, rule: &Rule) -> bool {
    let about = rule::get(&finding.rule).and_then(|r| r.unknown_of.as_deref());
    about == Some(rule.id.as_str())
}

/// The gates that stand open because nobody saw what they depend on, as a finding.
fn open_gates(verdicts: &[Judged], findings: &[Finding]) -> Option<Finding> {
    let mut finding = None;
    for judged in verdicts.iter().filter(|v| v.verdict == Verdict::Unknown) {
        let Some(rule) = rule::get(&judged.rule).filter(|r| r.is(Kind::Preflight) && !r.gates.is_empty()) else {
            continue;
        };
        if findings.iter().any(|f| says_unknown(f, rule)) || rule.unknown_of.is_some() {
            continue;
        }
        let open = finding.get_or_insert_with(|| {
            Finding::blocker("gate-unknown", "What a hard gate depends on is not known").next(
                "Let the agent look again when it is back and plan again. Where it cannot look, give it the right that the evidence names, or correct what keeps it from looking.",
            )
        });
        for e in judged.saw.iter().filter(|e| e.found.starts_with("unknown: ")) {
            let what = format!("{} ({}, {})", e.looked_at, rule.gates.join(" "), rule.id);
            let seen = e.found.trim_start_matches("unknown: ").to_string();
            if !open.evidence.iter().any(|o| o.looked_at == what) {
                *open = open.clone().saw(what, seen);
            }
        }
    }
    finding
}
