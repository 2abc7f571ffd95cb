//! Cancelling at every point: what runs is told to stop, what is done is undone, the last first, and the seat is given back.

use syncferry_proto::v1;
use tonic::Code;

use crate::support::{Life, Offered, World, cancelled, config, failed, rules, succeeded, unknown, until};

/// Nothing is left: the seat is free, its database retired, and the same move can be planned and applied again.
async fn nothing_is_left(w: &World, id: &str) {
    let m = w.operator.until_state(id, "cancelled").await;
    assert!(m.open_gates.is_empty());
    let seat = w.operator.lease("SQL01").await;
    assert_eq!((seat.state.as_str(), seat.holder.as_str()), ("free", ""));
    assert!(seat.subject.ends_with("(retired)"), "{}", seat.subject);
    let source = w.operator.lease("SYNC01").await;
    assert_eq!((source.state.as_str(), source.epoch), ("held", 1));
    let databases = w.operator.databases().await;
    assert!(
        databases
            .iter()
            .all(|d| d.identity_state == "retired" || d.server_name.starts_with("SYNC01"))
    );
    let history = w.operator.history(id).await;
    assert_eq!(history.last().unwrap(), "migration.cancelled", "{history:?}");
    w.operator.report(id).await.verify().unwrap();
    let again = w.planned().await;
    assert_eq!(w.operator.try_apply(&again, &[]).await.unwrap().state, "running");
}

/// Waits for the order to undo a job, and does.
async fn undo(w: &World, job: &str) -> Offered {
    let agent = w.agent_of(job);
    let offered = agent.take(job).await;
    assert!(offered.undo, "{job} is to be undone");
    agent.succeed(&offered).await;
    offered
}

