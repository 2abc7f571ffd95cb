//! Random worlds: whatever a plan says without a blocker runs to its end in the lab, and one with a blocker touches no host and no
//! database. Real controller, real agents, stand-ins for the rest: as many worlds as begin within the time, from a seed that is
//! always the same. `SYNCFERRY_RANDOM_SECONDS` gives them longer, `SYNCFERRY_RANDOM_SEED` another beginning.

use std::process::{Command, Stdio};

use serde_json::Value;

/// No world begins after this time; one takes 3 to 15 s.
const SECONDS: &str = "40";
/// From here on seeds are counted up.
const SEED: &str = "2000";

fn of_env(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_string())
}

#[test]
fn plans_without_blockers_run_to_their_ends_and_those_with_touch_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["random", "--json", "--cases", "100000"])
        .args(["--seconds", &of_env("SYNCFERRY_RANDOM_SECONDS", SECONDS)])
        .args(["--seed", &of_env("SYNCFERRY_RANDOM_SEED", SEED)])
        .arg("--dir")
        .arg(dir.path().join("random"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |what: &str| summary[what].as_u64().unwrap();
    assert_eq!(count("failed"), 0, "{said}");
    // On the slowest machine a case of each kind is among the first.
    assert!(count("ran") > 0 && count("refused") > 0, "{said}");
}
