//! An instance, its databases and its backups come back as they were written, fast enough for the lab.

use std::path::Path;
use std::time::Instant;

use syncferry_sqlserver::storage::backup::{
    BackupError, BackupJob, BackupKind, BackupRequest, MediaMode, MediaSet, RestoreJob,
};
use syncferry_sqlserver::storage::sample::{AdSync, Emptiness, SignOn, adsync};
use syncferry_sqlserver::storage::{
    Database, DatabaseFile, DatabaseState, Drives, FileError, InstanceSpec, InstanceStore, LoginKind, OpenDatabase,
    OsError, PAGE_SIZE,
};
use syncferry_sqlserver::types::Value;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn localdb(dir: &Path, spec: &AdSync) -> InstanceStore {
    InstanceSpec::localdb_2019("SYNC01", NOW)
        .database(adsync(spec))
        .create(dir)
        .unwrap()
}

fn small() -> AdSync {
    AdSync {
        objects: 200,
        ..AdSync::new(NOW)
    }
}

fn open(store: &mut InstanceStore, name: &str) -> OpenDatabase {
    store
        .open_databases()
        .unwrap()
        .into_iter()
        .find(|d| d.database.meta.name == name)
        .unwrap()
}

fn backup(store: &InstanceStore, open: &OpenDatabase, devices: &[&str], mode: MediaMode) -> u16 {
    let devices: Vec<String> = devices.iter().map(|d| (*d).to_string()).collect();
    let request = BackupRequest {
        mode,
        checksum: true,
        copy_only: true,
        ..BackupRequest::new("sa", NOW)
    };
    let snapshot = open.file.as_ref().unwrap().snapshot().unwrap();
    let mut job = BackupJob::start(
        store.drives(),
        &devices,
        snapshot,
        &open.database,
        store.config(),
        request,
    )
    .unwrap();
    let mut last = 0;
    while let Some(progress) = job.step().unwrap() {
        assert!(progress.done > last && progress.done <= progress.total);
        last = progress.done;
    }
    job.finish(NOW + Duration::seconds(3)).unwrap().header.position
}

fn restore(drives: &Drives, devices: &[&str], position: u16, to: &str) -> (Database, DatabaseFile) {
    let devices: Vec<String> = devices.iter().map(|d| (*d).to_string()).collect();
    let media = MediaSet::open(drives, &devices).unwrap();
    let mut verify = media.verify(position).unwrap();
    while verify.step().unwrap().is_some() {}
    let moves = [
        ("ADSync".to_string(), format!(r"{to}.mdf")),
        ("ADSync_log".to_string(), format!(r"{to}_log.ldf")),
    ];
    let mut job = RestoreJob::start(&media, position, drives, &moves).unwrap();
    while job.step().unwrap().is_some() {}
    job.finish().unwrap()
}

/// Everything but what a restore changes.
fn assert_same(a: &Database, b: &Database) {
    assert_eq!(a.meta, b.meta);
    assert_eq!(a.tables, b.tables);
    assert_eq!(a.procedures, b.procedures);
    assert_eq!(a.principals, b.principals);
    assert_eq!(a.permissions, b.permissions);
    assert_eq!(a.extended_properties, b.extended_properties);
    for (a, b) in a.files.iter().zip(&b.files) {
        assert_eq!(
            (a.file_guid, &a.name, a.size_pages, a.growth),
            (b.file_guid, &b.name, b.size_pages, b.growth)
        );
    }
}

