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

/// Those that are noticed within a few seeds. The others are named in docs/RELIABILITY.md.
#[test]
fn mutants_are_noticed() {
    for mutant in [
        "release-without-stop",
        "end-fence-without-read-back",
        "alias",
        "plain-restore",
    ] {
        let ran = simulate(&["--mutant", mutant, "--until-caught", "--seeds", "40"]);
        println!("{}", text(&ran));
        assert!(ran.status.success(), "{}", text(&ran));
    }
}
