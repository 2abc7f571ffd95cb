//! One case, in a process of its own: builds the world, plans, and then holds what happened against what the plan said.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use serde::{Deserialize, Serialize};
use syncferry_cli::Exit;
use syncferry_proto::{schema, v1};
use syncferry_shared::Severity;
use syncferry_shared::plan::Plan;

use super::draw::{Case, Play, draw};
use super::ends;
use crate::lab::flavour::Flavour;
use crate::lab::operator::{AtTheGate, Operator, Rest};
use crate::lab::roles;
use crate::lab::run::Lab;
use crate::lab::torture::picture::Picture;
use crate::lab::typed::Scenario;

const FILE: &str = "case.json";
/// Longer than any of them takes: it hangs.
const LIMIT: Duration = Duration::from_secs(150);

#[derive(Debug, Parser)]
#[command(name = roles::CASE)]
struct Args {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    seed: u64,
}

/// What came of a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// Its seed.
    pub seed: u64,
    /// The scenario.
    pub scenario: String,
    /// Whether the plan was refused.
    pub blocked: bool,
    /// The rules that blocked it, or warned.
    pub rules: BTreeSet<String>,
    /// What does not hold; nothing is good.
    pub problems: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Verdict {
    /// Reads it from a case's folder.
    pub(super) fn load(dir: &Path) -> anyhow::Result<Verdict> {
        Ok(serde_json::from_slice(&std::fs::read(dir.join(FILE))?)?)
    }

    /// Of a case that left none.
    pub(super) fn missing(seed: u64, why: String, seconds: f64) -> Verdict {
        Verdict {
            seed,
            scenario: draw(seed).play.name().into(),
            blocked: false,
            rules: BTreeSet::new(),
            problems: vec![why],
            seconds,
        }
    }
}

/// The hidden role.
pub(in crate::lab) fn role(args: Vec<OsString>) -> ExitCode {
    let args = Args::parse_from(std::iter::once(roles::CASE.into()).chain(args));
    roles::in_runtime(async move {
        let case = draw(args.seed);
        println!("{case:#?}");
        let began = Instant::now();
        let verdict = tokio::select! {
            verdict = run(&args.dir, &case) => verdict,
            () = roles::stop_signal() => anyhow::bail!("interrupted"),
        };
        let seconds = began.elapsed().as_secs_f64();
        let mut verdict = verdict.unwrap_or_else(|e| Verdict::missing(args.seed, format!("{e:#}"), seconds));
        verdict.seconds = seconds;
        std::fs::write(args.dir.join(FILE), serde_json::to_vec_pretty(&verdict)?)?;
        Ok(())
    })
}

async fn run(dir: &Path, case: &Case) -> anyhow::Result<Verdict> {
    let exe = std::env::current_exe().context("where this program is")?;
    let mut lab = Lab::open(&exe, dir, &case.options)?;
    if case.play == Play::Replace {
        // The DBA prepares the database first; that is no part of it.
        let prepared = lab.start_stand_ins().await;
        lab.processes().stop_all().await;
        prepared?;
    }
    let before = Picture::take(lab.world()).context("the world before")?;
    let went = tokio::time::timeout(LIMIT, go(&mut lab, case)).await;
    lab.processes().stop_all().await;
    let went = went.context("it hangs")??;
    let mut problems = went.problems;
    if let Err(error) = lab.audit().await {
        problems.push(format!("the audit of the store: {error}"));
    }
    let after = Picture::take(lab.world()).context("the world after")?;
    // A drill went before a restoration: what that one did is not what is looked at.
    let drilled = went.scenario != case.play.name() || matches!(case.play, Play::Scenario(s) if s.is_restoration());
    problems.extend(if went.blocked && !drilled {
        ends::untouched(&before, &after)
    } else if went.blocked {
        Vec::new()
    } else {
        ends::reached(case.play, lab.world(), &before, &after, &went.migration, &went.leases)
    });
    Ok(Verdict {
        seed: case.seed,
        scenario: went.scenario,
        blocked: went.blocked,
        rules: went.rules,
        problems,
        seconds: 0.0,
    })
}

/// How a case went.
struct Went {
    scenario: String,
    blocked: bool,
    rules: BTreeSet<String>,
    migration: v1::Migration,
    leases: Vec<v1::Lease>,
    problems: Vec<String>,
}

async fn go(lab: &mut Lab, case: &Case) -> anyhow::Result<Went> {
    let mut operator = lab.bring_up().await?;
    let source = lab.register(&mut operator).await?;
    if let Play::Scenario(scenario) = case.play
        && scenario.is_restoration()
    {
        let drill = Scenario::Drill { keep: true };
        let words = drill.plan(lab.world(), &source);
        let migration = operator.plan_with(&words).await?;
        let went = finish(lab, &mut operator, migration).await?;
        if went.blocked || !went.problems.is_empty() {
            return Ok(went);
        }
        lab.lose_the_source(scenario)?;
    }
    let migration = match case.play {
        Play::Replace => operator.plan_replacement(lab.world(), Flavour::Reachable).await?,
        Play::Scenario(scenario) => {
            let words = scenario.plan(lab.world(), &source);
            operator.plan_with(&words).await?
        }
    };
    finish(lab, &mut operator, migration).await
}

/// A refused plan is applied all the same, and must not let itself be; the other kind runs to its end.
async fn finish(lab: &mut Lab, operator: &mut Operator, migration: v1::Migration) -> anyhow::Result<Went> {
    let plan: Plan = migration
        .plan
        .as_ref()
        .context("there is no plan")?
        .read(schema::PLAN)?;
    let blocked = migration.state == "blocked";
    let wanted = if blocked { Severity::Blocker } else { Severity::Warning };
    let rules = plan.findings.iter().filter(|f| f.severity == wanted);
    let rules = rules.map(|f| f.rule.clone()).collect();
    let mut problems = Vec::new();
    if blocked != plan.findings.iter().any(syncferry_shared::Finding::blocks) {
        problems.push(format!(
            "the migration is {}, and its findings say otherwise",
            migration.state
        ));
    }
    if blocked {
        let digest = if migration.plan_digest.is_empty() {
            "0"
        } else {
            &migration.plan_digest
        };
        let exit = operator
            .type_in(&["apply", &migration.id, "--digest", digest, "--yes"])
            .await;
        if exit != Exit::Refused {
            problems.push(format!("apply of a refused plan ended with exit code {}", exit.code()));
        }
    } else {
        operator.apply(&migration).await?;
        let gate = lab.gate(false);
        let AtTheGate::Played { .. } = &gate else {
            anyhow::bail!("nobody plays the person");
        };
        let rest = lab.watch(operator, &migration.id, &gate).await?;
        if rest != Rest::Succeeded {
            problems.push(format!("a plan without a blocker ended as {rest:?}"));
        }
        operator.report(&migration.id, lab.world().dir()).await?;
    }
    Ok(Went {
        scenario: migration.scenario.clone(),
        blocked,
        rules,
        leases: operator.leases().await?,
        migration: operator.migration(&migration.id).await?,
        problems,
    })
}
