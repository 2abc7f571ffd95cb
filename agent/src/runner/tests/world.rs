//! A world for steps to act on, a machine, a controller, and steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_proto::{duration, v1};
use syncferry_shared::exports::ExportList;
use syncferry_shared::inventory::{ConnectFacts, HostFacts};
use syncferry_shared::lease::Resource;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::JobSpec;
use syncferry_shared::token::{AttemptToken, digest};
use syncferry_shared::{Clock, Finding, JobId, Millis};
use tokio::sync::{mpsc, watch};

use crate::clocks::Clocks;
use crate::controller::{CallError, Called, Controller};
use crate::host::{Host, HostError, MsiExit, WizardSight};
use crate::instances::Instances;
use crate::journal::{AttemptKey, Journal, Ledger, Mode, Record};
use crate::runner::*;
use crate::transfer::Artifacts;

/// What steps do to the world.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct World {
    /// How often each step acted.
    pub(crate) acted: BTreeMap<String, u32>,
    /// How often each step was undone.
    pub(crate) undone: BTreeMap<String, u32>,
    /// What is there now.
    pub(crate) there: BTreeSet<String>,
    /// The synchronisation cycle.
    pub(crate) cycle: bool,
    /// Whether the cycle ever was off.
    pub(crate) was_off: bool,
    /// How often it still refuses to be turned on.
    pub(crate) refuses: u32,
    /// What the machine's tool lists, where there is one.
    pub(crate) exports: Option<ExportList>,
}

pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn new_world() -> Shared {
    Arc::new(Mutex::new(World {
        cycle: true,
        ..World::default()
    }))
}

/// The machine.
pub(crate) struct Machine(pub(crate) Shared);

const NOT: HostError = HostError::Unsupported("a test");

#[async_trait]
impl Host for Machine {
    async fn facts(&self) -> Result<HostFacts, HostError> {
        Ok(HostFacts::default())
    }
    fn local_path(&self, path: &str) -> PathBuf {
        path.into()
    }
    fn join(&self, folder: &str, name: &str) -> String {
        format!("{folder}/{name}")
    }
    async fn free_space(&self, _: &str) -> Result<u64, HostError> {
        Ok(1)
    }
    async fn secure_dir(&self, _: &str, _: &[String]) -> Result<(), HostError> {
        Ok(())
    }
    async fn connect_facts(&self) -> Result<ConnectFacts, HostError> {
        Err(NOT)
    }
    async fn connectors(&self) -> Result<Vec<String>, HostError> {
        Err(NOT)
    }
    async fn pending_exports(&self) -> Result<ExportList, HostError> {
        self.0.lock().unwrap().exports.clone().ok_or(NOT)
    }
    async fn set_sync_cycle(&self, enabled: bool) -> Result<(), HostError> {
        let mut world = self.0.lock().unwrap();
        if enabled && world.refuses > 0 {
            world.refuses -= 1;
            return Err(NOT);
        }
        world.cycle = enabled;
        world.was_off |= !enabled;
        Ok(())
    }
    async fn signature_trusted(&self, _: &str) -> Result<Option<bool>, HostError> {
        Ok(None)
    }
    async fn install_msi(&self, _: &str, _: &str) -> Result<MsiExit, HostError> {
        Err(NOT)
    }
    async fn uninstall_msi(&self, _: &str, _: &str) -> Result<MsiExit, HostError> {
        Err(NOT)
    }
    async fn wizard(&self) -> Result<WizardSight, HostError> {
        Err(NOT)
    }
}

/// The controller.
pub(crate) struct Boss {
    pub(crate) reports: Mutex<BTreeMap<i64, v1::ReportRequest>>,
    pub(crate) permits: Mutex<Vec<String>>,
    pub(crate) refuse_permits: AtomicBool,
    pub(crate) permit_ms: AtomicI64,
    pub(crate) silent: AtomicBool,
    pub(crate) current: AtomicBool,
    pub(crate) order: Mutex<v1::Order>,
}

impl Default for Boss {
    fn default() -> Self {
        Self {
            reports: Mutex::default(),
            permits: Mutex::default(),
            refuse_permits: AtomicBool::new(false),
            permit_ms: AtomicI64::new(60_000),
            silent: AtomicBool::new(false),
            current: AtomicBool::new(true),
            order: Mutex::new(v1::Order::Continue),
        }
    }
}

