//! Everything that outlives a simulated process: the disks, the store, the SQL Server, the Connect servers, the clocks, and what
//! was seen. Simulated processes are started anew on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncferry_agent::clocks::Clocks;
use syncferry_controller::config::{Agents, Config, Leases};
use syncferry_shared::{Clock, Millis};
use syncferry_sqlserver::engine::Instance;
use syncferry_store_memory::MemoryStore;
use tokio::sync::mpsc;

use crate::determinism;
use crate::exchange::Connection;
use crate::store::Weather;

/// A clock that may be wrong and run at another rate.
#[derive(Debug, Default)]
pub(crate) struct Skewed {
    step_ms: AtomicI64,
    /// Parts per thousand more than it should.
    rate: AtomicI64,
    since: AtomicI64,
}

impl Skewed {
    pub(crate) fn step(&self, ms: i64) {
        self.step_ms.fetch_add(ms, Ordering::SeqCst);
    }
    pub(crate) fn rate(&self, per_thousand: i64) {
        // What it has gained stays gained.
        self.step(self.gained());
        self.since.store(determinism::now(), Ordering::SeqCst);
        self.rate.store(per_thousand, Ordering::SeqCst);
    }
    fn gained(&self) -> i64 {
        (determinism::now() - self.since.load(Ordering::SeqCst)) * self.rate.load(Ordering::SeqCst) / 1000
    }
}

impl Clock for Skewed {
    fn now(&self) -> Millis {
        Millis(determinism::BEGINNING + determinism::now() + self.step_ms.load(Ordering::SeqCst) + self.gained())
    }
}

impl Clocks for Skewed {}

/// An agent's identity, once it enrolled.
#[derive(Debug, Clone)]
pub(crate) struct Papers {
    pub(crate) agent_id: String,
    pub(crate) cert_pem: String,
    pub(crate) key_pem: String,
    pub(crate) ca_pem: String,
    pub(crate) ticket_key: String,
}

/// A machine with an agent, and what is on its disk.
pub(crate) struct Slot {
    /// Its name in the simulated network.
    pub(crate) node: &'static str,
    /// Its name in Syncferry.
    pub(crate) host: &'static str,
    /// Its data directory.
    pub(crate) dir: PathBuf,
    pub(crate) clock: Arc<Skewed>,
    /// A token to enrol with, when it next starts.
    pub(crate) token: Mutex<Option<String>>,
    pub(crate) papers: Mutex<Option<Papers>>,
    /// Nothing of it moves until then.
    pub(crate) paused_until: AtomicI64,
    /// It cannot reach SQL Server.
    pub(crate) sql_cut: AtomicBool,
    /// How long a statement may be on its way.
    pub(crate) sql_ms: AtomicI64,
    /// For how long the next transaction is on its way before it runs, and whether its agent's machine loses its power then.
    pub(crate) sql_held: Mutex<Option<(i64, bool)>>,
    /// How many of the calls that change something are sent once more, and how much later at most.
    pub(crate) twice: Mutex<(u32, i64)>,
    /// The machine loses its power at the so-manieth moment, from now, before or after its journal wrote something; 0 is never.
    pub(crate) power_loss_in: AtomicI64,
    pub(crate) boot: AtomicU32,
    pub(crate) generation: AtomicU32,
    /// Its journal was put back once.
    pub(crate) reverted: AtomicBool,
    pub(crate) backup: Mutex<Option<Vec<u8>>>,
    /// Until when a step may begin, by what the controller answered.
    pub(crate) permits: Mutex<BTreeMap<(String, i32, String), i64>>,
}

/// A Connect server's service. It knows nothing of agents and leases: it connects, and connects again.
pub(crate) struct Service {
    pub(crate) host: &'static str,
    pub(crate) account: String,
    pub(crate) enabled: AtomicBool,
    /// The machine is off.
    pub(crate) off: AtomicBool,
    /// It has a session in the database now.
    pub(crate) inside: AtomicBool,
    /// The epoch at which a person stopped it; a later grant lets a person start it again.
    pub(crate) stopped_at: AtomicI64,
}

