//! A Connect server is replaced across processes, in all four flavours: each ends with the new server as holder under a new
//! epoch, freed by the proof that the flavour is about, and with the old server coming back. And on the way: the controller dies in
//! the hand-over, the run is interrupted there, an operator cancels at the wizard.

use std::collections::BTreeMap;
use std::io::Read;
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
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST, STAGING, World};
use tonic::transport::Channel;

/// Nothing here may hang for ever.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Interrupted.
const INTERRUPTED: i32 = 130;
/// It was cancelled.
const CANCELLED: i32 = 7;

struct Lab {
    dir: tempfile::TempDir,
    more: Vec<String>,
}

impl Lab {
    fn new(flavour: &str, more: &[&str]) -> Lab {
        let words = ["--flavour", flavour].into_iter().chain(more.iter().copied());
        Lab {
            dir: tempfile::tempdir().unwrap(),
            more: words.map(str::to_string).collect(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    /// Starts it in the background; its output goes to a file, so that no pipe fills up.
    fn start(&self) -> Running {
        let log = self.dir.path().join("output.txt");
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args([
                "replace-server",
                "--fast",
                "--objects",
                "1500",
                "--io-mb-per-s",
                "0",
                "--dir",
            ])
            .arg(self.path())
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Running { child, log }
    }

    fn run(&self) -> (i32, String) {
        self.start().wait()
    }

    fn world(&self) -> World {
        World::look(&self.path()).unwrap()
    }

    fn effects(&self, host: &str) -> Effects {
        Effects::load(&self.world().host_dir(host)).unwrap()
    }

    /// Completed statements of the SQL Server by kind.
    fn sql_effects(&self) -> BTreeMap<String, u64> {
        let text = std::fs::read(self.world().sql_dir("target").join("effects.json")).unwrap();
        let journal: Value = serde_json::from_slice(&text).unwrap();
        serde_json::from_value(journal["counts"].clone()).unwrap_or_default()
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path().join("report.json")).unwrap()).unwrap()
    }

    /// Backup files that are left on the SQL host.
    fn backups(&self) -> usize {
        let host = self.world().host_dir(SQL_HOST);
        let staging = host.join("drives").join(STAGING.replace(":\\", "/").replace('\\', "/"));
        let mut found = 0;
        let mut folders = vec![staging];
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

    /// The end that every flavour has to come to.
    fn assert_replaced(&self, output: &str, proof: &str) {
        let new = self.effects(NEW_SERVER);
        assert_eq!((new.msi_installs, new.msi_uninstalls), (1, 0), "{output}");
        assert_eq!((new.wizards_completed, new.service_starts), (1, 1), "{output}");
        assert_eq!(new.exports, 0, "a server in staging mode exports nothing\n{output}");
        assert_eq!(self.effects(SQL_HOST), Effects::default(), "{output}");
        let sql = self.sql_effects();
        let count = |what: &str| sql.get(what).copied().unwrap_or(0);
        assert_eq!(
            (
                count("BACKUP DATABASE"),
                count("RESTORE DATABASE"),
                count("DROP DATABASE")
            ),
            (1, 1, 1),
            "one backup, restored for a test, and the copy dropped: {sql:?}\n{output}"
        );
        assert_eq!(count("RENAME DATABASE"), 0, "{output}");
        assert_eq!(self.backups(), 1, "the backup stays: it is the way back\n{output}");
        let report = self.report();
        assert_eq!(report["state"], "succeeded", "{output}");
        let events = report["events"].as_array().unwrap();
        let handed: Vec<&Value> = events.iter().filter(|e| e["type"] == "lease.handed-over").collect();
        assert_eq!(handed.len(), 1, "{output}");
        assert_eq!(handed[0]["payload"]["proof"], serde_json::json!([proof]), "{output}");
        let lease = &report["leases"][0];
        assert!(lease.to_string().contains(proof), "{lease}\n{output}");
        // The test restore was done before the lease changed hands, and the installation began after that.
        let at = |kind: &str, job: &str| {
            let fits = |e: &&Value| e["type"] == kind && (job.is_empty() || e["payload"]["job"] == job);
            events.iter().find(fits).unwrap()["seq"].as_i64().unwrap()
        };
        assert!(
            at("job.succeeded", "test-restore") < at("lease.handed-over", ""),
            "{output}"
        );
        assert!(at("lease.handed-over", "") < at("job.offered", "install"), "{output}");
        assert!(output.contains("old-server-alive after"), "{output}");
        assert!(Supervisor::leftovers(&self.path()).is_empty(), "nothing runs on");
        self.assert_audit(output);
    }

    /// The store's own opinion, when nothing runs any more.
    fn assert_audit(&self, output: &str) {
        let config = self.world().controller_dir().join("controller.toml");
        let audit = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["__controller", "--config"])
            .arg(config)
            .arg("audit")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&audit.stdout).into_owned() + &String::from_utf8_lossy(&audit.stderr);
        assert!(audit.status.success(), "{said}\n{output}");
    }

    async fn client(&self) -> Option<OperatorClient<Channel>> {
        let world = World::look(&self.path()).ok()?;
        let channel = OperatorCredentials::load(&world.credentials()).ok()?.connect().ok()?;
        Some(OperatorClient::new(channel))
    }