#[test]
fn a_lab_sized_adsync_is_made_saved_loaded_and_backed_up_quickly() {
    let dir = tempfile::tempdir().unwrap();
    let mut times = Vec::new();
    let mut clock = Instant::now();
    let mut lap = |what: &'static str| {
        times.push((what, clock.elapsed()));
        clock = Instant::now();
    };
    let database = adsync(&AdSync::new(NOW));
    let rows: usize = database.tables.iter().map(|t| t.rows.len()).sum();
    lap("generate");
    let mut store = InstanceSpec::localdb_2019("SYNC01", NOW)
        .database(database.clone())
        .create(dir.path())
        .unwrap();
    lap("create");
    let mut adsync = open(&mut store, "ADSync");
    lap("open");
    assert_eq!(adsync.database.tables, database.tables);
    lap("compare");
    backup(&store, &adsync, &[r"D:\a.bak"], MediaMode::Append);
    lap("backup");
    let (restored, file) = restore(store.drives(), &[r"D:\a.bak"], 1, r"D:\copy");
    lap("verify and restore");
    assert!(file.check().unwrap().is_empty());
    lap("checkdb");
    assert_same(&adsync.database, &restored);
    let table = adsync.database.table_mut("dbo", "mms_connectorspace").unwrap();
    table.rows[7][2] = Value::Str("CN=changed".into());
    adsync.file.as_mut().unwrap().save(&mut adsync.database).unwrap();
    lap("change one of many rows");
    let bytes = std::fs::metadata(adsync.file.as_ref().unwrap().real()).unwrap().len();
    let used = u64::from(adsync.file.as_ref().unwrap().used_pages()) * PAGE_SIZE as u64;
    println!(
        "{rows} rows, {} MiB on disk, {} MiB used: {times:?}",
        bytes >> 20,
        used >> 20
    );
    assert!((20_000..30_000).contains(&rows), "{rows} rows");
    assert!((30 << 20..60 << 20).contains(&used), "{used} bytes used");
    // Changing a row does not write the table anew.
    assert!(bytes < 60 << 20, "{bytes} bytes on disk");
    // Loose: the machine may be busy. The printed times are the measure.
    for (what, time) in times {
        assert!(time.as_secs() < 20, "{what} took {time:?}");
    }
}

#[test]
fn the_sample_is_the_same_for_the_same_seed_and_well_formed() {
    let spec = AdSync {
        forests: vec!["corp.contoso.com".into(), "emea.fabrikam.com".into()],
        ..small()
    };
    let database = adsync(&spec);
    assert_eq!(database, adsync(&spec));
    assert_ne!(
        database.tables,
        adsync(&AdSync {
            seed: 2,
            ..spec.clone()
        })
        .tables
    );
    assert_eq!(database.table("dbo", "mms_management_agent").unwrap().rows.len(), 3);
    assert!(database.tables.len() >= 18);
    for table in &database.tables {
        for row in &table.rows {
            assert_eq!(row.len(), table.columns.len(), "{}", table.name);
            for (value, column) in row.iter().zip(&table.columns) {
                assert!(
                    column.nullable || *value != Value::Null,
                    "{}.{}",
                    table.name,
                    column.name
                );
            }
        }
    }
    let setting = |database: &Database, name: &str| {
        let settings = database.table("dbo", "mms_global_settings").unwrap();
        settings
            .rows
            .iter()
            .find(|r| r[0] == Value::Str(name.into()))
            .map(|r| r[1].clone())
            .unwrap()
    };
    let name = "Microsoft.Synchronize.ServerConfigurationVersion";
    assert_eq!(setting(&database, name), Value::Str("2.5.190.0".into()));
    let staging = adsync(&AdSync {
        staging: true,
        sign_on: SignOn::PassThrough,
        ..small()
    });
    assert_eq!(
        setting(&staging, "Microsoft.Synchronize.StagingMode"),
        Value::Str("True".into())
    );
    assert_eq!(
        setting(&staging, "Microsoft.UserSignIn.SignOnMethod"),
        Value::Str("PassThroughAuthentication".into())
    );
}

