//! A plan: what was found, what would be done and changed, how to go back, and the command that runs it.

use syncferry_proto::v1::Migration;
use syncferry_shared::plan::{Plan, PlannedHandover, PlannedJob};
use syncferry_shared::{Finding, Severity};

use super::finding::count;
use super::table::pairs;
use super::{Look, Tone, at, clean, findings, short, verdict_counts, wrap};

/// How much of a digest the command names.
const DIGEST_DIGITS: usize = 12;

/// The whole plan, and the command that runs it.
pub fn plan(m: &Migration, plan: &Plan, look: &Look) -> String {
    plan_body(m, plan, look) + &next(m, plan, look)
}

/// The whole plan.
pub fn plan_body(m: &Migration, plan: &Plan, look: &Look) -> String {
    let mut text = head(m, look);
    text.push('\n');
    if plan.findings.is_empty() {
        text.push_str(&format!(
            "{}\n\n",
            look.paint(Tone::Good, "The preflight found nothing to say.")
        ));
    } else {
        text.push_str(&format!(
            "{} {}\n\n",
            look.heading("The preflight found"),
            look.heading(&count(&plan.findings))
        ));
        text.push_str(&findings(&plan.findings, look));
        text.push('\n');
    }
    if !plan.verdicts.is_empty() {
        let counts = format!("Of {} rules: {}.", plan.verdicts.len(), verdict_counts(plan));
        let more = format!(
            "`syncferry plan show {} --rules` says what each looked at.",
            short(&m.id)
        );
        text.push_str(&wrap(&format!("{counts} {more}"), look.width, "", ""));
        text.push('\n');
    }
    text.push_str(&stages(plan, look));
    text.push_str(&statements(plan, look));
    text.push_str(&rollback(plan, look));
    text
}

/// The exact T-SQL of a run at SQL Server. It is not wrapped: what is shown is what is run.
fn statements(plan: &Plan, look: &Look) -> String {
    let Some(run) = &plan.lease_run else {
        return String::new();
    };
    let mut text = format!("\n{}\n", look.heading("The exact T-SQL"));
    for s in &run.statements {
        text.push_str(&format!("\n  -- {}\n", clean(&s.purpose)));
        for line in s.text.lines() {
            text.push_str(&format!("  {}\n", clean(line)));
        }
    }
    text.push('\n');
    text
}

fn head(m: &Migration, look: &Look) -> String {
    let title = format!("Plan {} of {} for {}", short(&m.id), clean(&m.scenario), clean(&m.site));
    let lines = [
        ("state", look.state(&m.state)),
        ("asked for by", clean(&m.created_by)),
        ("made", at(m.updated_at.as_ref().or(m.created_at.as_ref()), look)),
        ("digest", clean(&m.plan_digest)),
    ];
    format!("{}\n{}", look.heading(&title), pairs(look, "  ", &lines))
}

fn stages(plan: &Plan, look: &Look) -> String {
    if plan.stages.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", look.heading("What would be done"));
    for (number, stage) in (1..).zip(&plan.stages) {
        text.push_str(&format!("\n  {number}  {}\n", look.heading(&clean(&stage.name))));
        for job in &stage.jobs {
            text.push_str(&planned_job(job, look));
        }
        if let Some(h) = plan.handover.as_ref().filter(|h| h.stage + 1 == number) {
            text.push_str(&handover(h, look));
        }
    }
    text.push('\n');
    text
}

/// How the lease changes hands, and what that proves.
fn handover(h: &PlannedHandover, look: &Look) -> String {
    let way = look.paint(Tone::Dim, &format!("lease of {} by way of", clean(&h.lease_name)));
    let mut text = format!(
        "     {} → {}  {way} {}\n",
        clean(&h.from_name),
        clean(&h.to_name),
        h.way.as_str()
    );
    for step in &h.steps {
        text.push_str(&wrap(step, look.width, "       · ", "         "));
    }
    text.push_str(&wrap(&h.proves, look.width, "       proves  ", "               "));
    text
}

fn planned_job(job: &PlannedJob, look: &Look) -> String {
    let host = look.paint(Tone::Dim, &format!("{} on", job.kind.as_str()));
    let mut text = format!("     {}  {host} {}\n", clean(&job.name), clean(&job.host_name));
    for step in &job.steps {
        text.push_str(&wrap(step, look.width, "       · ", "         "));
    }
    if job.changes.is_empty() {
        text.push_str(&format!("       {}\n", look.paint(Tone::Dim, "changes nothing")));
    }
    for change in &job.changes {
        text.push_str(&wrap(change, look.width, "       changes  ", "                "));
    }
    text
}

fn rollback(plan: &Plan, look: &Look) -> String {
    if plan.rollback.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", look.heading("How to go back"));
    for (number, step) in (1..).zip(&plan.rollback) {
        text.push_str(&wrap(step, look.width, &format!("  {number}. "), "     "));
    }
    text.push('\n');
    text
}

fn next(m: &Migration, plan: &Plan, look: &Look) -> String {
    match m.state.as_str() {
        "blocked" => wrap(
            "The plan is blocked; nothing was touched. Do what the blockers say, then plan again.",
            look.width,
            "",
            "",
        ),
        "planned" => {
            let warnings = plan.findings.iter().any(|f| f.severity == Severity::Warning);
            let consent = if warnings {
                ", and to accept the warnings above"
            } else {
                ""
            };
            format!(
                "Nothing was touched so far. To run exactly this plan{consent}:\n\n  {}\n",
                apply_command(m, plan)
            )
        }
        _ => format!("  syncferry status {}\n", short(&m.id)),
    }
}

/// The command that runs this very plan, with its warnings accepted.
pub fn apply_command(m: &Migration, plan: &Plan) -> String {
    let digest: String = m.plan_digest.chars().take(DIGEST_DIGITS).collect();
    let mut command = format!("syncferry apply {} --digest {}", short(&m.id), clean(&digest));
    let warnings = warnings(plan);
    if !warnings.is_empty() {
        command.push_str(&format!(" --accept {} --reason '<why>'", warnings.join(",")));
    }
    command
}

/// The rules of a plan's warnings, each once.
fn warnings(plan: &Plan) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for Finding { rule, severity, .. } in &plan.findings {
        let rule = clean(rule);
        if *severity == Severity::Warning && !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules
}

/// What `apply` shows before it goes on with a migration that stopped: why it did.
pub fn retry(m: &Migration, failed: &[Finding], look: &Look) -> String {
    let title = format!("Migration {} is {}", short(&m.id), clean(&m.state));
    let mut text = format!("{}\n", look.heading(&title));
    if !m.waiting_for.is_empty() {
        text.push_str(&wrap(&m.waiting_for, look.width, "  ", "  "));
    }
    text.push('\n');
    text.push_str(&findings(failed, look));
    text
}
