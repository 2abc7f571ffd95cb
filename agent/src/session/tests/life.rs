//! The session's life, one rule at a time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use syncferry_proto::{duration, schema, v1};
use syncferry_shared::inventory::{HostFacts, InspectionRequest, Inventory};
use syncferry_shared::watch::{WatchReport, WatchedConnect};
use syncferry_shared::{Millis, SessionId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::town::{Heard, Town, offer};
use crate::journal::{AttemptKey, Journal, Mode};
use crate::runner::tests::world::{Bench, Fails, accept, bench, make, offered, until};
use crate::session::*;

/// An agent's process.
struct Process {
    journal: Journal,
    stop: CancellationToken,
    task: JoinHandle<Result<(), crate::journal::JournalError>>,
}

impl Process {
    /// Ends as kill -9 would: nothing is put in order. (The runner stops, and the journal's lock is given back.)
    async fn kill(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

struct Looks;

#[async_trait]
impl Inspect for Looks {
    async fn inspect(&self, _: &InspectionRequest) -> Inventory {
        Inventory {
            host: HostFacts {
                computer_name: "H".into(),
                ..HostFacts::default()
            },
            ..Inventory::default()
        }
    }

    async fn watch(&self, duty: &v1::WatchDuty) -> WatchReport {
        let connect = duty.connect.then(|| WatchedConnect {
            error: Some(format!("{} databases", duty.databases.len())),
            ..WatchedConnect::default()
        });
        WatchReport {
            connect,
            ..WatchReport::default()
        }
    }
}

async fn process(dir: &Path, bench: &Bench, town: &Arc<Town>) -> Process {
    process_with(dir, bench, Link::new(town.clone())).await
}

async fn process_with(dir: &Path, bench: &Bench, link: Link) -> Process {
    let (journal, _) = Journal::open(dir).unwrap();
    let id = SessionId::new(Millis(1), &[1; 10]);
    let id = open_session(&journal, &HostFacts::default(), id).await.unwrap();
    let link = Arc::new(link);
    let deps = bench.deps_with(&journal, link.clone());
    let about = About {
        version: "0".into(),
        capabilities: Vec::new(),
        transfer_address: String::new(),
        agent_id: String::new(),
        ticket_key: TicketKey::default(),
        reconnect: (Duration::from_millis(5), Duration::from_millis(50)),
    };
    let stop = CancellationToken::new();
    let session = Session::new(id, deps, about, link, Arc::new(Looks));
    let task = tokio::spawn(session.run(stop.clone()));
    Process { journal, stop, task }
}

fn one_step() -> Bench {
    bench(|w| vec![Box::new(make("one", w))])
}

/// A job that never ends by itself.
fn endless() -> Bench {
    bench(|w| {
        let mut step = make("one", w);
        step.fails = Some(Fails::Never);
        vec![Box::new(make("zero", w)), Box::new(step)]
    })
}

#[tokio::test]
async fn an_offer_is_accepted_done_and_reported() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.end(1).is_some()).await;
    assert_eq!(heard.end(1), Some(v1::EndKind::Succeeded));
    assert_eq!(heard.accepts.len(), 1);
    // The acceptance was on the disk before it was told.
    assert!(heard.accepts[0].journal_seq >= 2);
    until(&agent.journal, |l| l.is_quiet()).await;
    agent.kill().await;
    assert_eq!(bench.world.lock().unwrap().acted["one"], 1);
}

#[tokio::test]
async fn without_streams_polling_is_enough_and_with_them_a_hint_is() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    town.no_streams.store(true, Ordering::SeqCst);
    let agent = process(dir.path(), &bench, &town).await;
    town.until(|h| h.pulls > 2).await;
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    town.until(|h| h.end(1).is_some()).await;
    agent.kill().await;

    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    town.heartbeat_ms.store(3_600_000, Ordering::SeqCst);
    let agent = process(dir.path(), &bench, &town).await;
    town.until(|h| h.pulls == 1).await;
    town.change(|d| d.offers.push(offer(&token, &spec)));
    while town.hints.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    town.hint();
    town.until(|h| h.end(1).is_some()).await;
    agent.kill().await;
}