/// Something that must not be.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: String,
    pub(crate) what: String,
    pub(crate) at_ms: i64,
}

/// What a person asks of the simulation itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Start an agent's process anew.
    Restart(usize),
    /// An agent's machine lost its power.
    PowerLoss(usize),
}

/// The world.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) dir: PathBuf,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) store_clock: Arc<Skewed>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) restores: AtomicU32,
    pub(crate) engine: Instance,
    pub(crate) connections: mpsc::UnboundedSender<Connection>,
    pub(crate) incoming: Mutex<Option<mpsc::UnboundedReceiver<Connection>>>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) services: Vec<Service>,
    /// SQL Server has its database, its logins and its users.
    pub(crate) sql_ready: AtomicBool,
    /// Everything is registered; faults may begin. The moment, or 0.
    pub(crate) begun_at: AtomicI64,
    /// The controller's clock was wrong by more than certificates bear.
    pub(crate) clock_far_off: AtomicBool,
    /// The attempts whose ends their agents told.
    pub(crate) ended: Mutex<BTreeSet<(String, i32)>>,
    /// Faults are over; persons begin nothing new.
    pub(crate) calming: AtomicBool,
    /// A long seed: towards its end the way to SQL Server breaks in the middle of a fence, and everybody goes home.
    pub(crate) long: bool,
    /// That has happened.
    pub(crate) stranded: AtomicBool,
    pub(crate) requests: Mutex<Vec<Request>>,
    random: Mutex<StdRng>,
    trace: Mutex<Vec<String>>,
    pub(crate) violations: Mutex<Vec<Violation>>,
    counts: Mutex<BTreeMap<String, u64>>,
}

/// The agents, by their place in [`World::slots`]: the one that reaches the database, and those of the Connect servers.
pub(crate) const SQL: usize = 0;
/// The password of every Windows account.
pub(crate) const PASSWORD: &str = "w";
/// The database's name in the leases' commands.
pub(crate) const LEASE: &str = "SQL01/default/ADSync";

