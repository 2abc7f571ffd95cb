//! ADSync databases that are not as they should be: empty, in the middle of a run, without history, staging.

use crate::lab::localdb_with;
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_sqlserver::storage::sample::{AdSync, Emptiness};

async fn facts(change: impl FnOnce(&mut AdSync)) -> Option<AdsyncFacts> {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb_with(shared.path(), |sample| {
        sample.objects = 200;
        change(sample);
    })
    .await;
    let facts = source.inspect("ADSync").await.adsync;
    source.stop().await;
    facts
}

#[tokio::test]
async fn without_tables_it_is_no_adsync_database() {
    assert_eq!(facts(|s| s.emptiness = Emptiness::NoTables).await, None);
}

#[tokio::test]
async fn without_rows_it_is_empty() {
    let facts = facts(|s| s.emptiness = Emptiness::NoRows).await.unwrap();
    assert!(facts.empty);
    assert_eq!((facts.instance_id, facts.last_owner), (None, None));
}

#[tokio::test]
async fn a_run_in_progress_and_staging_are_seen() {
    let facts = facts(|s| {
        s.sync_in_progress = true;
        s.staging = true;
        s.custom_rules = 0;
        s.owner_host = "OLD-AADC01".into();
        s.forests = vec!["a.example".into(), "b.example".into()];
    })
    .await
    .unwrap();
    assert_eq!((facts.run_in_progress, facts.staging_mode), (Some(true), Some(true)));
    assert_eq!(facts.custom_rules, Some(0));
    assert_eq!(facts.forests, ["a.example", "b.example"]);
    assert_eq!(facts.last_owner.as_deref(), Some("OLD-AADC01"));
}

#[tokio::test]
async fn without_history_the_newest_import_counts() {
    let facts = facts(|s| s.last_sync_age = None).await.unwrap();
    let source = facts.last_sync_source;
    assert!(source.is_none_or(|s| s.starts_with("mms_connectorspace")));
}

#[tokio::test]
async fn the_account_of_older_versions_tells_the_server_too() {
    let facts = facts(|s| s.connect_version = "2.0.3.0".into()).await.unwrap();
    assert_eq!(facts.last_owner.as_deref(), Some("SYNC01"));
    assert_eq!(facts.connect_version.unwrap().to_string(), "2.0.3.0");
}
