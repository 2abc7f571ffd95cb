//! `simulate`: controller, store, agents and a SQL Server in one process per seed, under faults; what is seen at the hosts is
//! held against the invariants. Without `--one` it starts itself once per seed and counts.

mod agent;
mod bot;
mod controller;
mod datacentre;
mod determinism;
mod driver;
mod exchange;
mod faults;
mod network;
mod observer;
mod seed;
mod store;
mod watched;
mod world;

use clap::Parser;

/// Simulates a fleet under faults, seed by seed.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How many processes at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// A rule that is left out, to see that it is noticed; `all` for one after the other.
    #[arg(long)]
    mutant: Option<String>,
    /// Stop at the first seed that notices the mutant.
    #[arg(long)]
    until_caught: bool,
    /// For how many simulated seconds faults happen.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
    /// No faults at all.
    #[arg(long)]
    calm: bool,
    /// Where the traces of red seeds go.
    #[arg(long, default_value = "target/simulation")]
    out: std::path::PathBuf,
    /// Run one seed in this process and write what came of it as one line of JSON.
    #[arg(long)]
    one: Option<u64>,
    /// With `--one`: write the trace to this file, whatever comes of it.
    #[arg(long)]
    trace: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let args = Args::parse();
    match args.one {
        Some(seed) => seed::run(&args, seed),
        None => driver::run(&args),
    }
}