impl Boss {
    fn hear(&self) -> Called<()> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(CallError::Unreachable("silent".into()));
        }
        Ok(())
    }

    /// Every step's states in order, and the end.
    pub(crate) fn told(&self) -> Vec<String> {
        let reports = self.reports.lock().unwrap();
        let told = reports.values().map(|r| match r.what.as_ref().unwrap() {
            v1::report_request::What::Step(s) => format!("{} {}", s.name, s.state),
            v1::report_request::What::Gate(g) => format!("gate {}", g.sight().as_str_name()),
            v1::report_request::What::End(e) => e.kind().as_str_name().to_string(),
        });
        told.collect()
    }
}

#[async_trait]
impl Controller for Boss {
    async fn hello(&self, _: v1::HelloRequest) -> Called<v1::HelloResponse> {
        Ok(v1::HelloResponse::default())
    }
    async fn hints(&self, _: v1::SessionRequest) -> Called<mpsc::Receiver<v1::Hint>> {
        Ok(mpsc::channel(1).1)
    }
    async fn pull(&self, _: v1::PullRequest) -> Called<v1::PullResponse> {
        Ok(v1::PullResponse::default())
    }
    async fn accept(&self, _: v1::AcceptRequest) -> Called<v1::AcceptResponse> {
        Ok(v1::AcceptResponse::default())
    }
    async fn report(&self, r: v1::ReportRequest) -> Called<v1::ReportResponse> {
        self.hear()?;
        let current = self.current.load(Ordering::SeqCst);
        if current {
            let mut reports = self.reports.lock().unwrap();
            let next = reports.keys().last().map_or(1, |n| n + 1);
            assert!(r.number <= next, "report {} came before {next}", r.number);
            reports.entry(r.number).or_insert(r);
        }
        let order = (*self.order.lock().unwrap()).into();
        Ok(v1::ReportResponse { current, order })
    }
    async fn log_chunk(&self, _: v1::LogChunkRequest) -> Called<v1::LogChunkResponse> {
        Ok(v1::LogChunkResponse {})
    }
    async fn heartbeat(&self, _: v1::HeartbeatRequest) -> Called<v1::HeartbeatResponse> {
        Ok(v1::HeartbeatResponse::default())
    }
    async fn authorize(&self, r: v1::AuthorizeRequest) -> Called<v1::AuthorizeResponse> {
        self.hear()?;
        let permitted = !self.refuse_permits.load(Ordering::SeqCst);
        self.permits.lock().unwrap().push(r.step);
        Ok(v1::AuthorizeResponse {
            permitted,
            valid_for: Some(duration(self.permit_ms.load(Ordering::SeqCst))),
            reason: "no".into(),
        })
    }
    async fn renew_lease(&self, _: v1::RenewLeaseRequest) -> Called<v1::RenewLeaseResponse> {
        Ok(v1::RenewLeaseResponse::default())
    }
    async fn report_inspection(&self, _: v1::ReportInspectionRequest) -> Called<v1::ReportInspectionResponse> {
        Ok(v1::ReportInspectionResponse {})
    }
    async fn report_watch(&self, _: v1::ReportWatchRequest) -> Called<v1::ReportWatchResponse> {
        Ok(v1::ReportWatchResponse {})
    }
    async fn request_transfer(&self, _: v1::RequestTransferRequest) -> Called<v1::RequestTransferResponse> {
        Err(CallError::Refused("no".into()))
    }
    async fn renew_certificate(&self, _: v1::RenewCertificateRequest) -> Called<v1::RenewCertificateResponse> {
        Err(CallError::Refused("no".into()))
    }
}

/// Clocks that agree, unless told otherwise.
pub(crate) struct Both {
    began: tokio::time::Instant,
    pub(crate) ahead_ms: AtomicI64,
}

impl Both {
    pub(crate) fn new() -> Self {
        Self {
            began: tokio::time::Instant::now(),
            ahead_ms: AtomicI64::new(0),
        }
    }
}

