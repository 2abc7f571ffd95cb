//! The rules of execution, one by one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_proto::v1;

use super::world::*;
use crate::journal::{End, Journal, Ledger, Mode, Record, Report, Sight};
use crate::runner::*;

/// Runs a fresh attempt to its end.
async fn once(bench: &Bench) -> (Ended, Option<End>, bool) {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 1, Mode::Do).await;
    let (ended, _) = bench.run(&journal, key, bench.controls()).await;
    let attempt = journal.attempt(key).unwrap();
    (ended, attempt.end, attempt.parked)
}

fn with(world: &Shared, change: impl FnOnce(&mut Make)) -> Vec<Box<dyn Step>> {
    let mut step = make("one", world);
    change(&mut step);
    vec![Box::new(make("zero", world)), Box::new(step)]
}

#[tokio::test]
async fn what_is_there_already_is_not_made_and_not_undone() {
    let bench = bench(|w| with(w, |s| s.fails = Some(Fails::Clean)));
    bench.world.lock().unwrap().there.insert("zero".into());
    let (_, end, _) = once(&bench).await;
    assert!(matches!(end, Some(End::Failed { failure }) if failure.undone));
    let world = bench.world.lock().unwrap();
    assert!(world.there.contains("zero"), "it was not ours");
    assert!(!world.acted.contains_key("zero") && world.undone.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_effect_is_found_by_looking() {
    let bench = bench(|w| with(w, |s| s.fails = Some(Fails::AfterEffect)));
    let (_, end, _) = once(&bench).await;
    assert!(matches!(end, Some(End::Succeeded { .. })), "{end:?}");
    assert_eq!(bench.world.lock().unwrap().acted["one"], 1);
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_a_few_times() {
    let bench = bench(|w| with(w, |s| s.fails = Some(Fails::Passing(3))));
    assert!(matches!(once(&bench).await.1, Some(End::Succeeded { .. })));
    let bench = super::world::bench(|w| with(w, |s| s.fails = Some(Fails::Passing(99))));
    assert!(matches!(once(&bench).await.1, Some(End::Failed { .. })));
    assert_eq!(bench.world.lock().unwrap().acted["one tried"], 5);
}

#[tokio::test]
async fn a_step_has_a_budget() {
    let bench = bench(|w| {
        with(w, |s| {
            s.fails = Some(Fails::Never);
            s.budget = Duration::from_millis(50);
        })
    });
    let (_, end, _) = once(&bench).await;
    let Some(End::Failed { failure }) = end else {
        panic!("{end:?}")
    };
    assert_eq!(failure.findings[0].rule, "step-timeout");
    assert!(failure.undone);
}

#[tokio::test]
async fn what_an_unfinished_act_left_goes_when_the_job_goes_backwards() {
    let halfway = bench(|w| with(w, |s| s.fails = Some(Fails::Halfway)));
    let (_, end, _) = once(&halfway).await;
    assert!(matches!(end, Some(End::Failed { failure }) if failure.undone));
    assert!(halfway.world.lock().unwrap().there.is_empty(), "no part is left");

    // A crash in the middle; then the job is to be undone.
    let (dir, undone) = (tempfile::tempdir().unwrap(), bench(|w| with(w, |_| {})));
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let first = accept(&journal, 1, Mode::Do).await;
    let begun = Record::Intent {
        attempt: first,
        step: "one".into(),
        before: Value::Null,
    };
    journal.append(begun).await.unwrap();
    undone.world.lock().unwrap().there.insert("one.part".into());
    let undo = accept(&journal, 2, Mode::Undo).await;
    undone.run(&journal, undo, undone.controls()).await;
    assert!(matches!(journal.attempt(undo).unwrap().end, Some(End::Undone { .. })));
    assert!(undone.world.lock().unwrap().there.is_empty(), "no part is left");
}

#[tokio::test]
async fn an_unknown_touches_nothing_and_waits_for_an_order() {
    let bench = bench(|w| with(w, |s| s.probe = Some(Probe::Unknown("no answer".into()))));
    let (ended, end, parked) = once(&bench).await;
    assert_eq!((ended, end, parked), (Ended::Reported, None, true));
    let world = bench.world.lock().unwrap();
    assert!(world.there.contains("zero") && world.undone.is_empty());
    assert_eq!(bench.boss.told().last().unwrap(), "END_KIND_UNKNOWN");
    assert!(bench.boss.told().contains(&"one unknown".to_string()));
}

#[tokio::test]
async fn a_partial_effect_is_cleaned_up_or_asked_about() {
    // What is half there is removed; then the act cannot be confirmed by this probe, which is said.
    let asked = bench(|w| {
        with(w, |s| {
            s.probe = Some(Probe::Partial("half".into()));
        })
    });
    asked.world.lock().unwrap().there.insert("one".into());
    assert!(once(&asked).await.2, "asked");
    assert!(asked.world.lock().unwrap().there.contains("one"), "untouched");
    let cleaned = bench(|w| {
        with(w, |s| {
            s.probe = Some(Probe::Partial("half".into()));
            s.policy = Policy::CleanAndRepeat;
        })
    });
    cleaned.world.lock().unwrap().there.insert("one".into());
    once(&cleaned).await;
    assert_eq!(cleaned.world.lock().unwrap().acted["one"], 1, "cleaned, then made");
}

#[tokio::test]
async fn a_destructive_step_needs_a_permit() {
    let bench = bench(|w| with(w, |s| s.destructive = true));
    assert!(matches!(once(&bench).await.1, Some(End::Succeeded { .. })));
    assert_eq!(*bench.boss.permits.lock().unwrap(), ["one"]);

    let bench = super::world::bench(|w| with(w, |s| s.destructive = true));
    bench.boss.refuse_permits.store(true, Ordering::SeqCst);
    let (_, end, _) = once(&bench).await;
    let Some(End::Failed { failure }) = end else {
        panic!("{end:?}")
    };
    assert_eq!(failure.findings[0].rule, "permit-refused");
    assert!(!bench.world.lock().unwrap().acted.contains_key("one"));
}

/// A step during which the machine sleeps.
struct Sleeps(Arc<Both>, Shared, std::sync::atomic::AtomicU32);

#[async_trait]
impl Step for Sleeps {
    fn name(&self) -> &'static str {
        "sleeps"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn probe(&self, _: &mut Cx) -> Result<Probe, StepError> {
        Ok(if self.1.lock().unwrap().there.contains("sleeps") {
            Probe::Done(Value::Null)
        } else {
            Probe::NotStarted
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let permit = *cx.permit().unwrap();
        assert!(permit.holds(self.0.as_ref()));
        self.0.ahead_ms.fetch_add(3_000, Ordering::SeqCst);
        assert!(!permit.holds(self.0.as_ref()), "the machine slept");
        self.0.ahead_ms.fetch_sub(3_000, Ordering::SeqCst);
        tokio::time::sleep_until(permit.deadline()).await;
        assert!(!permit.holds(self.0.as_ref()), "it is over");
        self.1.lock().unwrap().there.insert("sleeps".into());
        Ok(json!(self.2.load(Ordering::SeqCst)))
    }
}

#[tokio::test]
async fn a_permit_ends_with_its_time_and_when_the_machine_sleeps() {
    let bench = bench(|_| Vec::new());
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 1, Mode::Do).await;
    bench.boss.permit_ms.store(100, Ordering::SeqCst);
    let mut deps = bench.deps(&journal);
    let (clocks, world) = (Arc::clone(&bench.clocks), Arc::clone(&bench.world));
    deps.builder = Arc::new(move |_: &syncferry_shared::spec::JobSpec| {
        let step = Sleeps(Arc::clone(&clocks), Arc::clone(&world), Default::default());
        Ok(Job::new(vec![Box::new(step)], |_| Default::default()))
    });
    let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
    run(&deps, key, bench.controls(), log).await;
    let end = journal.attempt(key).unwrap().end.unwrap();
    assert!(matches!(end, End::Succeeded { .. }), "{end:?}");
}

#[tokio::test]
async fn a_silent_controller_stops_destructive_steps_only() {
    let bench = bench(|w| with(w, |s| s.destructive = true));
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 1, Mode::Do).await;
    bench.paused.send_replace(true);
    bench.boss.silent.store(true, Ordering::SeqCst);
    let controls = bench.controls();
    let running = bench.run(&journal, key, controls.clone());
    let watching = async {
        let mut progress = controls.progress.subscribe();
        progress.wait_for(|p| p.message.starts_with("paused")).await.unwrap();
        assert!(
            bench.world.lock().unwrap().there.contains("zero"),
            "went on as far as is safe"
        );
        assert!(!bench.world.lock().unwrap().acted.contains_key("one"));
        bench.boss.silent.store(false, Ordering::SeqCst);
        bench.paused.send_replace(false);
    };
    let ((ended, delivered), ()) = tokio::join!(running, watching);
    assert_eq!((ended, delivered), (Ended::Reported, Delivered::All));
    assert!(bench.world.lock().unwrap().there.contains("one"));
}

#[tokio::test]
async fn a_token_that_is_not_current_stops_everything_and_undoes_nothing() {
    let bench = bench(|w| with(w, |s| s.fails = Some(Fails::Never)));
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 1, Mode::Do).await;
    bench.boss.current.store(false, Ordering::SeqCst);
    let controls = bench.controls();
    let deps = bench.deps(&journal);
    let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
    let boss: Arc<dyn crate::controller::Controller> = bench.boss.clone();
    let (ended, delivered) = tokio::join!(
        run(&deps, key, controls.clone(), log),
        deliver(journal.clone(), boss, key, controls.clone(), PACE)
    );
    assert_eq!((ended, delivered), (Ended::Silent, Delivered::Lost));
    let attempt = journal.attempt(key).unwrap();
    assert!(attempt.abandoned.is_some() && attempt.unacked.is_empty());
    assert!(bench.world.lock().unwrap().undone.is_empty());
}

#[tokio::test]
async fn what_cannot_be_put_back_at_once_is_tried_again_and_then_said() {
    let job = |w: &Shared| -> Vec<Box<dyn Step>> { vec![Box::new(HoldCycle(Arc::clone(w)))] };
    let passes = bench(job);
    passes.world.lock().unwrap().refuses = 3;
    let (_, end, _) = once(&passes).await;
    assert!(matches!(end, Some(End::Succeeded { outcome }) if outcome.findings.is_empty()));
    assert!(passes.world.lock().unwrap().cycle, "put back");

    let stays = bench(job);
    stays.world.lock().unwrap().refuses = 99;
    let Some(End::Succeeded { outcome }) = once(&stays).await.1 else {
        panic!("the job itself is done")
    };
    assert_eq!(outcome.findings[0].rule, "hold-not-put-back");
}

#[tokio::test]
async fn the_next_attempt_takes_a_hold_over_with_the_old_value() {
    let bench = bench(|w| vec![Box::new(HoldCycle(Arc::clone(w))), Box::new(make("one", w))]);
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let first = accept(&journal, 1, Mode::Do).await;
    // The first attempt turned the cycle off and was then taken away.
    let (what, old) = (SYNC_CYCLE.to_string(), json!(true));
    let hold = Record::Hold {
        attempt: first,
        what,
        old,
    };
    journal.append(hold).await.unwrap();
    bench.world.lock().unwrap().cycle = false;
    let why = "test".to_string();
    journal.append(Record::Abandoned { attempt: first, why }).await.unwrap();
    // The second one finds it off, and must put back *on*.
    let second = accept(&journal, 2, Mode::Do).await;
    let deps = bench.deps(&journal);
    let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
    let builder = |world: &Shared| -> Vec<Box<dyn Step>> { vec![Box::new(TakesHold(Arc::clone(world)))] };
    let world = Arc::clone(&bench.world);
    let deps = Deps {
        builder: Arc::new(move |_: &syncferry_shared::spec::JobSpec| {
            Ok(Job::new(builder(&world), |_| Default::default()))
        }),
        ..deps
    };
    run(&deps, second, bench.controls(), log).await;
    assert!(
        bench.world.lock().unwrap().cycle,
        "put back to what it was before anybody of ours"
    );
    assert!(journal.read(|l| l.attempts.values().all(|a| a.holds.is_empty())));
}

/// Holds what it finds, whatever that is.
struct TakesHold(Shared);

#[async_trait]
impl Step for TakesHold {
    fn name(&self) -> &'static str {
        "takes-hold"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn probe(&self, _: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let now = self.0.lock().unwrap().cycle;
        let original = cx.hold(SYNC_CYCLE, json!(now)).await?;
        assert_eq!((now, &original), (false, &json!(true)));
        Ok(original)
    }
}

#[tokio::test]
async fn undoing_without_a_memory_says_so() {
    let bench = bench(|w| with(w, |_| {}));
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 2, Mode::Undo).await;
    bench.run(&journal, key, bench.controls()).await;
    assert!(journal.attempt(key).unwrap().parked);
    assert_eq!(bench.boss.told(), ["END_KIND_UNKNOWN"]);
}

/// Waits for a person.
struct Waits(Shared);

#[async_trait]
impl Step for Waits {
    fn name(&self) -> &'static str {
        "wizard"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        Duration::from_secs(14 * 86_400)
    }
    async fn probe(&self, _: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut gate = cx.gate("Complete the wizard", &[]).await?;
        loop {
            let done = self.0.lock().unwrap().there.contains("wizard");
            let (sight, words) = if done {
                (Sight::Proven, "done")
            } else {
                (Sight::Waiting, "not yet")
            };
            gate.saw(cx, sight, words).await?;
            if done {
                return Ok(Value::Null);
            }
            gate.next_look(cx, Duration::from_millis(2)).await?;
        }
    }
}