/// Few are: a quarter of an hour takes as long as six others.
fn is_long(seed: u64) -> bool {
    seed % 25 == 13
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(seed: u64, dir: PathBuf, engine: Instance, shared_account: bool) -> anyhow::Result<Self> {
        let store_clock = Arc::new(Skewed::default());
        let weather = Arc::new(Weather::new(seed));
        let store = MemoryStore::new(syncferry_store_memory::Options {
            commits: Some(weather.clone()),
            ..syncferry_store_memory::Options::new(store_clock.clone(), 1)
        });
        let (connections, incoming) = mpsc::unbounded_channel();
        let slot = |node: &'static str, host: &'static str| -> anyhow::Result<Slot> {
            let dir = dir.join(node);
            std::fs::create_dir_all(&dir)?;
            Ok(Slot {
                node,
                host,
                dir,
                clock: Arc::default(),
                token: Mutex::default(),
                papers: Mutex::default(),
                paused_until: AtomicI64::new(0),
                sql_cut: AtomicBool::new(false),
                sql_ms: AtomicI64::new(10),
                sql_held: Mutex::default(),
                twice: Mutex::default(),
                power_loss_in: AtomicI64::new(0),
                boot: AtomicU32::new(1),
                generation: AtomicU32::new(1),
                reverted: AtomicBool::new(false),
                backup: Mutex::default(),
                permits: Mutex::default(),
            })
        };
        let service = |host: &'static str, account: &str, enabled: bool| Service {
            host,
            account: account.to_string(),
            enabled: AtomicBool::new(enabled),
            off: AtomicBool::new(false),
            inside: AtomicBool::new(false),
            stopped_at: AtomicI64::new(0),
        };
        let second = if shared_account {
            r"CONTOSO\svc-sync1$"
        } else {
            r"CONTOSO\svc-sync2$"
        };
        Ok(Self {
            config: config(dir.join("controller")),
            slots: vec![
                slot("sql01", "SQL01")?,
                slot("sync01", "SYNC01")?,
                slot("sync02", "SYNC02")?,
            ],
            dir,
            store: Arc::new(store),
            store_clock,
            weather,
            restores: AtomicU32::new(0),
            engine,
            connections,
            incoming: Mutex::new(Some(incoming)),
            services: vec![
                service("SYNC01", r"CONTOSO\svc-sync1$", true),
                service("SYNC02", second, false),
            ],
            sql_ready: AtomicBool::new(false),
            begun_at: AtomicI64::new(0),
            clock_far_off: AtomicBool::new(false),
            ended: Mutex::default(),
            calming: AtomicBool::new(false),
            long: is_long(seed),
            stranded: AtomicBool::new(false),
            requests: Mutex::default(),
            random: Mutex::new(StdRng::seed_from_u64(seed ^ 0x5EED)),
            trace: Mutex::default(),
            violations: Mutex::default(),
            counts: Mutex::default(),
        })
    }

    /// A number from `0` to `n - 1`.
    pub(crate) fn below(&self, n: i64) -> i64 {
        lock(&self.random).random_range(0..n.max(1))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&self, percent: i64) -> bool {
        self.below(100) < percent
    }

    /// Writes a line of the trace.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        lock(&self.trace).push(format!("{:>8} {line}", determinism::now()));
    }

    /// Counts something.
    pub(crate) fn count(&self, what: &str) {
        *lock(&self.counts).entry(what.to_string()).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    pub(crate) fn trace(&self) -> String {
        lock(&self.trace).join("\n") + "\n"
    }

    /// Notes something that must not be, once.
    pub(crate) fn violated(&self, invariant: &str, what: impl std::fmt::Display) {
        let what = what.to_string();
        let mut all = lock(&self.violations);
        if !all.iter().any(|v| v.invariant == invariant && v.what == what) {
            self.say(format!("VIOLATION {invariant}: {what}"));
            all.push(Violation {
                invariant: invariant.to_string(),
                what,
                at_ms: determinism::now(),
            });
        }
    }

    /// A moment right before or after something is written: power losses that wait for one happen here, and nothing after it.
    pub(crate) async fn at_disk(&self, agent: usize) {
        let slot = &self.slots[agent];
        let left = slot
            .power_loss_in
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n > 0).then(|| n - 1));
        if left == Ok(1) {
            lock(&self.requests).push(Request::PowerLoss(agent));
            std::future::pending::<()>().await;
        }
        self.breathe(agent).await;
    }

    /// Waits as long as an agent's machine stands still, and the moment that its disk or its processor takes.
    pub(crate) async fn breathe(&self, agent: usize) {
        let slot = &self.slots[agent];
        tokio::time::sleep(Duration::from_millis(self.below(15).unsigned_abs())).await;
        loop {
            let left = slot.paused_until.load(Ordering::SeqCst) - determinism::now();
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            // In small parts: it may be over sooner.
            tokio::time::sleep(Duration::from_millis(left.min(100))).await;
        }
    }
}

/// Short spans, so that a few simulated minutes hold many of them.
fn config(data_dir: PathBuf) -> Config {
    Config {
        data_dir,
        advertise: format!("{}:{}", crate::network::CONTROLLER, crate::network::PORT),
        inspection_timeout_s: 20,
        leases: Leases {
            ttl_s: 30,
            renew_every_s: 6,
            grace_s: 5,
            margin_s: 3,
            watch_s: 10,
        },
        agents: Agents {
            heartbeat_s: 4,
            silent_after_s: 15,
            stop_after_s: 20,
            certificate_days: 7,
        },
        ..Config::default()
    }
}
