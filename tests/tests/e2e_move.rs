//! The main job across processes: from nothing to the report, refused before anything is touched, interrupted and gone on,
//! with every process killed once in the middle. Each test is a world of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use syncferry_proto::transport::OperatorCredentials;
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_tests::lab::host::effects::Effects;
use syncferry_tests::lab::host::state::State;
use syncferry_tests::lab::processes::Supervisor;
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST, World};

/// Nothing here may hang for ever.
const PATIENCE: Duration = Duration::from_secs(240);
/// Refused by findings.
const REFUSED: i32 = 3;
/// Interrupted.
const INTERRUPTED: i32 = 130;

struct Lab {
    dir: tempfile::TempDir,
    more: Vec<String>,
}

impl Lab {
    fn new(more: &[&str]) -> Lab {
        Lab {
            dir: tempfile::tempdir().unwrap(),
            more: more.iter().map(|w| (*w).to_string()).collect(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command
            .args(["move-to-full-sql", "--fast", "--objects", "1500", "--dir"])
            .arg(self.path())
            .args(&self.more)
            .stdin(Stdio::null());
        command
    }

    fn run(&self) -> (i32, String) {
        let output = self.command().output().unwrap();
        (output.status.code().unwrap_or(-1), text(&output))
    }

    /// Starts it in the background; its output goes to a file, so that no pipe fills up.
    fn start(&self) -> Running {
        let log = self.dir.path().join("output.txt");
        let file = std::fs::File::create(&log).unwrap();
        let child = self
            .command()
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Running { child, log }
    }

    fn world(&self) -> World {
        World::look(&self.path()).unwrap()
    }

    fn effects(&self, host: &str) -> Effects {
        Effects::load(&self.world().host_dir(host)).unwrap()
    }

    /// Completed statements of a SQL Server by kind.
    fn sql_effects(&self, which: &str) -> BTreeMap<String, u64> {
        let path = self.world().sql_dir(which).join("effects.json");
        let Ok(text) = std::fs::read(path) else {
            return BTreeMap::new();
        };
        let journal: Value = serde_json::from_slice(&text).unwrap();
        serde_json::from_value(journal["counts"].clone()).unwrap_or_default()
    }

    /// The end that every run has to come to, whatever happened on the way.
    fn assert_moved_once(&self, output: &str) {
        let new = self.effects(NEW_SERVER);
        assert_eq!((new.msi_installs, new.msi_uninstalls), (1, 0), "{output}");
        assert_eq!((new.wizards_completed, new.service_starts), (1, 1), "{output}");
        assert_eq!(new.exports, 0, "a server in staging mode exports nothing\n{output}");
        let old = self.effects(OLD_SERVER);
        assert_eq!(
            (old.service_starts, old.service_stops, old.msi_uninstalls),
            (0, 0, 0),
            "{output}"
        );
        assert_eq!(old.scheduler_changes % 2, 0, "what was changed was put back\n{output}");
        assert_eq!(self.effects(SQL_HOST), Effects::default(), "{output}");
        let state = State::load(&self.world().host_dir(OLD_SERVER)).unwrap();
        assert!(state.scheduler.sync_cycle_enabled, "{output}");
        assert!(self.path().join("report.html").is_file(), "{output}");
        let report: Value = serde_json::from_slice(&std::fs::read(self.path().join("report.json")).unwrap()).unwrap();
        assert_eq!(report["state"], "succeeded", "{output}");
        assert_eq!(
            self.sql_effects("target").get("RENAME DATABASE").copied().unwrap_or(0),
            1,
            "{output}"
        );
        assert!(Supervisor::leftovers(&self.path()).is_empty(), "nothing runs on");
    }

    /// What no refused run may have done.
    fn assert_untouched(&self, output: &str) {
        for host in [OLD_SERVER, SQL_HOST, NEW_SERVER] {
            let effects = self.effects(host);
            let touched = (effects.msi_installs, effects.scheduler_changes, effects.wizards_started);
            assert_eq!(touched, (0, 0, 0), "{host}\n{output}");
        }
        for which in ["source", "target"] {
            assert!(
                self.sql_effects(which).is_empty(),
                "{which}: {:?}\n{output}",
                self.sql_effects(which)
            );
        }
    }
}

struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn output(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(&self.log)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    fn wait(mut self) -> (i32, String) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code().unwrap_or(-1), self.output());
            }
            if Instant::now() > until {
                self.child.kill().unwrap();
                panic!("the lab does not end:\n{}", self.output());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(self.child.id(), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn kill(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Waits until a job of the newest migration is in a state, as any operator could see it.
async fn until_job(lab: &Path, name: &str, state: &str, running: &mut Running) {
    let until = Instant::now() + PATIENCE;
    loop {
        let ended = running.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "the lab ended before {name} was {state}:\n{}",
            running.output()
        );
        assert!(Instant::now() < until, "{name} is not {state}:\n{}", running.output());
        if job_state(lab, name).await.as_deref() == Some(state) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn job_state(lab: &Path, name: &str) -> Option<String> {
    let world = World::look(lab).ok()?;
    let channel = OperatorCredentials::load(&world.credentials()).ok()?.connect().ok()?;
    let mut client = OperatorClient::new(channel);
    let all = client
        .list_migrations(v1::ListMigrationsRequest::default())
        .await
        .ok()?
        .into_inner();
    let id = all.migrations.first()?.id.clone();
    let request = v1::GetMigrationRequest { migration: id };
    let migration = client.get_migration(request).await.ok()?.into_inner();
    migration.jobs.into_iter().find(|j| j.name == name).map(|j| j.state)
}

#[test]
fn from_nothing_to_the_report_and_a_second_run_is_refused() {
    let lab = Lab::new(&["--io-mb-per-s", "0"]);
    let (exit, output) = lab.run();
    assert_eq!(exit, 0, "{output}");
    lab.assert_moved_once(&output);
    let backups = lab.sql_effects("source");
    let (exit, output) = lab.run();
    assert_eq!(exit, REFUSED, "{output}");
    assert!(output.contains("lease"), "the finding says why:\n{output}");
    lab.assert_moved_once(&output);
    assert_eq!(
        lab.sql_effects("source"),
        backups,
        "nothing was backed up again\n{output}"
    );
}

#[test]
fn what_blocks_a_plan_refuses_before_any_host_is_touched() {
    for (options, finding) in [
        (&["--target", "localdb"][..], "target-is-localdb"),
        (&["--empty"][..], "empty"),
        (&["--installer-version", "2.5.3.0"][..], "installer-older-than-database"),
        (&["--target", "standard2016"][..], "target-engine"),
        (&["--case-sensitive"][..], "case-sensitive"),
    ] {
        let lab = Lab::new(options);
        let (exit, output) = lab.run();
        assert_eq!(exit, REFUSED, "{options:?}\n{output}");
        assert!(
            output.contains(finding),
            "{options:?}: {finding} is not named\n{output}"
        );
        lab.assert_untouched(&output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_the_middle_and_the_same_command_goes_on() {
    let lab = Lab::new(&["--io-mb-per-s", "2"]);
    let mut running = lab.start();
    until_job(&lab.path(), "restore", "running", &mut running).await;
    kill(running.child.id(), Signal::INT).unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, INTERRUPTED, "{output}");
    assert!(
        Supervisor::leftovers(&lab.path()).is_empty(),
        "everything that it started has ended"
    );
    let (exit, output) = tokio::task::block_in_place(|| lab.run());
    assert_eq!(exit, 0, "{output}");
    lab.assert_moved_once(&output);
}

async fn survives_the_death_of(process: &str, during: &str) {
    let lab = Lab::new(&["--io-mb-per-s", "2"]);
    let mut running = lab.start();
    until_job(&lab.path(), during, "running", &mut running).await;
    let victim = Supervisor::leftovers(&lab.path())
        .into_iter()
        .find(|p| p.name == process);
    let victim = victim.unwrap_or_else(|| panic!("{process} does not run"));
    kill(u32::try_from(victim.pid).unwrap(), Signal::KILL).unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains(&format!("{process} ended (signal: 9")), "{output}");
    lab.assert_moved_once(&output);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_dies_in_the_middle() {
    survives_the_death_of("controller", "restore").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_agent_dies_in_the_backup() {
    survives_the_death_of("agent-sync01", "backup").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_agent_dies_in_the_restore() {
    survives_the_death_of("agent-sql01", "restore").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_servers_agent_dies_in_the_installation() {
    survives_the_death_of("agent-sync02", "install").await;
}