#[tokio::test]
async fn a_withdrawn_offer_is_never_begun() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    town.withdraw.store(true, Ordering::SeqCst);
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    let agent = process(dir.path(), &bench, &town).await;
    until(&agent.journal, |l| l.attempts.values().any(|a| a.abandoned.is_some())).await;
    agent.kill().await;
    assert!(bench.world.lock().unwrap().acted.is_empty());
}

#[tokio::test]
async fn an_altered_offer_is_refused() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &format!("{spec} "))));
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.pulls > 3).await;
    assert!(heard.accepts.is_empty());
    assert!(agent.journal.read(|l| l.attempts.is_empty()));
    agent.kill().await;
}

#[tokio::test]
async fn a_cancelled_attempt_stops_and_puts_everything_back() {
    let town = Town::new();
    let bench = bench(|w| {
        let mut slow = make("one", w);
        slow.fails = Some(Fails::Passing(u32::MAX));
        vec![Box::new(make("zero", w)), Box::new(slow)]
    });
    let dir = tempfile::tempdir().unwrap();
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    let agent = process(dir.path(), &bench, &town).await;
    town.until(|h| h.reports.len() >= 2).await;
    town.change(|d| d.cancels.push((&token).into()));
    let heard = town.until(|h| h.end(1).is_some()).await;
    // It may have failed by itself just before.
    assert!(matches!(
        heard.end(1),
        Some(v1::EndKind::Cancelled | v1::EndKind::Failed)
    ));
    agent.kill().await;
    assert!(bench.world.lock().unwrap().there.is_empty());
}

#[tokio::test]
async fn a_cancel_for_what_a_lost_journal_knew_is_no_stop() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    town.change(|d| d.cancels.push((&offered(1).0).into()));
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.end(1).is_some()).await;
    assert_eq!(heard.end(1), Some(v1::EndKind::Unknown), "nobody can say what it left");
    agent.kill().await;
}

#[tokio::test]
async fn a_stale_token_stops_the_attempt_without_undoing() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), endless(), Town::new());
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    let agent = process(dir.path(), &bench, &town).await;
    town.until(|h| h.heartbeats.iter().any(|b| !b.progress.is_empty()))
        .await;
    town.until(|h| h.reports.len() >= 3).await;
    town.stale.lock().unwrap().push((&token).into());
    until(&agent.journal, |l| l.attempts.values().all(|a| a.abandoned.is_some())).await;
    agent.kill().await;
    let world = bench.world.lock().unwrap();
    assert!(world.there.contains("zero") && world.undone.is_empty());
}

#[tokio::test]
async fn a_newer_attempt_takes_the_older_ones_place() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    {
        let (journal, _) = Journal::open(dir.path()).unwrap();
        accept(&journal, 1, Mode::Do).await;
    }
    *town.order.lock().unwrap() = v1::Order::Unspecified;
    let (token, spec) = offered(2);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.end(2).is_some()).await;
    assert_eq!(heard.end(1), None);
    let first = AttemptKey::of(&offered(1).0);
    assert!(agent.journal.attempt(first).unwrap().abandoned.is_some());
    agent.kill().await;
}

#[tokio::test]
async fn after_a_restart_nothing_goes_on_without_an_order() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    {
        let (journal, _) = Journal::open(dir.path()).unwrap();
        accept(&journal, 1, Mode::Do).await;
    }
    *town.order.lock().unwrap() = v1::Order::Unspecified;
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.heartbeats.len() > 3).await;
    let open = &heard.hellos[0].open_attempts;
    assert_eq!(
        (open.len(), open[0].probe(), open[0].step.as_str()),
        (1, v1::ProbeResult::NotStarted, "one")
    );
    assert!(bench.world.lock().unwrap().acted.is_empty());
    agent.kill().await;

    *town.order.lock().unwrap() = v1::Order::Continue;
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.end(1).is_some()).await;
    assert_eq!(
        heard.hellos[0].session_id,
        heard.hellos.last().unwrap().session_id,
        "the same session"
    );
    agent.kill().await;

    // What ended is not presented again.
    let agent = process(dir.path(), &bench, &town).await;
    let hellos = heard.hellos.len();
    let heard = town.until(|h| h.hellos.len() > hellos).await;
    assert!(heard.hellos.last().unwrap().open_attempts.is_empty());
    agent.kill().await;
    assert_eq!(bench.world.lock().unwrap().acted["one"], 1);
}

