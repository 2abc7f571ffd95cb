//! A lab that a test plays: `lab` as a process of its own, as people start it; what an operator could see of it meanwhile; and what
//! it left on machines and SQL Servers. What does not work fails the test.
//!
//! - `Played`: a lab in a folder that goes with it
//! - `running`: a command that has not ended
//! - `seen`: what a world's files and a report show

mod running;
mod seen;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use syncferry_cli::{Console, Exit};
use syncferry_proto::transport::OperatorCredentials;
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use tonic::transport::Channel;

pub use running::Running;
pub use seen::{at_a_gate, at_the_gate, backups_below, completed, events, job_is, seq};

use crate::lab::host::effects::Effects;
use crate::lab::host::state::State;
use crate::lab::processes::Supervisor;
use crate::lab::world::World;

/// The exit code of a run that was cancelled.
pub const CANCELLED: i32 = 7;
/// The exit code of a run that was interrupted.
pub const INTERRUPTED: i32 = 130;
/// The exit code of a plan that was refused by findings.
pub const REFUSED: i32 = 3;

/// Nothing here may hang for ever.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A lab in a folder of its own, which goes with it.
#[derive(Debug)]
pub struct Played {
    program: &'static str,
    dir: tempfile::TempDir,
    more: Vec<String>,
}

impl Played {
    /// With the lab's program, and what is added to each of its command lines.
    pub fn new(program: &'static str, more: &[&str]) -> Played {
        Played {
            program,
            dir: tempfile::tempdir().unwrap(),
            more: more.iter().map(|w| (*w).to_string()).collect(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    /// Starts it in the background; its output goes to a file, so that no pipe fills up.
    pub fn start(&self, words: &[&str]) -> Running {
        let mut command = Command::new(self.program);
        command
            .args(words)
            .args(["--fast", "--objects", "1500", "--dir"])
            .arg(self.path())
            .args(&self.more);
        Running::start(command, self.dir.path().join("output.txt"))
    }

    /// Runs it to its end: the exit code, and what it said.
    pub fn run(&self, words: &[&str]) -> (i32, String) {
        self.start(words).wait()
    }

    /// A command line of `syncferry`, while it is up.
    pub fn syncferry(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(self.program);
        command
            .args(["syncferry", "--dir"])
            .arg(self.path())
            .arg("--")
            .args(words);
        ended(command)
    }

    /// Ends what `up` started.
    pub fn down(&self) {
        let mut command = Command::new(self.program);
        command.args(["down", "--dir"]).arg(self.path());
        ended(command);
    }

    /// What is on disk.
    pub fn world(&self) -> World {
        World::look(&self.path()).unwrap()
    }

    /// What was done on a machine.
    pub fn effects(&self, host: &str) -> Effects {
        Effects::load(&self.world().host_dir(host)).unwrap()
    }

    /// What a machine is like.
    pub fn state(&self, host: &str) -> State {
        State::load(&self.world().host_dir(host)).unwrap()
    }

    /// Completed statements of a SQL Server by kind.
    pub fn statements(&self, server: &str) -> BTreeMap<String, u64> {
        completed(&self.world(), server)
    }

    /// How often a SQL Server completed statements of a kind.
    pub fn completed(&self, server: &str, what: &str) -> u64 {
        self.statements(server).get(what).copied().unwrap_or(0)
    }

    /// Backup files that are left anywhere on its machines.
    pub fn backups(&self) -> usize {
        backups_below(&self.path().join("hosts")).len()
    }

    /// The evidence of the last run.
    pub fn report(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path().join("report.json")).unwrap()).unwrap()
    }

    /// The operator's client; `None` while the controller is not up for the first time.
    async fn client(&self) -> Option<OperatorClient<Channel>> {
        let world = World::look(&self.path()).ok()?;
        let channel = OperatorCredentials::load(&world.credentials()).ok()?.connect().ok()?;
        Some(OperatorClient::new(channel))
    }

    /// The newest migration of a scenario, as any operator could see it.
    pub async fn migration(&self, scenario: &str) -> Option<v1::Migration> {
        let mut client = self.client().await?;
        let all = client.list_migrations(v1::ListMigrationsRequest::default()).await;
        let all = all.ok()?.into_inner().migrations;
        let id = all.into_iter().find(|m| m.scenario == scenario)?.id;
        let request = v1::GetMigrationRequest { migration: id };
        Some(client.get_migration(request).await.ok()?.into_inner())
    }

    /// Waits until the newest migration of a scenario is as it should be, while the lab runs.
    pub async fn until(
        &self,
        running: &mut Running,
        scenario: &str,
        fits: impl Fn(&v1::Migration) -> bool,
    ) -> v1::Migration {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(!running.has_ended(), "the lab ended before:\n{}", running.output());
            assert!(Instant::now() < end, "it does not come to that:\n{}", running.output());
            if let Some(m) = self.migration(scenario).await.filter(&fits) {
                return m;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Completes the open gate of a migration, as its operator does.
    pub async fn complete(&self, scenario: &str) {
        let m = self.migration(scenario).await.unwrap();
        let request = v1::CompleteGateRequest {
            gate: m.open_gates.first().unwrap().id.clone(),
            ..Default::default()
        };
        self.client().await.unwrap().complete_gate(request).await.unwrap();
    }

    /// Cancels a migration, as its operator does.
    pub async fn cancel(&self, scenario: &str) {
        let request = v1::CancelRequest {
            migration: self.migration(scenario).await.unwrap().id,
            reason: "not today".into(),
        };
        self.client().await.unwrap().cancel(request).await.unwrap();
    }

    /// Kills one of its processes (kill -9).
    pub fn kill(&self, process: &str) {
        let all = Supervisor::leftovers(&self.path());
        let victim = all.into_iter().find(|p| p.name == process);
        let victim = victim.unwrap_or_else(|| panic!("{process} does not run"));
        running::signal(victim.pid, Signal::KILL).unwrap();
    }

    /// Everything that it started has ended.
    pub fn assert_nothing_runs(&self) {
        assert!(Supervisor::leftovers(&self.path()).is_empty(), "nothing runs on");
    }

    /// The store's own opinion, when nothing runs any more.
    pub fn assert_audit(&self, output: &str) {
        self.assert_nothing_runs();
        let (exit, said) = controller(self.program, &self.world(), &["audit"]);
        assert_eq!(exit, 0, "{said}\n{output}");
    }
}

/// Runs a verb of the controller's own program; its exit code and what it printed.
pub fn controller(program: &str, world: &World, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(program);
    command
        .args(["__controller", "--config"])
        .arg(world.controller_dir().join("controller.toml"))
        .args(words);
    ended(command)
}

/// A command line of `syncferry` in this process, as a person types it; what it said on both streams.
pub async fn type_in(credentials: &Path, words: &[&str]) -> (Exit, String) {
    let credentials = credentials.to_string_lossy().into_owned();
    let all = ["syncferry", "--credentials", &credentials];
    let args = all.iter().chain(words).map(std::ffi::OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console::plain(&mut out, &mut err);
    let running = syncferry_cli::run(args, &mut console);
    let exit = tokio::time::timeout(PATIENCE, running).await;
    let exit = exit.unwrap_or_else(|_| panic!("{words:?} does not end"));
    (exit, said(&out, &err))
}

fn ended(mut command: Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    (status.code().unwrap_or(-1), said(&stdout, &stderr))
}

fn said(out: &[u8], err: &[u8]) -> String {
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}
