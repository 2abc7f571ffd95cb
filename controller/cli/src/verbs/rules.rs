//! `rules` and `explain`: what Syncferry looks at, and why. They need no controller.

use syncferry_shared::Severity;
use syncferry_shared::plan::Scenario;
use syncferry_shared::rule::{self, Kind, Rule};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{json, render};

/// How alike two names must be to be offered for each other.
const ALIKE: f64 = 0.8;
/// The most names that are offered.
const MOST_OFFERED: usize = 4;

/// The rules that plans, jobs, leases and alarms speak by
///
/// Without options, those of plans: what is looked at before anything is touched. Needs no controller.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry rules
  syncferry rules --scenario replace-server --severity blocker
  syncferry rules --kind alarm
  syncferry rules --all --json | jq '.rules[].id'")]
pub(crate) struct ListArgs {
    /// Only rules that plans of this scenario meet
    #[arg(long, value_name = "SCENARIO", value_parser = scenario, conflicts_with = "all")]
    scenario: Option<Scenario>,
    /// Only rules of this severity: blocker, warning or note
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// Only rules that speak there: preflight, attested, job, lease or alarm
    #[arg(long, value_name = "KIND", value_parser = kind, conflicts_with = "all")]
    kind: Option<Kind>,
    /// Those of jobs, leases and alarms too
    #[arg(long)]
    all: bool,
}

/// One rule: what it looks at, why it matters, and what to do
///
/// Needs no controller.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry explain last-sync-too-old
  syncferry explain installer-blocked --json")]
pub(crate) struct ExplainArgs {
    /// The rule, as it stands in findings
    rule: String,
}

fn one_of<T>(what: &str, text: &str, all: &[(&str, T)]) -> Result<T, String>
where
    T: Copy,
{
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    found.ok_or_else(|| format!("there is no {what} '{text}'; there are: {}", names.join(", ")))
}

fn scenario(text: &str) -> Result<Scenario, String> {
    let all: Vec<(&str, Scenario)> = Scenario::PLANNED.iter().map(|s| (s.as_str(), *s)).collect();
    one_of("scenario", text, &all)
}

fn severity(text: &str) -> Result<Severity, String> {
    let all = [Severity::Blocker, Severity::Warning, Severity::Note].map(|s| (s.as_str(), s));
    one_of("severity", text, &all)
}

fn kind(text: &str) -> Result<Kind, String> {
    let all = [Kind::Preflight, Kind::Attested, Kind::Job, Kind::Lease, Kind::Alarm].map(|k| (k.as_str(), k));
    one_of("kind", text, &all)
}

impl ListArgs {
    fn wants(&self, rule: &Rule) -> bool {
        let there = match self.kind {
            Some(kind) => rule.is(kind),
            None => self.all || rule.is(Kind::Preflight) || rule.is(Kind::Attested),
        };
        there
            && self.severity.is_none_or(|s| rule.severity.contains(&s))
            && self.scenario.is_none_or(|s| rule.concerns(s))
    }
}

pub(crate) fn list(args: &ListArgs, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let rules: Vec<&Rule> = rule::all().filter(|r| args.wants(r)).collect();
    let value = json::Rules { rules: rules.clone() };
    cx.answer(&value, |look| render::rules(&rules, look))?;
    Ok(Exit::Ok)
}

pub(crate) fn explain(args: &ExplainArgs, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let rule = rule::get(&args.rule).ok_or_else(|| unknown(&args.rule))?;
    cx.answer(rule, |look| render::rule(rule, look))?;
    Ok(Exit::Ok)
}

fn unknown(typed: &str) -> CliError {
    let near = near(typed);
    let offer = if near.is_empty() {
        "`syncferry rules --all` lists them".to_string()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    CliError::NotFound(format!("there is no rule '{}'; {offer}", render::clean(typed)))
}

/// Rules whose names are like what was typed, the likest first.
fn near(typed: &str) -> Vec<&'static str> {
    let typed = typed.to_lowercase();
    let like = |id: &str| {
        let part = typed.len() > 3 && id.contains(typed.as_str());
        if part { 1.0 } else { strsim::jaro_winkler(&typed, id) }
    };
    let mut found: Vec<(f64, &str)> = rule::all().map(|r| (like(&r.id), r.id.as_str())).collect();
    found.retain(|(alike, _)| *alike >= ALIKE);
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    found.into_iter().take(MOST_OFFERED).map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn a_typo_finds_its_rule() {
        assert_eq!(near("target-is-localbd").first(), Some(&"target-is-localdb"));
        assert_eq!(near("last-synch-too-old").first(), Some(&"last-sync-too-old"));
        assert!(near("collation").contains(&"collation-case-sensitive"));
        assert!(near("zzzzzzzz").is_empty());
    }
}