#[test]
fn run_history_ends_when_the_spec_says() {
    let end_of = |spec: &AdSync| {
        let database = adsync(spec);
        let runs = database.table("dbo", "mms_run_history").unwrap();
        let (end, complete) = (
            runs.column("end_date").unwrap(),
            runs.column("is_run_complete").unwrap(),
        );
        let ends = runs.rows.iter().filter_map(|r| match &r[end] {
            Value::DateTime(at) => Some(*at),
            _ => None,
        });
        (
            ends.max(),
            runs.rows.iter().filter(|r| r[complete] == Value::Bit(false)).count(),
        )
    };
    let (end, running) = end_of(&small());
    assert_eq!((end.unwrap().assume_utc(), running), (NOW - Duration::minutes(20), 0));
    assert_eq!(
        end_of(&AdSync {
            sync_in_progress: true,
            ..small()
        })
        .1,
        1
    );
    let old = AdSync {
        last_sync_age: Some(Duration::days(30)),
        ..small()
    };
    assert_eq!(end_of(&old).0.unwrap().assume_utc(), NOW - Duration::days(30));
    assert_eq!(
        end_of(&AdSync {
            last_sync_age: None,
            ..small()
        }),
        (None, 0)
    );
}

#[test]
fn empty_samples_have_no_rows_or_no_tables() {
    let bare = adsync(&AdSync {
        emptiness: Emptiness::NoTables,
        ..small()
    });
    assert!(bare.tables.is_empty() && bare.procedures.is_empty());
    let no_rows = adsync(&AdSync {
        emptiness: Emptiness::NoRows,
        ..small()
    });
    assert!(no_rows.tables.len() >= 18 && no_rows.tables.iter().all(|t| t.rows.is_empty()));
}

#[test]
fn a_store_remembers_databases_names_and_states() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let mut open_db = open(&mut store, "ADSync");
    assert_eq!(open_db.database_id, 5);
    open_db.database.meta.name = "ADSync__old".into();
    open_db.database.meta.state = DatabaseState::Offline;
    store.register(5, &open_db.database).unwrap();
    store.update_config(|c| c.force_encryption = true).unwrap();
    drop((open_db, store));

    let mut store = InstanceStore::open(dir.path()).unwrap();
    assert!(store.config().force_encryption && store.config().is_localdb);
    let offline = open(&mut store, "ADSync__old");
    assert!(offline.file.is_none() && offline.database.meta.state == DatabaseState::Offline);
    let mut database = offline.database;
    database.meta.state = DatabaseState::Online;
    store.register(5, &database).unwrap();
    let online = open(&mut store, "ADSync__old");
    assert!(online.file.is_some() && online.database.table("DBO", "MMS_METAVERSE").is_some());
    let paths: Vec<String> = online.database.files.iter().map(|f| f.physical_name.clone()).collect();
    assert!(store.drives().info(&paths[0]).is_file);
    drop(online);
    store.drop_database(5).unwrap();
    assert!(paths.iter().all(|p| !store.drives().info(p).is_file));
    let names: Vec<String> = store
        .open_databases()
        .unwrap()
        .into_iter()
        .map(|d| d.database.meta.name)
        .collect();
    assert_eq!(names, ["master", "tempdb", "model", "msdb"]);
}

#[test]
fn missing_and_damaged_files_give_states_not_failures() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let real = open(&mut store, "ADSync").file.unwrap().real().to_path_buf();
    let mut bytes = std::fs::read(&real).unwrap();
    bytes[5 * PAGE_SIZE + 999] ^= 1;
    std::fs::write(&real, &bytes).unwrap();
    let suspect = open(&mut store, "ADSync");
    assert_eq!(suspect.database.meta.state, DatabaseState::Suspect);
    std::fs::remove_file(&real).unwrap();
    let pending = open(&mut store, "ADSync");
    assert_eq!(pending.database.meta.state, DatabaseState::RecoveryPending);
    assert!(pending.error.is_some());
}

