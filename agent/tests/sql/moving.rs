//! The whole way of a database through the agent's operations: inspect, back up, verify, restore under a temporary name, check,
//! repair, rename, compare.

use crate::lab::{STAGING, application, localdb, standard};
use syncferry_agent::adsync;
use syncferry_agent::sql::ops::backup::BackupOptions;
use syncferry_agent::sql::ops::restore::RestoreOptions;
use syncferry_agent::sql::ops::{self, AfterRestore, Dropped, Expectations, Renamed, Watch};
use syncferry_agent::sql::{capability, temporary};
use syncferry_shared::Millis;
use syncferry_shared::artifact::SetFile;
use syncferry_shared::ids::ArtifactId;
use syncferry_shared::progress::Progress;
use tokio_util::sync::CancellationToken;

const ACCOUNT: &str = r"CONTOSO\svc-adsync$";

#[tokio::test]
async fn an_instance_says_what_it_is() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    let facts = source.probe().await;
    assert!(facts.is_localdb && facts.is_sysadmin && facts.can_view_state && facts.can_create_database);
    assert_eq!(facts.major, 15);
    assert_eq!(facts.service_account, None, "LocalDB has no service");
    assert!(
        facts.server_name.starts_with(r"SYNC01\LOCALDB#"),
        "{}",
        facts.server_name
    );
    assert!(facts.volumes.keys().any(|v| v.starts_with("D:")), "{:?}", facts.volumes);
    assert!(facts.clock_offset_ms.abs() < 5_000, "{}", facts.clock_offset_ms);
    let c = capability::capabilities(&facts);
    assert!(!c.backup_compression && c.max_database_bytes == Some(10 << 30));
    let adsync = facts.databases.iter().find(|d| d.name == "ADSync").unwrap();
    assert_eq!(adsync.state, "ONLINE");
    assert!(adsync.family_guid.is_some());
    source.stop().await;

    let target = standard(shared.path()).await;
    let facts = target.probe().await;
    assert_eq!((facts.major, facts.is_localdb), (16, false));
    assert_eq!(facts.service_account.as_deref(), Some(r"NT SERVICE\MSSQLSERVER"));
    assert!(capability::capabilities(&facts).backup_compression);
    assert!(facts.data_path.is_some());
    target.stop().await;
}

#[tokio::test]
async fn a_database_says_what_is_in_it() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    let facts = source.inspect("ADSync").await;
    assert_eq!(facts.internal_version, Some(904));
    assert!(facts.can_backup && !facts.is_read_only && facts.family_guid.is_some());
    assert_eq!(facts.files.len(), 2);
    assert!(facts.used_bytes.unwrap() > 0 && facts.used_bytes.unwrap() <= facts.bytes);
    assert_eq!(facts.sessions.as_deref(), Some([].as_slice()));
    let adsync = facts.adsync.unwrap();
    assert!(!adsync.empty && adsync.instance_id.is_some());
    assert_eq!(adsync.connect_version.unwrap().to_string(), "2.5.190.0");
    assert_eq!(adsync.staging_mode, Some(false));
    assert_eq!(adsync.last_owner.as_deref(), Some("SYNC01"));
    assert_eq!(adsync.forests, ["corp.contoso.com"]);
    assert_eq!(adsync.run_in_progress, Some(false));
    assert_eq!(adsync.custom_rules, Some(2));
    let age = adsync.last_sync.unwrap();
    let now = syncferry_shared::Clock::now(&crate::lab::Now);
    assert!((15 * 60_000..25 * 60_000).contains(&now.since(age)), "{age}");
    assert!(adsync.sign_on_method.is_some());
    assert_eq!(adsync.counts.connectors.len(), 2);
    assert_eq!(adsync.counts.pending_exports.values().sum::<i64>(), 12);
    assert!(adsync.counts.rules.unwrap() > 0);
    assert!(adsync.counts.rows["dbo.mms_connectorspace"] > 0);
    assert!(!adsync.counts.rows.contains_key("dbo.mms_run_history"));
    source.stop().await;
}