#[tokio::test]
async fn an_order_to_abandon_is_followed_by_nothing() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    {
        let (journal, _) = Journal::open(dir.path()).unwrap();
        accept(&journal, 1, Mode::Do).await;
    }
    *town.order.lock().unwrap() = v1::Order::Abandon;
    let agent = process(dir.path(), &bench, &town).await;
    until(&agent.journal, |l| l.attempts.values().all(|a| a.abandoned.is_some())).await;
    agent.kill().await;
    assert!(bench.world.lock().unwrap().acted.is_empty());
}

#[tokio::test]
async fn silence_pauses_and_an_answer_ends_the_pause() {
    let town = Town::new();
    town.silence_ms.store(50, Ordering::SeqCst);
    let bench = bench(|w| {
        let mut step = make("one", w);
        step.destructive = true;
        vec![Box::new(step)]
    });
    let dir = tempfile::tempdir().unwrap();
    let agent = process(dir.path(), &bench, &town).await;
    town.until(|h| h.heartbeats.len() > 1).await;
    town.silent.store(true, Ordering::SeqCst);
    // While it is silent, nothing can be accepted; what is silent for too long pauses.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let hellos = town.heard.borrow().hellos.len();
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    town.silent.store(false, Ordering::SeqCst);
    let heard = town.until(|h| h.end(1).is_some()).await;
    assert!(heard.hellos.len() > hellos, "it said hello again");
    assert_eq!(heard.end(1), Some(v1::EndKind::Succeeded), "and the pause was over");
    agent.kill().await;
}

#[tokio::test]
async fn an_agent_that_loses_its_controller_goes_on_with_the_next_one() {
    let towns = [Town::new(), Town::new(), Town::new()];
    let [a, b, c] = &towns;
    let others: Vec<(String, Arc<dyn Controller>)> = vec![("b".into(), b.clone()), ("c".into(), c.clone())];
    let (dir, bench) = (tempfile::tempdir().unwrap(), endless());
    let (token, spec) = offered(1);
    b.change(|d| d.offers.push(offer(&token, &spec)));
    // It begins with the second one, and accepts a job there.
    let agent = process_with(dir.path(), &bench, Link::among("a".into(), a.clone(), others, 1)).await;
    b.until(|h| {
        let last = h.heartbeats.last().map_or(&[][..], |h| &h.progress);
        last.iter()
            .any(|p| p.progress.as_ref().is_some_and(|p| p.step == "one"))
    })
    .await;
    // The second and the third one are lost: the job goes on, presented to the first one.
    c.silent.store(true, Ordering::SeqCst);
    b.silent.store(true, Ordering::SeqCst);
    let heard = a.until(|h| !h.hellos.is_empty()).await;
    assert_eq!(heard.hellos[0].open_attempts.len(), 1);
    assert_eq!(heard.hellos[0].open_attempts[0].probe(), v1::ProbeResult::InProgress);
    a.until(|h| h.heartbeats.len() > 1).await;
    assert_eq!(c.heard.borrow().hellos.len(), 0);
    // It stays there when the others are back, and leaves when this one is lost.
    let before = b.heard.borrow().hellos.len();
    b.silent.store(false, Ordering::SeqCst);
    let beats = a.heard.borrow().heartbeats.len();
    a.until(|h| h.heartbeats.len() > beats + 3).await;
    assert_eq!(b.heard.borrow().hellos.len(), before);
    a.silent.store(true, Ordering::SeqCst);
    b.until(|h| h.hellos.len() > before).await;
    agent.kill().await;
}