impl Clock for Both {
    fn now(&self) -> Millis {
        let ms = i64::try_from(self.began.elapsed().as_millis()).unwrap();
        Millis(1_700_000_000_000 + ms + self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Clocks for Both {}

/// A step that makes something be there.
#[derive(Clone)]
pub(crate) struct Make {
    pub(crate) name: &'static str,
    pub(crate) world: Shared,
    pub(crate) destructive: bool,
    pub(crate) looks: bool,
    pub(crate) undoes: bool,
    pub(crate) fails: Option<Fails>,
    pub(crate) probe: Option<Probe>,
    pub(crate) policy: Policy,
    pub(crate) budget: Duration,
}

/// How a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    /// Before it does anything.
    Clean,
    /// After it did it: the answer is lost.
    AfterEffect,
    /// For a passing reason, that many times.
    Passing(u32),
    /// It never ends.
    Never,
    /// In the middle: a part is left.
    Halfway,
}

pub(crate) fn make(name: &'static str, world: &Shared) -> Make {
    Make {
        name,
        world: Arc::clone(world),
        destructive: false,
        looks: false,
        undoes: true,
        fails: None,
        probe: None,
        policy: Policy::Ask,
        budget: Duration::from_secs(60),
    }
}

impl Make {
    fn there(&self) -> bool {
        self.world.lock().unwrap().there.contains(self.name)
    }
    fn part(&self) -> String {
        format!("{}.part", self.name)
    }
}

#[async_trait]
impl Step for Make {
    fn name(&self) -> &'static str {
        self.name
    }
    fn destructive(&self) -> bool {
        self.destructive
    }
    fn looks_only(&self) -> bool {
        self.looks
    }
    fn budget(&self) -> Duration {
        self.budget
    }
    fn undoes_on_failure(&self) -> bool {
        self.undoes
    }
    fn on_partial(&self) -> Policy {
        self.policy
    }
    async fn probe(&self, _: &mut Cx) -> Result<Probe, StepError> {
        Ok(match &self.probe {
            Some(Probe::Partial(what)) if self.there() => Probe::Partial(what.clone()),
            Some(Probe::Partial(_)) => Probe::NotStarted,
            Some(probe) => probe.clone(),
            None if self.there() => Probe::Done(json!({"made": self.name})),
            None => Probe::NotStarted,
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let evidence = json!({"made": self.name});
        if self.looks {
            return Ok(evidence);
        }
        let tries = {
            let mut world = self.world.lock().unwrap();
            let tries = world.acted.entry(format!("{} tried", self.name)).or_insert(0);
            *tries += 1;
            *tries
        };
        let finding = Finding::blocker("test", format!("'{}' failed", self.name));
        match self.fails {
            Some(Fails::Clean) => return Err(finding.into()),
            Some(Fails::Passing(times)) if tries <= times => return Err(StepError::passing(finding)),
            Some(Fails::Halfway) => {
                self.world.lock().unwrap().there.insert(self.part());
                return Err(finding.into());
            }
            Some(Fails::Never) => std::future::pending::<()>().await,
            _ => {}
        }
        if self.destructive {
            assert!(cx.permit().is_some_and(|p| p.holds(cx.env.clocks.as_ref())));
        }
        {
            let mut world = self.world.lock().unwrap();
            *world.acted.entry(self.name.into()).or_insert(0) += 1;
            world.there.insert(self.name.into());
        }
        if self.fails == Some(Fails::AfterEffect) {
            return Err(finding.into());
        }
        Ok(evidence)
    }
    async fn undo(&self, _: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        assert_eq!(evidence, &json!({"made": self.name}));
        let mut world = self.world.lock().unwrap();
        world.there.remove(self.name);
        *world.undone.entry(self.name.into()).or_insert(0) += 1;
        Ok(())
    }
    async fn discard(&self, _: &mut Cx) -> Result<(), StepError> {
        self.world.lock().unwrap().there.remove(&self.part());
        Ok(())
    }
    async fn clean(&self, _: &mut Cx, _: &str) -> Result<(), StepError> {
        self.world.lock().unwrap().there.remove(self.name);
        Ok(())
    }
}

/// A step that turns the synchronisation cycle off, and writes the old value down first.
pub(crate) struct HoldCycle(pub(crate) Shared);

#[async_trait]
impl Step for HoldCycle {
    fn name(&self) -> &'static str {
        "hold-cycle"
    }
    fn budget(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn probe(&self, _: &mut Cx) -> Result<Probe, StepError> {
        let on = self.0.lock().unwrap().cycle;
        Ok(if on {
            Probe::NotStarted
        } else {
            Probe::Done(Value::Null)
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let now = self.0.lock().unwrap().cycle;
        cx.hold(SYNC_CYCLE, json!(now)).await?;
        cx.env.host.set_sync_cycle(false).await?;
        Ok(Value::Null)
    }
}

/// No test waits long.
pub(crate) const PACE: Pace = Pace {
    look_again: Duration::from_millis(2),
    retry_first: Duration::from_millis(1),
    retry_most: Duration::from_millis(10),
    retries: 4,
    permit: Duration::from_secs(45),
    look_limit: Duration::from_secs(20),
    looks_apart: Duration::from_millis(20),
};

/// Waits until the journal says so.
pub(crate) async fn until(journal: &Journal, what: impl Fn(&Ledger) -> bool) {
    let mut changes = journal.changes();
    while !journal.read(&what) {
        changes.changed().await.unwrap();
    }
}

/// A runner on a journal.
pub(crate) struct Bench {
    pub(crate) world: Shared,
    pub(crate) boss: Arc<Boss>,
    pub(crate) clocks: Arc<Both>,
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) steps: fn(&Shared) -> Vec<Box<dyn Step>>,
}

pub(crate) fn bench(steps: fn(&Shared) -> Vec<Box<dyn Step>>) -> Bench {
    Bench {
        world: new_world(),
        boss: Arc::new(Boss::default()),
        clocks: Arc::new(Both::new()),
        paused: watch::Sender::new(false),
        steps,
    }
}

impl Bench {
    pub(crate) fn deps(&self, journal: &Journal) -> Deps {
        self.deps_with(journal, self.boss.clone())
    }

    pub(crate) fn deps_with(&self, journal: &Journal, controller: Arc<dyn Controller>) -> Deps {
        let (world, steps) = (Arc::clone(&self.world), self.steps);
        let build = move |_: &JobSpec| -> Result<Job, Box<Finding>> {
            Ok(Job::new(steps(&world), |cx| {
                let mut outcome = Outcome::default();
                for (step, evidence) in &cx.evidence {
                    outcome.saw(step.as_str(), evidence);
                }
                outcome
            }))
        };
        Deps {
            journal: journal.clone(),
            env: Arc::new(Env {
                host: Arc::new(Machine(Arc::clone(&self.world))),
                controller,
                clocks: self.clocks.clone(),
                data_dir: PathBuf::new(),
                staging_dir: String::new(),
                sql: Instances::default(),
                artifacts: Artifacts::new(std::path::Path::new("/nowhere")),
                dial_as: None,
                leases: LeaseBook::default(),
                pace: PACE,
            }),
            builder: Arc::new(build),
        }
    }

    pub(crate) fn controls(&self) -> Controls {
        Controls::new(self.paused.subscribe())
    }

    /// Runs an attempt to its end and delivers its reports.
    pub(crate) async fn run(&self, journal: &Journal, key: AttemptKey, controls: Controls) -> (Ended, Delivered) {
        let deps = self.deps(journal);
        let (log, _lines) = mpsc::unbounded_channel();
        let ended = run(&deps, key, controls.clone(), log).await;
        let boss: Arc<dyn Controller> = self.boss.clone();
        let parked = journal.attempt(key).is_some_and(|a| a.parked);
        let delivering = deliver(journal.clone(), boss, key, controls.clone(), deps.env.pace);
        let delivered = if parked {
            tokio::select! {
                d = delivering => d,
                () = until(journal, |l| l.attempts[&key].unacked.is_empty()) => Delivered::Stopped,
            }
        } else {
            delivering.await
        };
        (ended, delivered)
    }
}

/// A token and the specification that it is for.
pub(crate) fn offered(attempt: i32) -> (AttemptToken, String) {
    let job: JobId = "01932c5e-7d3a-7c1b-9f3e-0242ac120002".parse().unwrap();
    let id = "01932c5e-7d3a-7c1b-9f3e-0242ac120003";
    let spec = json!({
        "schema_version": 1, "migration": id, "job": job, "host": id,
        "lease": {"resource": "adsync-db:x", "epoch": 1},
        "task": {"kind": "verify-old-server", "database": {
            "id": id, "address": {"instance": "x", "database": "ADSync"}, "server_name": "S",
            "database_guid": id, "family_guid": id,
        }, "connect_here": true, "staging_mode": null, "scheduler_enabled": null, "delete_artifact": null},
    });
    let spec = spec.to_string();
    let token = AttemptToken {
        job,
        attempt,
        epoch: 1,
        incarnation: 1,
        digest: digest(spec.as_bytes()),
    };
    (token, spec)
}

/// An accepted and confirmed attempt.
pub(crate) async fn accept(journal: &Journal, attempt: i32, mode: Mode) -> AttemptKey {
    let (token, spec) = offered(attempt);
    let key = AttemptKey::of(&token);
    let resource = Resource("adsync-db:x".into());
    let record = Record::Accepted {
        token,
        resource,
        spec,
        mode,
    };
    journal.append(record).await.unwrap();
    journal.append(Record::Confirmed { attempt: key }).await.unwrap();
    key
}
