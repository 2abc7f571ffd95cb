//! What SQL Server refuses, and what we make of it: each error with its own number, kind and next step; and cancelling.

use std::sync::Arc;

use crate::lab::{STAGING, application, localdb, standard};
use syncferry_agent::sql::ops::backup::BackupOptions;
use syncferry_agent::sql::ops::restore::RestoreOptions;
use syncferry_agent::sql::ops::{self, Applock, Dropped, Watch, applock::NotLocked};
use syncferry_agent::sql::{Role, SqlErrorKind, SqlSession, Statement, temporary};
use syncferry_shared::Millis;
use syncferry_shared::artifact::SetFile;
use syncferry_shared::ids::ArtifactId;
use tokio_util::sync::CancellationToken;

fn quiet() -> Watch<'static> {
    Watch::new(None, application())
}

async fn backup(session: &mut SqlSession, path: &str) -> Result<(), syncferry_agent::sql::SqlError> {
    let options = BackupOptions::new("ADSync", path);
    let cancel = CancellationToken::new();
    ops::backup(session, quiet(), &options, &cancel, &mut |_| {})
        .await
        .map(|_| ())
}

async fn restore_options(session: &mut SqlSession, path: &str, seed: u8) -> RestoreOptions {
    let name = temporary::name_for("ADSync", ArtifactId::new(Millis(1), &[seed; 10]));
    let files = ops::file_list(session, path).await.unwrap();
    let files: Vec<SetFile> = files.into_iter().map(|f| f.file).collect();
    let moves = ops::place_files(&files, &name, r"D:\Data", r"D:\Data");
    RestoreOptions::new(name, path, moves)
}

#[tokio::test]
async fn a_folder_that_the_server_may_not_use() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    std::fs::write(
        shared.path().join(".acl.json"),
        r#"{"folders": {"Staging": {"read": ["*"], "write": ["CONTOSO\\somebody"]}}}"#,
    )
    .unwrap();
    let mut work = source.work().await;
    let denied = backup(&mut work, &format!(r"{STAGING}\x.bak")).await.unwrap_err();
    assert_eq!(
        (denied.kind, denied.number()),
        (SqlErrorKind::BackupDevice, Some(3201)),
        "{denied}"
    );
    assert_eq!(denied.os_error().map(|e| e.code), Some(5));
    assert!(denied.finding().next_step.contains("Grant"));
    let missing = backup(&mut work, r"D:\NoSuchFolder\x.bak").await.unwrap_err();
    assert_eq!(missing.os_error().map(|e| e.code), Some(3), "{missing}");
    assert!(denied.has(3013));
    source.stop().await;
}

