//! One seed, from nothing to its verdict. A process runs one and ends.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use syncferry_shared::sabotage::{self, Mutant};
use turmoil::Builder;

use crate::faults::Faults;
use crate::network::CONTROLLER;
use crate::world::{Violation, World, lock};
use crate::{Args, agent, bot, controller, datacentre, determinism, observer};

/// How much simulated time passes per tick.
const TICK: Duration = Duration::from_millis(40);
/// How long everything has to be well again.
const CALM_MS: i64 = 50_000;
/// How long a long seed goes on after its faults: well over the quarter of an hour after which a fence must raise an alarm.
const LONG_CALM_MS: i64 = 22 * 60_000;
/// How long registering may take.
const SET_UP_MS: i64 = 120_000;

/// What came of a seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) seed: u64,
    /// Of the trace: equal where everything was equal.
    pub(crate) hash: String,
    pub(crate) simulated_ms: i64,
    pub(crate) wall_ms: u64,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) violations: Vec<Violation>,
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The mutant of a name.
pub(crate) fn mutant(name: &str) -> anyhow::Result<Mutant> {
    let names = || Mutant::ALL.map(Mutant::as_str).join(", ");
    let found = Mutant::ALL.into_iter().find(|m| m.as_str() == name);
    found.with_context(|| format!("there is no mutant '{name}'; there are: {}", names()))
}

/// Runs one and writes the verdict as one line.
pub(crate) fn run(args: &Args, seed: u64) -> anyhow::Result<ExitCode> {
    if let Ok(filter) = std::env::var("SYNCFERRY_SIMULATION_LOG") {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .without_time()
            .init();
    }
    let mutant = args.mutant.as_deref().map(mutant).transpose()?;
    if let Some(mutant) = mutant {
        sabotage::choose(mutant);
    }
    let memory = std::path::Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory)?,
        false => tempfile::tempdir()?,
    };
    std::panic::set_hook(Box::new(|info| {
        let mut all = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(info.to_string());
    }));
    let began = Instant::now();
    determinism::arm(seed);
    let world = live(args, seed, mutant, dir.path())?;
    let trace = world.trace();
    let verdict = Verdict {
        seed,
        hash: blake3::hash(trace.as_bytes()).to_hex()[..16].to_string(),
        simulated_ms: determinism::now(),
        wall_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        counts: world.counts(),
        violations: lock(&world.violations).clone(),
    };
    let red = !verdict.violations.is_empty();
    let file = match (&args.trace, red) {
        (Some(file), _) => Some(file.clone()),
        (None, true) => {
            std::fs::create_dir_all(&args.out)?;
            let of = args.mutant.as_deref().unwrap_or("none");
            Some(args.out.join(format!("seed-{seed}-{of}.trace")))
        }
        (None, false) => None,
    };
    if let Some(file) = file {
        std::fs::write(file, trace)?;
    }
    println!("{}", serde_json::to_string(&verdict)?);
    Ok(if red { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn live(args: &Args, seed: u64, mutant: Option<Mutant>, dir: &std::path::Path) -> anyhow::Result<Arc<World>> {
    // Some sites give both servers one account. Nothing may come of it but a refusal.
    let shared = mutant == Some(Mutant::SharedAccount) || seed % 12 == 7;
    let accounts: &[&str] = match shared {
        true => &[r"CONTOSO\svc-sync1$"],
        false => &[r"CONTOSO\svc-sync1$", r"CONTOSO\svc-sync2$"],
    };
    let sql = dir.join("sql");
    std::fs::create_dir(&sql)?;
    let engine = datacentre::instance(&sql, accounts)?;
    let world = Arc::new(World::new(seed, dir.to_path_buf(), engine, shared)?);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(1_000_000))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(60))
        .tcp_capacity(4096)
        .enable_random_order()
        .build();
    let w = Arc::clone(&world);
    sim.host("datacentre", move || datacentre::run(Arc::clone(&w)));
    let w = Arc::clone(&world);
    sim.host(CONTROLLER, move || controller::run(Arc::clone(&w)));
    for (n, slot) in world.slots.iter().enumerate() {
        let w = Arc::clone(&world);
        sim.host(slot.node, move || agent::run(Arc::clone(&w), n));
    }
    let w = Arc::clone(&world);
    sim.host("people", move || bot::run(Arc::clone(&w)));
    let w = Arc::clone(&world);
    sim.host("observer", move || observer::run(Arc::clone(&w)));

    let mut faults = Faults::draw(seed, args.seconds, args.calm);
    let seconds = i64::try_from(args.seconds * 1000)?;
    loop {
        sim.step().map_err(|e| anyhow::anyhow!("the simulation ended: {e}"))?;
        determinism::set_now(i64::try_from(sim.elapsed().as_millis())?);
        observer::inside(&world);
        let begun = world.begun_at.load(Ordering::SeqCst);
        if begun == 0 {
            anyhow::ensure!(
                determinism::now() < SET_UP_MS,
                "it was not ready in time:\n{}",
                world.trace()
            );
            continue;
        }
        let since = determinism::now() - begun;
        faults.tick(&mut sim, &world, since)?;
        if since >= seconds && !world.calming.swap(true, Ordering::SeqCst) {
            world.say("faults are over");
            faults.heal(&mut sim, &world);
        }
        // A mutant that was noticed needs no end.
        let noticed = mutant.is_some() && !lock(&world.violations).is_empty();
        let calm = if world.long && mutant.is_none() {
            LONG_CALM_MS
        } else {
            CALM_MS
        };
        if since >= seconds + calm || noticed {
            break;
        }
    }
    for panic in PANICS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        world.violated("panic", panic);
    }
    if mutant.is_none() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        runtime.block_on(observer::last_look(&world))?;
    }
    // Simulated processes are not ended one by one: the process ends.
    std::mem::forget(sim);
    Ok(world)
}
