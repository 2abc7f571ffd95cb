//! A controller's store that is lost and restored while jobs run, across processes: real agents with real journals. A backup is
//! taken while the job `backup` runs; the move goes on up to the wizard; then the store is an hour old again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_tests::lab::host::effects::Effects;
use syncferry_tests::lab::host_client::HostClient;
use syncferry_tests::lab::operator::Operator;
use syncferry_tests::lab::run::Lab;
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST, World, WorldOptions};
use tonic::transport::Channel;

/// Nothing here may hang for ever.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Epochs of a restored store are this far above the old ones at least.
const EPOCH_JUMP: i64 = 1_000_000_000;

/// Runs a verb of the controller's own program; its exit code and what it printed.
fn controller(world: &World, words: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["__controller", "--config"])
        .arg(world.controller_dir().join("controller.toml"))
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), said)
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "it did not come to be: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn until_job(operator: &mut Operator, id: &str, job: &str, states: &[&str]) -> v1::Migration {
    until(&format!("{job} is {states:?}"), async || {
        let m = operator.migration(id).await.ok()?;
        let there = m
            .jobs
            .iter()
            .any(|j| j.name == job && states.contains(&j.state.as_str()));
        there.then_some(m)
    })
    .await
}

fn client(world: &World) -> OperatorClient<Channel> {
    let credentials = syncferry_proto::transport::OperatorCredentials::load(&world.credentials()).unwrap();
    OperatorClient::new(credentials.connect().unwrap())
}

async fn adopt(world: &World, lease: &v1::Lease, host: &str) -> v1::Lease {
    let request = v1::AdoptLeaseRequest {
        lease: lease.resource.clone(),
        host: host.into(),
        reason: "the store was restored; its holder goes on".into(),
        dry_run: false,
        seen_version: lease.row_version,
    };
    let done = client(world).adopt_lease(request).await;
    done.unwrap_or_else(|e| panic!("{}: {e}", lease.name))
        .into_inner()
        .lease
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_old_backup_becomes_the_store_while_jobs_run() {
    let dir = tempfile::tempdir().unwrap();
    let options = WorldOptions {
        objects: 1_500,
        fast: true,
        ..WorldOptions::default()
    };
    let mut lab = Lab::open(Path::new(env!("CARGO_BIN_EXE_lab")), &dir.path().join("lab"), &options).unwrap();
    let world = lab.world().clone();
    let mut operator = lab.bring_up().await.unwrap();
    operator.add_database().await.unwrap();
    let planned = operator.plan(&world).await.unwrap();
    operator.apply(&planned).await.unwrap();
    let id = planned.id.clone();
    until_job(&mut operator, &id, "backup", &["running", "succeeded"]).await;
    let file = dir.path().join("hour-old.backup");
    let name = file.to_str().unwrap();
    let (code, said) = controller(&world, &["backup", "--to", name]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = controller(&world, &["verify", name]);
    assert_eq!(code, 0, "{said}");

    // An hour passes: the database is restored, Connect is installed, a person is waited for.
    until("the gate is open", async || {
        let gates = operator.gates(&id).await.ok()?;
        gates.iter().any(|g| g.state == "open").then_some(())
    })
    .await;
    let old = operator.leases().await.unwrap();
    let (code, refused) = controller(&world, &["restore", "--from", name, "--replace"]);
    assert!(
        code == 1 && refused.contains("in use by another controller"),
        "{refused}"
    );
    let program = lab.processes().stop("controller").await.unwrap();
    let (code, said) = controller(&world, &["restore", "--from", name, "--replace", "--json"]);
    assert_eq!(code, 0, "{said}");
    let restored: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&restored["incarnation_was"], &restored["incarnation"]),
        (&1.into(), &2.into())
    );
    lab.processes().start(program).await.unwrap();
    operator.wait_for_controller().await.unwrap();

    // Nothing is granted, nothing runs, and every epoch is above all old ones.
    let shown = until("every agent was heard", async || {
        let (code, said) = controller(&world, &["recover", "--json"]);
        assert_eq!(code, 1, "leases wait: {said}");
        let shown: Value = serde_json::from_str(&said).unwrap();
        shown["unheard"].as_array().unwrap().is_empty().then_some(shown)
    })
    .await;
    let leases = operator.leases().await.unwrap();
    assert_eq!(shown["leases"].as_array().unwrap().len(), leases.len(), "{shown:#}");
    for lease in &leases {
        let before = old.iter().find(|l| l.resource == lease.resource).unwrap();
        assert_eq!(lease.state, "quarantined", "{}", lease.name);
        assert!(lease.epoch > before.epoch + EPOCH_JUMP, "{}", lease.name);
    }
    let stuck = operator.migration(&id).await.unwrap();
    assert!(["stuck", "running"].contains(&stuck.state.as_str()), "{}", stuck.state);
    assert!(
        stuck.jobs.iter().all(|j| j.state != "running" && j.state != "offered"),
        "{:?}",
        stuck.jobs
    );

    for lease in &leases {
        let before = old.iter().find(|l| l.resource == lease.resource).unwrap();
        let held = adopt(&world, lease, &before.renewer).await;
        assert_eq!((held.state.as_str(), &held.holder), ("held", &before.holder));
    }
    let (code, said) = controller(&world, &["recover"]);
    assert_eq!(code, 0, "{said}");

    // The person says that they looked, and the next attempts look before they act.
    let host = HostClient::new(&world.host_dir(NEW_SERVER));
    let end = Instant::now() + PATIENCE;
    let done = loop {
        let m = operator.migration(&id).await.unwrap();
        match m.state.as_str() {
            "stuck" | "stopped" => drop(operator.apply(&m).await),
            "succeeded" => break m,
            _ => {}
        }
        for open in operator.gates(&id).await.unwrap().iter().filter(|g| g.state == "open") {
            let _ = operator.act(open, &host, Duration::ZERO).await;
        }
        assert!(Instant::now() < end, "the move does not succeed: {m:#?}");
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let again: Vec<&str> = done
        .jobs
        .iter()
        .filter(|j| j.attempt > 1_000)
        .map(|j| j.name.as_str())
        .collect();
    assert!(again.contains(&"install"), "{again:?}");
    operator.report(&id, world.dir()).await.unwrap();

    // No completed effect came twice: one database under the final name, one installation, one wizard, an untouched source.
    let new = Effects::load(&world.host_dir(NEW_SERVER)).unwrap();
    assert_eq!((new.msi_installs, new.msi_uninstalls, new.wizards_completed), (1, 0, 1));
    let before = Effects::load(&world.host_dir(OLD_SERVER)).unwrap();
    assert_eq!((before.service_starts, before.service_stops), (0, 0));
    assert_eq!(before.scheduler_changes % 2, 0, "what was changed was put back");
    assert_eq!(Effects::load(&world.host_dir(SQL_HOST)).unwrap(), Effects::default());
    let statements: Value =
        serde_json::from_slice(&std::fs::read(world.sql_dir("target").join("effects.json")).unwrap()).unwrap();
    assert_eq!(statements["counts"]["RENAME DATABASE"], 1, "{statements}");
    lab.processes().stop_all().await;
    lab.audit().await.unwrap();
    let (code, said) = controller(&world, &["verify"]);
    assert_eq!(code, 0, "{said}");
}
