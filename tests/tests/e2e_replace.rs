//! A Connect server is replaced across processes, in all four flavours: each ends with the new server as holder under a new
//! epoch, freed by the proof that the flavour is about, and with the old server coming back. And on the way: the controller dies in
//! the hand-over, the run is interrupted there, an operator cancels at the wizard.

use serde_json::Value;
use syncferry_proto::v1;
use syncferry_tests::lab::host::effects::Effects;
use syncferry_tests::lab::host::services::{ServiceState, StartType};
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST};
use syncferry_tests::played::{CANCELLED, INTERRUPTED, Played, REFUSED, at_a_gate, events, seq};
use syncferry_tests::transcript::Transcript;

const REPLACE: &str = "replace-server";

fn lab(flavour: &str, more: &[&str]) -> Played {
    let words = [&["--io-mb-per-s", "0", "--flavour", flavour][..], more].concat();
    Played::new(env!("CARGO_BIN_EXE_lab"), &words)
}

/// The end that every flavour has to come to.
fn assert_replaced(lab: &Played, output: &str, proof: &str) {
    let new = lab.effects(NEW_SERVER);
    assert_eq!((new.msi_installs, new.msi_uninstalls), (1, 0), "{output}");
    assert_eq!((new.wizards_completed, new.service_starts), (1, 1), "{output}");
    assert_eq!(new.exports, 0, "a server in staging mode exports nothing\n{output}");
    assert_eq!(lab.effects(SQL_HOST), Effects::default(), "{output}");
    let sql = lab.statements("target");
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
    assert_eq!(lab.backups(), 1, "the backup stays: it is the way back\n{output}");
    let report = lab.report();
    assert_eq!(report["state"], "succeeded", "{output}");
    let handed = events(&report, "lease.handed-over");
    assert_eq!(handed.len(), 1, "{output}");
    assert_eq!(handed[0]["payload"]["proof"], serde_json::json!([proof]), "{output}");
    let lease = &report["leases"][0];
    assert!(lease.to_string().contains(proof), "{lease}\n{output}");
    // The test restore was done before the lease changed hands, and the installation began after that.
    let at = |kind: &str, job: &str| {
        let all = events(&report, kind);
        let fits = |e: &&&Value| job.is_empty() || e["payload"]["job"] == job;
        seq(all.iter().find(fits).unwrap())
    };
    assert!(
        at("job.succeeded", "test-restore") < at("lease.handed-over", ""),
        "{output}"
    );
    assert!(at("lease.handed-over", "") < at("job.offered", "install"), "{output}");
    assert!(output.contains("old-server-alive after"), "{output}");
    lab.assert_audit(output);
}

fn waits(m: &v1::Migration) -> bool {
    m.waiting_for.starts_with("an operator: the hand-over")
}

#[test]
fn a_reachable_server_is_stopped_by_its_own_agent() {
    let lab = lab("reachable", &[]);
    let (exit, output) = lab.run(&[REPLACE]);
    assert_eq!(exit, 0, "{output}");
    assert_replaced(&lab, &output, "holder_stopped");
    assert!(output.contains("foreign-session after"), "{output}");
    assert!(output.contains("SQL Server does not refuse it"), "{output}");
    let about = "A server that can still be reached gives its database up to another one: its own agent stops it and proves that. Then it\n\
                 comes back, is seen, and is put out again.";
    let words = "replace-server --flavour reachable";
    Transcript::scenario(REPLACE, words, about).is_what_happens(&output, &lab.path());
    // Stopped by the migration, and put out once more after its comeback.
    let old = lab.effects(OLD_SERVER);
    assert_eq!((old.service_stops, old.msi_uninstalls), (2, 0), "{output}");
    // A second run is refused: the new server has Connect now.
    let (exit, output) = lab.run(&[REPLACE]);
    assert_eq!(exit, REFUSED, "{output}");
    assert_eq!(lab.backups(), 1, "nothing was backed up again\n{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_off_and_an_interruption_in_the_hand_over() {
    let lab = lab("host-off", &["--think-ms", "3000"]);
    let mut running = lab.start(&[REPLACE]);
    lab.until(&mut running, REPLACE, waits).await;
    let (exit, output) = running.interrupted().await;
    assert_eq!(exit, INTERRUPTED, "{output}");
    lab.assert_nothing_runs();
    let (exit, output) = tokio::task::block_in_place(|| lab.run(&[REPLACE]));
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("going on with migration"), "{output}");
    assert_replaced(&lab, &output, "power_off");
    assert!(output.contains("foreign-session after"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_fenced_at_sql_server_and_the_controller_dies_in_between() {
    let lab = lab("sql-fence", &["--think-ms", "3000"]);
    let mut running = lab.start(&[REPLACE]);
    lab.until(&mut running, REPLACE, waits).await;
    lab.kill("controller");
    let (exit, output) = running.ended().await;
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains("controller ended (signal: 9"), "{output}");
    assert_replaced(&lab, &output, "sql_fenced");
    // It came back, tried, and was refused.
    assert!(output.contains("SQL Server refuses it"), "{output}");
    assert!(!output.contains("foreign-session after"), "{output}");
    assert!(output.contains("is back and tries; SQL Server refuses it"), "{output}");
}

#[test]
fn nothing_can_be_proven_and_two_people_give_their_word() {
    let lab = lab("two-people", &[]);
    let (exit, output) = lab.run(&[REPLACE]);
    assert_eq!(exit, 0, "{output}");
    assert_replaced(&lab, &output, "operator_attested");
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
    let lab = lab("reachable", &["--attended"]);
    let mut running = lab.start(&[REPLACE]);
    lab.until(&mut running, REPLACE, at_a_gate).await;
    lab.cancel(REPLACE).await;
    let (exit, output) = running.ended().await;
    assert_eq!(exit, CANCELLED, "{output}");
    let new = lab.effects(NEW_SERVER);
    assert_eq!(
        (new.msi_installs, new.msi_uninstalls, new.wizards_completed),
        (1, 1, 0),
        "{output}"
    );
    let old = lab.effects(OLD_SERVER);
    assert_eq!((old.service_stops, old.service_starts), (1, 1), "{output}");
    let state = lab.state(OLD_SERVER);
    let service = state.service("ADSync").unwrap();
    assert_eq!(
        (service.state, service.start),
        (ServiceState::Running, StartType::Automatic),
        "{output}"
    );
    let report = lab.report();
    assert_eq!(report["state"], "cancelled", "{output}");
    let given_back = events(&report, "lease.given-back")
        .iter()
        .any(|e| e["payload"]["title"].as_str().unwrap().ends_with(OLD_SERVER));
    assert!(given_back, "{output}");
    assert_eq!(lab.backups(), 1, "the backup is kept\n{output}");
    lab.assert_audit(&output);
}