#[test]
fn sets_are_appended_and_stripes_belong_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let mut source = open(&mut store, "ADSync");
    let stripes = [r"D:\1.bak", r"D:\2.bak", r"D:\3.bak"];
    assert_eq!(backup(&store, &source, &stripes, MediaMode::Append), 1);
    let before = source.database.clone();
    source.database.meta.lsn = source.database.meta.lsn.after(10);
    source
        .database
        .table_mut("dbo", "mms_metaverse")
        .unwrap()
        .rows
        .truncate(3);
    source.file.as_mut().unwrap().save(&mut source.database).unwrap();
    assert_eq!(backup(&store, &source, &stripes, MediaMode::Append), 2);

    let shuffled = [stripes[2], stripes[0], stripes[1]];
    let (first, first_file) = restore(store.drives(), &shuffled, 1, r"D:\first");
    let (second, _second_file) = restore(store.drives(), &stripes, 2, r"D:\second");
    assert_same(&first, &before);
    assert_same(&second, &source.database);
    assert_eq!(first.files[0].physical_name, r"D:\first.mdf");
    drop(first_file);

    let media = |devices: &[&str]| {
        let devices: Vec<String> = devices.iter().map(|d| (*d).to_string()).collect();
        MediaSet::open(store.drives(), &devices)
    };
    let whole = media(&stripes).unwrap();
    assert_eq!(whole.sets().len(), 2);
    let header = &whole.set(2).unwrap().header;
    assert_eq!(
        (header.position, header.flags, header.has_backup_checksums),
        (2, 512 + 16 + 1024, true)
    );
    assert_eq!(header.family_guid, source.database.meta.family_guid);
    assert_eq!(header.backup_finish_date, NOW + Duration::seconds(3));
    let labels = whole.labels();
    assert_eq!(
        labels.iter().map(|l| l.family_sequence_number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    insta::assert_snapshot!(
        [
            media(&stripes[..2]).unwrap_err().to_string(),
            media(&[stripes[0], stripes[0]]).unwrap_err().to_string(),
            whole.set(3).unwrap_err().to_string(),
        ]
        .join("\n"),
        @r"
    the media set has 3 families but 2 were provided
    the media loaded on 'D:\1.bak' is family 1 again
    there is no backup set 3
    "
    );
    assert_eq!(backup(&store, &source, &stripes, MediaMode::Init), 1);
    assert_eq!(media(&stripes).unwrap().sets().len(), 1);
    assert_eq!(media(&stripes).unwrap().labels(), labels);
    assert_eq!(backup(&store, &source, &stripes[..1], MediaMode::Format), 1);
    assert!(media(&stripes).unwrap_err().to_string().contains("is not of media set"));
}

#[test]
fn a_backup_shows_the_moment_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let mut source = open(&mut store, "ADSync");
    let before = source.database.clone();
    let request = BackupRequest {
        checksum: true,
        ..BackupRequest::new("sa", NOW)
    };
    let snapshot = source.file.as_ref().unwrap().snapshot().unwrap();
    let device = [r"D:\online.bak".to_string()];
    let mut job = BackupJob::start(
        store.drives(),
        &device,
        snapshot,
        &source.database,
        store.config(),
        request,
    )
    .unwrap();
    for round in 0..5 {
        job.step().unwrap();
        for table in source.database.tables.clone() {
            let table = source.database.table_mut("dbo", &table.name).unwrap();
            table.rows.reverse();
            table.rows.truncate(table.rows.len() - table.rows.len().min(round));
        }
        source.file.as_mut().unwrap().save(&mut source.database).unwrap();
    }
    while job.step().unwrap().is_some() {}
    job.finish(NOW).unwrap();
    let (restored, _file) = restore(store.drives(), &[r"D:\online.bak"], 1, r"D:\online");
    assert_same(&restored, &before);
    // The pages that were kept for the backup are used again: the file does not grow for ever.
    let used = source.file.as_ref().unwrap().real().metadata().unwrap().len();
    for _ in 0..40 {
        source
            .database
            .table_mut("dbo", "mms_metaverse")
            .unwrap()
            .rows
            .reverse();
        source.file.as_mut().unwrap().save(&mut source.database).unwrap();
    }
    assert_eq!(source.file.as_ref().unwrap().real().metadata().unwrap().len(), used);
    assert!(source.file.unwrap().check().unwrap().is_empty());
}

