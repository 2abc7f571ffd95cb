//! Many runs: starts each in a process of its own, shows how they end, keeps what failed.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::disturbance::{Disturbance, Kind, draw};
use super::one::folder;
use super::table;
use super::verdict::{Ending, Verdict};
use crate::lab::processes::Supervisor;
use crate::lab::roles;

/// No run takes so long: it has limits of its own.
const LIMIT: Duration = Duration::from_secs(240);
/// How long a run may take to end its processes.
const ENDING: Duration = Duration::from_secs(40);
const EXIT_INTERRUPTED: u8 = 130;
const OBJECTS: usize = 300;
/// Fast, but so that something can happen in the middle of a BACKUP.
const IO_MB_PER_S: f64 = 4.0;

/// What `lab torture` is asked for.
#[derive(Debug, Args)]
pub struct TortureArgs {
    /// How many runs
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// The first run's seed; each next run has the next number. Drawn when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Only these kinds of disturbances (all when none is given; `nothing` for runs that nothing disturbs)
    #[arg(long, value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// All of the kinds in every run, instead of one of them
    #[arg(long, requires = "kind")]
    together: bool,
    /// How many runs at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// The folder of the runs. Runs that did not fail are deleted
    #[arg(long, default_value = "syncferry-torture")]
    dir: PathBuf,
    /// Keep the folders of all runs
    #[arg(long)]
    keep: bool,
    /// Rows in connector spaces, metaverse and links, about
    #[arg(long, default_value_t = OBJECTS)]
    objects: usize,
    /// How fast BACKUP, RESTORE and CHECKDB go, in MB/s; 0 is as fast as can be
    #[arg(long, default_value_t = IO_MB_PER_S)]
    io_mb_per_s: f64,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

impl TortureArgs {
    fn kinds(&self) -> Vec<Kind> {
        if self.kind.is_empty() {
            Kind::all()
        } else {
            self.kind.clone()
        }
    }

    /// The command that runs one seed again.
    fn again(&self, seed: u64) -> String {
        let mut words = format!("lab torture --runs 1 --seed {seed}");
        if !self.kind.is_empty() {
            words.push_str(&format!(" --kind {}", names(&self.kind)));
        }
        if self.together {
            words.push_str(" --together");
        }
        if self.objects != OBJECTS {
            words.push_str(&format!(" --objects {}", self.objects));
        }
        if (self.io_mb_per_s - IO_MB_PER_S).abs() > f64::EPSILON {
            words.push_str(&format!(" --io-mb-per-s {}", self.io_mb_per_s));
        }
        words
    }
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|k| k.name()).collect::<Vec<_>>().join(",")
}

/// Does it, and ends with failure if one run failed.
pub async fn run(args: &TortureArgs) -> anyhow::Result<ExitCode> {
    let dir = std::path::absolute(&args.dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let first = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    eprintln!("== {} runs from seed {first} in {}", args.runs, dir.display());
    let bar = ProgressBar::new(args.runs);
    // The template is ours and good.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let mut seeds: VecDeque<u64> = (first..first.saturating_add(args.runs)).collect();
    let mut running = JoinSet::new();
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut interrupted = false;
    loop {
        while !interrupted && running.len() < usize::from(args.jobs) {
            let Some(seed) = seeds.pop_front() else { break };
            bar.set_message(format!("seed {seed}"));
            running.spawn(Run::new(args, &dir, seed).run());
        }
        tokio::select! {
            ended = running.join_next() => {
                let Some(ended) = ended else { break };
                let verdict = ended.context("a run's task")??;
                bar.inc(1);
                bar.suspend(|| tell(args, &dir, &verdict, verdicts.len() + 1));
                verdicts.push(verdict);
            }
            () = roles::stop_signal(), if !interrupted => {
                interrupted = true;
                running.shutdown().await;
                end_all(&dir)?;
            }
        }
        if interrupted {
            break;
        }
    }
    bar.finish_and_clear();
    let summary = table::Summary::of(first, &verdicts);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        println!("\n{summary}");
    }
    if interrupted {
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    }
    let failed = verdicts.iter().any(|v| v.ending == Ending::Failure);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Ends what interrupted runs leave running: their own processes are gone, and nobody else would.
fn end_all(dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        Supervisor::end_leftovers(&entry?.path());
    }
    Ok(())
}

