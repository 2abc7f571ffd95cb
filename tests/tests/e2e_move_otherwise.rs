//! `move-to-full-sql` in its two other ways, across processes. In place: the same host goes on; to its end and active again; killed
//! right after Connect was uninstalled; interrupted at its gates; cancelled before the point of no return, where all is as it was, and
//! after it, where it says where it ends. With a DBA: the agent may only look, and somebody runs what the gates show.

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
use syncferry_tests::lab::host_client::HostClient;
use syncferry_tests::lab::processes::Supervisor;
use syncferry_tests::lab::world::{INSTALLER, OLD_SERVER, World};

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

    /// What the world looked like before is what it looks like again.
    fn old_is_as_it_was(&self, output: &str) {
        let old = self.state(OLD_SERVER);
        let service = old.service("ADSync").unwrap();
        assert_eq!(
            (service.state, service.start),
            (ServiceState::Running, StartType::Automatic),
            "{output}"
        );
        assert!(!old.products.is_empty(), "{output}");
        assert_eq!(self.backups(), 0, "{output}");
        assert_eq!(self.completed("target", "DROP DATABASE"), 1, "{output}");
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

    /// Completes the open gate of a migration, as its operator does.
    async fn complete(&self, scenario: &str) {
        let m = self.migration(scenario).await.unwrap();
        let gate = m.open_gates.first().unwrap().id.clone();
        let request = v1::CompleteGateRequest {
            gate,
            ..Default::default()
        };
        self.client().await.unwrap().complete_gate(request).await.unwrap();
    }

    async fn cancel(&self, scenario: &str) -> Result<(), tonic::Status> {
        let request = v1::CancelRequest {
            migration: self.migration(scenario).await.unwrap().id,
            reason: "not today".into(),
        };
        self.client().await.unwrap().cancel(request).await.map(|_| ())
    }

    fn old_host(&self) -> HostClient {
        HostClient::new(&self.world().host_dir(OLD_SERVER))
    }

    fn pid(&self, name: &str) -> u32 {
        let all = Supervisor::leftovers(&self.path());
        u32::try_from(all.iter().find(|p| p.name == name).unwrap().pid).unwrap()
    }

    fn down(&self) {
        let _ = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["down", "--dir"])
            .arg(self.path())
            .output();
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

fn events<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    report["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["type"] == kind)
        .collect()
}

const IN_PLACE: [&str; 2] = ["move-to-full-sql", "--in-place"];
const MOVE: &str = "move-to-full-sql";

fn at_the_gate(m: &v1::Migration, title: &str) -> bool {
    m.open_gates
        .iter()
        .any(|g| g.state == "open" && g.title.starts_with(title))
}

fn seq(e: &Value) -> i64 {
    e["seq"].as_i64().unwrap()
}

/// The order of what may not be otherwise: restored and looked at elsewhere, uninstalled, the lease, and only then the installer.
fn assert_order(report: &Value, output: &str) {
    let ended = |job: &str| {
        let done = events(report, "job.succeeded");
        seq(done
            .iter()
            .find(|e| e["payload"]["job"] == job)
            .unwrap_or_else(|| panic!("{job}\n{output}")))
    };
    let handed = events(report, "lease.handed-over");
    assert_eq!(handed.len(), 1, "{output}");
    assert_eq!(handed[0]["payload"]["proof"], serde_json::json!(["holder_stopped"]));
    let offered = events(report, "job.offered");
    let install = offered.iter().find(|e| e["payload"]["job"] == "install").unwrap();
    let order = [
        ended("backup"),
        ended("restore"),
        ended("verify-way-back"),
        ended("stop-old-server"),
        ended("uninstall"),
        seq(handed[0]),
        seq(install),
    ];
    assert!(order.is_sorted(), "{order:?}\n{output}");
}

fn assert_moved(lab: &Lab, output: &str) {
    let e = lab.effects(OLD_SERVER);
    assert_eq!(
        (e.msi_uninstalls, e.msi_installs, e.wizards_completed),
        (1, 1, 1),
        "{output}"
    );
    assert_eq!(lab.completed("target", "RESTORE DATABASE"), 1, "{output}");
    let old = lab.state(OLD_SERVER);
    assert_eq!(old.service("ADSync").unwrap().state, ServiceState::Running, "{output}");
    assert_eq!(
        lab.backups(),
        2,
        "the backup, and its copy on the other host, stay\n{output}"
    );
}

#[test]
fn the_same_host_goes_on_and_becomes_active_again() {
    let lab = Lab::new();
    let (exit, output) = lab.run(&IN_PLACE);
    assert_eq!(exit, 0, "{output}");
    for said in [
        "in-place-no-synchronization",
        "in-place-no-way-back",
        "in-place-ends-in-staging",
        "POINT OF NO RETURN",
    ] {
        assert!(output.contains(said), "{said}\n{output}");
    }
    let report = lab.report();
    assert_eq!(report["state"], "succeeded", "{output}");
    assert_order(&report, &output);
    assert_moved(&lab, &output);
    let before = lab.effects(OLD_SERVER).exports;
    assert!(
        !report.to_string().contains("old-database-file-gone"),
        "LocalDB's files stayed\n{output}"
    );

    let (exit, output) = lab.run(&[&IN_PLACE[..], &["--active"]].concat());
    assert_eq!(exit, 0, "{output}");
    let report = lab.report();
    assert_eq!(
        (&report["scenario"], &report["state"]),
        (&"switch-active".into(), &"succeeded".into()),
        "{output}"
    );
    assert!(
        events(&report, "lease.handed-over").is_empty(),
        "it held the export all the time\n{output}"
    );
    assert!(lab.effects(OLD_SERVER).exports >= before);
    lab.assert_audit(&output);
}

/// The agent dies in the moment in which the person has uninstalled Connect, and goes on when it is started again.
#[tokio::test(flavor = "multi_thread")]
async fn the_agent_is_killed_right_after_the_uninstallation() {
    let lab = Lab::new();
    let mut running = lab.start(&[&IN_PLACE[..], &["--attended"]].concat());
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Document ")).await;
    lab.complete(MOVE).await;
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Uninstall ")).await;
    let agent = lab.pid(&format!("agent-{}", OLD_SERVER.to_ascii_lowercase()));
    lab.old_host().remove_connect().await.unwrap();
    interrupt(agent, Signal::KILL).unwrap();
    // Whoever keeps it starts it again; then it sees what happened while it was away.
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Complete ")).await;
    interrupt(running.child.id(), Signal::INT).unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, INTERRUPTED, "{output}");
    let (exit, output) = tokio::task::block_in_place(|| lab.run(&IN_PLACE));
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("going on with migration"), "{output}");
    assert_order(&lab.report(), &output);
    assert_moved(&lab, &output);
    lab.assert_audit(&output);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_before_the_uninstallation_all_is_as_it_was() {
    let lab = Lab::new();
    let mut running = lab.start(&[&IN_PLACE[..], &["--attended"]].concat());
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Document ")).await;
    lab.complete(MOVE).await;
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Uninstall ")).await;
    assert_eq!(lab.effects(OLD_SERVER).service_stops, 1);
    lab.cancel(MOVE).await.unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, CANCELLED, "{output}");
    lab.old_is_as_it_was(&output);
    assert!(events(&lab.report(), "lease.handed-over").is_empty(), "{output}");
    lab.assert_audit(&output);
}

