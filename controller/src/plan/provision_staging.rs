//! `provision-staging`: verify → backup → restore → install → verify, as a move; but the source stays the active server's for good,
//! the target is *another* SQL Server, and at the end the new server's configuration is held against the active one's.

use syncferry_shared::Finding;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{Plan, PlanValues, Stage};
use syncferry_shared::spec::JobKind;

use super::common::{Jobs, beside, lines, stage};
use super::{PlanInput, move_to_full_sql as moving, rules};

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::provision_staging(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { moving::values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, moving::incomplete(input));
    }
    let stages = values.as_ref().map(|v| stages(input, v)).unwrap_or_default();
    let rollback = values.as_ref().map(|v| rollback(input, v)).unwrap_or_default();
    Plan {
        request: Some(input.request.clone()),
        stages,
        findings,
        rollback,
        values,
        ..Plan::nothing(input.ids.migration)
    }
}

fn stages(input: &PlanInput, v: &PlanValues) -> Vec<Stage> {
    let mut jobs = Jobs::new(&input.ids.jobs);
    let mut stages = moving::stages(input, v, &mut jobs);
    let active = beside(jobs.job(
        "look-at-active",
        JobKind::Verify,
        &input.source_host,
        &Resource::database(v.source.id),
        &lines(["read what the active server's database says of itself"]),
        &[],
    ));
    let compare = jobs.job(
        "compare-with-active",
        JobKind::Verify,
        &input.target_host,
        &Resource::database(v.target),
        &lines([
            "connectors, forests, rules, features, sign-in method: what a person configured",
            "objects and pending exports: what moves while servers synchronise",
            "what differs is a finding; nothing is changed",
        ]),
        &[],
    );
    stages.push(stage("look at the active server", vec![active]));
    stages.push(stage("compare", vec![compare]));
    stages
}

fn rollback(input: &PlanInput, v: &PlanValues) -> Vec<String> {
    let mut steps = moving::rollback(input, v);
    // A move ends at the wizard because the old server is the way back; a staging server is nobody's way forward yet.
    steps.pop();
    steps.push(format!(
        "Point of no return for Syncferry: the wizard is completed on {new}. The active server {old} was never touched and stays active, whatever becomes of {new}: to take it away again, `syncferry plan decommission --server {new}`.",
        new = input.connect_host.name,
        old = v.source_holder_name.as_deref().unwrap_or(&input.source_host.name),
    ));
    steps
}
