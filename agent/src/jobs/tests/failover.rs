//! An availability group fails over in the middle of a fence: whatever the moment, what comes out is no proof.

use syncferry_shared::spec::Task;

use super::identity::group;
use super::site::*;
use crate::journal::End;

/// Runs a fence; while a statement is held, the replica becomes a secondary. What the job said, and whether the old account still
/// gets in when the replica is the primary again.
async fn fails_over_while(rule: &str) -> (End, Site) {
    let site = Site::start().await;
    std::fs::write(site.folder().join("availability.json"), group("primary")).unwrap();
    let task = Task::FenceDatabase(site.fence_task(7, None, &[A], None).await);
    std::fs::write(site.folder().join("held"), "").unwrap();
    site.faults(&format!("{{\"rules\":[{rule}]}}"));
    let hits = site.folder().join("faults.hits.json");
    let fail_over = async {
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        while !hits.exists() {
            assert!(tokio::time::Instant::now() < end, "the statement was not reached");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        std::fs::write(site.folder().join("availability.json"), group("secondary")).unwrap();
        std::fs::remove_file(site.folder().join("held")).unwrap();
    };
    let (end, ()) = tokio::join!(site.does(task), fail_over);
    std::fs::write(site.folder().join("availability.json"), group("primary")).unwrap();
    (end, site)
}

#[tokio::test]
async fn before_the_commit_nothing_is_written_and_nothing_proven() {
    // A fail-over ends every session of the old primary.
    let (end, site) = fails_over_while(r#"{"on":"commit","hold":"held","drop":true,"times":1}"#).await;
    let rules = rules(end);
    assert!(
        rules
            .iter()
            .all(|r| ["sql-connection-lost", "fence-not-writable"].contains(&r.as_str())),
        "{rules:?}"
    );
    assert!(site.lets_in(A).await, "it was rolled back");
    site.stop().await;
}

#[tokio::test]
async fn between_the_commit_and_the_reading_back_it_is_written_and_not_proven() {
    // The replica stays readable: everything that is read back there looks as it should.
    let (end, site) = fails_over_while(r#"{"on":"batch","text":"@ended TABLE","hold":"held","times":1}"#).await;
    assert_eq!(rules(end), ["fence-not-writable"]);
    assert!(
        !site.lets_in(A).await,
        "the denial stands; the job is run again where the primary is"
    );
    let task = Task::FenceDatabase(site.fence_task(7, None, &[A], None).await);
    let back = succeeded(site.does(task).await).fenced.unwrap();
    assert_eq!(back.updateability.as_deref(), Some("READ_WRITE"));
    site.stop().await;
}
