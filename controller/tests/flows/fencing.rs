//! Runs at SQL Server: shown first, approved for this run, begun under a new epoch, believed only for what was read back.

use std::collections::BTreeMap;

use syncferry_proto::{schema, v1};
use syncferry_shared::fence::{
    FenceDatabaseTask, FencePreview, FenceReadBack, IdentityFacts, MARK_EPOCH, MARK_NONCE, MARK_OWNER, MARK_UID,
    MarksReadBack, PreviewStatement, PrincipalFacts, SessionLook,
};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::Task;
use syncferry_shared::{Finding, Millis};

use crate::support::{Life, Operator, World, config, rules, succeeded};

const LOGIN: &str = r"CONTOSO\svc-sync1";
const SOURCE: &str = "SYNC01/localdb/ADSync";

fn principal(connect: &str) -> PrincipalFacts {
    PrincipalFacts {
        login: LOGIN.into(),
        exists: Some(true),
        user: Some("svc-sync1".into()),
        is_owner: Some(false),
        is_sysadmin: Some(false),
        groups: Some(vec![]),
        connect: Some(connect.into()),
    }
}

/// What the agent on SYNC01 says that it would run.
fn shows(w: &World, text: &str) {
    let preview = FencePreview {
        statements: vec![PreviewStatement {
            purpose: "deny".into(),
            text: text.into(),
        }],
        principals: vec![principal("GRANT")],
        updateability: Some("READ_WRITE".into()),
        ..FencePreview::default()
    };
    w.old.journal(|j| {
        j.inventory.preview = Some(preview);
        // Nobody is connected: the one login is the one that the operator names.
        j.inventory.databases[0].sessions = Some(vec![]);
    });
}

async fn plan(o: &Operator, run: v1::FenceRun) -> Result<v1::Migration, tonic::Status> {
    let request = v1::PlanFenceRequest {
        lease: SOURCE.into(),
        run: run.into(),
        logins: vec![LOGIN.into()],
        reason: "SYNC01 is gone".into(),
        ..v1::PlanFenceRequest::default()
    };
    Ok(o.client.clone().plan_fence(request).await?.into_inner())
}