#[tokio::test]
async fn a_gate_reports_changes_and_answers_claims() {
    let bench = bench(|w| vec![Box::new(Waits(Arc::clone(w)))]);
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 1, Mode::Do).await;
    let controls = bench.controls();
    let gates = |l: &Ledger| {
        l.attempts[&key]
            .unacked
            .values()
            .filter(|r| matches!(r, Report::Gate { .. }))
            .count()
    };
    let person = async {
        until(&journal, |l| gates(l) == 2).await;
        // Many looks that see the same.
        tokio::time::sleep(Duration::from_millis(30)).await;
        controls.claims.notify_one();
        until(&journal, |l| gates(l) == 3).await;
        bench.world.lock().unwrap().there.insert("wizard".into());
        controls.claims.notify_one();
    };
    tokio::join!(bench.run(&journal, key, controls.clone()), person);
    let gates: Vec<String> = bench
        .boss
        .told()
        .into_iter()
        .filter(|t| t.starts_with("gate"))
        .collect();
    assert_eq!(
        gates,
        [
            "gate GATE_SIGHT_WAITING",
            "gate GATE_SIGHT_WAITING",
            "gate GATE_SIGHT_WAITING",
            "gate GATE_SIGHT_PROVEN"
        ],
        "opened, seen once, asked once, proven: looking again adds nothing"
    );
}

