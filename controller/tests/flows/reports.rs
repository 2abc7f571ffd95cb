//! Reports: the token decides whether one counts, and what was said twice, late or never asked for changes nothing.

use syncferry_proto::v1;
use syncferry_shared::report::ReportStep;
use syncferry_shared::state::StepState;
use tonic::Code;

use crate::support::{World, cancelled, failed, gate, step, succeeded, undone};

async fn steps(w: &World, id: &str, job: &str) -> Vec<ReportStep> {
    let report = w.operator.report(id).await;
    report.jobs.into_iter().find(|j| j.name == job).unwrap().steps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_with_another_token_changes_nothing() {
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    let before = (w.operator.migration(&id).await.jobs, w.operator.history(&id).await);
    let good = &backup.token;
    let changed = |change: fn(&mut v1::AttemptToken)| {
        let mut token = good.clone();
        change(&mut token);
        token
    };
    let stale = [
        changed(|t| t.attempt = 2),
        changed(|t| t.epoch += 1),
        changed(|t| t.incarnation += 1),
        changed(|t| t.digest = "0".repeat(64)),
        changed(|t| t.job_id = "01932c5e-7d3a-7c1b-9f3e-0242ac120002".to_string()),
    ];
    for token in stale {
        for what in [step(1, "done"), succeeded(&Default::default()), failed(true)] {
            let answer = w.old.try_report(&token, what).await.unwrap();
            assert!(!answer.current);
            assert_eq!(answer.order(), v1::Order::Abandon);
        }
    }
    let no_token = changed(|t| t.job_id.clear());
    assert_eq!(
        w.old.try_report(&no_token, step(1, "done")).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(
        (w.operator.migration(&id).await.jobs, w.operator.history(&id).await),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_twice_is_said_once() {
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    for state in ["running", "running", "done", "done"] {
        assert!(w.old.step(&backup, 1, state).await.current);
    }
    // A report that was overtaken on its way.
    w.old.step(&backup, 1, "running").await;
    assert_eq!(steps(&w, &id, "backup").await[0].state, StepState::Done);
    for _ in 0..3 {
        w.old.succeed(&backup).await;
    }
    // A second word about the end is acknowledged, and the first one stands.
    assert!(w.old.try_report(&backup.token, failed(false)).await.unwrap().current);
    let m = w.operator.until_job(&id, "restore", "ready").await;
    assert_eq!(m.state, "running");
    let history = w.operator.history(&id).await;
    let count = |kind: &str| history.iter().filter(|k| *k == kind).count();
    // Two jobs with one ended step each were reported: two of verify-source, one of backup.
    assert_eq!(
        (count("step.done"), count("job.succeeded"), count("job.failed")),
        (3, 2, 0),
        "{history:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_whose_answer_was_lost_is_repeated() {
    let w = World::new().await;
    let id = w.applied().await;
    let offered = w.old.offered("verify-source").await;
    assert_eq!(
        w.old.offered("verify-source").await.token,
        offered.token,
        "the same offer until it is taken"
    );
    w.old.accept(&offered).await;
    let again = w.old.try_accept(&offered).await.unwrap();
    assert!(again.accepted);
    assert!(w.old.offers().await.is_empty(), "what is taken is not offered");
    w.old.succeed(&offered).await;
    let late = w.old.try_accept(&offered).await.unwrap();
    assert!(!late.accepted && late.reason.contains("succeeded"), "{}", late.reason);
    let history = w.operator.history(&id).await;
    assert_eq!(history.iter().filter(|k| *k == "job.accepted").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_that_no_order_led_to_are_refused() {
    let w = World::new().await;
    let id = w.applied().await;
    let offered = w.old.offered("verify-source").await;
    for what in [step(1, "running"), succeeded(&Default::default())] {
        let early = w.old.try_report(&offered.token, what).await.unwrap_err();
        assert_eq!(early.code(), Code::InvalidArgument, "it was not accepted yet");
    }
    w.old.accept(&offered).await;
    for what in [undone(), cancelled()] {
        let odd = w.old.try_report(&offered.token, what).await.unwrap_err();
        assert_eq!(odd.code(), Code::InvalidArgument, "{odd:?}");
    }
    assert_eq!(w.operator.migration(&id).await.jobs[0].state, "running");
    w.old.succeed(&offered).await;
    w.operator.until_job(&id, "backup", "offered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_stops_the_migration_and_another_order_tries_again() {
    let mut w = World::new().await;
    let (id, backup) = w.at("backup").await;
    w.old.step(&backup, 1, "failed").await;
    w.old.end(&backup, failed(true)).await;
    let m = w.operator.rests(&id).await;
    assert_eq!(m.state, "stopped");
    assert_eq!(m.waiting_for, "an operator to apply it again, or to cancel it");
    let failure = m.jobs[1].result.as_ref().unwrap();
    assert_eq!(failure.schema, syncferry_proto::schema::FAILURE);
    assert!(w.old.offers().await.is_empty());
    w.controller.restart().await;
    w.operator.apply_because(&id, "more disk").await.unwrap();
    let again = w.old.take("backup").await;
    assert_eq!(again.token.attempt, 2);
    w.old.succeed(&again).await;
    let m = w.operator.until_job(&id, "backup", "succeeded").await;
    assert_eq!(
        m.jobs[1].result.as_ref().unwrap().schema,
        syncferry_proto::schema::OUTCOME,
        "the failure is history"
    );
    let report = w.operator.report(&id).await;
    assert_eq!(report.jobs[1].attempts.len(), 2);
    assert!(w.operator.history(&id).await.contains(&"job.retried".to_string()));
}

/// What a job is made of may change before it is tried again: here the address at which the backup can be fetched.
#[tokio::test(flavor = "multi_thread")]
async fn another_try_is_made_of_what_holds_then() {
    let w = World::new().await;
    let (id, restore) = w.at("restore").await;
    let address = |job: &crate::support::Offered| match &job.spec.task {
        syncferry_shared::spec::Task::Restore(t) => t.source_address.clone(),
        _ => panic!("another job"),
    };
    assert_eq!(address(&restore), "127.0.0.1:7444");
    w.sql.end(&restore, failed(true)).await;
    w.operator.until_state(&id, "stopped").await;
    w.old.journal(|j| j.transfer_address = "127.0.0.1:7999".to_string());
    w.old.hello().await.unwrap();
    w.operator.apply_because(&id, "").await.unwrap();
    assert_eq!(address(&w.sql.take("restore").await), "127.0.0.1:7999");
}

/// As an installation whose login a DBA makes: first his gate, then the wizard's.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_come_to_several_gates() {
    let w = World::new().await;
    let (id, install) = w.at("install").await;
    let see = async |sight, text: &str, title: &str| w.new.see(&install.token, sight, text, title).await;
    see(v1::GateSight::Waiting, "waiting for a person", "Have the login made").await;
    see(v1::GateSight::Proven, "the login is there", "").await;
    assert!(w.operator.migration(&id).await.open_gates.is_empty());
    see(v1::GateSight::Waiting, "waiting for a person", "Complete the wizard").await;
    see(v1::GateSight::Contradicted, "ADSync uses (localdb)", "").await;
    // As after a restart, when the step begins again.
    see(v1::GateSight::Waiting, "waiting for a person", "Complete the wizard").await;
    let open = w.operator.migration(&id).await.open_gates;
    let titles: Vec<&str> = open.iter().map(|g| g.title.as_str()).collect();
    assert_eq!(titles, ["Complete the wizard"]);
    see(v1::GateSight::Proven, "ADSync uses SQL01", "").await;
    w.new.succeed(&install).await;
    let history = w.operator.history(&id).await;
    let count = |kind: &str| history.iter().filter(|k| *k == kind).count();
    assert_eq!(
        (count("gate.opened"), count("gate.proven"), count("gate.cancelled")),
        (2, 2, 0),
        "{history:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_completed_by_what_is_seen_and_by_nothing_else() {
    let w = World::new().await;
    let (id, install) = w.at("install").await;
    let see = async |sight, text: &str, title: &str| w.new.see(&install.token, sight, text, title).await;
    for _ in 0..2 {
        see(v1::GateSight::Waiting, "waiting for a person", "Complete the wizard").await;
    }
    let open = w.operator.migration(&id).await.open_gates;
    assert_eq!(open.len(), 1);
    let gate_id = open[0].id.clone();
    assert_eq!(
        w.operator.migration(&id).await.waiting_for,
        "a person: Complete the wizard"
    );
    assert_eq!(w.operator.claim(&gate_id).await.unwrap().state, "claimed");
    for _ in 0..3 {
        see(v1::GateSight::Contradicted, "ADSync uses (localdb)", "").await;
    }
    let open = w.operator.migration(&id).await.open_gates;
    assert_eq!(
        (open[0].state.as_str(), open[0].observation.as_str()),
        ("open", "ADSync uses (localdb)")
    );
    // By the tail of its id, too.
    w.operator.claim(&gate_id[gate_id.len() - 8..]).await.unwrap();
    see(v1::GateSight::Contradicted, "ADSync uses (localdb)", "").await;
    for _ in 0..2 {
        see(v1::GateSight::Proven, "ADSync uses SQL01", "").await;
    }
    assert_eq!(w.operator.claim(&gate_id).await.unwrap().state, "proven");
    w.new.succeed(&install).await;
    let history = w.operator.history(&id).await;
    let count = |kind: &str| history.iter().filter(|k| *k == kind).count();
    assert_eq!(
        (
            count("gate.opened"),
            count("gate.claimed"),
            count("gate.contradicted"),
            count("gate.proven")
        ),
        (1, 2, 2, 1),
        "{history:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_ends_with_its_attempt_and_the_next_one_has_its_own() {
    let w = World::new().await;
    let (id, install) = w.at("install").await;
    let opening = || gate(v1::GateSight::Waiting, "waiting", "Complete the wizard");
    w.new.try_report(&install.token, opening()).await.unwrap();
    w.new.end(&install, failed(true)).await;
    let m = w.operator.until_state(&id, "stopped").await;
    assert!(m.open_gates.is_empty(), "nobody waits there any more");
    w.operator.apply_because(&id, "").await.unwrap();
    let again = w.new.take("install").await;
    w.new.try_report(&again.token, opening()).await.unwrap();
    assert_eq!(w.operator.migration(&id).await.open_gates.len(), 1);
    let report = w.operator.report(&id).await;
    assert_eq!(report.gates.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shown_and_decides_nothing() {
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    let beat = |progress: v1::Progress| v1::HeartbeatRequest {
        session_id: w.old.journal(|j| j.session.to_string()),
        journal_seq: w.old.journal(|j| j.seq),
        progress: vec![v1::AttemptProgress {
            token: Some(backup.token.clone()),
            progress: Some(progress),
        }],
    };
    let half = v1::Progress {
        step: "backup".to_string(),
        message: "50 %".to_string(),
        done: 50,
        total: 100,
        unit: v1::ProgressUnit::Percent.into(),
        rate: f64::NAN,
        left_ms: Some(u64::MAX),
    };
    let answer = w.old.client.clone().heartbeat(beat(half)).await.unwrap().into_inner();
    assert!(answer.stale.is_empty());
    let shown = w.operator.migration(&id).await.jobs[1].progress.clone().unwrap();
    assert_eq!((shown.message.as_str(), shown.rate), ("50 %", 0.0));
    let odd = w
        .old
        .client
        .clone()
        .heartbeat(beat(v1::Progress::default()))
        .await
        .unwrap_err();
    assert_eq!(odd.code(), Code::InvalidArgument);
    w.old.succeed(&backup).await;
    w.operator.until_job(&id, "backup", "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_for_the_attempt_that_needs_it() {
    let w = World::new().await;
    let (_, restore) = w.at("restore").await;
    let artifact = match &restore.spec.task {
        syncferry_shared::spec::Task::Restore(t) => t.artifact.to_string(),
        _ => panic!("another job"),
    };
    let ask = |artifact_id: &str| v1::RequestTransferRequest {
        token: Some(restore.token.clone()),
        artifact_id: artifact_id.to_string(),
    };
    let ticket = w
        .sql
        .client
        .clone()
        .request_transfer(ask(&artifact))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(ticket.source_address, "127.0.0.1:7444");
    assert_eq!(ticket.source_agent_id, w.operator.host("SYNC01").await.agent_id);
    let other = w
        .sql
        .client
        .clone()
        .request_transfer(ask("01932c5e-7d3a-7c1b-9f3e-0242ac120002"))
        .await;
    assert_eq!(other.unwrap_err().code(), Code::NotFound);
    let foreign = w.new.client.clone().request_transfer(ask(&artifact)).await;
    assert_eq!(foreign.unwrap_err().code(), Code::FailedPrecondition);
}
