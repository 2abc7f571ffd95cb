//! What CI runs of the simulation: first that a seed has one future, then a hundred seeds, then mutants.
//! `SYNCFERRY_SIMULATION_SEEDS` makes it longer.

use std::process::{Command, Output};

fn simulate(args: &[&str]) -> Output {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulate"));
    command.args(args).arg("--out").arg(out.path());
    // A backtrace differs where the machine does.
    command.env("RUST_BACKTRACE", "0").output().unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{out}{err}")
}

#[test]
fn a_seed_has_one_future() {
    for seed in ["2", "7", "11"] {
        let hash = || {
            let ran = simulate(&["--one", seed]);
            let verdict: serde_json::Value =
                serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{}", text(&ran)));
            verdict["hash"].as_str().unwrap().to_string()
        };
        assert_eq!(hash(), hash(), "seed {seed} differs between two processes");
    }
}

#[test]
fn a_hundred_seeds_hold() {
    let seeds = std::env::var("SYNCFERRY_SIMULATION_SEEDS").unwrap_or("100".into());
    let ran = simulate(&["--seeds", &seeds]);
    println!("{}", text(&ran));
    assert!(ran.status.success(), "{}", text(&ran));
    assert!(text(&ran).contains("violations       0"));
}

/// A red seed has one future, too: its trace is what somebody reads who looks for the mistake.
#[test]
fn a_red_seed_replays_equally() {
    let verdict = |seed: u32| -> serde_json::Value {
        let ran = simulate(&["--one", &seed.to_string(), "--mutant", "release-without-stop"]);
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{}", text(&ran)))
    };
    let is_red = |verdict: &serde_json::Value| verdict["violations"].as_array().is_some_and(|v| !v.is_empty());
    let (seed, first) = (1..=40)
        .map(|seed| (seed, verdict(seed)))
        .find(|(_, verdict)| is_red(verdict))
        .expect("none of 40 seeds notices the mutant");
    for _ in 1..10 {
        let again = verdict(seed);
        assert_eq!(again["hash"], first["hash"], "seed {seed}");
        assert_eq!(again["violations"], first["violations"], "seed {seed}");
    }
}

/// Every mutant but `epoch-without-owner` and `report-without-token-check` (docs/RELIABILITY.md says why), from a seed that
/// notices it. Where a change has other faults drawn, one of the next forty does it as well, or the
/// first seed has to be looked up again.
#[test]
fn mutants_are_noticed() {
    for (mutant, first) in [
        ("expiry-frees", "7"),
        ("no-kill", "3"),
        ("kill-before-deny", "3"),
        ("no-epoch-check", "1"),
        ("plain-restore", "10"),
        ("alias", "12"),
        ("shared-account", "6"),
        ("release-without-stop", "2"),
        ("end-fence-without-read-back", "1"),
        ("accept-without-journal", "71"),
    ] {
        let ran = simulate(&["--mutant", mutant, "--until-caught", "--first", first, "--seeds", "40"]);
        println!("{}", text(&ran));
        assert!(ran.status.success(), "{}", text(&ran));
    }
}