/// After the point of no return nothing is taken away that somebody needs: the database stays, nobody's, and the next server is
/// seated on it.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_after_the_uninstallation_the_moved_database_stays_for_the_next_server() {
    let lab = Lab::new();
    let mut running = lab.start(&[&IN_PLACE[..], &["--attended"]].concat());
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Document ")).await;
    lab.complete(MOVE).await;
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Uninstall ")).await;
    lab.old_host().remove_connect().await.unwrap();
    lab.until(&mut running, MOVE, |m| at_the_gate(m, "Complete ")).await;
    lab.cancel(MOVE).await.unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, CANCELLED, "{output}");
    let e = lab.effects(OLD_SERVER);
    assert_eq!(
        (e.msi_installs, e.msi_uninstalls, e.wizards_completed),
        (1, 2, 0),
        "{output}"
    );
    assert_eq!(
        lab.completed("target", "DROP DATABASE"),
        0,
        "it is what is left\n{output}"
    );
    assert_eq!(lab.backups(), 2, "{output}");
    let report = lab.report();
    let ended = events(&report, "migration.cancelled");
    assert!(
        ended[0]["payload"]["message"]
            .as_str()
            .unwrap()
            .contains("replace-server"),
        "{output}"
    );
    lab.assert_audit(&output);
    // The next server: planned on the database that is nobody's.
    let (exit, output) = tokio::task::spawn_blocking(move || {
        let up = lab.run(&["up"]);
        assert_eq!(up.0, 0, "{}", up.1);
        let planned = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["syncferry", "--dir"])
            .arg(lab.path())
            .args([
                "--",
                "plan",
                "replace-server",
                "--site",
                "contoso",
                "--source",
                "SQL01/default/ADSync",
            ])
            .args(["--connect-host", OLD_SERVER, "--installer", INSTALLER])
            .args(["--service-account", r"CONTOSO\gmsa-sync02$"])
            .output()
            .unwrap();
        lab.down();
        let said = String::from_utf8_lossy(&planned.stdout).into_owned() + &String::from_utf8_lossy(&planned.stderr);
        (planned.status.code().unwrap_or(-1), said)
    })
    .await
    .unwrap();
    assert_eq!(exit, 0, "{output}");
}

/// The agent on the SQL host has no right but to look; whatever is done there, the DBA did.
#[test]
fn a_dba_runs_what_the_gates_show() {
    let lab = Lab::new();
    let (exit, output) = lab.run(&["move-to-full-sql", "--dba"]);
    assert_eq!(exit, 0, "{output}");
    let report = lab.report();
    assert_eq!(report["state"], "succeeded", "{output}");
    let opened = events(&report, "gate.opened");
    let titles: Vec<&str> = opened.iter().filter_map(|e| e["payload"]["title"].as_str()).collect();
    for title in [
        "Have a DBA back ADSync up on",
        "Have a DBA restore ADSync__syncferry_",
        "Have a DBA make ADSync__syncferry_",
        "Have a DBA rename ADSync__syncferry_",
    ] {
        assert!(
            titles.iter().any(|t| t.starts_with(title)),
            "{title}: {titles:?}\n{output}"
        );
    }
    assert!(output.contains("dba-steps"), "the plan says which\n{output}");
    assert_eq!(lab.completed("source", "BACKUP DATABASE"), 1, "{output}");
    assert_eq!(lab.completed("target", "RESTORE DATABASE"), 1, "{output}");
    assert_eq!(lab.completed("target", "RENAME DATABASE"), 1, "{output}");
    lab.assert_audit(&output);
}
