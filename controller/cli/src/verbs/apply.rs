//! `apply`: shows what will be done, asks, and names to the controller the very plan that was shown.

use syncferry_proto::timestamp;
use syncferry_proto::v1::{ApplyRequest, GetMigrationRequest, Migration};
use syncferry_shared::plan::Plan;
use syncferry_shared::{Finding, Millis, Severity};

use super::{events, plan, watch};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::{json, render};

const NOBODY: &str = "there is nobody to ask: look at the plan (syncferry plan show) and add --yes";

/// Run a plan, or go on with a migration that stopped
///
/// Shows what will be done and asks first. The controller runs the very plan that was shown: when another one was made
/// meanwhile, it refuses.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry apply 0242ac12
  syncferry apply 0242ac12 --digest 3f2a9c1b2d4e --accept target-engine-old --reason 'change 4711' --yes --watch
  syncferry apply 0242ac12 --reason 'looked at SQL01: the restore had not begun'   (when it is stuck)")]
pub(crate) struct Args {
    /// The migration, by id or the tail of it
    pub(crate) migration: String,
    /// Apply only the plan with this digest (its beginning is enough)
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    digest: Option<String>,
    /// Accept these rules' warnings; say why with --reason
    #[arg(long, value_name = "RULE", value_delimiter = ',', requires = "reason")]
    accept: Vec<String>,
    /// Until when they are accepted: a day (2026-12-01, until it begins in UTC) or an instant [default: as long as the
    /// migration lasts]
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "accept")]
    until: Option<Millis>,
    /// Why, for the audit trail
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Then watch until it rests
    #[arg(long)]
    watch: bool,
}

/// A moment as people type it.
pub(crate) fn moment(text: &str) -> Result<Millis, String> {
    Millis::of_date(text)
        .or_else(|| Millis::parse_rfc3339(text))
        .ok_or_else(|| "expected a day like 2026-12-01 or an instant like 2026-12-01T18:00:00Z".to_string())
}

fn digest(text: &str) -> Result<String, String> {
    if (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected 8 to 64 hexadecimal digits".to_string())
    }
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let request = GetMigrationRequest {
        migration: args.migration.clone(),
    };
    let m = session.call(session.service().get_migration(request)).await?;
    check_digest(&m, args.digest.as_deref())?;
    match m.state.as_str() {
        "planned" => consent_to_plan(&m, &args, cx).await?,
        "stopped" | "stuck" => consent_to_retry(&m, &args, cx).await?,
        // The controller says what it thinks of the others.
        _ => {}
    }
    let seen = if args.watch {
        events::last_of_migration(&session, &m.id).await?
    } else {
        0
    };
    let request = ApplyRequest {
        migration: m.id.clone(),
        plan_digest: m.plan_digest.clone(),
        accept_warnings: args.accept,
        reason: args.reason,
        accept_until: args.until.map(timestamp),
    };
    let m = session.call(session.service().apply(request)).await?;
    if args.watch {
        return watch::follow(&session, watch::Args::all(m.id, seen), cx).await;
    }
    cx.answer(&json::Migration::from(&m), |look| render::status(&m, look))?;
    Ok(Exit::Ok)
}

/// Runs a plan that was just made and shown, and watches it: approval is for this run and no other.
pub(super) async fn planned_run(
    session: &Session,
    m: &Migration,
    reason: String,
    yes: bool,
    cx: &mut Context<'_, '_>,
) -> Result<Exit, CliError> {
    let plan = plan::read(m)?;
    if !cx.json() {
        let text = render::plan_body(m, &plan, &cx.look());
        cx.say(&text);
    }
    if !yes {
        let question = format!("Run this T-SQL on {}?", hosts(&plan));
        cx.confirm(&question, NOBODY).await?;
    }
    let seen = events::last_of_migration(session, &m.id).await?;
    let request = ApplyRequest {
        migration: m.id.clone(),
        plan_digest: m.plan_digest.clone(),
        accept_warnings: vec![],
        reason,
        accept_until: None,
    };
    let m = session.call(session.service().apply(request)).await?;
    watch::follow(session, watch::Args::all(m.id, seen), cx).await
}

fn check_digest(m: &Migration, named: Option<&str>) -> Result<(), CliError> {
    match named {
        Some(named) if !m.plan_digest.starts_with(named) => Err(CliError::Refused {
            title: format!(
                "the plan of migration {id} has the digest {}, not the one you named; look at it again with `syncferry plan show {id}`",
                render::clean(&m.plan_digest.chars().take(12).collect::<String>()),
                id = render::short(&m.id),
            ),
            findings: vec![],
        }),
        _ => Ok(()),
    }
}

async fn consent_to_plan(m: &Migration, args: &Args, cx: &mut Context<'_, '_>) -> Result<(), CliError> {
    let plan = plan::read(m)?;
    check_warnings(&plan, &args.accept)?;
    if !cx.json() {
        let text = render::plan_body(m, &plan, &cx.look());
        cx.say(&text);
    }
    if args.yes {
        return Ok(());
    }
    cx.confirm(&format!("Run this plan on {}?", hosts(&plan)), NOBODY).await
}

/// What the controller would say of the warnings, said before anybody is asked.
fn check_warnings(plan: &Plan, accepted: &[String]) -> Result<(), CliError> {
    let warnings = || plan.findings.iter().filter(|f| f.severity == Severity::Warning);
    if let Some(rule) = accepted.iter().find(|rule| !warnings().any(|f| f.rule == **rule)) {
        let rules: Vec<&str> = warnings().map(|f| f.rule.as_str()).collect();
        let there = if rules.is_empty() {
            "none".to_string()
        } else {
            rules.join(", ")
        };
        return Err(CliError::Usage(format!(
            "--accept {rule}: the plan has no such warning; it has: {there}"
        )));
    }
    let open: Vec<Finding> = warnings().filter(|f| !accepted.contains(&f.rule)).cloned().collect();
    if open.is_empty() {
        return Ok(());
    }
    let rules: Vec<&str> = open.iter().map(|f| f.rule.as_str()).collect();
    let title = format!(
        "warnings are not accepted yet; accept them with --accept {} --reason <why>",
        rules.join(",")
    );
    Err(CliError::Refused { title, findings: open })
}

fn hosts(plan: &Plan) -> String {
    let mut names: Vec<String> = Vec::new();
    for job in plan.jobs() {
        let name = render::clean(&job.host_name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

async fn consent_to_retry(m: &Migration, args: &Args, cx: &mut Context<'_, '_>) -> Result<(), CliError> {
    if !cx.json() {
        let text = render::retry(m, &render::failed_findings(m), &cx.look());
        cx.say(&text);
    }
    if args.yes {
        return Ok(());
    }
    cx.confirm("Go on with it?", NOBODY).await
}
