//! A controller that is stopped and started again in the middle: the rows and the journals say what to do next.

use crate::support::{World, cancelled, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_move_survives_a_restart_at_every_job() {
    let mut w = World::new().await;
    let id = w.applied().await;
    for job in ["verify-source", "backup", "restore"] {
        let offered = w.agent_of(job).offered(job).await;
        w.controller.restart().await;
        // The offer is the same one: no token is made twice.
        let again = w.agent_of(job).take(job).await;
        assert_eq!(again.token, offered.token);
        w.controller.restart().await;
        let running = w.operator.migration(&id).await;
        let state = &running.jobs.iter().find(|j| j.name == job).unwrap().state;
        assert_eq!(state, "running", "{job}");
        w.agent_of(job).succeed(&again).await;
        w.controller.restart().await;
    }
    let install = w.new.take("install").await;
    w.controller.restart().await;
    w.install(&install).await;
    w.controller.restart().await;
    w.verify().await;
    let done = w.operator.rests(&id).await;
    assert_eq!(done.state, "succeeded");
    assert!(done.jobs.iter().all(|j| j.attempt == 1), "nothing was begun twice");
    w.operator.history(&id).await;
    w.operator.report(&id).await.verify().unwrap();
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwinding_survives_a_restart() {
    let mut w = World::new().await;
    let (id, install) = w.at("install").await;
    w.operator.cancel(&id).await.unwrap();
    w.controller.restart().await;
    w.new.told_to_cancel(&install).await;
    w.new.end(&install, cancelled()).await;
    w.controller.restart().await;
    let restore = w.sql.take("restore").await;
    w.controller.restart().await;
    w.sql.succeed(&restore).await;
    w.old.work("backup").await;
    w.operator.until_state(&id, "cancelled").await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_the_making_survives_a_restart() {
    let mut w = World::new().await;
    w.sql.journal(|j| j.answers = false);
    let request = crate::support::Operator::request();
    let m = w
        .operator
        .client
        .clone()
        .create_plan(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(m.state, "inspecting");
    let waits = until("only SQL01 is missing", async || {
        let m = w.operator.migration(&m.id).await;
        (m.waiting_for == "the agents on SQL01").then_some(m)
    })
    .await;
    w.controller.restart().await;
    w.sql.journal(|j| j.answers = true);
    assert_eq!(w.operator.rests(&waits.id).await.state, "planned");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_come_back_by_themselves_and_say_hello() {
    let mut w = World::new().await;
    w.controller.restart().await;
    for agent in w.agents() {
        until("the agent is online", async || {
            (w.operator.host(&agent.name).await.agent_state == "online").then_some(())
        })
        .await;
    }
    let system = w.operator.events("system", "").await;
    let started = system.iter().filter(|e| e.r#type == "controller.started").count();
    assert_eq!(started, 2);
}
