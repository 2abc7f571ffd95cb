//! The fence: what it keeps out, in which order, and what it refuses.

use std::sync::Arc;

use syncferry_shared::fence::{FencePreviewRequest, MARK_EPOCH, MARK_OWNER, MARK_UID};
use syncferry_shared::spec::Task;
use tokio::sync::{Notify, mpsc, watch};

use super::site::*;
use crate::fence::refused;
use crate::journal::Journal;
use crate::runner::{Controls, StepError, run};
use crate::sql::ops::fence;
use crate::sql::statements::fence as statements;

async fn marks(site: &Site) -> Vec<String> {
    let mut agent = site.agent().await;
    let marks = fence::marks(&mut agent, "ADSync").await.unwrap();
    marks
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// What was completed at the server, in order: denials, grants and ended sessions.
fn effects(site: &Site) -> Vec<String> {
    let text = std::fs::read_to_string(site.folder().join("effects.json")).unwrap_or_default();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let kinds = all["effects"].as_array().unwrap().iter();
    let kinds = kinds.map(|e| e["what"].as_str().unwrap().to_string());
    kinds
        .filter(|k| ["DENY CONNECT", "GRANT CONNECT", "KILL"].contains(&k.as_str()))
        .collect()
}

#[tokio::test]
async fn a_service_that_keeps_coming_back_is_out_and_stays_out() {
    let site = Site::start().await;
    let (old, new) = (site.service(A, "SYNC01"), site.service(B, "SYNC02"));
    old.is_in().await;
    new.is_in().await;
    // A second session of the old account, elsewhere on the instance and under a name that our own sessions have.
    let mut elsewhere = site.login(A, "w").await.unwrap();
    elsewhere.query(&statement("SELECT 1 AS one;")).await.unwrap();
    let before = effects(&site).len();
    let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
    let outcome = succeeded(site.does(Task::FenceDatabase(task.clone())).await);
    let back = outcome.fenced.unwrap();
    assert_eq!(back.marks[MARK_UID], uid().to_string());
    assert_eq!(
        (back.marks[MARK_EPOCH].as_str(), back.marks[MARK_OWNER].as_str()),
        ("7", "SYNC02")
    );
    let connect: Vec<_> = back
        .principals
        .iter()
        .map(|p| (p.login.as_str(), p.connect.as_deref()))
        .collect();
    assert_eq!(connect, [(A, Some("DENY")), (B, Some("GRANT"))]);
    assert_eq!(back.database_guid, Some(task.database.database_guid));
    // Both of its sessions ended, and only its.
    assert_eq!(back.killed.len(), 2);
    assert!(back.killed.iter().all(|s| s.login == A));
    let [first, second] = back.looks.as_slice() else {
        panic!("{:?}", back.looks)
    };
    assert!(second.at.since(first.at) >= 20, "{first:?} {second:?}");
    for look in [first, second] {
        let who: Vec<&str> = look.sessions.iter().map(|s| s.login.as_str()).collect();
        assert_eq!(who, [B]);
    }
    assert!(elsewhere.query(&statement("SELECT 1 AS one;")).await.is_err());
    // Denied first, ended afterwards: whoever was ended did not come in again.
    assert_eq!(
        effects(&site)[before..],
        ["DENY CONNECT", "GRANT CONNECT", "KILL", "KILL"]
    );
    let refused = old.refused();
    let tries = async {
        while old.refused() < refused + 5 {
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tries.await;
    assert_eq!((old.seats(), new.seats()), (1, 1));
    assert!(!site.lets_in(A).await && site.lets_in(B).await);
    drop((old, new));
    site.stop().await;
}

#[tokio::test]
async fn it_opens_to_the_next_and_back_again() {
    let site = Site::start().await;
    for (epoch, owner, deny, grant) in [(3, "SYNC02", A, B), (4, "SYNC01", B, A)] {
        let task = site.fence_task(epoch, Some(owner), &[deny], Some(grant)).await;
        succeeded(site.does(Task::FenceDatabase(task)).await);
        assert!(!site.lets_in(deny).await && site.lets_in(grant).await);
    }
    // To nobody: both are out, and no owner is written.
    let task = site.fence_task(5, None, &[A, B], None).await;
    let outcome = succeeded(site.does(Task::FenceDatabase(task)).await);
    assert_eq!(outcome.fenced.unwrap().marks[MARK_OWNER], "");
    assert!(!site.lets_in(A).await && !site.lets_in(B).await);
    site.stop().await;
}

#[tokio::test]
async fn an_epoch_that_is_not_newer_changes_nothing() {
    let site = Site::start().await;
    let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
    succeeded(site.does(Task::FenceDatabase(task.clone())).await);
    let (before, done) = (marks(&site).await, effects(&site).len());
    // An older one, and the same one for somebody else.
    for (epoch, owner) in [(6, "SYNC02"), (7, "SYNC01"), (1, "SYNC01")] {
        let stale = site.fence_task(epoch, Some(owner), &[B], Some(A)).await;
        assert_eq!(
            rules(site.does(Task::FenceDatabase(stale)).await),
            ["fence-stale-epoch"]
        );
    }
    let nobody = site.fence_task(7, None, &[A, B], None).await;
    assert_eq!(
        rules(site.does(Task::FenceDatabase(nobody)).await),
        ["fence-stale-epoch"]
    );
    assert_eq!(marks(&site).await, before);
    assert_eq!(effects(&site).len(), done);
    assert!(!site.lets_in(A).await && site.lets_in(B).await);
    // The same once more is found done, and written again where somebody undid it.
    succeeded(site.does(Task::FenceDatabase(task.clone())).await);
    assert_eq!(effects(&site).len(), done);
    site.sa(&format!("USE ADSync; GRANT CONNECT TO [{A}];")).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    assert!(!site.lets_in(A).await);
    site.stop().await;
}

#[tokio::test]
async fn another_database_is_left_alone() {
    let site = Site::start().await;
    let task = site.fence_task(7, None, &[A], None).await;
    // By its GUIDs.
    let mut other = task.clone();
    other.database.database_guid = uuid::Uuid::from_u128(1);
    assert_eq!(
        rules(site.does(Task::FenceDatabase(other)).await),
        ["source-is-another-database"]
    );
    // By its mark: whoever looks at it meanwhile finds another id.
    site.sa("USE ADSync; EXEC sys.sp_addextendedproperty @name = N'syncferry.db_uid', @value = N'01932c5e-7d3a-7c1b-9f3e-0242ac12ffff'; EXEC sys.sp_addextendedproperty @name = N'syncferry.epoch', @value = 1;").await;
    assert_eq!(
        rules(site.does(Task::FenceDatabase(task.clone())).await),
        ["fence-other-database"]
    );
    // Half a set of marks is nobody's.
    site.sa("USE ADSync; EXEC sys.sp_dropextendedproperty @name = N'syncferry.db_uid';")
        .await;
    assert_eq!(
        rules(site.does(Task::FenceDatabase(task)).await),
        ["fence-marks-incomplete"]
    );
    assert_eq!(marks(&site).await, ["syncferry.epoch=1"]);
    assert!(site.lets_in(A).await);
    site.stop().await;
}

#[tokio::test]
async fn what_was_not_shown_is_not_run() {
    let site = Site::start().await;
    let mut task = site.fence_task(7, None, &[A], None).await;
    task.epoch = 8;
    assert_eq!(
        rules(site.does(Task::FenceDatabase(task)).await),
        ["fence-preview-differs"]
    );
    // The account's user changed since.
    let task = site.fence_task(7, None, &[A], None).await;
    site.sa(&format!("USE ADSync; ALTER USER [{A}] WITH NAME = [renamed];"))
        .await;
    assert_eq!(
        rules(site.does(Task::FenceDatabase(task)).await),
        ["fence-preview-differs"]
    );
    assert!(marks(&site).await.is_empty() && site.lets_in(A).await);
    site.stop().await;
}

#[tokio::test]
async fn what_an_operator_is_shown() {
    let site = Site::start().await;
    let request = FencePreviewRequest::Fence {
        database: address(),
        uid: uid(),
        epoch: 7,
        owner: Some("SYNC02".into()),
        deny: vec![A.into()],
        grant: Some(B.into()),
    };
    let preview = site.preview(request.clone()).await.preview.unwrap();
    assert_eq!(preview.updateability.as_deref(), Some("READ_WRITE"));
    assert!(preview.lacks.is_empty() && preview.marks.is_empty());
    let guid = site.identity().await.database_guid.to_string();
    let text: Vec<String> = preview
        .statements
        .iter()
        .map(|s| format!("-- {}\n{}", s.purpose, s.text))
        .collect();
    insta::assert_snapshot!("fence-preview", text.join("\n\n").replace(&guid, "<database_guid>"));
    // Looking twice says the same; looking changes nothing.
    assert_eq!(site.preview(request).await.preview.unwrap().digest(), preview.digest());
    assert!(marks(&site).await.is_empty());
    // What the agent may not do is said, and refused.
    site.sa("REVOKE ALTER ANY CONNECTION FROM agent; USE ADSync; REVOKE ALTER ON DATABASE::ADSync FROM agent; ALTER ROLE db_securityadmin DROP MEMBER agent;").await;
    let task = site.fence_task(7, None, &[A], None).await;
    let end = failed(site.does(Task::FenceDatabase(task)).await);
    assert_eq!(end[0].rule, "fence-rights");
    let lacks: Vec<&str> = end[0].evidence.iter().map(|e| e.found.as_str()).collect();
    assert_eq!(lacks.len(), 3, "{lacks:?}");
    let missing = FencePreviewRequest::RemoveMarks {
        database: syncferry_shared::inventory::DatabaseAddress {
            database: "nothing".into(),
            ..address()
        },
        allow: Vec::new(),
    };
    let inventory = site.preview(missing).await;
    assert!(inventory.preview.is_none() && inventory.problems.iter().any(|p| p.subject.contains("nothing")));
    site.stop().await;
}

#[tokio::test]
async fn owner_sysadmin_group_and_shared_accounts_are_not_fenced() {
    let site = Site::of("SQL01", |spec| {
        spec.windows_group(r"CONTOSO\Nested", &[A])
            .windows_group(r"CONTOSO\SyncServers", &[r"CONTOSO\Nested"])
    })
    .await;
    let try_it = async |deny: &str, grant: Option<&str>| {
        let task = site.fence_task(7, None, &[deny], grant).await;
        let mut found = rules(site.does(Task::FenceDatabase(task)).await);
        found.sort();
        found
    };
    // A group with a user in the database but no login; then with a login; then one that is sysadmin.
    site.sa(r"USE master; CREATE LOGIN [CONTOSO\SyncServers] FROM WINDOWS; USE ADSync; CREATE USER [CONTOSO\SyncServers] FOR LOGIN [CONTOSO\SyncServers];").await;
    assert_eq!(try_it(A, Some(B)).await, ["fence-group"]);
    site.sa(r"USE master; DROP LOGIN [CONTOSO\SyncServers];").await;
    assert_eq!(try_it(A, Some(B)).await, ["fence-group"]);
    site.sa(r"USE ADSync; DROP USER [CONTOSO\SyncServers]; USE master; CREATE LOGIN [CONTOSO\Nested] FROM WINDOWS;")
        .await;
    let fine = site.fence_task(1, None, &[A], Some(B)).await;
    succeeded(site.does(Task::FenceDatabase(fine)).await);
    site.sa(r"ALTER SERVER ROLE sysadmin ADD MEMBER [CONTOSO\Nested];")
        .await;
    assert_eq!(try_it(A, Some(B)).await, ["fence-group", "fence-sysadmin"]);
    site.sa(r"DROP LOGIN [CONTOSO\Nested];").await;
    // sysadmin, owner.
    site.sa(&format!("ALTER SERVER ROLE sysadmin ADD MEMBER [{A}];")).await;
    assert_eq!(try_it(A, Some(B)).await, ["fence-sysadmin"]);
    site.sa(&format!("ALTER SERVER ROLE sysadmin DROP MEMBER [{A}];")).await;
    site.sa(&format!(
        "USE ADSync; DROP USER [{A}]; ALTER AUTHORIZATION ON DATABASE::ADSync TO [{A}];"
    ))
    .await;
    assert_eq!(try_it(A, Some(B)).await, ["fence-owner"]);
    site.sa(&format!(
        "ALTER AUTHORIZATION ON DATABASE::ADSync TO sa; USE ADSync; CREATE USER [{A}] FOR LOGIN [{A}];"
    ))
    .await;
    // One account for two servers: said by the run itself, or seen in the sessions.
    assert_eq!(try_it(A, Some(A)).await, ["fence-shared-account"]);
    let (one, two) = (site.service(A, "SYNC01"), site.service(A, "sync02.contoso.lab"));
    one.is_in().await;
    two.is_in().await;
    assert_eq!(try_it(A, Some(B)).await, ["fence-shared-account"]);
    drop((one, two));
    // Nobody knows the account, or the agent may not ask about it.
    assert_eq!(try_it(r"CONTOSO\svc-c$", Some(B)).await, ["fence-unknown"]);
    site.sa("REVOKE EXECUTE ON sys.xp_logininfo FROM agent;").await;
    assert_eq!(try_it(A, Some(B)).await, ["fence-unknown"]);
    site.stop().await;
}

#[tokio::test]
async fn between_the_commit_and_the_end_of_sessions_a_crash_loses_nothing() {
    let site = Site::start().await;
    let service = site.service(A, "SYNC01");
    service.is_in().await;
    let task = Task::FenceDatabase(site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await);
    let dir = tempfile::tempdir().unwrap();
    // The batch that ends sessions never gets an answer, and the agent is killed while it waits.
    site.faults(r#"{"rules":[{"on":"batch","text":"@ended TABLE","hang_ms":600000}]}"#);
    let key = {
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let key = accept(&journal, task).await;
        let reached = Arc::new(Notify::new());
        let (seen, told) = (Arc::clone(&reached), journal.clone());
        let mut changes = told.changes();
        let waiting = tokio::spawn(async move {
            while told
                .attempt(key)
                .is_none_or(|a| a.step("end-sessions").is_none_or(|s| s.intent.is_none()))
            {
                changes.changed().await.unwrap();
            }
            seen.notify_one();
        });
        let (log, _lines) = mpsc::unbounded_channel();
        let paused = watch::Sender::new(false);
        let deps = site.deps(&journal);
        tokio::select! {
            ended = run(&deps, key, Controls::new(paused.subscribe()), log) => panic!("{ended:?}"),
            () = reached.notified() => {}
        }
        waiting.await.unwrap();
        key
    };
    // Denied, and still in: that is what the crash left.
    assert!(!site.lets_in(A).await);
    assert_eq!(
        (service.seats(), effects(&site).iter().filter(|e| *e == "KILL").count()),
        (1, 0)
    );
    site.faults(r#"{"rules":[]}"#);
    let (journal, torn) = Journal::open(dir.path()).unwrap();
    assert_eq!(torn, 0);
    let back = succeeded(site.goes_on(&journal, key).await).fenced.unwrap();
    assert_eq!(back.killed.len(), 1);
    // It was written once, and the service got nowhere.
    let done = effects(&site);
    assert_eq!(done.iter().filter(|e| *e == "DENY CONNECT").count(), 1, "{done:?}");
    assert_eq!(service.seats(), 1);
    drop(service);
    site.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_commit_is_found_out() {
    let site = Site::start().await;
    let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
    // The connection breaks in the middle of the transaction: it is rolled back, and done again.
    site.faults(r#"{"rules":[{"on":"commit","drop":true,"times":1}]}"#);
    let outcome = match site.does(Task::FenceDatabase(task.clone())).await {
        // A broken connection ends the job; the next attempt looks first.
        crate::journal::End::Failed { failure } => {
            assert_eq!(failure.findings[0].rule, "sql-connection-lost");
            assert!(marks(&site).await.is_empty() && site.lets_in(A).await);
            succeeded(site.does(Task::FenceDatabase(task.clone())).await)
        }
        end => succeeded(end),
    };
    assert_eq!(outcome.fenced.unwrap().marks[MARK_EPOCH], "7");
    // Whoever finds it done does not write it again.
    let done = effects(&site).len();
    succeeded(site.does(Task::FenceDatabase(task)).await);
    assert_eq!(effects(&site).len(), done);
    site.stop().await;
}

#[tokio::test]
async fn a_service_that_nobody_knows_spoils_the_proof() {
    let site = Site::of("SQL01", |spec| spec.windows_login(r"CONTOSO\svc-c$", &[])).await;
    site.sa(r"USE ADSync; CREATE USER [CONTOSO\svc-c$] FOR LOGIN [CONTOSO\svc-c$];")
        .await;
    let stranger = site.service(r"CONTOSO\svc-c$", "SYNC03");
    stranger.is_in().await;
    let task = site.fence_task(7, None, &[A], None).await;
    let found = failed(site.does(Task::FenceDatabase(task)).await);
    assert_eq!(found[0].rule, "fence-stranger");
    assert!(found[0].evidence[0].found.contains("SYNC03"));
    drop(stranger);
    site.stop().await;
}

#[tokio::test]
async fn the_transaction_refuses_by_itself() {
    let site = Site::start().await;
    let identity = site.identity().await;
    let mut agent = site.agent().await;
    let order = statements::Order {
        database_guid: identity.database_guid,
        uid: uid().to_string(),
        epoch: 7,
        owner: None,
        deny: vec![statements::Bound {
            login: A.into(),
            user: A.into(),
        }],
        grant: None,
    };
    let run = async |agent: &mut crate::sql::SqlSession, order: &statements::Order| {
        let error = fence::commit(agent, "ADSync", &statements::write(order))
            .await
            .unwrap_err();
        let number = error.number();
        assert!(matches!(refused(error), StepError::Failed(_) | StepError::Passing(_)));
        number
    };
    // Another fence has the lock.
    let mut other = site.login("sa", "sa").await.unwrap();
    other.query(&statement("USE ADSync; BEGIN TRANSACTION; EXEC sys.sp_getapplock @Resource = N'syncferry.fence', @LockMode = N'Exclusive', @LockOwner = N'Transaction';")).await.unwrap();
    let impatient = statements::write(&order);
    let impatient = crate::sql::Statement {
        sql: impatient.sql.replace("@LockTimeout = 10000", "@LockTimeout = 0"),
        ..impatient
    };
    let error = fence::commit(&mut agent, "ADSync", &impatient).await.unwrap_err();
    assert_eq!(error.number(), Some(statements::BUSY));
    other.query(&statement("ROLLBACK; USE master;")).await.unwrap();
    // What changed after the run was worked out.
    site.sa(&format!("ALTER SERVER ROLE sysadmin ADD MEMBER [{A}];")).await;
    assert_eq!(run(&mut agent, &order).await, Some(statements::NOT_BOUND));
    site.sa(&format!(
        "ALTER SERVER ROLE sysadmin DROP MEMBER [{A}]; USE ADSync; DROP USER [{A}]; CREATE USER [{A}] WITHOUT LOGIN;"
    ))
    .await;
    assert_eq!(run(&mut agent, &order).await, Some(statements::USER_CHANGED));
    site.sa(&format!(
        "USE ADSync; DROP USER [{A}]; ALTER AUTHORIZATION ON DATABASE::ADSync TO [{A}];"
    ))
    .await;
    assert_eq!(run(&mut agent, &order).await, Some(statements::USER_CHANGED));
    site.sa(&format!(
        "ALTER AUTHORIZATION ON DATABASE::ADSync TO sa; USE ADSync; CREATE USER [{A}] FOR LOGIN [{A}];"
    ))
    .await;
    site.sa("ALTER DATABASE ADSync SET READ_ONLY;").await;
    assert_eq!(run(&mut agent, &order).await, Some(statements::NOT_WRITABLE));
    site.sa("ALTER DATABASE ADSync SET READ_WRITE;").await;
    assert!(marks(&site).await.is_empty() && site.lets_in(A).await);
    // The session is as good as new after each of them.
    fence::commit(&mut agent, "ADSync", &statements::write(&order))
        .await
        .unwrap();
    assert!(!site.lets_in(A).await);
    // A run that slept ends nobody whom a newer epoch let in.
    let logins = [A.to_string()];
    let error = fence::end_sessions(&mut agent, "ADSync", 6, &logins).await.unwrap_err();
    assert_eq!(error.number(), Some(statements::STALE));
    assert!(
        fence::end_sessions(&mut agent, "ADSync", 7, &logins)
            .await
            .unwrap()
            .is_empty()
    );
    site.stop().await;
}
