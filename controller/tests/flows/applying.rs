//! What refuses a plan and its application: findings, warnings, another plan, another migration. Nothing is taken then.

use syncferry_proto::v1;
use syncferry_shared::inventory::DatabaseName;
use syncferry_shared::state::MigrationState;
use tonic::Code;

use crate::support::{Controller, FakeAgent, Operator, World, config, findings, patient, rules};

/// A plan after something was broken.
async fn plan_after(
    w: &World,
    agent: &FakeAgent,
    breaks: impl Fn(&mut syncferry_shared::inventory::Inventory),
) -> v1::Migration {
    let good = agent.journal(|j| j.inventory.clone());
    agent.journal(|j| breaks(&mut j.inventory));
    let m = w.operator.plan(Operator::request()).await;
    agent.journal(|j| j.inventory = good);
    m
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocker_refuses_the_plan_and_nothing_is_taken() {
    let w = World::new().await;
    let taken = plan_after(&w, &w.sql, |i| {
        i.instances[0].databases.push(DatabaseName {
            name: "ADSync".to_string(),
            state: "ONLINE".to_string(),
            family_guid: None,
        });
    });
    let taken = taken.await;
    let encrypted = plan_after(&w, &w.old, |i| i.databases[0].is_encrypted = true).await;
    let installed = plan_after(&w, &w.new, |i| i.connect = None).await;
    let unreachable = plan_after(&w, &w.new, |i| i.reach[0].reached = false).await;
    let expected = [
        (taken, "target-name-taken"),
        (encrypted, "source-is-encrypted"),
        (installed, "connect-host-unseen"),
        (unreachable, "connect-host-cannot-reach-sql"),
    ];
    for (m, rule) in expected {
        assert_eq!(m.state, "blocked", "{rule}");
        let refused = w.operator.try_apply(&m, &[rule]).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(rules(&refused), [rule], "a blocker cannot be accepted");
        assert!(findings(&refused).iter().all(|f| !f.next_step.is_empty()));
        assert!(w.operator.history(&m.id).await.contains(&"plan.made".to_string()));
        assert_eq!(w.operator.cancel(&m.id).await.unwrap().state, "cancelled");
    }
    assert_eq!(w.operator.leases().await.len(), 1);
    assert_eq!(w.operator.databases().await.len(), 1);
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_arrives_however_much_was_found() {
    let w = World::new().await;
    let m = plan_after(&w, &w.sql, |i| {
        for n in 0..200 {
            i.problems.push(syncferry_shared::inventory::Problem {
                subject: format!("database {n} {}", "x".repeat(100)),
                error: "y".repeat(200),
                next_step: "z".repeat(200),
            });
        }
    });
    let refused = w.operator.try_apply(&m.await, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    let found = findings(&refused);
    assert!(found.len() > 3 && found.len() < 100, "{}", found.len());
    assert_eq!(found.last().unwrap().rule, "more-findings");
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_must_be_accepted_by_name() {
    let w = World::new().await;
    let m = plan_after(&w, &w.sql, |i| i.instances[0].engine_edition = 4).await;
    assert_eq!(m.state, "planned");
    let refused = w.operator.try_apply(&m, &["something-else"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(rules(&refused), ["target-is-express"]);
    assert!(
        refused.message().contains("--accept target-is-express --reason"),
        "{}",
        refused.message()
    );
    w.operator.try_apply(&m, &["target-is-express"]).await.unwrap();
    let report = w.operator.report(&m.id).await;
    report.verify().unwrap();
    let plan = report.plan.unwrap();
    assert_eq!(plan.accepted_warnings, ["target-is-express"]);
    let told: Vec<(&str, &str)> = plan
        .acceptances
        .iter()
        .map(|a| (a.rule.as_str(), a.reason.as_str()))
        .collect();
    assert_eq!(told, [("target-is-express", "a test accepts it")]);
    assert!(report.events.iter().any(|e| e.kind == "warning.accepted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_accepts_says_why_and_until_when() {
    let w = World::new().await;
    let m = plan_after(&w, &w.sql, |i| i.instances[0].engine_edition = 4).await;
    let request = |reason: &str, until: Option<i64>| v1::ApplyRequest {
        migration: m.id.clone(),
        plan_digest: m.plan_digest.clone(),
        accept_warnings: vec!["target-is-express".to_string()],
        reason: reason.to_string(),
        accept_until: until.map(|ms| syncferry_proto::timestamp(syncferry_shared::Millis(ms))),
    };
    let silent = w.operator.client.clone().apply(request("  ", None)).await.unwrap_err();
    assert_eq!(silent.code(), Code::InvalidArgument, "{silent:?}");
    let over = w
        .operator
        .client
        .clone()
        .apply(request("change 4711", Some(1)))
        .await
        .unwrap_err();
    assert_eq!(over.code(), Code::InvalidArgument, "{over:?}");
    assert_eq!(w.operator.migration(&m.id).await.state, "planned");
    let far = 4_000_000_000_000;
    w.operator
        .client
        .clone()
        .apply(request("change 4711", Some(far)))
        .await
        .unwrap();
    let accepted = &w.operator.report(&m.id).await.plan.unwrap().acceptances[0];
    assert_eq!(
        (accepted.reason.as_str(), accepted.until.map(|u| u.0)),
        ("change 4711", Some(far))
    );
}

/// SQL Server 2022 is what the world has; a catalogue that refuses it blocks the next plan.
#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_is_imported_counts_for_the_next_plan() {
    let w = World::new().await;
    let mut client = w.operator.client.clone();
    let text = syncferry_shared::catalogue::EMBEDDED;
    let release = client
        .get_catalogue(v1::GetCatalogueRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((release.origin.as_str(), release.text.as_str()), ("release", text));
    let import = |text: String| v1::ImportCatalogueRequest { text };
    for broken in [
        "x = 1".to_string(),
        text.replace("2026-11-01", "2020-01-01"),
        text.replace("2026-11-01", "2999-01-01"),
    ] {
        let refused = client.import_catalogue(import(broken)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    let refused_2022 = text.replace(
        "name = \"SQL Server 2022\"\nsupport = \"supported\"",
        "name = \"SQL Server 2022\"\nsupport = \"refused\"",
    );
    assert_ne!(refused_2022, text);
    let imported = client
        .import_catalogue(import(refused_2022))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (imported.origin.as_str(), imported.imported_by.is_empty()),
        ("imported", false)
    );
    let m = plan_after(&w, &w.sql, |_| {}).await;
    assert_eq!(m.state, "blocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plan_than_the_one_seen_is_refused() {
    let w = World::new().await;
    let mut m = w.planned().await;
    let digest = std::mem::replace(&mut m.plan_digest, "0".repeat(64));
    let refused = w.operator.try_apply(&m, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("not the plan that you saw"));
    assert_eq!(w.operator.migration(&m.id).await.state, "planned");
    m.plan_digest = digest;
    w.operator.try_apply(&m, &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_runs_another_plan_says_why_not() {
    let w = World::new().await;
    let early = w.planned().await;
    w.applied().await;
    let m = w.operator.plan(Operator::request()).await;
    assert_eq!(m.state, "blocked");
    let mut found: Vec<String> = Operator::plan_of(&m).findings.into_iter().map(|f| f.rule).collect();
    found.retain(|r| r != "target-engine-newer");
    assert_eq!(
        found,
        [
            "lease-held",
            "migration-in-progress",
            "target-name-promised",
            "ad-account-permissions"
        ]
    );
    // A plan that was made before is looked at again.
    let refused = w.operator.try_apply(&early, &[]).await.unwrap_err();
    assert_eq!(rules(&refused), ["migration-in-progress"]);
    assert_eq!(w.operator.migration(&early.id).await.state, "planned");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_move_an_earlier_plan_finds_the_name_taken() {
    let w = World::new().await;
    let early = w.planned().await;
    let id = w.applied().await;
    w.work(&["verify-source", "backup", "restore"]).await;
    w.install(&w.new.take("install").await).await;
    w.verify().await;
    assert_eq!(w.operator.rests(&id).await.state, "succeeded");
    let refused = w.operator.try_apply(&early, &[]).await.unwrap_err();
    assert_eq!(rules(&refused), ["target-name-promised"]);
    // Two databases have the name now; the place tells them apart.
    let ambiguous = w
        .operator
        .client
        .clone()
        .create_plan(Operator::request())
        .await
        .unwrap_err();
    assert_eq!(ambiguous.code(), Code::InvalidArgument);
    let source = "SYNC01/localdb/ADSync".to_string();
    let again = w
        .operator
        .plan(v1::CreatePlanRequest {
            source,
            ..Operator::request()
        })
        .await;
    let found: Vec<String> = Operator::plan_of(&again).findings.into_iter().map(|f| f.rule).collect();
    assert!(found.contains(&"lease-held".to_string()), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_plans_for_one_seat_exactly_one_wins() {
    let w = World::new().await;
    let (a, b) = (w.planned().await, w.planned().await);
    let (first, second) = tokio::join!(w.operator.try_apply(&a, &[]), w.operator.try_apply(&b, &[]));
    let (won, lost) = match (first, second) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        other => panic!("{other:?}"),
    };
    assert_eq!(won.state, "running");
    assert_eq!(lost.code(), Code::FailedPrecondition);
    assert_eq!(rules(&lost), ["migration-in-progress"]);
    assert_eq!(w.operator.leases().await.len(), 2, "the source's and one seat");
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_answer_blocks_and_its_late_answer_changes_nothing() {
    let w = World::with(syncferry_controller::config::Config {
        inspection_timeout_s: 2,
        ..patient()
    })
    .await;
    w.sql.journal(|j| j.answers = false);
    let m = w.operator.plan(Operator::request()).await;
    assert_eq!(m.state, "blocked");
    let finding = &Operator::plan_of(&m).findings[0];
    assert_eq!(finding.rule, "agent-does-not-answer");
    assert_eq!(finding.evidence[0].found, "no answer within 2 s");
    assert!(
        w.sql.pull().await.unwrap().inspections.is_empty(),
        "nobody waits for an answer any more"
    );
    w.sql.journal(|j| j.answers = true);
    assert_eq!(w.planned().await.state, "planned");
    assert_eq!(w.operator.migration(&m.id).await.state, "blocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_answers_nonsense_blocks_nobody_else() {
    let w = World::new().await;
    let nonsense = plan_after(&w, &w.old, |i| {
        i.databases[0].used_bytes = Some(u64::MAX);
        i.databases[0].bytes = u64::MAX;
        for f in &mut i.databases[0].files {
            f.bytes = u64::MAX;
        }
    });
    let m = nonsense.await;
    assert_eq!(m.state, "blocked");
    assert_eq!(Operator::plan_of(&m).findings[0].rule, "no-space");
    assert_eq!(w.planned().await.state, "planned");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_say_why() {
    let w = World::new().await;
    type Change = fn(&mut v1::CreatePlanRequest);
    let ask = async |change: Change| {
        let mut request = Operator::request();
        change(&mut request);
        w.operator.client.clone().create_plan(request).await.unwrap_err()
    };
    let cases: [(Change, Code, &str); 7] = [
        (
            |r| r.scenario = "dance".to_string(),
            Code::InvalidArgument,
            "move-to-full-sql",
        ),
        (
            |r| r.site = "nowhere".to_string(),
            Code::NotFound,
            "syncferry site list",
        ),
        (
            |r| r.source = "nothing".to_string(),
            Code::NotFound,
            "syncferry database list",
        ),
        (
            |r| r.target_host = "SQL09".to_string(),
            Code::NotFound,
            "syncferry host list",
        ),
        (
            |r| r.target_host = "SYNC02".to_string(),
            Code::InvalidArgument,
            "sql-host",
        ),
        (
            |r| r.connect_host = "SQL01".to_string(),
            Code::InvalidArgument,
            "connect-server",
        ),
        (|r| r.installer = " ".to_string(), Code::InvalidArgument, "installer"),
    ];
    for (change, code, says) in cases {
        let status = ask(change).await;
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(says), "{}", status.message());
    }
    let unknown = w
        .operator
        .cancel("01932c5e-7d3a-7c1b-9f3e-0242ac120002")
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let planned = w.planned().await;
    w.operator.cancel(&planned.id).await.unwrap();
    let gone = w.operator.try_apply(&planned, &[]).await.unwrap_err();
    assert_eq!(gone.code(), Code::FailedPrecondition);
    assert!(gone.message().contains("cancelled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_registered_by_what_answers() {
    let controller = Controller::start(config()).await;
    let operator = controller.operator();
    operator.add_site("contoso", 1).await;
    let token = operator
        .add_host("contoso", "SYNC01", &["sql-host", "connect-server"])
        .await;
    // Nobody there: the answer says what to look at.
    let nobody = operator.add_source().await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unavailable);
    assert!(nobody.message().contains("syncferry host show SYNC01"));

    let old = FakeAgent::enrolled(&controller.address, &token, crate::support::facts::old_server()).await;
    // Sessions of a server that nobody knows: no lease is given away.
    let good = old.journal(|j| j.inventory.clone());
    old.journal(|j| {
        j.inventory.connect = None;
        j.inventory.databases[0].sessions.as_mut().unwrap()[0].host = Some("SYNC09".to_string());
    });
    let unclear = operator.add_source().await.unwrap_err();
    assert_eq!(rules(&unclear), ["database-users-unknown"]);
    assert!(operator.databases().await.is_empty(), "nothing of it stays");

    old.journal(|j| j.inventory = good);
    let first = operator.add_source().await.unwrap();
    let second = operator.add_source().await.unwrap();
    assert_eq!(first.id, second.id, "the same database is the same row");
    // Something else stands in its place: nothing is granted for that.
    let other = uuid::Uuid::from_u128(0xbad);
    old.journal(|j| j.inventory.databases[0].database_guid = Some(other));
    let replaced = operator.add_source().await.unwrap_err();
    assert_eq!(rules(&replaced), ["database-replaced"]);
    let [database] = operator.databases().await.try_into().unwrap();
    let doubtful = operator.lease("SYNC01").await;
    assert_eq!(
        (
            database.identity_state.as_str(),
            doubtful.state.as_str(),
            doubtful.holder.as_str()
        ),
        ("suspect", "quarantined", "SYNC01")
    );
    operator.until_alarm("lease-quarantined", "raised").await;
    // The way out: its server is proven stopped, and then what is there now may be learnt.
    old.service("stopped", "disabled");
    let fence = syncferry_proto::v1::FenceLeaseRequest {
        lease: first.resource.clone(),
        reason: "it was restored from last week's backup".to_string(),
        dry_run: false,
        seen_version: doubtful.row_version,
        ..v1::FenceLeaseRequest::default()
    };
    operator.client.clone().fence_lease(fence).await.unwrap();
    let learnt = operator.add_source().await.unwrap();
    assert_eq!((&learnt.id, learnt.identity_state.as_str()), (&first.id, "confirmed"));
    assert_eq!(learnt.database_guid, other.to_string());
    assert_eq!(operator.lease("SYNC01").await.state, "free");
    controller.stop_and_audit().await;
}

/// The words that the tests use are the ones of the table.
#[test]
fn states_have_the_words_of_the_table() {
    for word in [
        "planned",
        "blocked",
        "running",
        "stopped",
        "stuck",
        "unwinding",
        "succeeded",
        "cancelled",
    ] {
        assert!(word.parse::<MigrationState>().is_ok(), "{word}");
    }
}
