//! `lab fleet`: several controllers on one PostgreSQL, many sites at once, each with three agents behind breakable wires. While
//! their migrations run, controllers and PostgreSQL are killed and wires are cut. At the end every migration must be where it
//! should be, nothing done twice, and the store whole; and it is said how long it took others to take over.
//!
//! - [`controllers`]: PostgreSQL and the controllers on it, each with a wire to it
//! - [`site`]: one site: its world, its agents, their wires, and what must hold at its end
//! - [`operator`], [`drive`]: who leads its migration to the end, whatever happens
//! - [`faults`]: what is done to all of them, drawn from a seed
//! - [`takeover`]: from the logs, how long agents and duties were without a controller
//! - [`run`], [`outcome`]: all together, and what came out

mod controllers;
mod drive;
mod faults;
mod operator;
mod outcome;
mod run;
mod site;
mod takeover;

use std::path::PathBuf;

use clap::Args;

pub(super) use run::run;

/// Agents that a site has.
const AGENTS_OF_A_SITE: usize = 3;

/// What `lab fleet` is asked for.
#[derive(Debug, Clone, Args)]
pub struct FleetArgs {
    /// How many controllers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=5))]
    controllers: u8,
    /// How many agents at a time, about: a site has three
    #[arg(long, default_value_t = 20)]
    agents: usize,
    /// How many migrations in all, each of a site of its own
    #[arg(long, default_value_t = 20)]
    migrations: usize,
    /// What the faults are drawn from. Drawn itself when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// In how many minutes all must have come to their ends
    #[arg(long, default_value_t = 40)]
    minutes: u64,
    /// How often a controller is killed, in seconds, about
    #[arg(long, default_value_t = 6.0)]
    kill_every_s: f64,
    /// How often PostgreSQL is killed, in seconds, about
    #[arg(long, default_value_t = 45.0)]
    postgres_every_s: f64,
    /// How often a wire is cut, in seconds, about
    #[arg(long, default_value_t = 4.0)]
    cut_every_s: f64,
    /// For how long a wire is cut at most, in seconds
    #[arg(long, default_value_t = 120.0)]
    longest_cut_s: f64,
    /// Rows in connector spaces, metaverse and links of each site, about
    #[arg(long, default_value_t = 300)]
    objects: usize,
    /// How fast BACKUP, RESTORE and CHECKDB go, in MB/s; 0 is as fast as can be
    #[arg(long, default_value_t = 0.0)]
    io_mb_per_s: f64,
    /// The folder of it all. It is deleted when everything held, unless `--keep`
    #[arg(long, default_value = "syncferry-fleet")]
    dir: PathBuf,
    /// Keep the folder
    #[arg(long)]
    keep: bool,
    /// The outcome as JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl FleetArgs {
    /// How many sites at a time.
    fn side_by_side(&self) -> usize {
        self.agents.div_ceil(AGENTS_OF_A_SITE).clamp(1, self.migrations.max(1))
    }
}

/// Says what happens, with the time.
fn say(line: &str) {
    let now = time::OffsetDateTime::now_utc();
    eprintln!("  {:02}:{:02}:{:02} {line}", now.hour(), now.minute(), now.second());
}

/// A free port below those that systems give to outgoing connections: nobody takes it while a process is started again.
fn low_port() -> std::io::Result<u16> {
    let free = || std::net::TcpListener::bind(("127.0.0.1", rand::random_range(15_000..32_000))).ok();
    let listener = match (0..100).find_map(|_| free()) {
        Some(listener) => listener,
        None => std::net::TcpListener::bind(("127.0.0.1", 0))?,
    };
    Ok(listener.local_addr()?.port())
}
