//! Removing marks and denials: of a database that was fenced, and of a copy that they travelled into.

use syncferry_shared::fence::FencePreviewRequest;
use syncferry_shared::spec::Task;

use super::site::*;
use crate::sql::ops::{fence, identity_facts};

#[tokio::test]
async fn a_fenced_database_is_clean_again() {
    let site = Site::start().await;
    let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    // What somebody else left is not ours.
    site.sa("USE ADSync; EXEC sys.sp_addextendedproperty @name = N'owner', @value = N'DBA';")
        .await;
    let shown = site
        .preview(FencePreviewRequest::RemoveMarks {
            database: address(),
            allow: vec![A.into()],
        })
        .await
        .preview
        .unwrap();
    assert_eq!(shown.marks.len(), 3);
    let denied: Vec<&str> = shown.principals.iter().map(|p| p.login.as_str()).collect();
    assert_eq!(denied, [A]);
    let text: Vec<String> = shown
        .statements
        .iter()
        .map(|s| format!("-- {}\n{}", s.purpose, s.text))
        .collect();
    let guid = site.identity().await.database_guid.to_string();
    insta::assert_snapshot!("removal-preview", text.join("\n\n").replace(&guid, "<database_guid>"));
    let task = site.removal_task(&[A]).await;
    let outcome = succeeded(site.does(Task::RemoveMarks(task.clone())).await);
    let clean = outcome.cleaned.unwrap();
    assert!(clean.marks.is_empty() && clean.denied.is_empty() && outcome.findings.is_empty());
    assert_eq!(clean.server_name, "SQL01");
    assert!(site.lets_in(A).await);
    let mut agent = site.agent().await;
    let left = agent
        .query_in(
            "ADSync",
            &statement("SELECT name FROM sys.extended_properties WHERE class = 0;"),
        )
        .await
        .unwrap();
    assert_eq!(left[0].rows().len(), 1);
    // Once more finds nothing to do.
    let outcome = succeeded(site.does(Task::RemoveMarks(task)).await);
    assert!(outcome.cleaned.unwrap().marks.is_empty());
    site.stop().await;
}

#[tokio::test]
async fn denials_that_nobody_named_stay_and_are_told() {
    let site = Site::start().await;
    let task = site.fence_task(7, None, &[A, B], None).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    let task = site.removal_task(&[A]).await;
    let outcome = succeeded(site.does(Task::RemoveMarks(task)).await);
    assert_eq!(outcome.cleaned.unwrap().denied, [B]);
    let rules: Vec<&str> = outcome.findings.iter().map(|f| f.rule.as_str()).collect();
    assert_eq!(rules, ["denials-left"]);
    assert!(site.lets_in(A).await && !site.lets_in(B).await);
    // Only what was shown is run, and only on the database it was shown for.
    let mut other = site.removal_task(&[B]).await;
    other.allow = vec![A.into()];
    assert_eq!(rules_of(&site, other.clone()).await, ["fence-preview-differs"]);
    other.database.database_guid = uuid::Uuid::from_u128(1);
    assert_eq!(rules_of(&site, other).await, ["source-is-another-database"]);
    let unknown = site.removal_task(&[r"CONTOSO\nobody"]).await;
    assert_eq!(rules_of(&site, unknown).await, ["marks-no-user"]);
    site.stop().await;
}

async fn rules_of(site: &Site, task: syncferry_shared::spec::RemoveMarksTask) -> Vec<String> {
    rules(site.does(Task::RemoveMarks(task)).await)
}

#[tokio::test]
async fn what_travelled_in_a_backup_is_found_in_the_copy_and_removed_there() {
    let site = Site::start().await;
    let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    site.sa(r"BACKUP DATABASE ADSync TO DISK = N'D:\a.bak' WITH COPY_ONLY, FORMAT, CHECKSUM;")
        .await;
    // Another server, where neither account has a login.
    let drive = site.folder().join("drives/D");
    let copy = Site::of("SQL02", |spec| spec.drive("D:", &drive, None)).await;
    copy.sa(r"DROP DATABASE ADSync; DROP LOGIN [CONTOSO\svc-a$]; DROP LOGIN [CONTOSO\svc-b$];")
        .await;
    copy.sa(
        r"RESTORE DATABASE ADSync FROM DISK = N'D:\a.bak' WITH MOVE N'ADSync' TO N'E:\copy.mdf', MOVE N'ADSync_log' TO N'E:\copy.ldf';",
    )
    .await;
    copy.sa("USE ADSync; ALTER USER agent WITH LOGIN = agent;").await;
    let mut agent = copy.agent().await;
    let facts = identity_facts(&mut agent, "ADSync").await.unwrap().unwrap();
    assert_eq!(facts.marks["syncferry.epoch"], "7");
    let denied = fence::denied(&mut agent, "ADSync").await.unwrap();
    assert_eq!((denied[0].user.as_str(), denied[0].login.as_deref()), (A, None));
    let task = copy.removal_task(&[A]).await;
    let outcome = succeeded(copy.does(Task::RemoveMarks(task)).await);
    assert_eq!(outcome.cleaned.unwrap().denied, Vec::<String>::new());
    assert!(
        identity_facts(&mut agent, "ADSync")
            .await
            .unwrap()
            .unwrap()
            .marks
            .is_empty()
    );
    // The original keeps its fence.
    let mut original = site.agent().await;
    assert_eq!(fence::marks(&mut original, "ADSync").await.unwrap().len(), 3);
    assert!(!site.lets_in(A).await);
    copy.stop().await;
    site.stop().await;
}