fn state_of(m: &v1::Migration, job: &str) -> String {
    m.jobs.iter().find(|j| j.name == job).unwrap().state.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nobody_took_is_void() {
    let w = World::new().await;
    let id = w.applied().await;
    let offered = w.old.offered("verify-source").await;
    w.operator.cancel(&id).await.unwrap();
    // The same order again is the same order.
    assert!(["unwinding", "cancelled"].contains(&w.operator.cancel(&id).await.unwrap().state.as_str()));
    let answer = w.old.try_accept(&offered).await.unwrap();
    assert!(!answer.accepted, "the agent must not begin");
    assert!(answer.reason.contains("superseded"), "{}", answer.reason);
    let told = w
        .old
        .try_report(&offered.token, succeeded(&Default::default()))
        .await
        .unwrap();
    assert!(!told.current);
    assert_eq!(told.order(), v1::Order::Abandon);
    nothing_is_left(&w, &id).await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_told_and_stops() {
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    w.operator.cancel(&id).await.unwrap();
    w.old.told_to_cancel(&backup).await;
    // The order also comes with every answer.
    assert_eq!(w.old.step(&backup, 1, "running").await.order(), v1::Order::Cancel);
    assert!(
        !w.old.authorize(&backup, 0).await.reason.contains("migration"),
        "what undoes may act"
    );
    w.old.end(&backup, cancelled()).await;
    nothing_is_left(&w, &id).await;
    let history = w.operator.history(&id).await;
    assert!(
        history.contains(&"job.cancelled".to_string()) && !history.contains(&"job.undo".to_string()),
        "{history:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ended_well_before_it_heard_is_undone() {
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    w.operator.cancel(&id).await.unwrap();
    w.old.succeed(&backup).await;
    undo(&w, "backup").await;
    nothing_is_left(&w, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_restore_the_last_is_undone_first() {
    let w = World::new().await;
    let (id, install) = w.at("install").await;
    let opening = crate::support::gate(v1::GateSight::Waiting, "waiting", "Complete the wizard");
    w.new.try_report(&install.token, opening).await.unwrap();
    assert_eq!(w.operator.migration(&id).await.open_gates.len(), 1);
    w.operator.cancel(&id).await.unwrap();
    let m = w.operator.migration(&id).await;
    assert!(m.open_gates.is_empty(), "nobody is asked to go on");
    assert_eq!(state_of(&m, "install"), "cancelling");
    w.new.told_to_cancel(&install).await;
    assert!(
        w.sql.offers().await.is_empty(),
        "nothing is undone while a job still runs"
    );
    w.new.end(&install, cancelled()).await;

    let restore = undo(&w, "restore").await;
    assert_eq!(restore.token.attempt, 2, "undoing is an attempt of its own");
    undo(&w, "backup").await;
    nothing_is_left(&w, &id).await;
    let m = w.operator.migration(&id).await;
    assert_eq!(
        (state_of(&m, "restore"), state_of(&m, "backup")),
        ("undone".into(), "undone".into())
    );
    assert_eq!(
        state_of(&m, "verify-source"),
        "succeeded",
        "what only looked stays as it is"
    );
    let events = w.operator.events("migration", &id).await;
    let of = |kind: &str| {
        let event = events.iter().find(|e| e.r#type == kind).unwrap();
        String::from_utf8(event.payload.clone().unwrap().json).unwrap()
    };
    assert!(
        of("job.cancelled").contains("It broke"),
        "what the agent says is in the history"
    );
    assert!(of("job.undone").contains("undone (attempt 1)"));
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_point_of_no_return_it_is_refused() {
    let w = World::new().await;
    let (id, install) = w.at("install").await;
    w.install(&install).await;
    let refused = w.operator.cancel(&id).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(rules(&refused), ["past-point-of-no-return"]);
    assert_eq!(w.operator.migration(&id).await.state, "running");
    w.verify().await;
    assert_eq!(w.operator.rests(&id).await.state, "succeeded");
    assert_eq!(
        w.operator.cancel(&id).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
}

/// The person completed the wizard in the moment in which an operator cancelled. Nothing may be undone under a running server.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_the_wizard_overtook_is_void() {
    let w = World::new().await;
    let (id, install) = w.at("install").await;
    w.operator.cancel(&id).await.unwrap();
    w.new.succeed(&install).await;
    let m = w.operator.until_state(&id, "running").await;
    assert_eq!(state_of(&m, "restore"), "succeeded");
    assert!(
        w.operator
            .history(&id)
            .await
            .contains(&"migration.cancel-overtaken".to_string())
    );
    w.verify().await;
    assert_eq!(w.operator.rests(&id).await.state, "succeeded");
    assert_eq!(w.operator.lease("SQL01").await.holder, "SYNC02");
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_job_put_back_needs_no_undoing() {
    let w = World::new().await;
    let (id, restore) = w.at("restore").await;
    w.sql.end(&restore, failed(true)).await;
    assert_eq!(w.operator.rests(&id).await.state, "stopped");
    w.operator.cancel(&id).await.unwrap();
    undo(&w, "backup").await;
    nothing_is_left(&w, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_job_left_is_undone() {
    let w = World::new().await;
    let (id, restore) = w.at("restore").await;
    w.sql.end(&restore, failed(false)).await;
    w.operator.until_state(&id, "stopped").await;
    w.operator.cancel(&id).await.unwrap();
    undo(&w, "restore").await;
    undo(&w, "backup").await;
    nothing_is_left(&w, &id).await;
}

/// An agent that could not put everything back: a person looks, cancels again, and it is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_could_not_put_back_is_stuck_until_it_is_cancelled_again() {
    let w = World::new().await;
    let (id, restore) = w.at("restore").await;
    w.operator.cancel(&id).await.unwrap();
    w.sql.end(&restore, failed(false)).await;
    assert_eq!(w.operator.rests(&id).await.state, "stuck");
    let refused = w.operator.apply_because(&id, "go on").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("being cancelled"), "{}", refused.message());
    let waiting_for = w.operator.migration(&id).await.waiting_for;
    assert!(waiting_for.contains("cancels again"), "{waiting_for}");
    assert_eq!(
        w.operator.lease("SQL01").await.state,
        "held",
        "the seat is kept while something may be left"
    );

    w.operator.cancel(&id).await.unwrap();
    let first = w.sql.take("restore").await;
    assert!(first.undo);
    w.sql.end(&first, failed(false)).await;
    assert_eq!(w.operator.rests(&id).await.state, "stuck");
    w.operator.cancel(&id).await.unwrap();
    let second = undo(&w, "restore").await;
    assert_eq!(second.token.attempt, 3);
    undo(&w, "backup").await;
    nothing_is_left(&w, &id).await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undoing_whose_end_is_unknown_is_tried_again_on_order() {
    let w = World::new().await;
    let (id, install) = w.at("install").await;
    w.operator.cancel(&id).await.unwrap();
    w.new.end(&install, cancelled()).await;
    let first = w.sql.take("restore").await;
    w.sql.end(&first, unknown()).await;
    assert_eq!(w.operator.rests(&id).await.state, "stuck");
    assert_eq!(
        w.operator.apply_because(&id, "looked").await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    w.operator.cancel(&id).await.unwrap();
    let second = undo(&w, "restore").await;
    assert_ne!(first.token, second.token);
    assert!(
        !w.sql.try_report(&first.token, unknown()).await.unwrap().current,
        "the first try is over"
    );
    undo(&w, "backup").await;
    nothing_is_left(&w, &id).await;
}

/// An undoing agent that was silent for a while goes on undoing: the migration must not run forwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_undoing_that_comes_back_goes_on_backwards() {
    let w = World::with(config()).await;
    let (id, install) = w.at("install").await;
    w.operator.cancel(&id).await.unwrap();
    w.new.end(&install, cancelled()).await;
    let restore = w.sql.take("restore").await;
    w.sql.set_life(Life::Silent);
    let m = w.operator.until_state(&id, "stuck").await;
    assert_eq!(state_of(&m, "restore"), "unknown");
    // While its agent may be at work, no other try is made.
    let refused = w.operator.cancel(&id).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    w.sql.set_life(Life::Normal);
    let m = w.operator.until_state(&id, "unwinding").await;
    assert_eq!(state_of(&m, "restore"), "undoing");
    w.sql.succeed(&restore).await;
    undo(&w, "backup").await;
    nothing_is_left(&w, &id).await;
}

/// The same for a job that was told to stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_whose_agent_was_silent_is_still_cancelled() {
    let w = World::with(config()).await;
    let (id, backup) = w.at("backup").await;
    w.operator.cancel(&id).await.unwrap();
    w.old.set_life(Life::Silent);
    w.operator.until_state(&id, "stuck").await;
    w.old.set_life(Life::Normal);
    let m = w.operator.until_state(&id, "unwinding").await;
    assert_eq!(state_of(&m, "backup"), "cancelling");
    until("the order of the hello", async || {
        let orders = w.old.journal(|j| j.orders.clone());
        (orders.get(&backup.token.job_id) == Some(&v1::Order::Cancel)).then_some(())
    })
    .await;
    w.old.end(&backup, cancelled()).await;
    nothing_is_left(&w, &id).await;
}

/// A report that was on its way when the agent was called silent may arrive before its hello.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_told_before_the_hello_counts() {
    let w = World::with(config()).await;
    let (id, backup) = w.at("backup").await;
    w.operator.cancel(&id).await.unwrap();
    w.old.set_life(Life::Silent);
    w.operator.until_state(&id, "stuck").await;
    w.old.end(&backup, cancelled()).await;
    w.old.set_life(Life::Normal);
    nothing_is_left(&w, &id).await;
}

/// The agent of the target is away for good, and nothing was done there: the seat is given back all the same, or the new
/// server could never be seated again.
#[tokio::test(flavor = "multi_thread")]
async fn a_seat_whose_lease_was_lost_is_given_back() {
    let w = World::with(config()).await;
    let id = w.applied().await;
    w.work(&["verify-source"]).await;
    let backup = w.old.take("backup").await;
    w.sql.set_life(Life::Silent);
    w.operator.until_lease("SQL01", |l| l.state == "lost").await;
    w.operator.cancel(&id).await.unwrap();
    w.old.end(&backup, cancelled()).await;
    w.operator.until_state(&id, "cancelled").await;
    let seat = w.operator.lease("SQL01").await;
    assert_eq!(
        (seat.state.as_str(), seat.epoch),
        ("free", 2),
        "fenced, with an epoch of its own"
    );
    w.sql.set_life(Life::Normal);
    until("SQL01 is back", async || {
        (w.operator.host("SQL01").await.agent_state == "online").then_some(())
    })
    .await;
    nothing_is_left(&w, &id).await;
    w.controller.stop_and_audit().await;
}
