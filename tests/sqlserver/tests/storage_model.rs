//! Any sequence of changes, saves, backups and reopenings gives what a plain value in memory gives.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use syncferry_sqlserver::storage::backup::{BackupJob, BackupRequest, MediaSet, RestoreJob};
use syncferry_sqlserver::storage::{
    ColumnDef, Database, DatabaseFile, DriveSpec, Drives, ExtendedProperty, InstanceSpec, Row, Table,
};
use syncferry_sqlserver::types::{SqlType, Value};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

/// One thing that happens to a database.
#[derive(Debug, Clone)]
enum Op {
    Insert {
        table: usize,
        at: prop::sample::Index,
        rows: Vec<Row>,
    },
    Delete {
        table: usize,
        at: prop::sample::Index,
        count: usize,
    },
    Update {
        table: usize,
        at: prop::sample::Index,
        row: Row,
    },
    Drop {
        table: usize,
    },
    Mark(String),
    Save,
    Reopen,
    /// Backs up, saves the changes made so far while the backup runs, and restores.
    Backup,
}

fn row() -> impl Strategy<Value = Row> {
    let text = prop_oneof![
        Just(Value::Null),
        "[a-zé€ ]{0,60}".prop_map(|s| Value::Str(s.into())),
        (0usize..30_000).prop_map(|n| Value::Str("x".repeat(n).into())),
    ];
    let binary = prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| Value::Bytes(b.into()));
    (any::<i64>(), text, binary).prop_map(|(n, text, binary)| vec![Value::Int(n), text, binary])
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (0usize..3, at(), prop::collection::vec(row(), 1..40))
            .prop_map(|(table, at, rows)| Op::Insert { table, at, rows }),
        2 => (0usize..3, at(), 1usize..30).prop_map(|(table, at, count)| Op::Delete { table, at, count }),
        4 => (0usize..3, at(), row()).prop_map(|(table, at, row)| Op::Update { table, at, row }),
        1 => (0usize..3).prop_map(|table| Op::Drop { table }),
        1 => ".{0,30}".prop_map(Op::Mark),
        4 => Just(Op::Save),
        2 => Just(Op::Reopen),
        1 => Just(Op::Backup),
    ]
}

fn drives(dir: &Path) -> Drives {
    Drives::new(
        dir,
        &[DriveSpec {
            name: "D:".into(),
            root: PathBuf::from("."),
            total_bytes: None,
        }],
        "svc",
    )
}

fn new_database() -> Database {
    let mut database = Database::new("Model", "Latin1_General_CI_AS", 957, NOW);
    for (file, name) in database.files.iter_mut().zip([r"D:\x.mdf", r"D:\x.ldf"]) {
        file.physical_name = name.into();
        file.size_pages = 8;
        file.growth = 16;
    }
    database
}

fn change(database: &mut Database, op: &Op) {
    let (Op::Insert { table, .. } | Op::Delete { table, .. } | Op::Update { table, .. } | Op::Drop { table }) = op
    else {
        if let Op::Mark(text) = op {
            let value = Value::Str(text.as_str().into());
            database.extended_properties = vec![ExtendedProperty {
                object_id: None,
                name: "mark".into(),
                value,
            }];
        }
        return;
    };
    let name = format!("t{table}");
    if matches!(op, Op::Drop { .. }) {
        database.tables.retain(|t| t.name != name);
        return;
    }
    if database.table("dbo", &name).is_none() {
        let columns = vec![
            ColumnDef::not_null("n", SqlType::BigInt),
            ColumnDef::null("text", SqlType::NVarChar(None)),
            ColumnDef::null("bytes", SqlType::VarBinary(None)),
        ];
        database
            .tables
            .push(Table::new(100 + *table as i32, "dbo", &name, columns, NOW).into());
    }
    let rows = &mut database.table_mut("dbo", &name).unwrap().rows;
    match op {
        Op::Insert { at, rows: new, .. } => {
            let at = at.index(rows.len() + 1);
            rows.splice(at..at, new.iter().cloned());
        }
        Op::Delete { at, count, .. } if !rows.is_empty() => {
            let at = at.index(rows.len());
            rows.drain(at..(at + count).min(rows.len()));
        }
        Op::Update { at, row, .. } if !rows.is_empty() => {
            let at = at.index(rows.len());
            rows[at] = row.clone();
        }
        _ => {}
    }
}

fn backup_and_restore(drives: &Drives, file: &mut DatabaseFile, saved: &Database, current: &mut Database) -> Database {
    let config = InstanceSpec::standard_2022("SQL01", None, NOW).config;
    let devices = [r"D:\x.bak".to_string(), r"D:\y.bak".to_string()];
    let request = BackupRequest {
        checksum: true,
        ..BackupRequest::new("sa", NOW)
    };
    let mut job = BackupJob::start(drives, &devices, file.snapshot().unwrap(), saved, &config, request).unwrap();
    file.save(current).unwrap();
    file.save(current).unwrap();
    while job.step().unwrap().is_some() {}
    let position = job.finish(NOW).unwrap().header.position;
    let media = MediaSet::open(drives, &devices).unwrap();
    let moves = [
        ("Model".into(), r"D:\r.mdf".into()),
        ("Model_log".into(), r"D:\r.ldf".into()),
    ];
    let mut job = RestoreJob::start_over(&media, position, drives, &moves).unwrap();
    while job.step().unwrap().is_some() {}
    let (mut restored, file) = job.finish().unwrap();
    assert!(file.check().unwrap().is_empty());
    for (file, original) in restored.files.iter_mut().zip(&saved.files) {
        file.physical_name.clone_from(&original.physical_name);
    }
    restored
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_file_is_what_was_saved(ops in prop::collection::vec(op(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let drives = drives(dir.path());
        let mut current = new_database();
        let mut file = DatabaseFile::create(&drives, &mut current).unwrap();
        let mut saved = current.clone();
        for op in &ops {
            match op {
                Op::Save => {
                    file.save(&mut current).unwrap();
                    saved = current.clone();
                }
                Op::Reopen => {
                    drop(file);
                    let (reopened, new_file) = DatabaseFile::open(&drives, r"D:\x.mdf").unwrap();
                    prop_assert_eq!(&reopened, &saved);
                    prop_assert!(new_file.check().unwrap().is_empty());
                    (current, file) = (reopened, new_file);
                }
                Op::Backup => {
                    let restored = backup_and_restore(&drives, &mut file, &saved, &mut current);
                    prop_assert_eq!(&restored, &saved);
                    saved = current.clone();
                }
                change_only => change(&mut current, change_only),
            }
        }
        file.save(&mut current).unwrap();
        drop(file);
        let (reopened, file) = DatabaseFile::open(&drives, r"D:\x.mdf").unwrap();
        prop_assert_eq!(reopened, current);
        prop_assert!(file.check().unwrap().is_empty());
    }
}