#[tokio::test]
async fn names_files_and_versions_that_do_not_fit() {
    let shared = tempfile::tempdir().unwrap();
    let (source, target) = (localdb(shared.path()).await, standard(shared.path()).await);
    let path = format!(r"{STAGING}\x.bak");
    backup(&mut source.work().await, &path).await.unwrap();
    let mut work = target.work().await;
    let options = restore_options(&mut work, &path, 3).await;
    let cancel = CancellationToken::new();

    // Another database has the temporary name: it is not overwritten.
    let create = Statement {
        name: "test",
        sql: format!("CREATE DATABASE [{}];", options.temporary_name),
    };
    work.query(&create).await.unwrap();
    let conflict = ops::restore(&mut work, quiet(), &options, &cancel, &mut |_| {})
        .await
        .unwrap_err();
    assert_eq!(
        (conflict.kind, conflict.number()),
        (SqlErrorKind::IdentityConflict, Some(3154)),
        "{conflict}"
    );
    let family = uuid::Uuid::from_u128(1);
    assert_eq!(
        ops::drop_ours(&mut work, &options.temporary_name, family, &[])
            .await
            .unwrap(),
        Dropped::NotOurs
    );

    // Files of another database are not overwritten either.
    let good = restore_options(&mut work, &path, 4).await;
    ops::restore(&mut work, quiet(), &good, &cancel, &mut |_| {})
        .await
        .unwrap();
    let mut same_files = restore_options(&mut work, &path, 5).await;
    same_files.moves = good.moves.clone();
    let collision = ops::restore(&mut work, quiet(), &same_files, &cancel, &mut |_| {})
        .await
        .unwrap_err();
    assert_eq!(collision.kind, SqlErrorKind::FileCollision, "{collision}");

    // What the newer server wrote, the older one does not take.
    let newer = format!(r"{STAGING}\newer.bak");
    let options = BackupOptions::new(&good.temporary_name, &newer);
    ops::backup(&mut work, quiet(), &options, &cancel, &mut |_| {})
        .await
        .unwrap();
    let mut old = source.work().await;
    let back = restore_options(&mut work, &newer, 6).await;
    let too_old = ops::restore(&mut old, quiet(), &back, &cancel, &mut |_| {})
        .await
        .unwrap_err();
    assert_eq!(
        (too_old.kind, too_old.number()),
        (SqlErrorKind::TargetTooOld, Some(3169)),
        "{too_old}"
    );
    source.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn a_truncated_file_and_a_damaged_one() {
    let shared = tempfile::tempdir().unwrap();
    let (source, target) = (localdb(shared.path()).await, standard(shared.path()).await);
    backup(&mut source.work().await, &format!(r"{STAGING}\x.bak"))
        .await
        .unwrap();
    let bytes = std::fs::read(shared.path().join("Staging/x.bak")).unwrap();
    let mut work = target.work().await;
    let cancel = CancellationToken::new();
    std::fs::write(shared.path().join("Staging/short.bak"), &bytes[..bytes.len() / 2]).unwrap();
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xFF;
    std::fs::write(shared.path().join("Staging/flipped.bak"), &flipped).unwrap();
    std::fs::write(shared.path().join("Staging/none.bak"), b"not a backup").unwrap();
    for (file, kinds) in [
        ("short", [SqlErrorKind::UnreadableSet, SqlErrorKind::BackupDeviceIo]),
        ("flipped", [SqlErrorKind::BackupDamaged, SqlErrorKind::UnreadableSet]),
        ("none", [SqlErrorKind::UnreadableSet, SqlErrorKind::UnreadableSet]),
    ] {
        let path = format!(r"{STAGING}\{file}.bak");
        let failed = ops::verify_only(&mut work, quiet(), &path, &cancel, &mut |_| {})
            .await
            .unwrap_err();
        assert!(kinds.contains(&failed.kind), "{file}: {failed}");
    }
    source.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn logins_and_databases_that_are_refused() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    let mut instance = source.instance.clone();
    instance.login = syncferry_agent::sql::SqlLogin::Sql {
        user: "agent".into(),
        password: syncferry_shared::secret::Secret::new("wrong"),
    };
    let refused = SqlSession::connect(&instance, Role::Work).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.number()),
        (SqlErrorKind::LoginFailed, Some(18456)),
        "{refused}"
    );

    // A login without rights sees nobody, and says so.
    let guest = source.as_guest();
    let mut work = SqlSession::connect(&guest, Role::Work).await.unwrap();
    let facts = ops::probe_instance(&mut work, &guest, &crate::lab::Now).await.unwrap();
    assert!(!facts.is_sysadmin && !facts.can_view_state && !facts.can_create_database);
    let denied = work
        .query_in(
            "ADSync",
            &Statement {
                name: "test",
                sql: "SELECT 1 AS n;".into(),
            },
        )
        .await
        .unwrap_err();
    assert_eq!(
        (denied.kind, denied.number()),
        (SqlErrorKind::PermissionDenied, Some(916)),
        "{denied}"
    );
    let missing = work
        .query_in(
            "NoSuch]Database",
            &Statement {
                name: "test",
                sql: "SELECT 1 AS n;".into(),
            },
        )
        .await
        .unwrap_err();
    assert_eq!(
        (missing.kind, missing.number()),
        (SqlErrorKind::DatabaseState, Some(911)),
        "{missing}"
    );

    // 4060 comes at login, when the database is named there.
    source.faults(r#"{"rules": [{"on": "login", "error": 4060, "times": 1}]}"#);
    let refused = SqlSession::connect(&source.instance, Role::Work).await.unwrap_err();
    assert_eq!(refused.kind, SqlErrorKind::CannotOpenDatabase, "{refused}");
    source.stop().await;
}

