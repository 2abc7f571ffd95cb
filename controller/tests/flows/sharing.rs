//! Several controllers on one PostgreSQL: what is commanded at one is done at another, and the duties go on when one ends.

use syncferry_controller::config::Config;
use syncferry_store_postgres::server::Server;

use crate::support::{Controller, World, config, patient, until};

async fn shared(config: Config) -> Config {
    let url = Server::shared().await.database().await;
    Config {
        store: url.as_str().into(),
        ..config
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_commanded_at_one_controller_and_done_at_another() {
    let mut w = World::with(shared(patient()).await).await;
    let second = w.controller.beside().await;
    // The agents stay with the first one; only hints between the two tell them that there is work.
    w.operator = second.operator();
    let (id, install) = w.at("install").await;
    w.install(&install).await;
    w.verify().await;
    let done = w.operator.rests(&id).await;
    assert_eq!(done.state, "succeeded");
    assert!(done.jobs.iter().all(|j| j.attempt == 1), "nothing was begun twice");
    w.operator.history(&id).await;
    w.operator.report(&id).await.verify().unwrap();
    second.stop_and_audit().await;
    assert_eq!(w.controller.operator().migration(&id).await.state, "succeeded");
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_controller_does_the_duties_when_one_ends() {
    let mut w = World::with(shared(config()).await).await;
    let second = w.controller.beside().await;
    w.operator = second.operator();
    let operator = w.operator.clone();
    w.controller
        .while_stopped(async || {
            // The agents know only the first one. That they are silent now, the second one must say.
            until("the agent on SYNC01 is silent", async || {
                (operator.host("SYNC01").await.agent_state == "silent").then_some(())
            })
            .await;
        })
        .await;
    until("the agent on SYNC01 is back", async || {
        (operator.host("SYNC01").await.agent_state == "online").then_some(())
    })
    .await;
    let told = operator.events("agent", "SYNC01").await;
    assert!(told.iter().any(|e| e.r#type == "agent.silent"));
    second.stop_and_audit().await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_of_another_authority_does_not_start() {
    let config = shared(patient()).await;
    let first = Controller::start(config.clone()).await;
    let refused = Controller::refused(config).await;
    assert!(
        refused.contains("another authority") && refused.contains("identity/"),
        "{refused}"
    );
    // What it could not do, it did not do by halves: the first operator is who it was.
    first.operator().add_site("contoso", 1).await;
    first.stop_and_audit().await;
}
