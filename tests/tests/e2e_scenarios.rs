//! The scenarios beside move and replacement, across processes: each to the end state that it promises, with what happened on the
//! machines and at the SQL Servers held against it; cancelled where it can be, and gone on with where it was interrupted.

use syncferry_tests::lab::host::services::{ServiceState, StartType};
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER};
use syncferry_tests::played::{CANCELLED, INTERRUPTED, Played, at_a_gate, events, seq};
use syncferry_tests::transcript::Transcript;

fn quick() -> Played {
    Played::new(env!("CARGO_BIN_EXE_lab"), &["--io-mb-per-s", "0"])
}

/// Its page in the documentation.
fn transcript(name: &str, about: &str, output: &str, lab: &Played) {
    Transcript::scenario(name, name, about).is_what_happens(output, &lab.path());
}

#[test]
fn a_drill_says_what_a_recovery_takes_and_leaves_nothing() {
    let lab = quick();
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
    let lab = quick();
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
    assert!(
        !output.contains("look again"),
        "tool and database say the same\n{output}"
    );
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
    let lab = quick();
    let (exit, output) = tokio::task::block_in_place(|| lab.run(&["provision-staging"]));
    assert_eq!(exit, 0, "{output}");
    let mut running = lab.start(&["switch-active", "--attended"]);
    lab.until(&mut running, "switch-active", at_a_gate).await;
    lab.cancel("switch-active").await;
    let (exit, output) = running.ended().await;
    assert_eq!(exit, CANCELLED, "{output}");
    let report = lab.report();
    assert!(events(&report, "lease.handed-over").is_empty(), "{output}");
    assert_eq!(lab.effects(NEW_SERVER).exports, 0, "{output}");
    lab.assert_audit(&output);
}

fn assert_restored(lab: &Played, output: &str) {
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
    assert!(seq(freed[0]) < seq(install), "proven out before anything is installed");
    lab.assert_audit(output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_catalogue_is_restored_and_interrupted_at_the_wizard() {
    let lab = quick();
    let words = ["restore-from-backup", "--from", "artifact"];
    let mut running = lab.start(&[&words[..], &["--attended"]].concat());
    lab.until(&mut running, "restore-from-backup", at_a_gate).await;
    let (exit, output) = running.interrupted().await;
    assert_eq!(exit, INTERRUPTED, "{output}");
    let (exit, output) = tokio::task::block_in_place(|| lab.run(&words));
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("going on with migration"), "{output}");
    assert_restored(&lab, &output);
}

#[test]
fn a_file_that_somebody_has_is_restored_without_a_manifest() {
    let lab = quick();
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
    let lab = quick();
    let mut running = lab.start(&["restore-from-backup", "--from", "file", "--attended"]);
    lab.until(&mut running, "restore-from-backup", at_a_gate).await;
    lab.cancel("restore-from-backup").await;
    let (exit, output) = running.ended().await;
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