#[tokio::test]
async fn a_backup_is_cancelled_and_can_be_taken_again() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    source.pace(1.0);
    let path = format!(r"{STAGING}\x.bak");
    let (mut work, mut monitor) = (source.work().await, source.monitor().await);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let options = BackupOptions::new("ADSync", &path);
    let watch = Watch::new(Some(&mut monitor), application());
    let failed = ops::backup(&mut work, watch, &options, &cancel, &mut |p| {
        if p.done >= 2 {
            stop.cancel();
        }
    })
    .await
    .unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Cancelled, "{failed}");
    source.pace(0.0);
    backup(&mut work, &path).await.unwrap();
    source.stop().await;
}

#[tokio::test]
async fn a_restore_that_is_cancelled_leaves_what_we_can_remove() {
    let shared = tempfile::tempdir().unwrap();
    let (source, target) = (localdb(shared.path()).await, standard(shared.path()).await);
    let path = format!(r"{STAGING}\x.bak");
    backup(&mut source.work().await, &path).await.unwrap();
    let family = source.inspect("ADSync").await.family_guid.unwrap();
    let mut work = target.work().await;
    let options = restore_options(&mut work, &path, 8).await;
    let places: Vec<String> = options.moves.iter().map(|m| m.to.clone()).collect();
    target.pace(1.0);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let failed = ops::restore(&mut work, quiet(), &options, &cancel, &mut |p| {
        if p.done >= 2 {
            stop.cancel();
        }
    })
    .await
    .unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Cancelled, "{failed}");
    target.pace(0.0);
    let left = ops::database_identity(&mut work, &options.temporary_name)
        .await
        .unwrap();
    let dropped = ops::drop_ours(&mut work, &options.temporary_name, family, &places)
        .await
        .unwrap();
    assert_eq!(dropped == Dropped::Done, left.is_some(), "{left:?} {dropped:?}");
    let cancel = CancellationToken::new();
    ops::restore(&mut work, quiet(), &options, &cancel, &mut |_| {})
        .await
        .unwrap();
    source.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn one_agent_at_a_time() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    let mut first = Applock::take(&source.instance, "ADSync", 0, true).await.unwrap();
    assert!(first.is_held().await);
    let second = Applock::take(&source.instance, "adsync", 0, true).await;
    assert!(matches!(second, Err(NotLocked::Busy(_))), "{second:?}");
    let other = Applock::take(&source.instance, "Other", 0, true).await.unwrap();
    first.release().await;
    let second = Applock::take(&source.instance, "ADSync", 2_000, true).await.unwrap();
    // A lock goes with its connection.
    drop(second);
    Applock::take(&source.instance, "ADSync", 10_000, true)
        .await
        .unwrap()
        .release()
        .await;
    other.release().await;
    source.stop().await;
}

/// Somebody else's client on the database.
async fn stranger(source: &crate::lab::Server, application: &str) -> mssql_tds::connection::tds_client::TdsClient {
    let address = source.instance.endpoint.to_string();
    let mut context = mssql_tds::connection::client_context::ClientContext::with_data_source(&address);
    context.user_name = "agent".into();
    context.password = crate::lab::PASSWORD.into();
    context.application_name = application.into();
    context.database = "ADSync".into();
    context.encryption_options.mode = mssql_tds::core::EncryptionSetting::Required;
    context.encryption_options.trust_server_certificate = true;
    let provider = mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider::new();
    provider.create_client(context, &address, None).await.unwrap()
}

