//! Starts one process per seed, counts what they say, and writes it as people read it.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use syncferry_shared::sabotage::Mutant;

use crate::Args;
use crate::seed::{Verdict, mutant};
use crate::world::lock;

/// Runs all seeds; red where one is, or where a mutant was not noticed.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mutants: Vec<Mutant> = match args.mutant.as_deref() {
        None => {
            let all = seeds(args, None)?;
            print(&all);
            let red = all.verdicts.iter().any(|v| !v.violations.is_empty()) || !all.broken.is_empty();
            return Ok(if red { ExitCode::from(1) } else { ExitCode::SUCCESS });
        }
        Some("all") => Mutant::ALL.to_vec(),
        Some(name) => vec![mutant(name)?],
    };
    println!("{:<30} {:>12} {:>10}  by", "mutant", "first caught", "seeds");
    let mut missed = false;
    for mutant in mutants {
        let all = seeds(args, Some(mutant))?;
        let caught = all
            .verdicts
            .iter()
            .filter(|v| !v.violations.is_empty())
            .min_by_key(|v| v.seed);
        let (seed, by) = match caught {
            Some(v) => (
                v.seed.to_string(),
                format!("{}: {}", v.violations[0].invariant, v.violations[0].what),
            ),
            None => ("no".to_string(), String::new()),
        };
        missed |= caught.is_none();
        println!("{:<30} {seed:>12} {:>10}  {by}", mutant.as_str(), all.verdicts.len());
        for broken in &all.broken {
            println!("    {broken}");
        }
    }
    Ok(if missed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Everything that came of a batch.
struct All {
    verdicts: Vec<Verdict>,
    broken: Vec<String>,
    wall_s: f64,
}

fn seeds(args: &Args, mutant: Option<Mutant>) -> anyhow::Result<All> {
    let began = Instant::now();
    let next = AtomicU64::new(args.first);
    let end = args.first + args.seeds;
    let stop = AtomicBool::new(false);
    let (verdicts, broken) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let me = std::env::current_exe()?;
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end {
                        return;
                    }
                    match one(&me, args, seed, mutant) {
                        Ok(verdict) => {
                            let red = !verdict.violations.is_empty();
                            stop.fetch_or(red && args.until_caught, Ordering::SeqCst);
                            lock(&verdicts).push(verdict);
                        }
                        Err(error) => lock(&broken).push(format!("seed {seed}: {error:#}")),
                    }
                }
            });
        }
    });
    let mut verdicts = std::mem::take(&mut *lock(&verdicts));
    verdicts.sort_by_key(|v: &Verdict| v.seed);
    Ok(All {
        verdicts,
        broken: std::mem::take(&mut *lock(&broken)),
        wall_s: began.elapsed().as_secs_f64(),
    })
}

fn one(me: &std::path::Path, args: &Args, seed: u64, mutant: Option<Mutant>) -> anyhow::Result<Verdict> {
    let mut command = Command::new(me);
    command.env("RUST_BACKTRACE", "0").arg("--one").arg(seed.to_string());
    command.arg("--seconds").arg(args.seconds.to_string());
    command.arg("--out").arg(&args.out);
    if args.calm {
        command.arg("--calm");
    }
    if let Some(mutant) = mutant {
        command.arg("--mutant").arg(mutant.as_str());
    }
    let ended = command.output()?;
    let said = String::from_utf8_lossy(&ended.stdout);
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| String::from_utf8_lossy(&ended.stderr).trim().to_string())
}

fn print(all: &All) {
    let simulated: i64 = all.verdicts.iter().map(|v| v.simulated_ms).sum();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, n) in all.verdicts.iter().flat_map(|v| &v.counts) {
        *counts.entry(what).or_default() += n;
    }
    let violations: usize = all.verdicts.iter().map(|v| v.violations.len()).sum();
    let (faults, rest): (Vec<_>, Vec<_>) = counts.into_iter().partition(|(what, _)| what.starts_with("fault: "));
    println!("seeds            {}", all.verdicts.len());
    println!("simulated time   {:.1} h", simulated as f64 / 3_600_000.0);
    println!("faults           {}", faults.iter().map(|(_, n)| n).sum::<u64>());
    for (what, n) in faults {
        println!("  {:<34} {n:>8}", what.trim_start_matches("fault: "));
    }
    println!("what happened");
    for (what, n) in rest {
        println!("  {what:<34} {n:>8}");
    }
    println!("seeds per second {:.2}", all.verdicts.len() as f64 / all.wall_s);
    for v in &all.verdicts {
        for violation in &v.violations {
            println!(
                "seed {}: {} at {} ms: {}",
                v.seed, violation.invariant, violation.at_ms, violation.what
            );
        }
    }
    for broken in &all.broken {
        println!("{broken}");
    }
    println!("violations       {violations}");
    if !all.broken.is_empty() {
        println!("seeds that broke {}", all.broken.len());
    }
}