    /// The newest migration, as any operator could see it.
    async fn migration(&self) -> Option<v1::Migration> {
        let mut client = self.client().await?;
        let all = client.list_migrations(v1::ListMigrationsRequest::default()).await;
        let all = all.ok()?.into_inner().migrations;
        let id = all.into_iter().find(|m| m.scenario == "replace-server")?.id;
        let request = v1::GetMigrationRequest { migration: id };
        Some(client.get_migration(request).await.ok()?.into_inner())
    }

    async fn until(&self, running: &mut Running, what: &str, fits: impl Fn(&v1::Migration) -> bool) -> v1::Migration {
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "the lab ended before {what}:\n{}", running.output());
            assert!(Instant::now() < until, "not {what}:\n{}", running.output());
            if let Some(m) = self.migration().await.filter(&fits) {
                return m;
            }
            tokio::time::sleep(LOOK_EVERY).await;
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
        let mut file = std::fs::File::open(&self.log).unwrap();
        file.read_to_string(&mut text).unwrap();
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

fn waits(m: &v1::Migration) -> bool {
    m.waiting_for.starts_with("an operator: the hand-over")
}

#[test]
fn a_reachable_server_is_stopped_by_its_own_agent() {
    let lab = Lab::new("reachable", &[]);
    let (exit, output) = lab.run();
    assert_eq!(exit, 0, "{output}");
    lab.assert_replaced(&output, "holder_stopped");
    assert!(output.contains("foreign-session after"), "{output}");
    assert!(output.contains("SQL Server does not refuse it"), "{output}");
    // Stopped by the migration, and put out once more after its comeback.
    let old = lab.effects(OLD_SERVER);
    assert_eq!((old.service_stops, old.msi_uninstalls), (2, 0), "{output}");
    // A second run is refused: the new server has Connect now.
    let (exit, output) = lab.run();
    assert_eq!(exit, 3, "{output}");
    assert_eq!(lab.backups(), 1, "nothing was backed up again\n{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_off_and_an_interruption_in_the_hand_over() {
    let lab = Lab::new("host-off", &["--think-ms", "3000"]);
    let mut running = lab.start();
    lab.until(&mut running, "waiting", waits).await;
    kill(running.child.id(), Signal::INT).unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, INTERRUPTED, "{output}");
    assert!(
        Supervisor::leftovers(&lab.path()).is_empty(),
        "everything that it started has ended"
    );
    let (exit, output) = tokio::task::block_in_place(|| lab.run());
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("going on with migration"), "{output}");
    lab.assert_replaced(&output, "power_off");
    assert!(output.contains("foreign-session after"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_fenced_at_sql_server_and_the_controller_dies_in_between() {
    let lab = Lab::new("sql-fence", &["--think-ms", "3000"]);
    let mut running = lab.start();
    lab.until(&mut running, "waiting", waits).await;
    let victim = Supervisor::leftovers(&lab.path())
        .into_iter()
        .find(|p| p.name == "controller")
        .unwrap();
    kill(u32::try_from(victim.pid).unwrap(), Signal::KILL).unwrap();
    let (exit, output) = tokio::task::spawn_blocking(|| running.wait()).await.unwrap();
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("controller ended (signal: 9"), "{output}");
    lab.assert_replaced(&output, "sql_fenced");
    // It came back, tried, and was refused.
    assert!(output.contains("SQL Server refuses it"), "{output}");
    assert!(!output.contains("foreign-session after"), "{output}");
    assert!(output.contains("is back and tries; SQL Server refuses it"), "{output}");
}

#[test]
fn nothing_can_be_proven_and_two_people_give_their_word() {
    let lab = Lab::new("two-people", &[]);
    let (exit, output) = lab.run();
    assert_eq!(exit, 0, "{output}");
    lab.assert_replaced(&output, "operator_attested");
    assert!(output.contains("The second operator:"), "{output}");
    assert!(
        output.contains("break-glass"),
        "the weakest proof raises an alarm\n{output}"
    );
    assert!(output.contains("foreign-session after"), "{output}");
}

/// Cancelled at the wizard's gate: the new server is uninstalled, the old one has its lease and its service again, and the backup
/// stays, because nobody can say what the wizard did.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_at_the_wizard_gives_everything_back() {
    let lab = Lab::new("reachable", &["--attended"]);
    let mut running = lab.start();
    let at_gate = |m: &v1::Migration| m.open_gates.iter().any(|g| g.state == "open");
    let migration = lab.until(&mut running, "at the gate", at_gate).await;
    let request = v1::CancelRequest {
        migration: migration.id,
        reason: "SYNC01 is needed for another week".into(),
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
    let old = lab.effects(OLD_SERVER);
    assert_eq!((old.service_stops, old.service_starts), (1, 1), "{output}");
    let state = State::load(&lab.world().host_dir(OLD_SERVER)).unwrap();
    let service = state.service("ADSync").unwrap();
    assert_eq!(
        (service.state, service.start),
        (ServiceState::Running, StartType::Automatic),
        "{output}"
    );
    let report = lab.report();
    assert_eq!(report["state"], "cancelled", "{output}");
    let given_back = report["events"]
        .as_array()
        .unwrap()
        .iter()
        .any(|e| e["type"] == "lease.given-back" && e["payload"]["title"].as_str().unwrap().ends_with(OLD_SERVER));
    assert!(given_back, "{output}");
    assert_eq!(lab.backups(), 1, "the backup is kept\n{output}");
    lab.assert_audit(&output);
}
