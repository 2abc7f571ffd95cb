//! Accepted warnings: who accepts which, why, and until when. What nobody may accept is refused here, whatever is asked for.

use std::collections::BTreeSet;

use syncferry_shared::plan::Plan;
use syncferry_shared::rule::{self, Override};
use syncferry_shared::{AcceptanceId, Finding, Millis, Severity};
use syncferry_store::{Acceptance, Migration, NewAcceptance, Tx};

use super::apply::{Consent, plan_of};
use crate::core::{Core, migration_event};
use crate::problem::Problem;

/// Takes new acceptances down, and returns the rules whose warnings are accepted now. Refuses while a warning is open.
pub(super) async fn in_force(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    plan: &Plan,
    consent: &Consent,
) -> Result<Vec<String>, Problem> {
    accept(core, tx, actor, m, plan, consent).await?;
    let (now, all) = (tx.now(), tx.acceptances(m.id).await?);
    let warnings = || plan.findings.iter().filter(|f| f.severity == Severity::Warning);
    let accepted = |f: &&Finding| all.iter().any(|a| a.rule == f.rule && a.counts(now));
    let open: Vec<Finding> = warnings().filter(|f| !accepted(f)).cloned().collect();
    if !open.is_empty() {
        return Err(refused(open, &all, now));
    }
    let rules: BTreeSet<String> = warnings().map(|f| f.rule.clone()).collect();
    Ok(rules.into_iter().collect())
}

/// The same for a migration that goes on: what was accepted until a moment that is over must be accepted again.
pub(super) async fn still_in_force(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    consent: &Consent,
) -> Result<(), Problem> {
    let plan = plan_of(m)?;
    accept(core, tx, actor, m, &plan, consent).await?;
    let (now, all) = (tx.now(), tx.acceptances(m.id).await?);
    // Migrations of an earlier version were applied without rows here.
    let over = |f: &&Finding| {
        let mut of_it = all.iter().filter(|a| a.rule == f.rule).peekable();
        of_it.peek().is_some() && !of_it.any(|a| a.counts(now))
    };
    let open: Vec<Finding> = plan
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Warning)
        .filter(over)
        .cloned()
        .collect();
    if open.is_empty() {
        Ok(())
    } else {
        Err(refused(open, &all, now))
    }
}

fn refused(open: Vec<Finding>, all: &[Acceptance], now: Millis) -> Problem {
    let mut names: Vec<&str> = open.iter().map(|f| f.rule.as_str()).collect();
    names.dedup();
    let over = all.iter().any(|a| names.contains(&a.rule.as_str()) && !a.counts(now));
    let not = if over {
        "not accepted any more"
    } else {
        "not accepted yet"
    };
    let title = format!(
        "warnings are {not}; accept them with --accept {} --reason <why>",
        names.join(",")
    );
    Problem::Refused { title, findings: open }
}

/// Writes down what is accepted with this command.
async fn accept(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    plan: &Plan,
    consent: &Consent,
) -> Result<(), Problem> {
    let rules: BTreeSet<&String> = consent.accept_warnings.iter().collect();
    if rules.is_empty() {
        return Ok(());
    }
    if consent.reason.trim().is_empty() {
        return Err(Problem::Invalid(
            "whoever accepts a warning says why: --reason 'what was weighed, or the change\'s number'".to_string(),
        ));
    }
    if consent.until.is_some_and(|until| until <= tx.now()) {
        return Err(Problem::Invalid("--until is in the past".to_string()));
    }
    // A name that the plan does not have accepts nothing.
    for rule in rules
        .into_iter()
        .filter(|r| plan.findings.iter().any(|f| f.rule == **r))
    {
        may_be_accepted(rule, plan)?;
        let new = NewAcceptance {
            id: AcceptanceId::new(tx.now(), &core.random()),
            migration: m.id,
            rule: rule.clone(),
            actor: actor.to_string(),
            reason: consent.reason.trim().to_string(),
            until: consent.until,
        };
        tx.add_acceptance(&new).await?;
        let payload = serde_json::json!({
            "rule": rule, "reason": new.reason, "until": consent.until.map(Millis::rfc3339),
        });
        tx.append_event(migration_event(m.id, "warning.accepted", actor, payload))
            .await?;
    }
    Ok(())
}

/// A warning of the plan whose rule lets itself be accepted.
fn may_be_accepted(rule: &str, plan: &Plan) -> Result<(), Problem> {
    let of_it: Vec<Finding> = plan.findings.iter().filter(|f| f.rule == rule).cloned().collect();
    let overriding = rule::get(rule).map_or(Override::Accept, |r| r.overriding);
    let blocks = of_it.iter().any(Finding::blocks);
    if !blocks && overriding == Override::Accept {
        return Ok(());
    }
    let why = match overriding {
        Override::Accept => Override::Never.sentence(),
        other => other.sentence(),
    };
    Err(Problem::Refused {
        title: format!("{rule} is not for accepting. {why}"),
        findings: of_it,
    })
}
