//! What the lab can be, planned: each world's findings are a snapshot, and each failure that is known of Connect is produced by one
//! of them, by a breakdown of setup, or named as one that nobody can see.

mod failures;
mod table;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use syncferry_shared::plan::Plan;
use table::{WORLDS, World};

/// So many at a time.
const AT_A_TIME: usize = 3;

/// What a plan in a world says. Ports are chosen and then used: between that, somebody else on the machine may take one.
fn plan(world: &World) -> (i32, Plan) {
    let tried = (0..3).find_map(|_| match try_plan(world) {
        Err(said) if said.contains("Address already in use") => None,
        tried => Some(tried),
    });
    let planned = tried.expect("no port stays free");
    planned.unwrap_or_else(|said| panic!("{}: {said}", world.name))
}

fn try_plan(world: &World) -> Result<(i32, Plan), String> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("lab");
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["plan", "--fast", "--objects", "200", "--io-mb-per-s", "0"])
        .args(["--scenario", world.scenario])
        .args(world.options)
        .arg("--dir")
        .arg(&dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let text = std::fs::read(dir.join("plan.json")).map_err(|e| format!("{e}\n{said}"))?;
    Ok((
        output.status.code().unwrap_or(-1),
        serde_json::from_slice(&text).unwrap(),
    ))
}

/// The findings as a person would read them: what blocks first. Without evidence that differs from run to run.
fn shown(world: &World, exit: i32, plan: &Plan) -> String {
    let mut text = format!(
        "cargo lab plan --scenario {} {}\nexit code {exit}\n",
        world.scenario,
        world.options.join(" ")
    );
    for f in &plan.findings {
        text.push_str(&format!(
            "\n{:?} {}: {}\n  {}\n",
            f.severity, f.rule, f.title, f.next_step
        ));
    }
    without_sizes(&text)
}

/// A database differs by a page or two from run to run.
fn without_sizes(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    for n in 1..words.len() {
        let unit = ["KiB", "MiB", "GiB"].iter().any(|unit| words[n].starts_with(unit));
        if unit && words[n - 1].parse::<f64>().is_ok() {
            words[n - 1] = "(size)";
        }
    }
    words.join(" ")
}

#[test]
fn every_world_is_planned_as_it_is_written_down() {
    let waiting = Mutex::new(WORLDS.iter());
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(world) = { waiting.lock().unwrap().next() } {
                    let planned = plan(world);
                    found.lock().unwrap().push((world, planned));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    assert_eq!(found.len(), WORLDS.len());
    found.sort_by_key(|(world, _)| world.name);
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds/snapshots"));
        settings.set_prepend_module_to_snapshot(false);
        settings
    };
    let mut silent = Vec::new();
    for (world, (exit, plan)) in &found {
        assert_eq!(*exit == 3, plan.blocked(), "{}", world.name);
        for (number, rule) in world.shows {
            if !plan.findings.iter().any(|f| f.rule == *rule) {
                silent.push(format!("{} is to show {number} by {rule}", world.name));
            }
        }
        settings.bind(|| insta::assert_snapshot!(world.name, shown(world, *exit, plan)));
    }
    assert!(silent.is_empty(), "{silent:#?}");
}
