//! One site of the fleet: a world of its own with three machines and two SQL Servers, three agents, and a wire from each agent to
//! each controller. All sites' machines have the same names, as sites of different companies may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use time::OffsetDateTime;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::controllers::Controllers;
use super::drive::{self, Stop};
use super::operator::Operator;
use super::{FleetArgs, say};
use crate::lab::host_client::HostClient;
use crate::lab::proxy::{Proxy, Wire};
use crate::lab::run::Lab;
use crate::lab::torture::check::{Seen, check};
use crate::lab::torture::picture::{Picture, open_in_journals};
use crate::lab::world::{HOSTS, NEW_SERVER, World, WorldOptions};

/// How often an agent is tried to be enrolled: an answer that is lost uses its token up.
const MOST_ENROLMENTS: u32 = 20;
/// A few heartbeats.
const SETTLING: Duration = Duration::from_secs(7);
/// How often the agents are let settle until nothing is open in their journals.
const MOST_SETTLINGS: u32 = 15;

/// How things of a site are called.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) number: usize,
}

impl Names {
    pub(super) fn site(&self) -> String {
        format!("site-{:02}", self.number)
    }

    pub(super) fn prefix(&self) -> String {
        format!("s{:02}-", self.number)
    }

    pub(super) fn host(&self, machine: &str) -> String {
        format!("{}{machine}", self.prefix())
    }

    pub(super) fn tenant(&self) -> String {
        format!("8f3c1a52-6d0e-4b7a-9c51-{:012x}", self.number)
    }

    pub(super) fn database(&self) -> String {
        format!("ADSync{:02}", self.number)
    }
}

/// The wires of a site, while faults may be done to them.
pub(super) struct Wires {
    pub(super) names: Names,
    /// For each machine, its agent's wires, in the order of the controllers.
    pub(super) agents: BTreeMap<&'static str, AgentWires>,
    /// Cancelled when nothing is to be done to them any more.
    pub(super) spared: CancellationToken,
    /// How many cuts are under way.
    pub(super) cuts: watch::Sender<usize>,
}

/// The wires of an agent.
pub(super) struct AgentWires {
    pub(super) to: Vec<Proxy>,
    /// Whether something is being done to them.
    pub(super) busy: AtomicBool,
}

impl Wires {
    async fn open(names: Names, controllers: &Controllers) -> anyhow::Result<Wires> {
        let mut agents = BTreeMap::new();
        for host in HOSTS {
            let mut to = Vec::new();
            for member in &controllers.members {
                to.push(Proxy::open(member.address).await?);
            }
            let busy = AtomicBool::new(false);
            agents.insert(host, AgentWires { to, busy });
        }
        Ok(Wires {
            names,
            agents,
            spared: CancellationToken::new(),
            cuts: watch::Sender::new(0),
        })
    }

    /// Ends all cuts and begins no more.
    async fn spare(&self) {
        self.spared.cancel();
        let mut cuts = self.cuts.subscribe();
        // The sender is here.
        let _ = cuts.wait_for(|n| *n == 0).await;
        for wire in self.agents.values().flat_map(|a| &a.to) {
            wire.set(Wire::Whole);
        }
    }

    /// Whether an agent of the site is cut off, wholly or in part.
    pub(super) fn disturbed(&self) -> bool {
        self.agents.values().any(|a| a.busy.load(Ordering::SeqCst))
    }
}

/// Where an agent's life can be read afterwards.
#[derive(Debug, Clone)]
pub(super) struct AgentTrace {
    pub(super) name: String,
    pub(super) log: PathBuf,
    /// Under which address it knows each controller.
    pub(super) addresses: Vec<String>,
    /// Until when nobody stopped it in order.
    pub(super) until: OffsetDateTime,
}

/// How a site's migration ended.
pub(super) struct SiteOutcome {
    pub(super) number: usize,
    pub(super) state: String,
    pub(super) seconds: f64,
    /// From the plan's request to the end, as many migrations as were begun.
    pub(super) migrations: usize,
    pub(super) stops: Vec<Stop>,
    pub(super) problems: Vec<String>,
    pub(super) traces: Vec<AgentTrace>,
}

/// All sites that faults may be done to.
pub(super) type Exposed = Arc<Mutex<Vec<Arc<Wires>>>>;

/// One site, from nothing to its end.
pub(super) async fn run(
    number: usize,
    exe: &Path,
    dir: &Path,
    args: &FleetArgs,
    controllers: &Controllers,
    exposed: &Exposed,
) -> anyhow::Result<SiteOutcome> {
    let names = Names { number };
    let options = WorldOptions {
        objects: args.objects,
        io_mb_per_s: args.io_mb_per_s,
        database: names.database(),
        database_seed: u64::try_from(number).unwrap_or_default() + 1,
        fast: true,
        ..WorldOptions::default()
    };
    let lab = {
        let (exe, dir) = (exe.to_path_buf(), dir.join(names.site()));
        tokio::task::spawn_blocking(move || {
            // Made here, because a fleet's answer is all that goes to standard output.
            World::create(&dir, &options, |_| {})?;
            Lab::open(&exe, &dir, &options)
        })
        .await??
    };
    let before = Picture::take(lab.world())?;
    let wires = Arc::new(Wires::open(names.clone(), controllers).await?);
    let mut site = Site {
        lab,
        operator: Operator::open(&controllers.credentials, names.clone())?,
        wires,
    };
    let outcome = site.live(&before, exposed).await;
    site.lab.processes().stop_all().await;
    outcome.with_context(|| names.site())
}