#[tokio::test]
async fn a_database_moves() {
    let shared = tempfile::tempdir().unwrap();
    let (source, target) = (localdb(shared.path()).await, standard(shared.path()).await);
    let before = source.inspect("ADSync").await;
    let family = before.family_guid.unwrap();
    let counts = before.adsync.unwrap().counts;
    let path = format!(r"{STAGING}\ADSync.bak");

    // Back up, with progress.
    source.pace(20.0);
    let (mut work, mut monitor) = (source.work().await, source.monitor().await);
    let mut options = BackupOptions::new("ADSync", &path);
    options.description = "{\"migration\":\"m\",\"epoch\":7}".into();
    options.media_name = "syncferry-m".into();
    let cancel = CancellationToken::new();
    let mut told: Vec<u64> = Vec::new();
    let mut tell = |p: Progress| told.push(p.done);
    let watch = Watch::new(Some(&mut monitor), application());
    let done = ops::backup(&mut work, watch, &options, &cancel, &mut tell)
        .await
        .unwrap();
    assert!(done.pages.unwrap() > 100 && done.findings.is_empty(), "{done:?}");
    assert!(
        told.len() > 5 && told.is_sorted() && told.last() == Some(&100),
        "{told:?}"
    );
    let source_record = ops::header(&mut work, &path).await.unwrap();
    assert_eq!(source_record.header.family_guid, family);
    let offset = source.probe().await.utc_offset_minutes;
    let history = ops::msdb::backups(&mut work, "ADSync", offset).await.unwrap();
    let now = syncferry_shared::Clock::now(&crate::lab::Now);
    assert!(
        now.since(history[0].finished.unwrap()).abs() < 60_000,
        "msdb has local times"
    );
    assert_eq!(history[0].backup_set_guid, source_record.header.backup_set_guid);
    assert!(history[0].is_copy_only);

    // Read it on the target, and accept it.
    let (mut work, mut monitor) = (target.work().await, target.monitor().await);
    let watch = Watch::new(Some(&mut monitor), application());
    ops::verify_only(&mut work, watch, &path, &cancel, &mut |_| {})
        .await
        .unwrap();
    let record = ops::header(&mut work, &path).await.unwrap();
    assert_eq!(record.header, source_record.header);
    assert!(record.is_copy_only && record.has_checksums);
    let label = ops::label(&mut work, &path).await.unwrap();
    let files = ops::file_list(&mut work, &path).await.unwrap();
    assert_eq!(files.len(), 2);
    let mut expected = Expectations::from_header(&source_record.header);
    expected.target_major = Some(16);
    expected.target_internal_version = ops::internal_version(&mut work).await.unwrap();
    assert_eq!(expected.target_internal_version, Some(957));
    ops::accept_set(&record, &label, &files, &expected).unwrap();

    // Restore under a temporary name.
    assert!(ops::family_present(&mut work, family).await.unwrap().is_empty());
    let temporary = temporary::name_for("ADSync", ArtifactId::new(Millis(1), &[7; 10]));
    let set_files: Vec<SetFile> = files.iter().map(|f| f.file.clone()).collect();
    let moves = ops::place_files(&set_files, &temporary, r"D:\Data", r"D:\Data\");
    let places: Vec<String> = moves.iter().map(|m| m.to.clone()).collect();
    let mut options = RestoreOptions::new(&temporary, &path, moves);
    options.media_name = Some("syncferry-m".into());
    target.pace(20.0);
    let mut told: Vec<u64> = Vec::new();
    let mut tell = |p: Progress| told.push(p.done);
    let watch = Watch::new(Some(&mut monitor), application());
    let done = ops::restore(&mut work, watch, &options, &cancel, &mut tell)
        .await
        .unwrap();
    assert!(done.pages.is_some());
    assert!(told.len() > 5 && told.is_sorted(), "{told:?}");
    target.pace(0.0);
    let restored = ops::database_identity(&mut work, &temporary).await.unwrap().unwrap();
    assert_eq!(
        (restored.state.as_str(), restored.family_guid),
        ("ONLINE", Some(family))
    );
    assert_ne!(restored.database_guid, before.database_guid);
    assert_eq!(restored.user_access, "RESTRICTED_USER");

    // Check, repair, rename, compare.
    let watch = Watch::new(Some(&mut monitor), application());
    let damage = ops::check_db(&mut work, watch, &temporary, &cancel, &mut |_| {})
        .await
        .unwrap();
    assert!(damage.is_empty(), "{damage:?}");
    let task = AfterRestore {
        database: temporary.clone(),
        service_account: Some(ACCOUNT.into()),
        update_statistics: true,
    };
    let first = ops::after_restore(&mut work, &task).await.unwrap();
    let again = ops::after_restore(&mut work, &task).await.unwrap();
    assert_eq!(first, again, "it may run twice");
    assert!(first.iter().all(|f| !f.blocks()), "{first:?}");
    let renamed = ops::rename(&mut work, &temporary, "ADSync", family).await.unwrap();
    assert_eq!(renamed, Renamed::Done);
    let renamed = ops::rename(&mut work, &temporary, "ADSync", family).await.unwrap();
    assert_eq!(renamed, Renamed::Absent);
    let restored = ops::msdb::restored_sets(&mut work, "ADSync").await.unwrap();
    assert!(restored.is_empty() || restored == [source_record.header.backup_set_guid]);
    let after = adsync::count(&mut work, "ADSync").await.unwrap().unwrap();
    assert_eq!(after, counts);
    let facts = target.inspect("ADSync").await;
    assert_eq!(facts.owner.as_deref(), Some("sa"));
    assert_eq!(facts.internal_version, Some(957));

    // What is not temporary cannot be dropped, and the family is found under its name.
    assert!(ops::drop_ours(&mut work, "ADSync", family, &places).await.is_err());
    let same = ops::family_present(&mut work, family).await.unwrap();
    assert_eq!(same.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["ADSync"]);
    source.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn only_what_is_ours_is_dropped() {
    let shared = tempfile::tempdir().unwrap();
    let (source, target) = (localdb(shared.path()).await, standard(shared.path()).await);
    let family = source.inspect("ADSync").await.family_guid.unwrap();
    let path = format!(r"{STAGING}\drop.bak");
    let cancel = CancellationToken::new();
    let mut work = source.work().await;
    let watch = Watch::new(None, application());
    ops::backup(
        &mut work,
        watch,
        &BackupOptions::new("ADSync", &path),
        &cancel,
        &mut |_| {},
    )
    .await
    .unwrap();
    let mut work = target.work().await;
    let temporary = temporary::name_for("ADSync", ArtifactId::new(Millis(1), &[9; 10]));
    let files: Vec<SetFile> = ops::file_list(&mut work, &path)
        .await
        .unwrap()
        .into_iter()
        .map(|f| f.file)
        .collect();
    let moves = ops::place_files(&files, &temporary, r"D:\Data", r"D:\Data");
    let places: Vec<String> = moves.iter().map(|m| m.to.clone()).collect();
    let options = RestoreOptions::new(&temporary, &path, moves);
    let watch = Watch::new(None, application());
    ops::restore(&mut work, watch, &options, &cancel, &mut |_| {})
        .await
        .unwrap();
    let other = uuid::Uuid::from_u128(1);
    assert_eq!(
        ops::drop_ours(&mut work, &temporary, other, &places).await.unwrap(),
        Dropped::NotOurs
    );
    assert_eq!(
        ops::rename(&mut work, &temporary, "ADSync", other).await.unwrap(),
        Renamed::OtherFamily
    );
    assert_eq!(
        ops::rename(&mut work, &temporary, "model", family).await.unwrap(),
        Renamed::Taken
    );
    assert_eq!(
        ops::drop_ours(&mut work, &temporary, family, &places).await.unwrap(),
        Dropped::Done
    );
    assert_eq!(
        ops::drop_ours(&mut work, &temporary, family, &places).await.unwrap(),
        Dropped::Absent
    );
    source.stop().await;
    target.stop().await;
}
