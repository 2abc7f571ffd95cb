//! Whole runs that are disturbed, in CI: each kind of process killed once, a journal's last record lost and torn, an agent cut
//! off for seconds and for longer than its silence limit, a cancellation in each job and at the gate. `lab torture` does the
//! same for any number of seeds; it checks each run against what an undisturbed one leaves behind, and says what does not hold.

use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs one seed. It must have ended well, and everything that was drawn must have happened.
fn survives(seed: u64, kinds: &str, endings: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args([
            "torture",
            "--runs",
            "1",
            "--json",
            "--together",
            "--seed",
            &seed.to_string(),
        ])
        .args(["--kind", kinds, "--dir"])
        .arg(dir.path().join("runs"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let log = std::fs::read_to_string(dir.path().join(format!("runs/run-{seed}/output.txt"))).unwrap_or_default();
    assert!(output.status.success(), "{said}\n{log}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = summary["runs"][0].clone();
    let ending = run["ending"].as_str().unwrap();
    assert!(endings.contains(&ending), "{ending}\n{said}");
    let happened = run["happened"].as_array().unwrap();
    let drawn = run["disturbances"].as_array().unwrap();
    assert_eq!(happened.len(), drawn.len());
    for what in happened {
        assert!(
            !what.as_str().unwrap().contains("was over before"),
            "{what}: choose another seed"
        );
    }
    run
}

#[test]
fn an_undisturbed_run_is_what_the_others_are_held_against() {
    let run = survives(1, "nothing", &["same"]);
    let events = run["events"].as_i64().unwrap();
    let known = syncferry_tests::lab::torture::disturbance::EVENTS;
    assert!(
        (known - events).abs() <= 5,
        "a run has {events} events, and moments are drawn over {known}"
    );
}

#[test]
fn the_controller_and_what_is_on_the_old_server_are_killed() {
    survives(3, "kill-controller,kill-source-agent,kill-source-sql", &["same"]);
}

#[test]
fn what_is_on_the_sql_host_and_on_the_new_server_is_killed() {
    survives(3, "kill-target-agent,kill-target-sql,kill-new-server-agent", &["same"]);
}

#[test]
fn a_journals_last_record_is_torn_or_lost_and_the_controller_is_restarted() {
    survives(5, "tear-record,lose-record,stop-controller", &["same", "explained"]);
}

#[test]
fn an_agent_is_cut_off_for_seconds_and_for_longer() {
    survives(2, "short-cut,long-cut", &["same", "explained"]);
}

#[test]
fn a_cancel_in_the_backup() {
    cancelled("cancel-backup");
}

#[test]
fn a_cancel_in_the_restore() {
    cancelled("cancel-restore");
}

#[test]
fn a_cancel_in_the_installation() {
    cancelled("cancel-install");
}

#[test]
fn a_cancel_at_the_gate() {
    let run = cancelled("cancel-at-gate");
    assert_eq!(run["state"], "cancelled");
}

/// The wizard was completed: there is no way back, which is said, and the run goes on to its end.
#[test]
fn a_cancel_in_the_verification_is_refused() {
    let run = cancelled("cancel-verify");
    assert_eq!(run["state"], "succeeded", "{run}");
}

fn cancelled(kind: &str) -> Value {
    survives(1, kind, &["same", "explained"])
}