struct Site {
    lab: Lab,
    operator: Operator,
    wires: Arc<Wires>,
}

impl Site {
    async fn live(&mut self, before: &Picture, exposed: &Exposed) -> anyhow::Result<SiteOutcome> {
        let began = std::time::Instant::now();
        let names = self.wires.names.clone();
        self.set_up().await?;
        exposed.lock().await.push(Arc::clone(&self.wires));
        say(&format!("{}: up", names.site()));
        let host = HostClient::new(&self.lab.world().host_dir(NEW_SERVER));
        let wires = Arc::clone(&self.wires);
        let led = drive::lead(&mut self.operator, &host, &wires).await;
        exposed.lock().await.retain(|w| w.names.number != names.number);
        let until = OffsetDateTime::now_utc();
        self.wires.spare().await;
        let led = led?;
        self.settle().await?;
        let mut problems = Vec::new();
        if let Err(e) = self.operator.report(&led.migration.id, self.lab.world().dir()).await {
            problems.push(format!("the report: {e:#}"));
        }
        let leases = self.leases().await?;
        self.lab.processes().stop_all().await;
        let after = Picture::take(self.lab.world())?;
        let seen = Seen {
            before,
            after: &after,
            migration: &led.migration,
            leases: &leases,
        };
        problems.extend(check(&seen, self.lab.world()));
        let state = led.migration.state.clone();
        say(&format!(
            "{}: {state}, {} stops, {} problems",
            names.site(),
            led.stops.len(),
            problems.len()
        ));
        Ok(SiteOutcome {
            number: names.number,
            state,
            seconds: began.elapsed().as_secs_f64(),
            migrations: led.migrations,
            stops: led.stops,
            problems,
            traces: self.traces(until),
        })
    }

    async fn set_up(&mut self) -> anyhow::Result<()> {
        for (host, wires) in &self.wires.agents {
            let all: Vec<String> = wires.to.iter().map(|w| w.address().to_string()).collect();
            self.lab.world().dial_through(host, all.join(","))?;
        }
        self.lab.start_stand_ins().await?;
        self.operator.add_site().await?;
        self.operator.add_hosts().await?;
        for host in HOSTS {
            self.enrol(host).await?;
        }
        self.lab.start_agents().await?;
        self.operator.wait_for_agents().await?;
        self.operator.add_database().await
    }

    async fn enrol(&mut self, host: &str) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            let token = self.operator.token(host).await?;
            match self.lab.enrol(host, &token).await {
                Ok(()) => return Ok(()),
                // The controller may have been killed between its commit and its answer.
                Err(_) if tries < MOST_ENROLMENTS => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(e) => return Err(e).with_context(|| format!("the agent on {host} did not enrol")),
            }
        }
    }

    /// Until the agents have told everything: controllers are killed all the while, so it may take more than once.
    async fn settle(&mut self) -> anyhow::Result<()> {
        for _ in 0..MOST_SETTLINGS {
            self.operator.wait_for_agents().await?;
            tokio::time::sleep(SETTLING).await;
            for host in HOSTS {
                let name = format!("agent-{}", host.to_ascii_lowercase());
                self.lab.processes().stop(&name).await?;
            }
            let open = open_in_journals(self.lab.world())?;
            let done = open.is_empty();
            if !done {
                say(&format!("{}: not settled: {open:?}", self.wires.names.site()));
            }
            self.lab.start_agents().await?;
            if done {
                return self.operator.wait_for_agents().await;
            }
        }
        // The check says what is open.
        Ok(())
    }

    /// The leases, once the agents that came back renew them.
    async fn leases(&mut self) -> anyhow::Result<Vec<syncferry_proto::v1::Lease>> {
        let mut tries = 0;
        loop {
            let leases = self.operator.leases().await?;
            if tries > 100 || leases.iter().all(|l| l.state == "held") {
                return Ok(leases);
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn traces(&mut self, until: OffsetDateTime) -> Vec<AgentTrace> {
        let mut traces = Vec::new();
        for (host, wires) in &self.wires.agents {
            let process = format!("agent-{}", host.to_ascii_lowercase());
            traces.push(AgentTrace {
                name: self.wires.names.host(host),
                log: self.lab.processes().log(&process),
                addresses: wires.to.iter().map(|w| w.address().to_string()).collect(),
                until,
            });
        }
        traces
    }
}