#[test]
fn aborting_leaves_the_media_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let source = open(&mut store, "ADSync");
    backup(&store, &source, &[r"D:\a.bak"], MediaMode::Append);
    let before = std::fs::read(store.drives().real_path(r"D:\a.bak").unwrap()).unwrap();
    for device in [r"D:\a.bak", r"D:\new.bak"] {
        let snapshot = source.file.as_ref().unwrap().snapshot().unwrap();
        let request = BackupRequest::new("sa", NOW);
        let devices = [device.to_string()];
        let mut job = BackupJob::start(
            store.drives(),
            &devices,
            snapshot,
            &source.database,
            store.config(),
            request,
        )
        .unwrap();
        job.step().unwrap();
        job.abort();
    }
    assert_eq!(
        std::fs::read(store.drives().real_path(r"D:\a.bak").unwrap()).unwrap(),
        before
    );
    assert!(!store.drives().info(r"D:\new.bak").is_file);
}

#[test]
fn a_differential_backup_rolls_a_restored_base_forward() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let mut source = open(&mut store, "ADSync");
    backup(&store, &source, &[r"D:\base.bak"], MediaMode::Format);
    let base = MediaSet::open(store.drives(), &[r"D:\base.bak".into()])
        .unwrap()
        .set(1)
        .unwrap()
        .header
        .clone();
    source.database.meta.differential_base_lsn = Some(base.checkpoint_lsn);
    source.database.meta.differential_base_guid = Some(base.backup_set_guid);
    source
        .database
        .table_mut("dbo", "mms_metaverse")
        .unwrap()
        .rows
        .truncate(5);
    source.file.as_mut().unwrap().save(&mut source.database).unwrap();
    let request = BackupRequest {
        kind: BackupKind::Differential,
        ..BackupRequest::new("sa", NOW)
    };
    let (snapshot, device) = (
        source.file.as_ref().unwrap().snapshot().unwrap(),
        [r"D:\diff.bak".to_string()],
    );
    let mut job = BackupJob::start(
        store.drives(),
        &device,
        snapshot,
        &source.database,
        store.config(),
        request,
    )
    .unwrap();
    while job.step().unwrap().is_some() {}
    let header = job.finish(NOW).unwrap().header;
    assert_eq!(
        (header.kind.code().0, header.differential_base_guid),
        (5, Some(base.backup_set_guid))
    );
    assert_eq!(header.database_backup_lsn, base.checkpoint_lsn);

    drop(restore(store.drives(), &[r"D:\base.bak"], 1, r"D:\copy"));
    let media = MediaSet::open(store.drives(), &device).unwrap();
    let moves = [
        ("ADSync".into(), r"D:\copy.mdf".into()),
        ("ADSync_log".into(), r"D:\copy_log.ldf".into()),
    ];
    let mut job = RestoreJob::start_over(&media, 1, store.drives(), &moves).unwrap();
    while job.step().unwrap().is_some() {}
    assert_same(&job.finish().unwrap().0, &source.database);
}

