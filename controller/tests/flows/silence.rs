//! Agents that are silent, come back, lose their journal, or were reverted. Nothing is tried elsewhere because of that.

use syncferry_proto::v1;
use tonic::Code;

use crate::support::{FakeAgent, Journal, Life, World, config, dial, enrol, failed, succeeded, unknown, until};

fn state_of(m: &v1::Migration, job: &str) -> String {
    m.jobs.iter().find(|j| j.name == job).unwrap().state.clone()
}

async fn until_agent(w: &World, host: &str, state: &str) {
    until(&format!("the agent on {host} is {state}"), async || {
        (w.operator.host(host).await.agent_state == state).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_leaves_its_job_unknown_and_goes_on_when_it_is_back() {
    let w = World::with(config()).await;
    let (id, backup) = w.at("backup").await;
    w.old.set_life(Life::Silent);
    let m = w.operator.rests(&id).await;
    assert_eq!(
        (m.state.as_str(), state_of(&m, "backup").as_str()),
        ("stuck", "unknown")
    );
    until_agent(&w, "SYNC01", "silent").await;
    for agent in [&w.sql, &w.new] {
        assert!(agent.offers().await.is_empty(), "nothing is tried elsewhere");
    }
    let refused = w.old.authorize(&backup, 0).await;
    assert!(
        !refused.permitted,
        "nothing destructive while nobody knows: {}",
        refused.reason
    );
    // A heartbeat alone does not end it: only a hello says what is still there.
    let beat = v1::HeartbeatRequest {
        session_id: w.old.journal(|j| j.session.to_string()),
        ..Default::default()
    };
    assert_eq!(
        w.old.client.clone().heartbeat(beat).await.unwrap_err().code(),
        Code::Aborted
    );

    w.old.set_life(Life::Normal);
    let m = w.operator.until_state(&id, "running").await;
    assert_eq!(state_of(&m, "backup"), "running");
    assert_eq!(w.old.journal(|j| j.orders[&backup.token.job_id]), v1::Order::Continue);
    w.old.succeed(&backup).await;
    let m = w.operator.until_job(&id, "backup", "succeeded").await;
    assert_eq!(m.jobs[1].attempt, 1, "it is the same attempt");
    let history = w.operator.history(&id).await;
    let unknown = history.iter().filter(|k| *k == "job.unknown").count();
    assert_eq!(unknown, 1, "{history:?}");
    assert!(history.contains(&"job.resumed".to_string()));
    let agent: Vec<String> = w
        .operator
        .events("agent", "SYNC01")
        .await
        .into_iter()
        .map(|e| e.r#type)
        .collect();
    assert_eq!(agent.iter().filter(|k| *k == "agent.silent").count(), 1, "{agent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_leaves_the_job_unknown_until_a_person_orders_another_try() {
    let w = World::with(config()).await;
    let (id, backup) = w.at("backup").await;
    w.old.lose_journal();
    w.old.hello().await.unwrap();
    let m = w.operator.rests(&id).await;
    assert_eq!(
        (m.state.as_str(), state_of(&m, "backup").as_str()),
        ("stuck", "unknown")
    );
    assert!(
        w.old.offers().await.is_empty(),
        "nothing is done twice without an order"
    );
    let silent = w.operator.apply_because(&id, " ").await.unwrap_err();
    assert_eq!(silent.code(), Code::InvalidArgument);
    assert!(silent.message().contains("--reason"), "{}", silent.message());

    // The leases were adopted by the new session: the holder is the server, not its agent.
    w.operator.until_lease("SYNC01", |l| l.state == "held").await;
    w.operator
        .apply_because(&id, "looked at SYNC01: no backup there")
        .await
        .unwrap();
    let again = w.old.take("backup").await;
    assert_eq!((again.token.attempt, again.undo), (2, false));
    let old_word = w
        .old
        .try_report(&backup.token, succeeded(&Default::default()))
        .await
        .unwrap();
    assert!(!old_word.current, "the first attempt has no say any more");
    w.old.succeed(&again).await;
    w.operator.until_job(&id, "restore", "offered").await;
    let history = w.operator.history(&id).await;
    assert!(history.contains(&"job.superseded".to_string()), "{history:?}");
}

/// Only the last record of the journal was lost, and it was the acceptance: the session is the same one. Without this the
/// controller waits for ever for a job that nobody knows of.
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_the_journal_lost_leaves_the_job_unknown() {
    let w = World::new().await;
    let (id, _) = w.at("backup").await;
    w.old.journal(|j| j.open.clear());
    w.old.hello().await.unwrap();
    let m = w.operator.rests(&id).await;
    assert_eq!(
        (m.state.as_str(), state_of(&m, "backup").as_str()),
        ("stuck", "unknown")
    );
    let next = format!(
        "backup on SYNC01: nobody can tell how it ended: look at the host, then `syncferry apply {tail} --reason …` tries again, \
         or `syncferry cancel {tail} --reason …` goes back",
        tail = &id[28..]
    );
    assert_eq!(m.waiting_for, next);
    w.operator.apply_because(&id, "looked at SYNC01").await.unwrap();
    w.old.work("backup").await;
    w.operator.until_job(&id, "restore", "offered").await;
}

/// The acceptance says how long the agent's journal is: one that is shorter afterwards went back.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_went_back_behind_an_acceptance_is_found_out() {
    let w = World::new().await;
    w.old.journal(|j| j.seq = 40);
    w.at("backup").await;
    w.old.set_life(Life::Silent);
    w.old.journal(|j| j.seq -= 1);
    assert_eq!(w.old.hello().await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(w.operator.host("SYNC01").await.agent_state, "quarantined");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_try_needs_the_agent() {
    let w = World::with(config()).await;
    let (id, _) = w.at("backup").await;
    w.old.set_life(Life::Silent);
    w.operator.until_state(&id, "stuck").await;
    let refused = w.operator.apply_because(&id, "impatience").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(
        refused.message().contains("may still be at work"),
        "{}",
        refused.message()
    );
    assert_eq!(w.operator.migration(&id).await.state, "stuck");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_unknown_jobs_one_known_is_not_enough() {
    let w = World::with(config()).await;
    let (id, install) = w.at("install").await;
    w.install(&install).await;
    let server = w.new.take("verify-server").await;
    let database = w.sql.take("verify-database").await;
    w.old.work("verify-old-server").await;
    w.new.set_life(Life::Silent);
    w.sql.set_life(Life::Silent);
    w.operator.until_job(&id, "verify-server", "unknown").await;
    w.operator.until_job(&id, "verify-database", "unknown").await;
    w.new.set_life(Life::Normal);
    let m = w.operator.until_job(&id, "verify-server", "running").await;
    assert_eq!(m.state, "stuck", "one is still unknown");
    w.new.end(&server, failed(true)).await;
    assert_eq!(
        w.operator.migration(&id).await.state,
        "stuck",
        "and a failure does not hide it"
    );
    w.sql.set_life(Life::Normal);
    w.operator.until_job(&id, "verify-database", "running").await;
    assert_eq!(w.operator.until_state(&id, "stopped").await.state, "stopped");
    w.sql.succeed(&database).await;
    w.operator.apply_because(&id, "").await.unwrap();
    let again = w.new.take("verify-server").await;
    assert_eq!(again.token.attempt, 2);
    w.new.succeed(&again).await;
    assert_eq!(w.operator.rests(&id).await.state, "succeeded");
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_cannot_tell_says_so_once() {
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    for _ in 0..3 {
        assert!(w.old.end(&backup, unknown()).await.current);
    }
    let m = w.operator.rests(&id).await;
    assert_eq!(m.state, "stuck");
    let history = w.operator.history(&id).await;
    assert_eq!(history.iter().filter(|k| *k == "job.unknown").count(), 1, "{history:?}");
    // It found out by itself.
    w.old.succeed(&backup).await;
    w.operator.until_state(&id, "running").await;
    w.operator.until_job(&id, "restore", "offered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_enrolment_without_the_journal_leaves_the_job_unknown() {
    let w = World::new().await;
    let (id, _) = w.at("backup").await;
    let token = w.operator.token("SYNC01").await;
    let inventory = w.old.journal(|j| j.inventory.clone());
    w.old.set_life(Life::Silent);
    let again = FakeAgent::enrolled(&w.controller.address, &token, inventory).await;
    let m = w.operator.rests(&id).await;
    assert_eq!(
        (m.state.as_str(), state_of(&m, "backup").as_str()),
        ("stuck", "unknown")
    );
    w.operator.apply_because(&id, "the host was set up anew").await.unwrap();
    let job = again.take("backup").await;
    assert_eq!(job.token.attempt, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reverted_machine_is_not_believed_until_it_is_enrolled_anew() {
    let w = World::new().await;
    w.old.journal(|j| j.seq = 100);
    w.old.hello().await.unwrap();
    w.old.set_life(Life::Silent);
    w.old.journal(|j| j.seq = 7);
    let refused = w.old.hello().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(
        refused.message().contains("syncferry host token SYNC01"),
        "{}",
        refused.message()
    );
    assert_eq!(w.operator.host("SYNC01").await.agent_state, "quarantined");
    // Not even with its old number.
    w.old.journal(|j| j.seq = 200);
    assert_eq!(w.old.hello().await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(w.old.pull().await.unwrap_err().code(), Code::PermissionDenied);
    let lease = w.operator.lease("SYNC01").await;
    let renewing = v1::RenewLeaseRequest {
        resource: lease.resource.clone(),
        epoch: lease.epoch,
        session_id: w.old.journal(|j| j.session.to_string()),
    };
    assert_eq!(
        w.old.client.clone().renew_lease(renewing).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let kinds: Vec<String> = w
        .operator
        .events("agent", "SYNC01")
        .await
        .into_iter()
        .map(|e| e.r#type)
        .collect();
    assert_eq!(kinds.last().unwrap(), "agent.quarantined");

    let token = w.operator.token("SYNC01").await;
    let inventory = w.old.journal(|j| j.inventory.clone());
    let again = FakeAgent::enrolled(&w.controller.address, &token, inventory).await;
    assert_eq!(again.name, "SYNC01");
    assert_eq!(w.operator.host("SYNC01").await.agent_state, "online");
}

/// Agents remember what they saw. A store that knows less comes from a backup, and must not go on as if nothing happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_behind_its_agents_is_found_out() {
    let w = World::new().await;
    let lease = w.operator.lease("SYNC01").await;
    w.old.set_life(Life::Silent);
    // What no store of ours can have told it is not believed, and nothing follows from it.
    for nonsense in [
        |j: &mut Journal| j.incarnation = 5_000,
        |j: &mut Journal| {
            j.incarnation = 1;
            j.epochs.insert("adsync-db:x".into(), i64::MAX);
        },
    ] {
        w.old.journal(nonsense);
        let refused = w.old.hello().await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(
            refused.message().contains("no store can have told it"),
            "{}",
            refused.message()
        );
    }
    assert_eq!(w.operator.lease("SYNC01").await.state, "held");

    let found = async |says: &str, incarnation: i64| {
        let welcome = w.old.hello().await.unwrap();
        assert_eq!(welcome.incarnation, incarnation, "{says}");
        let alarm = w.operator.until_alarm("store-restored", "raised").await;
        let finding = alarm.finding.unwrap().json;
        assert!(String::from_utf8_lossy(&finding).contains("store-restored"));
        let system = w.operator.events("system", "").await;
        let last = system.iter().rfind(|e| e.r#type == "store.restored").unwrap();
        let payload = String::from_utf8_lossy(&last.payload.as_ref().unwrap().json).into_owned();
        assert!(payload.contains(says), "{payload}");
        let now = w.operator.lease("SYNC01").await;
        assert_eq!(now.state, "quarantined");
        now.epoch
    };
    w.old.journal(|j| {
        j.epochs.clear();
        j.epochs.insert(lease.resource.clone(), lease.epoch + 1);
    });
    let first = found("has seen epoch 2 of", 2).await;
    assert!(first > 1_000_000_000);
    // The same journal once more is no news: that was reckoned with.
    assert_eq!(w.old.hello().await.unwrap().incarnation, 2);
    w.old.journal(|j| {
        j.epochs
            .insert("adsync-db:01932c5e-7d3a-7c1b-9f3e-0242ac120002".to_string(), 1);
    });
    let second = found("no such lease", 3).await;
    w.old.journal(|j| j.incarnation = 7);
    let third = found("incarnation 7 where the store has 3", 8).await;
    assert!(third > second && second > first, "epochs only grow");
    // The others are told to say hello before they get anything.
    until("SQL01 is in the present incarnation", async || {
        (w.sql.journal(|j| j.incarnation) == 8).then_some(())
    })
    .await;
}

/// Two processes with one identity: the one that spoke last is the agent, the other one is told to say hello.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_session_that_said_hello_last_gets_work() {
    let w = World::new().await;
    w.applied().await;
    w.old.set_life(Life::Silent);
    let before = w.old.journal(|j| j.session);
    w.old.lose_journal();
    w.old.hello().await.unwrap();
    let request = v1::PullRequest {
        session_id: before.to_string(),
    };
    let refused = w.old.client.clone().pull(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    assert!(refused.message().contains("hello"));
    until("an offer for the session that said hello last", async || {
        (!w.old.offers().await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_nobody_knows_is_not_let_in() {
    let (w, other) = (World::new().await, World::new().await);
    // Its certificate is from another controller: TLS says so, not the service.
    let channel = dial(&w.controller.address, &w.old.ca_pem, &other.old.identity);
    let request = v1::PullRequest {
        session_id: other.old.journal(|j| j.session.to_string()),
    };
    let mut client = v1::agent_client::AgentClient::new(channel);
    assert!(client.pull(request).await.is_err());
    // A token of another controller does not even reach it.
    let token = other.operator.token("SYNC01").await;
    assert!(enrol(&w.controller.address, &token).await.is_err());
}