#[tokio::test]
async fn reports_arrive_in_order_whatever_gets_lost() {
    let bench = bench(|w| with(w, |_| {}));
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 1, Mode::Do).await;
    bench.boss.silent.store(true, Ordering::SeqCst);
    let talk = async {
        until(&journal, |l| l.attempts[&key].end.is_some()).await;
        bench.boss.silent.store(false, Ordering::SeqCst);
    };
    let ((_, delivered), ()) = tokio::join!(bench.run(&journal, key, bench.controls()), talk);
    assert_eq!(delivered, Delivered::All);
    assert_eq!(
        bench.boss.told(),
        [
            "zero running",
            "zero done",
            "one running",
            "one done",
            "END_KIND_SUCCEEDED"
        ]
    );
}

#[tokio::test]
async fn a_look_at_an_open_attempt_changes_nothing() {
    let bench = bench(|w| with(w, |_| {}));
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let key = accept(&journal, 1, Mode::Do).await;
    let open = journal.attempt(key).unwrap();
    let seen = look(&bench.deps(&journal), &open).await;
    assert_eq!(
        (seen.step.as_str(), seen.probe()),
        ("zero", v1::ProbeResult::NotStarted)
    );
    bench.world.lock().unwrap().there.insert("zero".into());
    let seen = look(&bench.deps(&journal), &open).await;
    assert_eq!(seen.probe(), v1::ProbeResult::Done);
    assert_eq!(journal.attempt(key).unwrap(), open);
}