#[tokio::test]
async fn leases_are_renewed_while_they_are_duties() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    let duty = v1::LeaseDuty {
        resource: "adsync-db:x".into(),
        epoch: 4,
        renew_every: Some(duration(10)),
        ttl: Some(duration(90_000)),
    };
    town.change(|d| d.leases.push(duty));
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.renewals.len() > 3).await;
    assert_eq!(heard.renewals[0].session_id, heard.hellos[0].session_id);
    assert_eq!(heard.renewals[0].epoch, 4);
    town.change(|d| d.leases.clear());
    let pulls = town.heard.borrow().pulls;
    let heard = town.until(|h| h.pulls > pulls + 1).await;
    let renewals = heard.renewals.len();
    let heard = town.until(|h| h.pulls > pulls + 5).await;
    assert!(heard.renewals.len() <= renewals + 1);
    // What was seen is remembered, and told after a restart.
    agent.kill().await;
    let agent = process(dir.path(), &bench, &town).await;
    let hellos = heard.hellos.len();
    let heard = town.until(|h| h.hellos.len() > hellos).await;
    let hello = heard.hellos.last().unwrap();
    assert_eq!((hello.highest_epochs["adsync-db:x"], hello.highest_incarnation), (4, 1));
    agent.kill().await;
}

#[tokio::test]
async fn a_question_about_the_host_is_answered_once() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    let request = InspectionRequest {
        instances: Vec::new(),
        databases: Vec::new(),
        connect: false,
        installer: None,
        reach: Vec::new(),
        preview: None,
        ..InspectionRequest::default()
    };
    let ask = |id: &str, schema: &str| v1::Inspection {
        inspection_id: id.into(),
        request: Some(v1::Document::of(schema, &request)),
    };
    town.change(|d| d.inspections = vec![ask("a", schema::INSPECTION_REQUEST), ask("b", "something.else")]);
    let agent = process(dir.path(), &bench, &town).await;
    town.until(|h| h.inspections.len() == 2).await;
    let heard = town.until(|h| h.pulls > 5).await;
    assert_eq!(heard.inspections.len(), 2, "asked by every pull, answered once");
    let good = heard.inspections.iter().find(|i| i.inspection_id == "a").unwrap();
    let inventory: Inventory = good.inventory.as_ref().unwrap().read(schema::INVENTORY).unwrap();
    assert_eq!(inventory.host.computer_name, "H");
    let bad = heard.inspections.iter().find(|i| i.inspection_id == "b").unwrap();
    assert!(bad.inventory.is_none() && bad.error.contains("something.else"));
    agent.kill().await;
}

#[tokio::test]
async fn what_is_watched_is_told_as_often_as_it_was_asked_for() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    let duty = v1::WatchDuty {
        every: Some(duration(5)),
        databases: Vec::new(),
        connect: true,
    };
    town.change(|d| d.watch = Some(duty.clone()));
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.watched.len() > 3).await;
    assert_eq!(heard.watched[0].session_id, heard.hellos[0].session_id);
    let report =
        |r: &v1::ReportWatchRequest| -> WatchReport { r.report.as_ref().unwrap().read(schema::WATCH).unwrap() };
    assert_eq!(report(&heard.watched[0]).connect.unwrap().error.unwrap(), "0 databases");
    // Another duty takes the place of the first one.
    let target = v1::WatchTarget::default();
    town.change(|d| d.watch.as_mut().unwrap().databases.push(target));
    let newest = |h: &Heard| h.watched.last().and_then(|r| report(r).connect?.error);
    town.until(|h| newest(h).as_deref() == Some("1 databases")).await;
    // None at all ends it.
    town.change(|d| d.watch = None);
    let pulls = town.heard.borrow().pulls;
    let heard = town.until(|h| h.pulls > pulls + 1).await;
    let told = heard.watched.len();
    let heard = town.until(|h| h.pulls > pulls + 5).await;
    assert!(heard.watched.len() <= told + 1);
    agent.kill().await;
}

#[tokio::test]
async fn an_end_that_was_not_acknowledged_is_presented_and_told_again() {
    let (dir, bench, town) = (tempfile::tempdir().unwrap(), one_step(), Town::new());
    {
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let key = accept(&journal, 1, Mode::Do).await;
        let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
        crate::runner::run(&bench.deps(&journal), key, bench.controls(), log).await;
    }
    let agent = process(dir.path(), &bench, &town).await;
    let heard = town.until(|h| h.end(1).is_some()).await;
    let open = &heard.hellos[0].open_attempts;
    assert_eq!((open.len(), open[0].probe()), (1, v1::ProbeResult::Done));
    until(&agent.journal, |l| l.is_quiet()).await;
    agent.kill().await;
    assert_eq!(bench.world.lock().unwrap().acted["one"], 1);
}