fn read_back(t: &FenceDatabaseTask, apart_ms: i64) -> Outcome {
    let marks = BTreeMap::from([
        (MARK_UID.to_string(), t.database.id.to_string()),
        (MARK_EPOCH.to_string(), t.epoch.to_string()),
        (MARK_OWNER.to_string(), String::new()),
    ]);
    let look = |at| SessionLook {
        at: Millis(at),
        sessions: vec![],
    };
    Outcome {
        fenced: Some(FenceReadBack {
            server_name: t.database.server_name.clone(),
            database_guid: Some(t.database.database_guid),
            updateability: Some("READ_WRITE".into()),
            marks,
            principals: vec![principal("DENY")],
            killed: vec![],
            looks: vec![look(1_000), look(1_000 + apart_ms)],
        }),
        ..Outcome::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_shown_approved_and_believed_for_what_was_read_back() {
    let w = World::with(config()).await;
    shows(&w, "DENY CONNECT TO [svc-sync1];");
    let refused = plan(&w.operator, v1::FenceRun::Fence).await.unwrap_err();
    assert_eq!(rules(&refused), ["lease-state"], "a holder that is alive is not fenced");
    w.old.set_life(Life::NoRenewals);
    w.operator.until_lease("SYNC01", |l| l.state == "lost").await;

    let planned = plan(&w.operator, v1::FenceRun::Fence).await.unwrap();
    assert_eq!(planned.state, "planned", "{:?}", Operator::plan_of(&planned).findings);
    let run = Operator::plan_of(&planned).lease_run.unwrap();
    assert_eq!(run.statements[0].text, "DENY CONNECT TO [svc-sync1];");
    assert_eq!(w.operator.lease("SYNC01").await.state, "lost", "a plan takes nothing");

    w.operator.try_apply(&planned, &[]).await.unwrap();
    let fencing = w.operator.lease("SYNC01").await;
    assert_eq!(
        (fencing.state.as_str(), fencing.epoch),
        ("fencing", 2),
        "tokens are void before SQL Server is touched"
    );
    let job = w.old.take("fence-database").await;
    let Task::FenceDatabase(task) = &job.spec.task else {
        panic!("another task")
    };
    assert_eq!(
        (task.epoch, task.owner.as_deref(), task.deny.as_slice()),
        (2, None, &[LOGIN.to_string()][..])
    );
    let mut shown = FencePreview::default();
    shown.statements.clone_from(&run.statements);
    assert_eq!(
        task.preview_digest,
        shown.digest(),
        "the run is bound to what was shown"
    );
    assert!(w.old.authorize(&job, 30_000).await.permitted);

    // Two looks in one breath prove nothing.
    w.old.end(&job, succeeded(&read_back(task, 10))).await;
    let stopped = w.operator.until_state(&planned.id, "stopped").await;
    assert_eq!(w.operator.lease("SYNC01").await.state, "fencing");
    w.operator.apply_because(&stopped.id, "again").await.unwrap();
    let job = w.old.take("fence-database").await;
    w.old.end(&job, succeeded(&read_back(task, 2_000))).await;
    w.operator.until_state(&planned.id, "succeeded").await;
    let full = w.operator.find_lease(SOURCE).await.unwrap();
    let lease = full.lease.unwrap();
    assert_eq!((lease.state.as_str(), lease.epoch, lease.fenced_epoch), ("free", 2, 2));
    assert!(full.proofs.iter().any(|p| p.epoch == 2 && p.kind == "sql_fenced"));

    // And the way back.
    shows(&w, "GRANT CONNECT TO [svc-sync1];");
    let planned = plan(&w.operator, v1::FenceRun::RemoveMarks).await.unwrap();
    assert_eq!(planned.state, "planned", "{:?}", Operator::plan_of(&planned).findings);
    w.operator.try_apply(&planned, &[]).await.unwrap();
    let job = w.old.take("remove-marks").await;
    let clean = Outcome {
        cleaned: Some(MarksReadBack::default()),
        ..Outcome::default()
    };
    w.old.end(&job, succeeded(&clean)).await;
    w.operator.until_state(&planned.id, "succeeded").await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_is_not_begun() {
    let w = World::with(config()).await;
    shows(&w, "DENY CONNECT TO [svc-sync1];");
    w.old.set_life(Life::NoRenewals);
    w.operator.until_lease("SYNC01", |l| l.state == "lost").await;
    let planned = plan(&w.operator, v1::FenceRun::Fence).await.unwrap();
    w.old.set_life(Life::Normal);
    w.operator.until_lease("SYNC01", |l| l.state == "held").await;
    let refused = w.operator.try_apply(&planned, &[]).await.unwrap_err();
    assert_eq!(rules(&refused), ["lease-changed"], "its holder came back");
    // An agent that cannot say what it would run gets nothing to run.
    w.old.set_life(Life::NoRenewals);
    w.operator.until_lease("SYNC01", |l| l.state == "lost").await;
    w.old.journal(|j| j.inventory.preview = None);
    let blocked = plan(&w.operator, v1::FenceRun::Fence).await.unwrap();
    let found: Vec<String> = Operator::plan_of(&blocked)
        .findings
        .into_iter()
        .map(|f| f.rule)
        .collect();
    assert_eq!(
        (blocked.state.as_str(), found),
        ("blocked", vec!["no-preview".to_string()])
    );
}

/// A rendezvous of the source with another way, where `there` is read.
async fn rendezvous(w: &World, there: impl Fn(&str) -> Option<IdentityFacts>) -> (v1::Migration, Vec<Finding>) {
    let request = v1::PlanFenceRequest {
        lease: SOURCE.into(),
        run: v1::FenceRun::Prove.into(),
        reason: "is it the same one?".into(),
        other: "SQL01/default/ADSync".into(),
        ..v1::PlanFenceRequest::default()
    };
    let planned = w
        .operator
        .client
        .clone()
        .plan_fence(request)
        .await
        .unwrap()
        .into_inner();
    let plan = Operator::plan_of(&planned);
    assert_eq!(planned.state, "planned", "{:?}", plan.findings);
    let jobs: Vec<&str> = plan.jobs().map(|j| j.name.as_str()).collect();
    assert_eq!(jobs, ["write-nonce", "read-nonce", "remove-nonce"]);
    assert!(
        plan.lease_run.is_some_and(|r| !r.statements.is_empty()),
        "it is shown first"
    );
    w.operator.try_apply(&planned, &[]).await.unwrap();
    let probed = |facts: Option<IdentityFacts>| Outcome {
        probed: facts,
        ..Outcome::default()
    };
    let write = w.old.take("write-nonce").await;
    let Task::ProbeIdentity(task) = &write.spec.task else {
        panic!("another task")
    };
    w.old.end(&write, succeeded(&probed(None))).await;
    let read = w.sql.take("read-nonce").await;
    w.sql.end(&read, succeeded(&probed(there(&task.nonce)))).await;
    let remove = w.old.take("remove-nonce").await;
    w.old.end(&remove, succeeded(&probed(None))).await;
    let done = w.operator.until_state(&planned.id, "succeeded").await;
    let last = done.jobs.iter().find(|j| j.name == "remove-nonce").unwrap();
    let outcome: Outcome = last.result.as_ref().unwrap().read(schema::OUTCOME).unwrap();
    (done, outcome.findings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_tells_whether_two_ways_lead_to_one_database() {
    let w = World::with(config()).await;
    shows(&w, "EXEC sys.sp_addextendedproperty …;");
    let facts = w.old.journal(|j| IdentityFacts::from(&j.inventory.databases[0]));
    let with = |nonce: Option<&str>| {
        let mut seen = facts.clone();
        seen.marks
            .extend(nonce.map(|n| (MARK_NONCE.to_string(), n.to_string())));
        Some(seen)
    };
    let rule = |findings: &[Finding]| findings.iter().map(|f| f.rule.clone()).collect::<Vec<_>>();
    // Nobody there: nothing is learnt, nothing changes.
    let (_, found) = rendezvous(&w, |_| None).await;
    assert_eq!(rule(&found), ["identity-unproven"]);
    // The nonce is there: one database.
    let (_, found) = rendezvous(&w, |nonce| with(Some(nonce))).await;
    assert_eq!(rule(&found), ["database-same"]);
    assert_eq!(w.operator.lease("SYNC01").await.state, "held");
    // A database of another server, without the nonce.
    let elsewhere = || {
        let mut seen = with(None)?;
        (seen.server_name, seen.database_guid) = ("ELSEWHERE".into(), Some(uuid::Uuid::from_u128(77)));
        Some(seen)
    };
    let all = w.operator.databases().await;
    assert_eq!(all.len(), 1, "the other way is a name of it, and no row of its own");
    // What was a name of it answers without the nonce: two databases, and nobody knows which one is meant.
    let (_, found) = rendezvous(&w, |_| elsewhere()).await;
    assert_eq!(rule(&found), ["database-twin"]);
    w.operator.until_lease("SYNC01", |l| l.state == "quarantined").await;
    w.operator.until_alarm("lease-quarantined", "raised").await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_a_refused_copy_are_removed_by_its_address() {
    let w = World::with(config()).await;
    // The source's own place is leased: its marks are removed under its lease.
    let id = w.operator.databases().await[0].id.clone();
    let mut copy = w.old.journal(|j| j.inventory.databases[0].clone());
    (copy.instance, copy.server_name) = ("default".into(), "SQL01".into());
    copy.database_guid = Some(uuid::Uuid::from_u128(4711));
    copy.marks = BTreeMap::from([(MARK_UID.to_string(), id), (MARK_EPOCH.to_string(), "4".to_string())]);
    let preview = FencePreview {
        statements: vec![PreviewStatement {
            purpose: "remove".into(),
            text: "EXEC sys.sp_dropextendedproperty …;".into(),
        }],
        marks: copy.marks.clone(),
        updateability: Some("READ_WRITE".into()),
        ..FencePreview::default()
    };
    w.sql.journal(|j| {
        j.inventory.databases = vec![copy];
        j.inventory.preview = Some(preview);
    });
    let add = v1::AddDatabaseRequest {
        site: "contoso".into(),
        host: "SQL01".into(),
        instance: "default".into(),
        name: "ADSync".into(),
    };
    let refused = w.operator.client.clone().add_database(add).await.unwrap_err();
    assert_eq!(rules(&refused), ["database-copy"]);
    let request = v1::PlanFenceRequest {
        lease: "SQL01/default/ADSync".into(),
        run: v1::FenceRun::RemoveMarks.into(),
        reason: "it is a test copy".into(),
        ..v1::PlanFenceRequest::default()
    };
    let planned = w
        .operator
        .client
        .clone()
        .plan_fence(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(planned.state, "planned", "{:?}", Operator::plan_of(&planned).findings);
    w.operator.try_apply(&planned, &[]).await.unwrap();
    let job = w.sql.take("remove-marks").await;
    let Task::RemoveMarks(task) = &job.spec.task else {
        panic!("another task")
    };
    assert_eq!(task.database.database_guid, uuid::Uuid::from_u128(4711));
    let clean = Outcome {
        cleaned: Some(MarksReadBack {
            denied: vec!["somebody-elses".into()],
            ..MarksReadBack::default()
        }),
        ..Outcome::default()
    };
    w.sql.end(&job, succeeded(&clean)).await;
    w.operator.until_state(&planned.id, "succeeded").await;
    assert_eq!(
        w.operator.lease("SYNC01").await.state,
        "held",
        "the original is in no doubt"
    );
    w.controller.stop_and_audit().await;
}
