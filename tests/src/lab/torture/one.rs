//! One run, in a process of its own: builds the world, lets it be disturbed, drives it to its end, looks at what is left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use syncferry_proto::v1;
use tokio::sync::{Mutex, watch};

use super::check::{Seen, check};
use super::disturb::{Hand, say};
use super::disturbance::{Disturbance, Kind, draw};
use super::drive::Driver;
use super::picture::Picture;
use super::verdict::{Ending, Stop, Verdict};
use crate::lab::host_client::HostClient;
use crate::lab::operator::Operator;
use crate::lab::proxy::Proxy;
use crate::lab::roles;
use crate::lab::run::Lab;
use crate::lab::world::{HOSTS, NEW_SERVER, World, WorldOptions};

/// How often it is looked whether a process ended by itself.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A little more than a heartbeat of the lab.
const SETTLING: Duration = Duration::from_millis(1_500);
/// A process that ends more often by itself does not stay up.
const MOST_RESTARTS: usize = 25;
/// Longer than the driver's own limit: something waits that has none.
const LIMIT: Duration = Duration::from_secs(150);

/// What a run is started with.
#[derive(Debug, Parser)]
#[command(name = roles::TORTURE)]
struct Args {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    seed: u64,
    #[arg(long, value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    #[arg(long)]
    together: bool,
    #[arg(long)]
    objects: usize,
    #[arg(long)]
    io_mb_per_s: f64,
}

/// The hidden role.
pub(in crate::lab) fn role(args: Vec<OsString>) -> ExitCode {
    let args = Args::parse_from(std::iter::once(roles::TORTURE.into()).chain(args));
    roles::in_runtime(async move {
        let drawn = draw(args.seed, &args.kind, args.together);
        let began = Instant::now();
        let verdict = tokio::select! {
            verdict = run(&args, &drawn) => verdict,
            () = roles::stop_signal() => anyhow::bail!("interrupted"),
        };
        let seconds = began.elapsed().as_secs_f64();
        let verdict = verdict.unwrap_or_else(|e| Verdict::missing(args.seed, drawn, format!("{e:#}"), seconds));
        println!("\n== {}: {}", verdict.ending.as_str(), verdict.problems.join("; "));
        Ok(verdict.save(&args.dir)?)
    })
}

async fn run(args: &Args, drawn: &[Disturbance]) -> anyhow::Result<Verdict> {
    let options = WorldOptions {
        objects: args.objects,
        io_mb_per_s: args.io_mb_per_s,
        fast: true,
        ..WorldOptions::default()
    };
    let exe = std::env::current_exe().context("where this program is")?;
    let lab = Lab::open(&exe, &args.dir, &options)?;
    let world = lab.world().clone();
    let before = Picture::take(&world).context("the world before")?;
    for one in drawn {
        say(&format!("drawn: {one}"));
    }
    let began = Instant::now();
    let lab = Arc::new(Mutex::new(lab));
    let ran = tokio::time::timeout(LIMIT, disturbed(&lab, &world, drawn)).await;
    let seconds = began.elapsed().as_secs_f64();
    let mut lab = lab.lock().await;
    lab.processes().stop_all().await;
    let ran = ran.context("it hangs, and the operator with it")??;
    let mut problems = Vec::new();
    if let Err(error) = lab.audit().await {
        problems.push(format!("the audit of the store: {error}"));
    }
    let after = Picture::take(&world).context("the world after")?;
    let seen = Seen {
        before: &before,
        after: &after,
        migration: &ran.migration,
        leases: &ran.leases,
    };
    problems.extend(check(&seen, &world));
    let ending = match (problems.is_empty(), ran.stops.is_empty(), ran.migration.state.as_str()) {
        (false, ..) => Ending::Failure,
        (true, true, "succeeded") => Ending::Same,
        (true, ..) => Ending::Explained,
    };
    Ok(Verdict {
        seed: args.seed,
        disturbances: drawn.to_vec(),
        happened: ran.happened,
        ending,
        state: ran.migration.state,
        stops: ran.stops,
        problems,
        seconds,
        events: ran.events,
    })
}

/// A wire for each agent; the agents dial through them.
async fn wires(world: &World) -> anyhow::Result<BTreeMap<String, Proxy>> {
    let controller = SocketAddr::from(([127, 0, 0, 1], world.ports().controller));
    let mut wires = BTreeMap::new();
    for host in HOSTS {
        let proxy = Proxy::open(controller).await?;
        world.dial_through(host, proxy.address())?;
        wires.insert(host.to_string(), proxy);
    }
    Ok(wires)
}

/// What a run left for the check.
struct Ran {
    migration: v1::Migration,
    leases: Vec<v1::Lease>,
    happened: Vec<String>,
    stops: Vec<Stop>,
    events: i64,
}

async fn disturbed(lab: &Arc<Mutex<Lab>>, world: &World, drawn: &[Disturbance]) -> anyhow::Result<Ran> {
    let wires = wires(world).await?;
    let mut operator = lab.lock().await.bring_up().await?;
    operator.add_database().await?;
    let (busy, disturbed) = watch::channel(false);
    let mut hand = Hand {
        lab: Arc::clone(lab),
        world: world.clone(),
        operator: Operator::open(world.credentials())?,
        wires,
        busy,
    };
    let mut driver = Driver {
        lab: Arc::clone(lab),
        operator,
        host: HostClient::new(&world.host_dir(NEW_SERVER)),
        leave_gate: drawn.iter().any(|d| d.kind == Kind::CancelAtGate),
        disturbed,
        stops: Vec::new(),
    };
    let both = async { tokio::try_join!(hand.disturb(drawn), driver.go()) };
    let (happened, migration) = tokio::select! {
        both = both => both?,
        error = keep(lab) => return Err(error),
    };
    let operator = &mut driver.operator;
    if !drawn.is_empty() {
        // An agent that was away at the end has reports to deliver, and hears in a heartbeat what is not its own any more.
        operator.wait_for_agents().await?;
        tokio::time::sleep(SETTLING).await;
    }
    operator.report(&migration.id, world.dir()).await?;
    let events = operator.history("migration", &migration.id, 0).await?;
    Ok(Ran {
        leases: operator.leases().await?,
        migration,
        happened,
        stops: driver.stops,
        events: events.last().map_or(0, |e| e.seq),
    })
}

/// What a service manager does. Ends only with an error.
async fn keep(lab: &Mutex<Lab>) -> anyhow::Error {
    let mut restarts = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match lab.lock().await.processes().revive(say).await {
            Ok(n) => restarts += n,
            Err(error) => return error.into(),
        }
        if restarts > MOST_RESTARTS {
            return anyhow::anyhow!("a process does not stay up; see logs/");
        }
    }
}

/// The folder of a run.
pub(super) fn folder(dir: &Path, seed: u64) -> PathBuf {
    dir.join(format!("run-{seed}"))
}
