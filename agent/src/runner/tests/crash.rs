//! A crash at every record: right after it was written, and right before the next one, with everything done in between.
//! Whoever goes on never does anything twice, and always comes to the same end.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::world::*;
use crate::journal::{End, Journal, Mode};
use crate::runner::*;

/// The world and the journal as a crash leaves them.
#[derive(Clone)]
struct Crash {
    after: u64,
    world: World,
    journal: Vec<u8>,
}

/// Runs a job once, and collects every crash that can happen on the way.
async fn crashes(bench: &Bench, dir: &Path, cancelled: bool, undo: bool) -> (Vec<Crash>, World) {
    let (journal, _) = Journal::open(dir).unwrap();
    let mut key = accept(&journal, 1, Mode::Do).await;
    if undo {
        let (ended, _) = bench.run(&journal, key, bench.controls()).await;
        assert_eq!(ended, Ended::Reported);
        bench.boss.reports.lock().unwrap().clear();
        key = accept(&journal, 2, Mode::Undo).await;
    }
    let found: Arc<Mutex<Vec<Crash>>> = Arc::default();
    let (crashes, world, file) = (Arc::clone(&found), Arc::clone(&bench.world), dir.join("journal"));
    journal.watch(move |seq, written| {
        crashes.lock().unwrap().push(Crash {
            after: if written { seq } else { seq - 1 },
            world: world.lock().unwrap().clone(),
            journal: std::fs::read(&file).unwrap(),
        });
    });
    let controls = bench.controls();
    if cancelled {
        controls.cancel.cancel();
    }
    let (ended, delivered) = bench.run(&journal, key, controls).await;
    assert_eq!((ended, delivered), (Ended::Reported, Delivered::All));
    let found = found.lock().unwrap().clone();
    let world = bench.world.lock().unwrap().clone();
    (found, world)
}

/// Goes on after a crash, and returns how it ended.
async fn go_on(bench: &Bench, crash: &Crash, attempt: i32) -> (World, End) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal"), &crash.journal).unwrap();
    *bench.world.lock().unwrap() = crash.world.clone();
    let (journal, torn) = Journal::open(dir.path()).unwrap();
    assert_eq!((torn, journal.last_seq()), (0, crash.after));
    let key = journal.read(|l| l.attempts.keys().find(|k| k.attempt == attempt).copied().unwrap());
    // The controller has what was acknowledged, and counts on from there.
    let reports = journal.attempt(key).unwrap();
    let acked = reports.unacked.keys().next().copied().unwrap_or(reports.next_number) - 1;
    *bench.boss.reports.lock().unwrap() = (1..=acked).map(|n| (n, Default::default())).collect();
    if reports.is_open() {
        let (ended, delivered) = bench.run(&journal, key, bench.controls()).await;
        assert_eq!(
            (ended, delivered),
            (Ended::Reported, Delivered::All),
            "after {}",
            crash.after
        );
    }
    let log = journal.attempt(key).unwrap();
    assert!(log.holds.is_empty());
    (bench.world.lock().unwrap().clone(), log.end.unwrap())
}

fn steps(world: &Shared) -> Vec<Box<dyn Step>> {
    vec![
        Box::new(Make {
            looks: true,
            ..make("look", world)
        }),
        Box::new(HoldCycle(Arc::clone(world))),
        Box::new(make("folder", world)),
        Box::new(Make {
            destructive: true,
            ..make("restore", world)
        }),
        Box::new(Make {
            undoes: false,
            ..make("rename", world)
        }),
    ]
}

fn failing(world: &Shared) -> Vec<Box<dyn Step>> {
    let mut steps = steps(world);
    steps.push(Box::new(Make {
        fails: Some(Fails::Clean),
        ..make("last", world)
    }));
    steps
}

const MADE: [&str; 3] = ["folder", "restore", "rename"];

#[tokio::test]
async fn nothing_happens_twice_wherever_it_crashes() {
    let bench = bench(steps);
    let dir = tempfile::tempdir().unwrap();
    let (crashes, world) = crashes(&bench, dir.path(), false, false).await;
    assert!(crashes.len() > 40, "{}", crashes.len());
    assert!(world.was_off && world.cycle, "held, and put back");
    for crash in crashes {
        let (after, end) = go_on(&bench, &crash, 1).await;
        assert!(matches!(end, End::Succeeded { .. }), "after {}: {end:?}", crash.after);
        for step in MADE {
            assert_eq!(after.acted[step], 1, "'{step}' after {}", crash.after);
        }
        assert!(after.cycle && after.was_off);
        let End::Succeeded { outcome } = end else {
            unreachable!()
        };
        assert_eq!(outcome.evidence.len(), 5, "later steps have every step's evidence");
    }
}

#[tokio::test]
async fn a_failed_job_is_undone_wherever_it_crashes() {
    let bench = bench(failing);
    let dir = tempfile::tempdir().unwrap();
    let (crashes, world) = crashes(&bench, dir.path(), false, false).await;
    assert_eq!(
        world.there.iter().collect::<Vec<_>>(),
        ["rename"],
        "which does not undo itself"
    );
    for crash in crashes {
        let (after, end) = go_on(&bench, &crash, 1).await;
        let End::Failed { failure } = end else {
            panic!("after {}: {end:?}", crash.after)
        };
        assert_eq!((failure.step.as_str(), failure.undone), ("last", true));
        assert_eq!(after.there.iter().collect::<Vec<_>>(), ["rename"]);
        assert!(after.cycle);
        for step in MADE {
            assert_eq!(after.acted[step], 1, "'{step}' after {}", crash.after);
        }
    }
}

#[tokio::test]
async fn an_undone_job_is_undone_wherever_it_crashes() {
    let bench = bench(steps);
    let dir = tempfile::tempdir().unwrap();
    let (crashes, world) = crashes(&bench, dir.path(), false, true).await;
    assert!(world.there.is_empty());
    for crash in crashes {
        let (after, end) = go_on(&bench, &crash, 2).await;
        assert!(matches!(end, End::Undone { .. }), "after {}: {end:?}", crash.after);
        assert!(after.there.is_empty());
        for step in MADE {
            assert_eq!(after.acted[step], 1);
        }
    }
}

#[tokio::test]
async fn a_cancelled_job_is_undone_from_wherever_it_crashed() {
    let bench = bench(steps);
    let dir = tempfile::tempdir().unwrap();
    let (crashes, _) = crashes(&bench, dir.path(), false, false).await;
    for crash in crashes {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journal"), &crash.journal).unwrap();
        *bench.world.lock().unwrap() = crash.world.clone();
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let key = journal.read(|l| *l.attempts.keys().next().unwrap());
        if !journal.attempt(key).unwrap().is_open() {
            continue;
        }
        bench.boss.reports.lock().unwrap().clear();
        let controls = bench.controls();
        controls.cancel.cancel();
        let deps = bench.deps(&journal);
        let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
        assert_eq!(run(&deps, key, controls, log).await, Ended::Reported);
        let world = bench.world.lock().unwrap().clone();
        assert!(world.cycle, "after {}", crash.after);
        match journal.attempt(key).unwrap().end.unwrap() {
            End::Cancelled { failure } => {
                assert!(failure.undone);
                let left: Vec<_> = world.there.iter().filter(|s| *s != "rename").collect();
                assert!(left.is_empty(), "after {}: {left:?}", crash.after);
            }
            // It came too late: everything was done.
            End::Succeeded { .. } => assert_eq!(world.there.len(), 3),
            end => panic!("{end:?}"),
        }
    }
}