#[test]
fn a_save_that_finds_no_room_leaves_the_last_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let mut adsync = open(&mut store, "ADSync");
    let (drives, before) = (store.drives().clone(), adsync.database.clone());
    let free = drives.volume(r"C:\").unwrap();
    drives
        .set_total_bytes(r"C:\", Some(free.total_bytes - free.free_bytes + 4096))
        .unwrap();
    let table = adsync.database.table_mut("dbo", "mms_metaverse").unwrap();
    let row = table.rows[0].clone();
    table.rows.extend(std::iter::repeat_n(row, 20_000));
    let file = adsync.file.as_mut().unwrap();
    let error = file.save(&mut adsync.database).unwrap_err();
    assert!(
        matches!(
            error,
            FileError::Os {
                error: OsError::DiskFull,
                ..
            }
        ),
        "{error}"
    );
    assert!(file.check().unwrap().is_empty());
    assert_eq!(adsync.database.files, before.files);
    drives.set_total_bytes(r"C:\", None).unwrap();
    file.save(&mut adsync.database).unwrap();
    let saved = adsync.database;
    drop(adsync.file);
    assert_eq!(open(&mut store, "ADSync").database, saved);
}

#[test]
fn a_failing_disk_is_found_by_checkdb_and_by_backup_with_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = localdb(dir.path(), &small());
    let mut source = open(&mut store, "ADSync");
    let table = source.database.table("dbo", "mms_metaverse").unwrap().object_id;
    let file = source.file.as_mut().unwrap();
    let page = file.damage(table).unwrap().unwrap();
    let damages = file.check().unwrap();
    assert_eq!(
        (damages.len(), damages[0].page_id, damages[0].object_id),
        (1, page, Some(table))
    );
    let run = |checksum| {
        let request = BackupRequest {
            checksum,
            mode: MediaMode::Format,
            ..BackupRequest::new("sa", NOW)
        };
        let (snapshot, device) = (
            source.file.as_ref().unwrap().snapshot().unwrap(),
            [r"D:\x.bak".to_string()],
        );
        let job = BackupJob::start(
            store.drives(),
            &device,
            snapshot,
            &source.database,
            store.config(),
            request,
        );
        let mut job = job.unwrap();
        while job.step()?.is_some() {}
        job.finish(NOW)
    };
    assert!(matches!(run(true).unwrap_err(), BackupError::SourceDamaged(d) if d.page_id == page));
    // NO_CHECKSUM copies the damage, and whoever reads the set finds it.
    run(false).unwrap();
    let mut verify = MediaSet::open(store.drives(), &[r"D:\x.bak".into()])
        .unwrap()
        .verify(1)
        .unwrap();
    let error = loop {
        match verify.step() {
            Ok(progress) => assert!(progress.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, BackupError::PageDamaged(d) if d.page_id == page));
}

#[test]
fn presets_are_what_their_names_say() {
    let localdb = InstanceSpec::localdb_2019("SYNC01", NOW).config;
    assert!(localdb.server_name.starts_with(r"SYNC01\LOCALDB#SH") && localdb.is_localdb);
    assert_eq!((localdb.version(), localdb.engine_edition), ((15, 0, 4382), 4));
    assert_eq!(
        (localdb.internal_version(), localdb.max_compatibility_level()),
        (904, 150)
    );
    let spec = InstanceSpec::standard_2022("SQL01", Some("CONNECT"), NOW).sa_password("pw");
    let spec = spec.login("syncferry", "secret", &["dbcreator"], &["VIEW SERVER STATE"]);
    let config = spec.windows_login(r"CONTOSO\svc-adsync$", &[]).config;
    assert_eq!(
        (config.server_name.as_str(), config.edition_id),
        (r"SQL01\CONNECT", -1_534_726_760)
    );
    assert_eq!(config.version(), (16, 0, 4236));
    assert!(config.system_path.contains("MSSQL16.CONNECT"));
    let login = config.login("SYNCFERRY").unwrap();
    assert_eq!(
        (login.kind, login.sid.len(), login.principal_id > 255),
        (LoginKind::Sql, 16, true)
    );
    // The service account that owns a LocalDB's ADSync has the same SID as its login, here and there.
    let owner = adsync(&small()).meta.owner_sid;
    assert_eq!(localdb.login_by_sid(&owner).unwrap().name, r"NT SERVICE\ADSync");
    let owner = adsync(&AdSync {
        objects: 10,
        ..AdSync::on_full_sql(NOW, 957, r"CONTOSO\svc-adsync$")
    })
    .meta
    .owner_sid;
    assert_eq!(config.login_by_sid(&owner).unwrap().name, r"CONTOSO\svc-adsync$");
}
