//! The whole move, from nothing to the report.

use syncferry_proto::v1;
use syncferry_shared::report::plan_digest;
use syncferry_shared::state::MigrationState;

use crate::support::{Operator, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_move_ends_with_the_new_server_on_its_database() {
    let w = World::new().await;
    let source = w.operator.lease("SYNC01").await;
    assert_eq!(
        (source.state.as_str(), source.holder.as_str(), source.renewer.as_str()),
        ("held", "SYNC01", "SYNC01")
    );

    let planned = w.planned().await;
    let plan = Operator::plan_of(&planned);
    assert_eq!(plan_digest(&serde_json::to_value(&plan).unwrap()), planned.plan_digest);
    assert_eq!(w.operator.leases().await.len(), 1, "a plan takes nothing");
    let id = w.operator.try_apply(&planned, &[]).await.unwrap().id;
    // The same order twice is one order.
    assert_eq!(w.operator.try_apply(&planned, &[]).await.unwrap().state, "running");

    let seat = w.operator.lease("SQL01").await;
    assert_eq!(
        (seat.state.as_str(), seat.holder.as_str(), seat.renewer.as_str()),
        ("held", "SYNC02", "SQL01")
    );
    w.work(&["verify-source", "backup", "restore"]).await;
    let install = w.new.take("install").await;
    let waits = w.operator.migration(&id).await;
    assert_eq!(waits.waiting_for, "install on SYNC02");
    w.install(&install).await;
    let seat = w.operator.lease("SQL01").await;
    assert_eq!(
        (seat.holder.as_str(), seat.renewer.as_str()),
        ("SYNC02", "SYNC02"),
        "its own agent renews now"
    );
    w.verify().await;

    let done = w.operator.rests(&id).await;
    assert_eq!(done.state, "succeeded");
    assert!(
        done.jobs.iter().all(|j| j.state == "succeeded" && j.attempt == 1),
        "{:?}",
        done.jobs
    );
    assert!(done.waiting_for.is_empty() && done.open_gates.is_empty());
    let source = w.operator.lease("SYNC01").await;
    assert_eq!(
        (source.state.as_str(), source.holder.as_str(), source.epoch),
        ("held", "SYNC01", 1),
        "the old server stays"
    );
    let database = w
        .operator
        .databases()
        .await
        .into_iter()
        .find(|d| d.server_name == "SQL01")
        .unwrap();
    assert_eq!(database.identity_state, "confirmed");
    assert_eq!(database.name, "ADSync");

    check_history(&w, &id).await;
    check_report(&w, &id).await;
    w.controller.stop_and_audit().await;
}

async fn check_history(w: &World, id: &str) {
    let history = w.operator.history(id).await;
    let count = |kind: &str| history.iter().filter(|k| *k == kind).count();
    for (kind, n) in [
        ("migration.created", 1),
        ("plan.made", 1),
        ("migration.applied", 1),
        ("job.ready", 7),
        ("job.offered", 7),
        ("job.accepted", 7),
        ("job.succeeded", 7),
        ("gate.opened", 1),
        ("gate.claimed", 1),
        ("gate.proven", 1),
        ("migration.succeeded", 1),
    ] {
        assert_eq!(count(kind), n, "{kind} in {history:?}");
    }
    assert_eq!(history.last().unwrap(), "migration.succeeded");
    for host in ["SYNC01", "SQL01", "SYNC02"] {
        let kinds: Vec<String> = w
            .operator
            .events("agent", host)
            .await
            .into_iter()
            .map(|e| e.r#type)
            .collect();
        assert_eq!(
            kinds[..4],
            ["host.added", "token.made", "agent.enrolled", "agent.online"],
            "{host}"
        );
    }
    let system = w.operator.events("system", "").await;
    let kinds: Vec<String> = system.into_iter().map(|e| e.r#type).collect();
    assert_eq!(kinds, ["controller.started", "site.added"]);
}

async fn check_report(w: &World, id: &str) {
    let report = w.operator.report(id).await;
    let verified = report.verify().unwrap();
    assert_eq!(verified.events, report.events.len());
    assert_eq!(verified.roots, ["aa".repeat(32)]);
    assert_eq!(report.state, MigrationState::Succeeded);
    assert!(report.ended_at.is_some());
    assert_eq!(
        report.plan.as_ref().unwrap().applied_by.as_deref(),
        Some("operator:admin")
    );
    assert_eq!(report.jobs.len(), 7);
    assert_eq!(report.gates.len(), 1);
    let of = |name: &str| report.leases.iter().find(|l| l.subject.contains(name)).unwrap();
    let (source, target) = (of("SYNC01"), of("SQL01"));
    let before = source.before.as_ref().unwrap();
    assert_eq!((before.epoch, before.holder.as_deref()), (1, Some("SYNC01")));
    assert_eq!(source.after.holder.as_deref(), Some("SYNC01"));
    assert!(target.before.is_none(), "the migration made it");
    assert_eq!(target.after.holder.as_deref(), Some("SYNC02"));
    assert!(target.history.iter().all(|c| c.by_this_migration));
    assert_eq!(target.proofs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_that_travels_to_the_agents_is_the_plan_that_was_shown() {
    let w = World::new().await;
    let planned = w.planned().await;
    let plan = Operator::plan_of(&planned);
    w.operator.try_apply(&planned, &[]).await.unwrap();
    for job in ["verify-source", "backup", "restore"] {
        let offered = w.agent_of(job).offered(job).await;
        let of_plan = plan.jobs().find(|j| j.name == job).unwrap();
        assert_eq!(offered.spec.job, of_plan.id);
        assert_eq!(offered.spec.lease.resource, of_plan.resource);
        assert_eq!(offered.spec.migration.to_string(), planned.id);
        // Until it is accepted, the same offer comes again, however often it is asked for.
        assert_eq!(w.agent_of(job).offered(job).await.token, offered.token);
        w.work(&[job]).await;
    }
    let restore = w.operator.migration(&planned.id).await;
    let restore = restore.jobs.iter().find(|j| j.name == "restore").unwrap();
    assert_eq!((restore.state.as_str(), restore.attempt), ("succeeded", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_come_and_the_stream_ends_with_the_controller() {
    let mut w = World::new().await;
    let request = v1::SessionRequest {
        session_id: w.old.journal(|j| j.session.to_string()),
    };
    let mut client = v1::agent_client::AgentClient::new(w.old.channel());
    let mut hints = client.session(request).await.unwrap().into_inner();
    assert_eq!(hints.message().await.unwrap().unwrap().reason(), v1::HintReason::Hello);
    let m = w
        .operator
        .client
        .clone()
        .create_plan(Operator::request())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        hints.message().await.unwrap().unwrap().reason(),
        v1::HintReason::Inspection
    );
    let planned = w.operator.rests(&m.id).await;
    w.operator.try_apply(&planned, &[]).await.unwrap();
    assert_eq!(hints.message().await.unwrap().unwrap().reason(), v1::HintReason::Work);
    let mut watching = w
        .operator
        .client
        .clone()
        .watch(v1::WatchRequest {
            migration: m.id.clone(),
            after_seq: 0,
        })
        .await
        .unwrap()
        .into_inner();
    assert!(watching.message().await.unwrap().is_some());
    w.controller.restart().await;
    let ended = async {
        while let Ok(Some(_)) = hints.message().await {}
        while let Ok(Some(_)) = watching.message().await {}
    };
    tokio::time::timeout(crate::support::PATIENCE, ended)
        .await
        .expect("the streams do not end");
}
