//! ADSync databases that are not as they should be: empty, in the middle of a run, without history, staging.

use crate::lab::{localdb_of, localdb_with};
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_sqlserver::storage::sample::{AdSync, Emptiness, adsync};

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

#[tokio::test]
async fn the_configuration_is_read_part_by_part() {
    let facts = facts(|s| {
        s.objects = 400;
        s.pending_exports = 5;
        s.pending_adds = 2;
        s.pending_deletes = 3;
        s.full_sync_flagged = true;
        s.desktop_sso = true;
        s.excluded = vec!["OU=Service Accounts,DC=a,DC=example".into()];
        s.forests = vec!["a.example".into(), "b.example".into()];
    })
    .await
    .unwrap();
    let config = &facts.config;
    let names: Vec<&str> = config.connectors.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a.example", "b.example", "contoso.onmicrosoft.com - AAD"]);
    let entra = &config.connectors[2];
    assert_eq!(entra.kind, "Entra");
    assert_eq!(entra.pending.unwrap().shown(), "2 adds, 5 updates, 3 deletes");
    assert_eq!(facts.counts.pending_exports[&entra.name], 10);
    let objects: i64 = config.connectors.iter().filter_map(|c| c.objects).sum();
    assert_eq!(objects, facts.counts.rows["dbo.mms_connectorspace"]);
    let first = &config.connectors[0];
    assert_eq!(
        (first.full_sync_required, first.full_import_required),
        (Some(true), Some(false))
    );
    assert_eq!(facts.full_run_required, ["a.example"]);
    assert!(first.last_sync.is_some() && first.last_sync <= facts.last_sync);
    assert!(
        first
            .attributes
            .as_ref()
            .unwrap()
            .contains(&"userPrincipalName".to_string())
    );
    let partition = &first.partitions.as_ref().unwrap()[0];
    assert_eq!(
        (partition.selected, partition.filter.as_slice()),
        (Some(true), &["- OU=Service Accounts,DC=a,DC=example".to_string()][..])
    );
    let rules = config.rules.as_ref().unwrap();
    assert_eq!(Some(rules.len() as i64), facts.counts.rules);
    let custom = rules.iter().filter(|r| r.standard == Some(false)).count() as i64;
    assert_eq!(Some(custom), facts.custom_rules);
    assert!(rules.iter().all(|r| {
        r.flows
            .as_ref()
            .is_some_and(|f| f.contains(&"mail <- mail".to_string()))
    }));
    assert_eq!(config.settings["Microsoft.UserSignIn.DesktopSsoEnabled"], "True");
    assert!(!config.settings.contains_key("Microsoft.Synchronize.NextStartTime"));
    assert_eq!(facts.unknown, [], "nothing of the sample is unknown");
}

#[tokio::test]
async fn what_is_missing_is_unknown_with_its_reason() {
    let shared = tempfile::tempdir().unwrap();
    let mut database = adsync(&AdSync {
        objects: 200,
        ..AdSync::new(time::OffsetDateTime::now_utc())
    });
    database.procedures.clear();
    database.tables.retain(|t| t.name != "mms_partition");
    let space = database.tables.iter_mut().find(|t| t.name == "mms_connectorspace");
    let space = std::sync::Arc::make_mut(space.unwrap());
    let at = space.column("export_operation").unwrap();
    space.columns.remove(at);
    space.rows.iter_mut().for_each(|row| drop(row.remove(at)));
    let source = localdb_of(shared.path(), database).await;
    let facts = source.inspect("ADSync").await.adsync.unwrap();
    source.stop().await;
    let why = |fact: &str| facts.unknown.iter().find(|u| u.fact == fact).map(|u| u.why.as_str());
    assert_eq!(
        why("global settings"),
        Some("there is no procedure dbo.mms_get_globalsettings")
    );
    assert_eq!(
        why("pending exports"),
        Some("dbo.mms_connectorspace has no column export_operation")
    );
    assert_eq!(
        why("partitions and filtering"),
        Some("dbo.mms_partition has no column ma_id, partition_name")
    );
    assert!(
        facts
            .config
            .connectors
            .iter()
            .all(|c| c.pending.is_none() && c.partitions.is_none())
    );
    assert_eq!((facts.connect_version, facts.staging_mode), (None, None));
}
