//! kill -9 in the middle of saving: what was reported as saved is there, and the file is whole.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use syncferry_sqlserver::storage::{
    ColumnDef, Database, DatabaseFile, DriveSpec, Drives, InstanceSpec, InstanceStore, Table,
};
use syncferry_sqlserver::types::{SqlType, Value};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);
const DIR: &str = "STORAGE_CRASH_DIR";

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

fn database() -> Database {
    let mut database = Database::new("Counter", "Latin1_General_CI_AS", 957, NOW);
    for (file, name) in database.files.iter_mut().zip([r"D:\x.mdf", r"D:\x.ldf"]) {
        file.physical_name = name.into();
        file.size_pages = 8;
        file.growth = 8;
    }
    let columns = vec![
        ColumnDef::not_null("n", SqlType::BigInt),
        ColumnDef::null("filler", SqlType::NVarChar(None)),
    ];
    database
        .tables
        .push(Table::new(1000, "dbo", "counter", columns, NOW).into());
    database
}

/// Row `n` of save number `count`.
fn row(count: i64, n: i64) -> Vec<Value> {
    vec![Value::Int(count), Value::Str(format!("{count}/{n} ").repeat(40).into())]
}

/// The child: counts up and saves for ever. Every line on stdout is a save that was reported as done.
#[test]
fn child_saves_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (mut database, mut file) = DatabaseFile::open(&drives(Path::new(&dir)), r"D:\x.mdf").unwrap();
    let first = counted(&database);
    let mut out = std::io::stdout();
    for count in first + 1.. {
        let table = database.table_mut("dbo", "counter").unwrap();
        table.rows = (0..20 + count % 60).map(|n| row(count, n)).collect();
        file.save(&mut database).unwrap();
        writeln!(out, "saved {count}").unwrap();
        out.flush().unwrap();
    }
}

fn counted(database: &Database) -> i64 {
    let rows = &database.table("dbo", "counter").unwrap().rows;
    let Some(Value::Int(count)) = rows.first().map(|r| r[0].clone()) else {
        return 0;
    };
    let expected: Vec<_> = (0..20 + count % 60).map(|n| row(count, n)).collect();
    assert_eq!(*rows, expected, "the rows are those of one save");
    count
}

#[test]
fn kill_9_loses_nothing_that_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    drop(DatabaseFile::create(&drives(dir.path()), &mut database()).unwrap());
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_saves_until_killed", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        // "test … ... saved 7" is the first line with --nocapture.
        let mut saved = lines.filter_map(|l| l.rsplit_once("saved ")?.1.parse::<i64>().ok());
        let mut last = saved.by_ref().take(5 + round).last().unwrap();
        child.kill().unwrap();
        last = saved.last().unwrap_or(last);
        child.wait().unwrap();
        let (database, file) = DatabaseFile::open(&drives(dir.path()), r"D:\x.mdf").unwrap();
        let found = counted(&database);
        assert!(found == last || found == last + 1, "{last} was reported, {found} found");
        assert!(file.check().unwrap().is_empty());
    }
}

#[test]
fn a_second_instance_is_not_made_over_the_first() {
    let dir = tempfile::tempdir().unwrap();
    InstanceSpec::standard_2022("SQL01", None, NOW)
        .create(dir.path())
        .unwrap();
    assert!(
        InstanceSpec::standard_2022("SQL02", None, NOW)
            .create(dir.path())
            .is_err()
    );
    assert_eq!(InstanceStore::open(dir.path()).unwrap().config().server_name, "SQL01");
}