#[tokio::test]
async fn sessions_of_others_are_seen_and_ours_are_not() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    let (mut asking, mut standing) = (source.work().await, source.work().await);
    let go = Statement {
        name: "test",
        sql: "USE [ADSync];".into(),
    };
    standing.query(&go).await.unwrap();
    assert!(ops::sessions(&mut asking, "ADSync").await.unwrap().is_empty());
    let mut service = stranger(&source, "Microsoft Azure AD Sync").await;
    let seen = ops::sessions(&mut asking, "ADSync").await.unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].is_sync_service() && seen[0].login == "agent" && seen[0].process_id.is_some());
    service.close_connection().await.unwrap();
    source.stop().await;
}

#[tokio::test]
async fn a_damaged_database_is_found() {
    let shared = tempfile::tempdir().unwrap();
    let (source, target) = (localdb(shared.path()).await, standard(shared.path()).await);
    let path = format!(r"{STAGING}\x.bak");
    backup(&mut source.work().await, &path).await.unwrap();
    let mut work = target.work().await;
    let options = restore_options(&mut work, &path, 2).await;
    let cancel = CancellationToken::new();
    ops::restore(&mut work, quiet(), &options, &cancel, &mut |_| {})
        .await
        .unwrap();
    let file = shared
        .path()
        .join("Data")
        .join(format!("{}.mdf", options.temporary_name));
    let mut bytes = std::fs::read(&file).unwrap();
    // Somewhere inside a page that is in use.
    let at = bytes.len() / 4;
    let place = (at..bytes.len()).find(|i| bytes[*i] != 0).unwrap();
    bytes[place] ^= 0xFF;
    std::fs::write(&file, &bytes).unwrap();
    let found = ops::check_db(&mut work, quiet(), &options.temporary_name, &cancel, &mut |_| {}).await;
    match found {
        Ok(findings) => assert!(findings.iter().any(|f| f.rule == "database-damaged"), "{findings:?}"),
        Err(error) => assert_eq!(error.kind, SqlErrorKind::Corruption, "{error}"),
    }
    source.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn paths_are_seen_as_the_server_sees_them() {
    let shared = tempfile::tempdir().unwrap();
    let source = localdb(shared.path()).await;
    let mut work = source.work().await;
    let folder = ops::paths::look(&mut work, STAGING).await.unwrap();
    assert!(folder.is_folder && !folder.is_file && folder.parent_exists);
    let nothing = ops::paths::look(&mut work, r"D:\Nothing\at all").await.unwrap();
    assert!(!nothing.is_folder && !nothing.is_file && !nothing.parent_exists);
    ops::paths::create_folder(&mut work, r"D:\Staging\O'Brien]x")
        .await
        .unwrap();
    let made = ops::paths::look(&mut work, r"D:\Staging\O'Brien]x").await.unwrap();
    assert!(made.is_folder);
    ops::paths::canary(&mut work, r"D:\Staging\O'Brien]x\canary.bak")
        .await
        .unwrap();
    let label = ops::label(&mut work, r"D:\Staging\O'Brien]x\canary.bak").await.unwrap();
    assert_eq!(label.family_count, 1);
    let facts = source.inspect("ADSync").await;
    let owner = ops::paths::owner_of_file(&mut work, &facts.files[0].path)
        .await
        .unwrap();
    assert_eq!(owner.as_deref(), Some("ADSync"));
    source.stop().await;
}

#[tokio::test]
async fn two_backups_at_once_do_not_disturb_each_other() {
    let shared = tempfile::tempdir().unwrap();
    let source = Arc::new(localdb(shared.path()).await);
    let mut sessions = Vec::new();
    for n in 0..2 {
        let source = source.clone();
        sessions.push(tokio::spawn(async move {
            let mut work = source.work().await;
            backup(&mut work, &format!(r"{STAGING}\{n}.bak")).await
        }));
    }
    for session in sessions {
        // The server may serialise them (3023); nothing else may happen.
        match session.await.unwrap() {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind, SqlErrorKind::OtherBackupRuns, "{error}"),
        }
    }
}
