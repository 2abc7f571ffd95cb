//! Several controllers on one PostgreSQL as processes, in CI: two of them, two sites with three agents each, while controllers and
//! PostgreSQL are killed and wires are cut. `cargo lab fleet` does the same for any number; it checks every migration, what the
//! stand-ins count, the store's audit and the evidence, and says what does not hold.

#![cfg(unix)]

use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn migrations_survive_the_deaths_of_controllers_and_of_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args([
            "fleet",
            "--controllers",
            "2",
            "--agents",
            "6",
            "--migrations",
            "2",
            "--seed",
            "7",
        ])
        .args([
            "--kill-every-s",
            "6",
            "--postgres-every-s",
            "20",
            "--cut-every-s",
            "4",
            "--longest-cut-s",
            "8",
        ])
        // Slow enough that something happens meanwhile.
        .args(["--io-mb-per-s", "1", "--minutes", "8", "--json", "--dir"])
        .arg(dir.path().join("fleet"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert!(
        output.status.success() && outcome.is_object(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let sites = outcome["sites"].as_array().unwrap();
    assert_eq!(sites.len(), 2);
    assert!(sites.iter().all(|s| s["state"] == "succeeded"), "{outcome:#}");
    // A run in which nothing happened proves nothing.
    let times = |kind: &str| outcome["faults"][kind].as_u64().unwrap_or(0);
    assert!(times("kill -9 of a controller") >= 2, "{outcome:#}");
    assert!(times("kill -9 of PostgreSQL") >= 1, "{outcome:#}");
    assert!(
        outcome["take_overs"][0]["times"].as_u64().unwrap() + outcome["take_overs"][1]["times"].as_u64().unwrap() > 0
    );
}
