//! The main job across processes: from nothing to the report, refused before anything is touched, interrupted and gone on,
//! with every process killed once in the middle. Each test is a world of its own.

use syncferry_tests::lab::host::effects::Effects;
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST};
use syncferry_tests::played::{INTERRUPTED, Played, REFUSED, job_is};

const MOVE: &str = "move-to-full-sql";

fn lab(more: &[&str]) -> Played {
    Played::new(env!("CARGO_BIN_EXE_lab"), more)
}

/// The end that every run has to come to, whatever happened on the way.
fn assert_moved_once(lab: &Played, output: &str) {
    let new = lab.effects(NEW_SERVER);
    assert_eq!((new.msi_installs, new.msi_uninstalls), (1, 0), "{output}");
    assert_eq!((new.wizards_completed, new.service_starts), (1, 1), "{output}");
    assert_eq!(new.exports, 0, "a server in staging mode exports nothing\n{output}");
    let old = lab.effects(OLD_SERVER);
    assert_eq!(
        (old.service_starts, old.service_stops, old.msi_uninstalls),
        (0, 0, 0),
        "{output}"
    );
    assert_eq!(old.scheduler_changes % 2, 0, "what was changed was put back\n{output}");
    assert_eq!(lab.effects(SQL_HOST), Effects::default(), "{output}");
    assert!(lab.state(OLD_SERVER).scheduler.sync_cycle_enabled, "{output}");
    assert!(lab.path().join("report.html").is_file(), "{output}");
    assert_eq!(lab.report()["state"], "succeeded", "{output}");
    assert_eq!(lab.completed("target", "RENAME DATABASE"), 1, "{output}");
    lab.assert_nothing_runs();
}

/// What no refused run may have done.
fn assert_untouched(lab: &Played, output: &str) {
    for host in [OLD_SERVER, SQL_HOST, NEW_SERVER] {
        let effects = lab.effects(host);
        let touched = (effects.msi_installs, effects.scheduler_changes, effects.wizards_started);
        assert_eq!(touched, (0, 0, 0), "{host}\n{output}");
    }
    for which in ["source", "target"] {
        assert!(
            lab.statements(which).is_empty(),
            "{which}: {:?}\n{output}",
            lab.statements(which)
        );
    }
}

#[test]
fn from_nothing_to_the_report_and_a_second_run_is_refused() {
    let lab = lab(&["--io-mb-per-s", "0"]);
    let (exit, output) = lab.run(&[MOVE]);
    assert_eq!(exit, 0, "{output}");
    assert_moved_once(&lab, &output);
    let backups = lab.statements("source");
    let (exit, output) = lab.run(&[MOVE]);
    assert_eq!(exit, REFUSED, "{output}");
    assert!(output.contains("lease"), "the finding says why:\n{output}");
    assert_moved_once(&lab, &output);
    assert_eq!(
        lab.statements("source"),
        backups,
        "nothing was backed up again\n{output}"
    );
}

#[test]
fn what_blocks_a_plan_refuses_before_any_host_is_touched() {
    for (options, finding) in [
        (&["--target", "localdb"][..], "target-is-localdb"),
        (&["--empty"][..], "empty"),
        (&["--installer-version", "2.5.3.0"][..], "installer-older-than-database"),
        (&["--target", "standard2016"][..], "target-engine"),
        (&["--case-sensitive"][..], "case-sensitive"),
    ] {
        let lab = lab(options);
        let (exit, output) = lab.run(&[MOVE]);
        assert_eq!(exit, REFUSED, "{options:?}\n{output}");
        assert!(
            output.contains(finding),
            "{options:?}: {finding} is not named\n{output}"
        );
        assert_untouched(&lab, &output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_the_middle_and_the_same_command_goes_on() {
    let lab = lab(&["--io-mb-per-s", "2"]);
    let mut running = lab.start(&[MOVE]);
    lab.until(&mut running, MOVE, job_is("restore", "running")).await;
    let (exit, output) = running.interrupted().await;
    assert_eq!(exit, INTERRUPTED, "{output}");
    lab.assert_nothing_runs();
    let (exit, output) = tokio::task::block_in_place(|| lab.run(&[MOVE]));
    assert_eq!(exit, 0, "{output}");
    assert_moved_once(&lab, &output);
}

async fn survives_the_death_of(process: &str, during: &str) {
    let lab = lab(&["--io-mb-per-s", "2"]);
    let mut running = lab.start(&[MOVE]);
    lab.until(&mut running, MOVE, job_is(during, "running")).await;
    lab.kill(process);
    let (exit, output) = running.ended().await;
    assert_eq!(exit, 0, "{output}");
    assert!(output.contains(&format!("{process} ended (signal: 9")), "{output}");
    assert_moved_once(&lab, &output);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_dies_in_the_middle() {
    survives_the_death_of("controller", "restore").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_agent_dies_in_the_backup() {
    survives_the_death_of("agent-sync01", "backup").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_agent_dies_in_the_restore() {
    survives_the_death_of("agent-sql01", "restore").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_servers_agent_dies_in_the_installation() {
    survives_the_death_of("agent-sync02", "install").await;
}