#[tokio::test]
async fn a_second_attempt_at_a_done_job_does_nothing_again() {
    let bench = bench(|w| {
        let mut destructive = make("two", w);
        destructive.destructive = true;
        vec![Box::new(make("one", w)), Box::new(destructive)]
    });
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    for attempt in [1, 2] {
        bench.boss.reports.lock().unwrap().clear();
        let key = accept(&journal, attempt, Mode::Do).await;
        bench.run(&journal, key, bench.controls()).await;
        assert!(matches!(journal.attempt(key).unwrap().end, Some(End::Succeeded { .. })));
    }
    let world = bench.world.lock().unwrap();
    assert_eq!((world.acted["one"], world.acted["two"]), (1, 1));
    // What the first attempt did is ours for the second one, too: it was begun by this job.
    assert!(journal.read(|l| l.attempts.values().all(|a| a.steps.iter().all(|s| !s.found))));
}

#[tokio::test]
async fn a_permit_that_is_over_at_once_is_asked_for_a_few_times_only() {
    let bench = bench(|w| with(w, |s| s.destructive = true));
    bench.boss.permit_ms.store(0, Ordering::SeqCst);
    let (_, end, _) = once(&bench).await;
    let Some(End::Failed { failure }) = end else {
        panic!("{end:?}")
    };
    assert_eq!(failure.findings[0].rule, "permit-too-short");
    assert!(!bench.world.lock().unwrap().acted.contains_key("one"));
}