/// One line per run; more where it failed.
fn tell(args: &TortureArgs, dir: &Path, v: &Verdict, number: usize) {
    let done: Vec<String> = v.disturbances.iter().map(ToString::to_string).collect();
    let what = if done.is_empty() {
        "nothing".to_string()
    } else {
        done.join("; ")
    };
    eprintln!(
        "[{number}/{}] seed {}: {what} -> {}, {:.1} s",
        args.runs,
        v.seed,
        v.ending.as_str(),
        v.seconds
    );
    for stop in &v.stops {
        eprintln!(
            "    {}: {}; the operator {}",
            stop.state,
            stop.said.join(" | "),
            stop.did
        );
    }
    if v.ending == Ending::Failure {
        for line in v.happened.iter().chain(&v.problems) {
            eprintln!("    {line}");
        }
        eprintln!(
            "    kept: {}; again: {}",
            folder(dir, v.seed).display(),
            args.again(v.seed)
        );
    }
}

/// One run from outside.
struct Run {
    seed: u64,
    drawn: Vec<Disturbance>,
    dir: PathBuf,
    log: PathBuf,
    keep: bool,
    arguments: Vec<String>,
}

impl Run {
    fn new(args: &TortureArgs, dir: &Path, seed: u64) -> Run {
        let kinds = args.kinds();
        let folder = folder(dir, seed);
        let mut arguments = vec![
            roles::TORTURE.to_string(),
            "--dir".into(),
            folder.display().to_string(),
            "--seed".into(),
            seed.to_string(),
            "--kind".into(),
            names(&kinds),
            "--objects".into(),
            args.objects.to_string(),
            "--io-mb-per-s".into(),
            args.io_mb_per_s.to_string(),
        ];
        if args.together {
            arguments.push("--together".into());
        }
        Run {
            seed,
            log: folder.join("output.txt"),
            dir: folder,
            keep: args.keep,
            arguments,
            drawn: draw(seed, &kinds, args.together),
        }
    }

    async fn run(self) -> anyhow::Result<Verdict> {
        if self.dir.exists() {
            Supervisor::end_leftovers(&self.dir);
            fs::remove_dir_all(&self.dir).with_context(|| format!("cannot clear {}", self.dir.display()))?;
        }
        fs::create_dir_all(&self.dir)?;
        let log = File::create(&self.log)?;
        let began = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let ended = tokio::time::timeout(LIMIT, child.wait()).await;
        let why = match ended {
            Ok(status) => format!("the run ended without a word ({})", status?),
            Err(_) => {
                end(&mut child).await;
                format!("the run did not end within {} s", LIMIT.as_secs())
            }
        };
        let left = Supervisor::end_leftovers(&self.dir);
        let seconds = began.elapsed().as_secs_f64();
        let mut verdict =
            Verdict::load(&self.dir).unwrap_or_else(|_| Verdict::missing(self.seed, self.drawn, why, seconds));
        if !left.is_empty() {
            let names: Vec<String> = left.into_iter().map(|p| p.name).collect();
            verdict.problems.push(format!("left running: {}", names.join(", ")));
            verdict.ending = Ending::Failure;
        }
        if verdict.ending != Ending::Failure && !self.keep {
            fs::remove_dir_all(&self.dir)?;
        }
        Ok(verdict)
    }
}

/// Asks it to end its processes and itself; what does not is killed when it is dropped.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(pid) = pid {
        // It may have ended in between.
        let _ = kill_process(pid, Signal::TERM);
    }
    let _ = tokio::time::timeout(ENDING, child.wait()).await;
}
