//! The scenarios beside move and replacement, across processes: each to the end state that it promises, with what happened on the
//! machines and at the SQL Servers held against it; cancelled where it can be, and gone on with where it was interrupted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use syncferry_proto::transport::OperatorCredentials;
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_tests::lab::host::effects::Effects;
use syncferry_tests::lab::host::services::{ServiceState, StartType};
use syncferry_tests::lab::host::state::State;
use syncferry_tests::lab::processes::Supervisor;
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER, World};
use syncferry_tests::transcript::Transcript;

/// Nothing here may hang for ever.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const INTERRUPTED: i32 = 130;
const CANCELLED: i32 = 7;

struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Lab {
        Lab {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    /// Starts it in the background; its output goes to a file, so that no pipe fills up.
    fn start(&self, words: &[&str]) -> Running {
        let log = self.dir.path().join("output.txt");
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(words)
            .args(["--fast", "--objects", "1500", "--io-mb-per-s", "0", "--dir"])
            .arg(self.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Running { child, log }
    }

    fn run(&self, words: &[&str]) -> (i32, String) {
        self.start(words).wait()
    }

    fn world(&self) -> World {
        World::look(&self.path()).unwrap()
    }

    fn effects(&self, host: &str) -> Effects {
        Effects::load(&self.world().host_dir(host)).unwrap()
    }

    fn state(&self, host: &str) -> State {
        State::load(&self.world().host_dir(host)).unwrap()
    }

    /// Completed statements of a SQL Server by kind.
    fn completed(&self, server: &str, what: &str) -> u64 {
        let text = std::fs::read(self.world().sql_dir(server).join("effects.json")).unwrap_or_default();
        let journal: Value = serde_json::from_slice(&text).unwrap_or_default();
        let counts: BTreeMap<String, u64> = serde_json::from_value(journal["counts"].clone()).unwrap_or_default();
        counts.get(what).copied().unwrap_or(0)
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path().join("report.json")).unwrap()).unwrap()
    }

    /// Backup files that are left anywhere in the agents' staging folders.
    fn backups(&self) -> usize {
        let mut found = 0;
        let mut folders = vec![self.path().join("hosts")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if entry.path().extension().is_some_and(|e| e == "bak") {
                    found += 1;
                }
            }
        }
        found
    }

    async fn client(&self) -> Option<OperatorClient<tonic::transport::Channel>> {
        let world = World::look(&self.path()).ok()?;
        let channel = OperatorCredentials::load(&world.credentials()).ok()?.connect().ok()?;
        Some(OperatorClient::new(channel))
    }

    async fn migration(&self, scenario: &str) -> Option<v1::Migration> {
        let mut client = self.client().await?;
        let all = client.list_migrations(v1::ListMigrationsRequest::default()).await;
        let all = all.ok()?.into_inner().migrations;
        let id = all.into_iter().find(|m| m.scenario == scenario)?.id;
        let request = v1::GetMigrationRequest { migration: id };
        Some(client.get_migration(request).await.ok()?.into_inner())
    }

    async fn until(
        &self,
        running: &mut Running,
        scenario: &str,
        fits: impl Fn(&v1::Migration) -> bool,
    ) -> v1::Migration {
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "the lab ended before:\n{}", running.output());
            assert!(
                Instant::now() < until,
                "it does not come to that:\n{}",
                running.output()
            );
            if let Some(m) = self.migration(scenario).await.filter(&fits) {
                return m;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The store's own opinion, when nothing runs any more.
    fn assert_audit(&self, output: &str) {
        assert!(Supervisor::leftovers(&self.path()).is_empty(), "nothing runs on");
        let audit = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["__controller", "--config"])
            .arg(self.world().controller_dir().join("controller.toml"))
            .arg("audit")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&audit.stdout).into_owned() + &String::from_utf8_lossy(&audit.stderr);
        assert!(audit.status.success(), "{said}\n{output}");
    }
}

struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
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
            let _ = interrupt(self.child.id(), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn interrupt(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal)
}

fn at_a_gate(m: &v1::Migration) -> bool {
    m.open_gates.iter().any(|g| g.state == "open")
}

fn events<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    report["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["type"] == kind)
        .collect()
}

/// Its page in the documentation.
fn transcript(name: &str, about: &str, output: &str, lab: &Lab) {
    Transcript::scenario(name, name, about).is_what_happens(output, &lab.path());
}

