//! Many cases: each in a process of its own, as many at a time as are asked for, until their number or the time is over.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::one::Verdict;
use crate::lab::processes::Supervisor;
use crate::lab::roles;

/// No case takes so long: it has limits of its own.
const LIMIT: Duration = Duration::from_secs(200);

/// What `lab random` is asked for.
#[derive(Debug, Args)]
pub struct RandomArgs {
    /// How many worlds at most
    #[arg(long, default_value_t = 20)]
    cases: u64,
    /// No case begins after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// The first case's seed; each next one has the next number. Drawn when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// How many at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// The folder of the worlds. Those where everything held are deleted
    #[arg(long, default_value = "syncferry-random")]
    dir: PathBuf,
    /// Keep the folders of all cases
    #[arg(long)]
    keep: bool,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// What came of all of them.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Cases whose plan ran to its end.
    ran: u64,
    /// Cases whose plan was refused.
    refused: u64,
    /// Cases in which something did not hold.
    failed: u64,
    /// By scenario: ran, refused.
    scenarios: BTreeMap<String, (u64, u64)>,
    /// How often each rule blocked.
    blockers: BTreeMap<String, u64>,
    /// How often each rule warned.
    warnings: BTreeMap<String, u64>,
    /// All of them.
    cases: Vec<Verdict>,
}

impl Summary {
    fn add(&mut self, v: Verdict) {
        let scenario = self.scenarios.entry(v.scenario.clone()).or_default();
        let (rules, count, of_scenario) = if v.blocked {
            (&mut self.blockers, &mut self.refused, &mut scenario.1)
        } else {
            (&mut self.warnings, &mut self.ran, &mut scenario.0)
        };
        (*count, *of_scenario) = (*count + 1, *of_scenario + 1);
        for rule in &v.rules {
            *rules.entry(rule.clone()).or_default() += 1;
        }
        self.failed += u64::from(!v.problems.is_empty());
        self.cases.push(v);
    }
}

/// Does it, and ends with failure if something did not hold.
pub async fn run(args: &RandomArgs) -> anyhow::Result<ExitCode> {
    let dir = std::path::absolute(&args.dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let first = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    eprintln!("== random worlds from seed {first} in {}", dir.display());
    let began = Instant::now();
    let over = |began: Instant| args.seconds.is_some_and(|s| began.elapsed() > Duration::from_secs(s));
    let mut seeds = first..first.saturating_add(args.cases);
    let mut running = JoinSet::new();
    let mut summary = Summary::default();
    loop {
        while running.len() < usize::from(args.jobs) && !over(began) {
            let Some(seed) = seeds.next() else { break };
            running.spawn(twice(dir.join(format!("case-{seed}")), seed, args.keep));
        }
        tokio::select! {
            ended = running.join_next() => {
                let Some(ended) = ended else { break };
                let verdict = ended.context("a case's task")??;
                tell(&dir, &verdict);
                summary.add(verdict);
            }
            () = roles::stop_signal() => {
                running.shutdown().await;
                for entry in fs::read_dir(&dir)? {
                    Supervisor::end_leftovers(&entry?.path());
                }
                anyhow::bail!("interrupted");
            }
        }
    }
    summary.cases.sort_by_key(|v| v.seed);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print(&summary, began.elapsed());
    }
    Ok(if summary.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(s: &Summary, took: Duration) {
    println!(
        "\n{} worlds in {:.0} s: {} plans ran to their ends, {} were refused and touched nothing; {} failures.",
        s.cases.len(),
        took.as_secs_f64(),
        s.ran,
        s.refused,
        s.failed
    );
    for (scenario, (ran, refused)) in &s.scenarios {
        println!("  {scenario:<20} {ran:>4} ran {refused:>4} refused");
    }
    for (title, rules) in [("refused by", &s.blockers), ("accepted", &s.warnings)] {
        let rules: Vec<String> = rules.iter().map(|(rule, n)| format!("{rule} {n}")).collect();
        println!("  {title}: {}", rules.join(", "));
    }
}

fn tell(dir: &Path, v: &Verdict) {
    let how = if v.blocked { "refused" } else { "ran" };
    let rules: Vec<&str> = v.rules.iter().map(String::as_str).collect();
    eprintln!(
        "seed {}: {} {how}, {:.1} s ({})",
        v.seed,
        v.scenario,
        v.seconds,
        rules.join(", ")
    );
    for problem in &v.problems {
        eprintln!("    {problem}");
    }
    if !v.problems.is_empty() {
        eprintln!(
            "    kept: {}; again: lab random --cases 1 --keep --seed {}",
            dir.join(format!("case-{}", v.seed)).display(),
            v.seed
        );
    }
}

/// Ports are chosen and then used: between that, somebody else on the machine may take one. Then the case is begun again.
async fn twice(dir: PathBuf, seed: u64, keep: bool) -> anyhow::Result<Verdict> {
    let verdict = case(dir.clone(), seed, keep).await?;
    match verdict.problems.iter().any(|p| p.contains("Address already in use")) {
        true => case(dir, seed, keep).await,
        false => Ok(verdict),
    }
}

async fn case(dir: PathBuf, seed: u64, keep: bool) -> anyhow::Result<Verdict> {
    if dir.exists() {
        Supervisor::end_leftovers(&dir);
        fs::remove_dir_all(&dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    let log = File::create(dir.join("output.txt"))?;
    let began = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args([roles::CASE, "--seed", &seed.to_string(), "--dir"])
        .arg(&dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    let why = match ended {
        Ok(status) => format!("the case ended without a word ({})", status?),
        Err(_) => {
            child.kill().await?;
            format!("the case did not end within {} s", LIMIT.as_secs())
        }
    };
    let left = Supervisor::end_leftovers(&dir);
    let seconds = began.elapsed().as_secs_f64();
    let mut verdict = Verdict::load(&dir).unwrap_or_else(|_| Verdict::missing(seed, why, seconds));
    if !left.is_empty() {
        let names: Vec<String> = left.into_iter().map(|p| p.name).collect();
        verdict.problems.push(format!("left running: {}", names.join(", ")));
    }
    if verdict.problems.is_empty() && !keep {
        fs::remove_dir_all(&dir)?;
    }
    Ok(verdict)
}
