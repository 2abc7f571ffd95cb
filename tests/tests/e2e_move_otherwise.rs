//! `move-to-full-sql` in its two other ways, across processes. In place: the same host goes on; to its end and active again; killed
//! right after Connect was uninstalled; interrupted at its gates; cancelled before the point of no return, where all is as it was, and
//! after it, where it says where it ends. With a DBA: the agent may only look, or make no login, and somebody runs what the gates show.

use serde_json::Value;
use syncferry_tests::lab::host::services::{ServiceState, StartType};
use syncferry_tests::lab::host_client::HostClient;
use syncferry_tests::lab::world::{INSTALLER, OLD_SERVER};
use syncferry_tests::played::{CANCELLED, INTERRUPTED, Played, at_the_gate, events, seq};
use syncferry_tests::transcript::Transcript;

const IN_PLACE: [&str; 2] = ["move-to-full-sql", "--in-place"];
const MOVE: &str = "move-to-full-sql";

fn quick() -> Played {
    Played::new(env!("CARGO_BIN_EXE_lab"), &["--io-mb-per-s", "0"])
}

fn old_host(lab: &Played) -> HostClient {
    HostClient::new(&lab.world().host_dir(OLD_SERVER))
}

/// What the world looked like before is what it looks like again.
fn old_is_as_it_was(lab: &Played, output: &str) {
    let old = lab.state(OLD_SERVER);
    let service = old.service("ADSync").unwrap();
    assert_eq!(
        (service.state, service.start),
        (ServiceState::Running, StartType::Automatic),
        "{output}"
    );
    assert!(!old.products.is_empty(), "{output}");
    assert_eq!(lab.backups(), 0, "{output}");
    assert_eq!(lab.completed("target", "DROP DATABASE"), 1, "{output}");
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

fn assert_moved(lab: &Played, output: &str) {
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
    let lab = quick();
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
    let about = "Without a second host: Connect is uninstalled and installed again on the same machine, on the database that was moved before.\n\
                 From the uninstallation on, the way back is a new installation on the moved database.";
    Transcript::scenario("move-to-full-sql-in-place", &IN_PLACE.join(" "), about).is_what_happens(&output, &lab.path());
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
    let lab = quick();
    let mut running = lab.start(&[&IN_PLACE[..], &["--attended"]].concat());
    lab.until(&mut running, MOVE, at_the_gate("Document ")).await;
    lab.complete(MOVE).await;
    lab.until(&mut running, MOVE, at_the_gate("Uninstall ")).await;
    old_host(&lab).remove_connect().await.unwrap();
    lab.kill(&format!("agent-{}", OLD_SERVER.to_ascii_lowercase()));
    // Whoever keeps it starts it again; then it sees what happened while it was away.
    lab.until(&mut running, MOVE, at_the_gate("Complete ")).await;
    let (exit, output) = running.interrupted().await;
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
    let lab = quick();
    let mut running = lab.start(&[&IN_PLACE[..], &["--attended"]].concat());
    lab.until(&mut running, MOVE, at_the_gate("Document ")).await;
    lab.complete(MOVE).await;
    lab.until(&mut running, MOVE, at_the_gate("Uninstall ")).await;
    assert_eq!(lab.effects(OLD_SERVER).service_stops, 1);
    lab.cancel(MOVE).await;
    let (exit, output) = running.ended().await;
    assert_eq!(exit, CANCELLED, "{output}");
    old_is_as_it_was(&lab, &output);
    assert!(events(&lab.report(), "lease.handed-over").is_empty(), "{output}");
    lab.assert_audit(&output);
}

/// After the point of no return nothing is taken away that somebody needs: the database stays, nobody's, and the next server is
/// seated on it.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_after_the_uninstallation_the_moved_database_stays_for_the_next_server() {
    let lab = quick();
    let mut running = lab.start(&[&IN_PLACE[..], &["--attended"]].concat());
    lab.until(&mut running, MOVE, at_the_gate("Document ")).await;
    lab.complete(MOVE).await;
    lab.until(&mut running, MOVE, at_the_gate("Uninstall ")).await;
    old_host(&lab).remove_connect().await.unwrap();
    lab.until(&mut running, MOVE, at_the_gate("Complete ")).await;
    lab.cancel(MOVE).await;
    let (exit, output) = running.ended().await;
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
        let planned = lab.syncferry(&[
            "plan",
            "replace-server",
            "--site",
            "contoso",
            "--source",
            "SQL01/default/ADSync",
            "--connect-host",
            OLD_SERVER,
            "--installer",
            INSTALLER,
            "--service-account",
            r"CONTOSO\gmsa-sync02$",
        ]);
        lab.down();
        planned
    })
    .await
    .unwrap();
    assert_eq!(exit, 0, "{output}");
}

/// The agent on the SQL host has no right but to look; whatever is done there, the DBA did.
#[test]
fn a_dba_runs_what_the_gates_show() {
    let lab = quick();
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

/// The agent on the SQL host restores, and may make no login: that is a DBA's, at a gate, before anything is installed.
#[test]
fn a_dba_makes_the_login_that_the_agent_may_not() {
    let lab = quick();
    let (exit, output) = lab.run(&[MOVE, "--target-rights", "no-logins"]);
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("target-cannot-create-logins"), "{output}");
    let report = lab.report();
    assert_eq!(report["state"], "succeeded", "{output}");
    let opened = events(&report, "gate.opened");
    let of = |title: &str| {
        let gate = opened
            .iter()
            .find(|e| e["payload"]["title"].as_str().unwrap().starts_with(title));
        seq(gate.unwrap_or_else(|| panic!("{title}\n{output}")))
    };
    let asked = of("Have a DBA let ");
    let offered = events(&report, "job.offered");
    let install = offered.iter().find(|e| e["payload"]["job"] == "install").unwrap();
    assert!(asked < seq(install) && seq(install) < of("Complete "), "{output}");
    assert_eq!(opened.len(), 2, "{output}");
    assert_eq!(lab.completed("target", "CREATE LOGIN"), 1, "{output}");
    lab.assert_audit(&output);
}
