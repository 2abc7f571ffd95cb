//! A fleet's run: PostgreSQL and the controllers come up, sites are worked off side by side while faults are done to all of them,
//! then everything is whole again and looked at.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Mutex as Blocking, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

use super::controllers::Controllers;
use super::faults::{Done, Hands};
use super::outcome::{Ended, Outcome};
use super::site::{self, AgentTrace, Exposed, SiteOutcome};
use super::{AGENTS_OF_A_SITE, FleetArgs, say, takeover};
use crate::lab::processes::Supervisor;
use crate::lab::roles;

const EXIT_INTERRUPTED: u8 = 130;
/// What no log of ours may say.
const NEVER_SAID: [&str; 2] = ["panicked at", "a request failed for an internal reason"];

/// The whole run.
pub(in crate::lab) async fn run(args: &FleetArgs) -> anyhow::Result<ExitCode> {
    let dir = std::path::absolute(&args.dir)?;
    anyhow::ensure!(
        !dir.exists(),
        "{} is there already; delete it, or name another with --dir",
        dir.display()
    );
    std::fs::create_dir_all(&dir)?;
    let outcome = tokio::select! {
        biased;
        () = roles::stop_signal() => {
            eprintln!("Interrupted. What there is stays in {}.", dir.display());
            end_all(&dir);
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
        outcome = fleet(args, &dir) => outcome,
    };
    // Whatever happened, nothing runs on.
    end_all(&dir);
    let outcome = outcome?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&outcome.json())?),
        false => println!("\n{}", outcome.table()),
    }
    if !outcome.holds() {
        eprintln!(
            "Not everything held. What there is stays in {}. Once more: lab fleet --seed {}",
            dir.display(),
            outcome.seed
        );
        return Ok(ExitCode::FAILURE);
    }
    if !args.keep {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends what a site or a controller left running.
fn end_all(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        Supervisor::end_leftovers(&entry.path());
    }
}

async fn fleet(args: &FleetArgs, dir: &Path) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let exe = std::env::current_exe().context("where this program is")?;
    let controllers = Arc::new(Controllers::start(&exe, dir, args.controllers).await?);
    say(&format!(
        "{} controllers are up; seed {seed}",
        controllers.members.len()
    ));
    let hands = Hands {
        controllers: Arc::clone(&controllers),
        exposed: Exposed::default(),
        done: Arc::new(Blocking::new(Done::default())),
        enough: CancellationToken::new(),
        args: args.clone(),
    };
    let working = tokio::spawn(hands.clone().work(seed));
    let limit = Duration::from_secs(args.minutes * 60);
    // The command line inside a lane stays in one thread.
    let local = LocalSet::new();
    let endings = Endings::default();
    let all = local.run_until(all_sites(args, &exe, dir, &hands, Rc::clone(&endings)));
    let in_time = tokio::time::timeout(limit, all).await.is_ok();
    // What did not come to its end ends here, with its processes.
    drop(local);
    hands.enough.cancel();
    let mut problems = Vec::new();
    if let Err(e) = working.await.map_err(anyhow::Error::from).and_then(|worked| worked) {
        problems.push(format!("a hand could not do what was drawn: {e:#}"));
    }
    let (mut sites, mut failed) = (Vec::new(), Vec::new());
    for site in endings.take() {
        match site {
            Ok(outcome) => sites.push(outcome),
            Err(e) => failed.push(format!("{e:#}")),
        }
    }
    if !in_time {
        let (came, all) = (sites.len() + failed.len(), args.migrations);
        problems.push(format!(
            "{came} of {all} came to their ends within {} min",
            args.minutes
        ));
    }
    problems.extend(failed);
    sites.sort_by_key(|s| s.number);
    if let Err(e) = controllers.audit().await {
        problems.push(format!("the audit of the store: {e:#}"));
    }
    controllers.stop().await;
    let traces: Vec<AgentTrace> = sites.iter().flat_map(|s| s.traces.clone()).collect();
    let logs: Vec<_> = controllers.members.iter().map(|m| m.log()).collect();
    for log in logs.iter().chain(traces.iter().map(|t| &t.log)) {
        problems.extend(never_said(log));
    }
    let done = std::mem::take(&mut *hands.done.lock().unwrap_or_else(PoisonError::into_inner));
    let take_overs = takeover::measure(&done, &traces, &logs);
    Ok(Outcome {
        seed,
        controllers: controllers.members.len(),
        agents: args.side_by_side() * AGENTS_OF_A_SITE,
        seconds: began.elapsed().as_secs_f64(),
        sites: sites.into_iter().map(ended).collect(),
        faults: done.counts,
        take_overs,
        problems,
    })
}

fn ended(site: SiteOutcome) -> Ended {
    Ended {
        number: site.number,
        state: site.state,
        seconds: site.seconds,
        migrations: site.migrations,
        stops: site.stops,
        problems: site.problems,
    }
}

/// Those that ended, and what kept others from it.
type Endings = Rc<RefCell<Vec<anyhow::Result<SiteOutcome>>>>;

/// Works all sites off, so many side by side.
async fn all_sites(args: &FleetArgs, exe: &Path, dir: &Path, hands: &Hands, ended: Endings) {
    let waiting = Rc::new(RefCell::new((0..args.migrations).collect::<VecDeque<usize>>()));
    let mut lanes = JoinSet::new();
    for _ in 0..args.side_by_side() {
        let (args, exe, dir) = (args.clone(), exe.to_path_buf(), dir.to_path_buf());
        let (waiting, hands, ended) = (Rc::clone(&waiting), hands.clone(), Rc::clone(&ended));
        lanes.spawn_local(async move {
            loop {
                let next = waiting.borrow_mut().pop_front();
                let Some(number) = next else { return };
                let site = site::run(number, &exe, &dir, &args, &hands.controllers, &hands.exposed).await;
                if let Err(e) = &site {
                    say(&format!("a site failed: {e:#}"));
                }
                ended.borrow_mut().push(site);
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        if let Err(e) = lane {
            ended.borrow_mut().push(Err(e.into()));
        }
    }
}

/// What a log says that none may say.
fn never_said(log: &Path) -> Vec<String> {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text
        .lines()
        .filter(|line| NEVER_SAID.iter().any(|never| line.contains(never)));
    lines.map(|line| format!("{}: {line}", log.display())).collect()
}