#[test]
fn a_drill_says_what_a_recovery_takes_and_leaves_nothing() {
    let lab = Lab::new();
    let (exit, output) = lab.run(&["drill"]);
    assert_eq!(exit, 0, "{output}");
    assert_eq!(
        (
            lab.completed("target", "RESTORE DATABASE"),
            lab.completed("target", "DROP DATABASE")
        ),
        (1, 1)
    );
    assert_eq!(
        lab.completed("target", "RENAME DATABASE"),
        0,
        "it never gets a name for good"
    );
    assert_eq!(lab.completed("source", "BACKUP DATABASE"), 1);
    assert_eq!(lab.backups(), 0, "{output}");
    for host in [OLD_SERVER, NEW_SERVER] {
        let e = lab.effects(host);
        assert_eq!(
            (e.msi_installs, e.wizards_completed, e.service_stops),
            (0, 0, 0),
            "{host}"
        );
    }
    let about = "A recovery is rehearsed: a backup is restored under a scratch name on the other SQL Server, checked and dropped.";
    transcript("drill", about, &output, &lab);
    let report = lab.report().to_string();
    assert!(
        report.contains("RTO of the database") && report.contains("\"RPO\""),
        "{report}"
    );
    lab.assert_audit(&output);
}

#[test]
fn from_a_staging_server_to_an_active_one_and_the_old_one_retired() {
    let lab = Lab::new();
    let (exit, output) = lab.run(&["provision-staging"]);
    assert_eq!(exit, 0, "{output}");
    let about = "A staging server is built on another SQL Server from a backup of the active one's database, and compared with it.";
    transcript("provision-staging", about, &output, &lab);
    let compared = lab.report();
    let compared = events(&compared, "job.succeeded");
    assert!(
        compared.iter().any(|e| e["payload"]["job"] == "compare-with-active"),
        "{output}"
    );
    assert_eq!(
        lab.effects(OLD_SERVER).service_stops,
        0,
        "the active server stays as it was"
    );
    assert_eq!(lab.effects(NEW_SERVER).exports, 0, "a staging server exports nothing");

    let (exit, output) = lab.run(&["switch-active"]);
    assert_eq!(exit, 0, "{output}");
    let about =
        "The staging server of `provision-staging` becomes the active one, and the old one goes into staging mode.";
    transcript("switch-active", about, &output, &lab);
    let report = lab.report();
    let handed = events(&report, "lease.handed-over");
    assert_eq!(handed.len(), 1, "{output}");
    assert_eq!(handed[0]["payload"]["lease"], "contoso/export");
    assert_eq!(handed[0]["payload"]["proof"], serde_json::json!(["holder_stopped"]));
    // The order is the point: into staging mode, seen; then the lease; only then the gate for the new one.
    let seq = |e: &Value| e["seq"].as_i64().unwrap();
    let gate = |title: &str| {
        let opened = events(&report, "gate.opened");
        seq(opened.iter().find(|e| e["payload"]["title"] == title).unwrap())
    };
    assert!(gate("Put SYNC01 into staging mode") < seq(handed[0]));
    assert!(seq(handed[0]) < gate("Take SYNC02 out of staging mode"));
    assert!(gate("Review and approve what SYNC02 will export") < gate("Put SYNC01 into staging mode"));
    // The attributes are the server's own tool's, counted beside what the database has; no value of an object is anywhere.
    let listed = events(&report, "job.succeeded");
    assert!(
        listed.iter().any(|e| e["payload"]["job"] == "list-exports"),
        "{listed:?}"
    );
    assert!(
        output.contains("- AAD, update") && output.contains("12 objects: mail 8, displayName 4, proxyAddresses 4"),
        "{output}"
    );
    assert!(!output.contains("look again"), "tool and database say the same\n{output}");
    let by_name = events(&report, "gate.claimed");
    assert!(
        by_name.len() >= 2 && by_name.iter().all(|e| e["actor"] == "operator:admin"),
        "{by_name:?}"
    );

    let (exit, output) = lab.run(&["decommission"]);
    assert_eq!(exit, 0, "{output}");
    let about =
        "After `switch-active`, the old server is retired: it was proven in staging mode, and Connect is uninstalled.";
    transcript("decommission", about, &output, &lab);
    let old = lab.state(OLD_SERVER);
    assert!(old.service("ADSync").is_none() && old.products.is_empty(), "{output}");
    assert!(lab.effects(NEW_SERVER).exports > 0 || lab.state(NEW_SERVER).service("ADSync").is_some());
    let report = lab.report();
    assert_eq!(events(&report, "lease.freed").len(), 1, "{output}");
    assert!(
        report.to_string().contains("ConnectSyncProvisioning_SYNC01"),
        "leftovers are named"
    );
    lab.assert_audit(&output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_cancelled_before_the_old_server_went_into_staging_mode() {
    let lab = Lab::new();
    let (exit, output) = tokio::task::block_in_place(|| lab.run(&["provision-staging"]));
    assert_eq!(exit, 0, "{output}");
    let mut running = lab.start(&["switch-active", "--attended"]);
    let m = lab.until(&mut running, "switch-active", at_a_gate).await;
    let request = v1::CancelRequest {
        migration: m.id,
        reason: "not today".into(),
    };
    lab.client().await.unwrap().cancel(request).await.unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, CANCELLED, "{output}");
    let report = lab.report();
    assert!(events(&report, "lease.handed-over").is_empty(), "{output}");
    assert_eq!(lab.effects(NEW_SERVER).exports, 0, "{output}");
    lab.assert_audit(&output);
}

fn assert_restored(lab: &Lab, output: &str) {
    let old = lab.state(OLD_SERVER);
    let service = old.service("ADSync").unwrap();
    assert_eq!(
        service.start,
        StartType::Disabled,
        "it does not export when its SQL Server returns\n{output}"
    );
    assert_ne!(service.state, ServiceState::Running, "{output}");
    let new = lab.effects(NEW_SERVER);
    assert_eq!(
        (new.msi_installs, new.wizards_completed, new.exports),
        (1, 1, 0),
        "{output}"
    );
    let report = lab.report();
    assert_eq!(report["state"], "succeeded", "{output}");
    let freed = events(&report, "lease.freed");
    assert_eq!(freed.len(), 1, "{output}");
    let install = events(&report, "job.offered");
    let install = install.iter().find(|e| e["payload"]["job"] == "install").unwrap();
    assert!(
        freed[0]["seq"].as_i64() < install["seq"].as_i64(),
        "proven out before anything is installed"
    );
    lab.assert_audit(output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_catalogue_is_restored_and_interrupted_at_the_wizard() {
    let lab = Lab::new();
    let words = ["restore-from-backup", "--from", "artifact"];
    let mut running = lab.start(&[&words[..], &["--attended"]].concat());
    lab.until(&mut running, "restore-from-backup", at_a_gate).await;
    interrupt(running.child.id(), Signal::INT).unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, INTERRUPTED, "{output}");
    let (exit, output) = tokio::task::block_in_place(|| lab.run(&words));
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("going on with migration"), "{output}");
    assert_restored(&lab, &output);
}

#[test]
fn a_file_that_somebody_has_is_restored_without_a_manifest() {
    let lab = Lab::new();
    let (exit, output) = lab.run(&["restore-from-backup", "--from", "file"]);
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("backup-without-manifest"), "{output}");
    let about = "The SQL Server of the old server is gone. Somebody has a backup file, of which nothing is known but what it says itself.";
    let words = "restore-from-backup --from file";
    Transcript::scenario("restore-from-backup", words, about).is_what_happens(&output, &lab.path());
    assert_restored(&lab, &output);
    let report = lab.report().to_string();
    assert!(report.contains("nothing-to-compare-with"), "what is unknown is said");
    assert!(
        lab.world().on_drive("SQL01", r"D:\Backup\ADSync.bak").unwrap().exists(),
        "it is somebody's, and stays"
    );
}

/// Cancelled at the wizard: the copy is dropped, the new server is uninstalled, the old one has its lease and its start type.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_cancelled_at_the_wizard() {
    let lab = Lab::new();
    let mut running = lab.start(&["restore-from-backup", "--from", "file", "--attended"]);
    let m = lab.until(&mut running, "restore-from-backup", at_a_gate).await;
    let request = v1::CancelRequest {
        migration: m.id,
        reason: "the disks were saved".into(),
    };
    lab.client().await.unwrap().cancel(request).await.unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, CANCELLED, "{output}");
    let new = lab.effects(NEW_SERVER);
    assert_eq!(
        (new.msi_installs, new.msi_uninstalls, new.wizards_completed),
        (1, 1, 0),
        "{output}"
    );
    assert_eq!(
        lab.state(OLD_SERVER).service("ADSync").unwrap().start,
        StartType::Automatic,
        "{output}"
    );
    // The drill's scratch copy, and the restored one.
    assert_eq!(lab.completed("target", "DROP DATABASE"), 2, "{output}");
    let report = lab.report();
    assert_eq!(events(&report, "lease.given-back").len(), 1, "{output}");
    lab.assert_audit(&output);
}
