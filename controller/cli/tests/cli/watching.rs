//! `watch` and `apply --watch`: what is shown, through restarts, and how they end.

use insta::assert_snapshot;
use syncferry_cli::Exit;
use syncferry_proto::v1::Migration;
use tonic::Status;

use crate::fake::{Controller, Script, World, message};
use crate::samples::*;

async fn watching(scripts: Vec<Script>) -> Controller {
    Controller::start(World {
        watches: scripts.into(),
        ..World::default()
    })
    .await
}

fn at_gate(observation: &str) -> Migration {
    let mut gate = gate("open");
    gate.observation = observation.into();
    Migration {
        open_gates: vec![gate],
        ..running()
    }
}

fn further(done: u64) -> Migration {
    let mut m = running();
    m.jobs[1].progress = Some(transfer(done, 4_000_000_000));
    m
}

#[tokio::test]
async fn lines_where_nothing_can_be_redrawn() {
    let all = events();
    let script = vec![
        message(all[..2].to_vec(), running(), false),
        message(vec![], further(1_810_000_000), false),
        message(vec![], further(2_400_000_000), false),
        message(all[2..4].to_vec(), at_gate(""), false),
        message(vec![], at_gate("the wizard runs"), false),
        message(vec![], migration("succeeded"), true),
    ];
    let ran = watching(vec![script]).await.run(&["watch", "ac120002"]).await;
    assert_eq!(ran.exit, Exit::Ok);
    assert_eq!(ran.err, "");
    assert_snapshot!(ran.out);
}

#[tokio::test]
async fn ends_as_the_migration_does() {
    for (state, exit) in [
        ("succeeded", Exit::Ok),
        ("planned", Exit::Ok),
        ("blocked", Exit::Refused),
        ("stopped", Exit::Stopped),
        ("stuck", Exit::Stopped),
        ("cancelled", Exit::Cancelled),
    ] {
        let c = watching(vec![vec![message(vec![], migration(state), true)]]).await;
        assert_eq!(c.run(&["watch", "ac120002"]).await.exit, exit, "{state}");
    }
}

#[tokio::test]
async fn goes_on_at_a_gate_unless_told_otherwise() {
    let script = || {
        vec![
            message(vec![], at_gate(""), false),
            message(vec![], migration("succeeded"), true),
        ]
    };
    let ran = watching(vec![script()]).await.run(&["watch", "ac120002"]).await;
    assert!(ran.out.contains("is succeeded"), "{}", ran.out);
    let ran = watching(vec![script()])
        .await
        .run(&["watch", "ac120002", "--until-gate"])
        .await;
    assert_eq!(ran.exit, Exit::Ok);
    assert!(!ran.out.contains("is succeeded"), "{}", ran.out);
}

#[tokio::test]
async fn survives_a_controller_that_goes_away() {
    let all = events();
    let scripts = vec![
        vec![
            message(all[..2].to_vec(), running(), false),
            Err(Status::unavailable("shutting down")),
        ],
        // The new stream begins with what was shown already.
        vec![message(all[..3].to_vec(), migration("succeeded"), true)],
    ];
    let c = watching(scripts).await;
    let ran = c.run(&["watch", "ac120002"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(c.world().watched_after, [0, 2]);
    assert_eq!(ran.out.matches("migration.created").count(), 1);
    assert!(
        ran.err.contains("shutting down") && ran.err.contains("the controller is back"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_migration_that_is_not_there() {
    let ran = watching(vec![]).await.run(&["watch", "nope"]).await;
    assert_eq!(ran.exit, Exit::NotFound);
}

#[tokio::test]
async fn apply_goes_on_to_watch_from_the_newest_event() {
    let c = watching(vec![vec![message(vec![], migration("stopped"), true)]]).await;
    c.world().migrations = [planned(vec![])].into();
    let ran = c.run(&["apply", "ac120002", "--yes", "--watch", "--json"]).await;
    assert_eq!(ran.exit, Exit::Stopped);
    assert_eq!(c.world().watched_after, [5]);
    let last: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!((last["what"].as_str(), last["exit"].as_i64()), (Some("end"), Some(6)));
}
