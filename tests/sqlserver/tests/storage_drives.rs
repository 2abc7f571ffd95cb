//! Windows paths, rights, quotas and the errors a service account meets.

use std::path::PathBuf;

use syncferry_sqlserver::storage::backup::{BackupError, BackupJob, BackupRequest, MediaSet, RestoreJob};
use syncferry_sqlserver::storage::{
    Access, Database, DatabaseFile, DriveSpec, Drives, FileError, InstanceSpec, OsError,
};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);
const SERVICE: &str = r"NT SERVICE\MSSQLSERVER";

fn drives(dir: &tempfile::TempDir) -> Drives {
    let specs = [
        DriveSpec {
            name: "D:".into(),
            root: PathBuf::from("d"),
            total_bytes: Some(64 << 20),
        },
        DriveSpec {
            name: r"\\files\backup".into(),
            root: PathBuf::from("share"),
            total_bytes: None,
        },
    ];
    for folder in ["d/Stage/Run42", "share"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    Drives::new(dir.path(), &specs, SERVICE)
}

#[test]
fn paths_are_windows_paths() {
    let dir = tempfile::tempdir().unwrap();
    let drives = drives(&dir);
    drives
        .create(r"d:\stage\RUN42\x.bak")
        .unwrap()
        .write_at(0, b"abc")
        .unwrap();
    assert!(dir.path().join("d/Stage/Run42/x.bak").is_file());
    assert_eq!(drives.open(r"D:/Stage/other/../run42/X.BAK").unwrap().len(), 3);
    assert_eq!(drives.open(r"\\?\D:\Stage\Run42\x.bak").unwrap().len(), 3);
    drives.create(r"\\FILES\Backup\y.bak").unwrap();
    assert!(dir.path().join("share/y.bak").is_file());
    assert!(drives.info(r"D:\Stage").is_directory && drives.info(r"D:\none.bak").parent_exists);
    // Nothing leads out of the drive.
    assert!(
        drives
            .real_path(r"D:\..\..\..\etc\passwd")
            .unwrap()
            .starts_with(dir.path().join("d"))
    );
    let answers = [
        drives.open(r"D:\none.bak").unwrap_err(),
        drives.create(r"D:\none\x.bak").unwrap_err(),
        drives.open(r"Q:\x.bak").unwrap_err(),
        drives.open(r"\\other\share\x.bak").unwrap_err(),
        drives.create(r"D:\a|b.bak").unwrap_err(),
        drives.create(r"D:\Stage").unwrap_err(),
    ];
    insta::assert_snapshot!(answers.map(|e| e.to_string()).join("\n"), @r"
    2(The system cannot find the file specified.)
    3(The system cannot find the path specified.)
    3(The system cannot find the path specified.)
    53(The network path was not found.)
    123(The filename, directory name, or volume label syntax is incorrect.)
    5(Access is denied.)
    ");
}

#[test]
fn the_nearest_rule_decides() {
    let dir = tempfile::tempdir().unwrap();
    let drives = drives(&dir);
    drives.set_acl(r"D:\Stage", &["*"], &["CONTOSO\\admin"]).unwrap();
    assert_eq!(
        drives.create(r"D:\Stage\Run42\x.bak").unwrap_err(),
        OsError::AccessDenied
    );
    assert!(drives.as_account(r"contoso\ADMIN").create(r"D:\stage\x.bak").is_ok());
    assert!(drives.open(r"D:\Stage\x.bak").is_ok());
    drives.set_acl(r"D:\stage\run42", &[], &[SERVICE]).unwrap();
    drives.create(r"D:\Stage\Run42\x.bak").unwrap();
    assert_eq!(drives.open(r"D:\Stage\Run42\x.bak").unwrap_err(), OsError::AccessDenied);
    assert_eq!(drives.check(r"D:\Stage\Run42", Access::Write), Ok(()));
    assert_eq!(drives.check(r"D:\", Access::Write), Ok(()));
    // Another process may hold a file.
    let rules = r#"{"locked": ["stage\\X.bak"]}"#;
    std::fs::write(dir.path().join("d/.acl.json"), rules).unwrap();
    assert_eq!(drives.open(r"D:\Stage\x.bak").unwrap_err(), OsError::SharingViolation);
    std::fs::write(dir.path().join("d/.acl.json"), "half a fi").unwrap();
    assert_eq!(drives.open(r"D:\Stage\x.bak").unwrap_err(), OsError::AccessDenied);
    assert!(drives.list(r"\\files\backup").unwrap().is_empty());
}

#[test]
fn a_writer_has_its_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let drives = drives(&dir);
    let file = drives.create(r"D:\x.bak").unwrap();
    assert_eq!(drives.open(r"d:\X.bak").unwrap_err(), OsError::SharingViolation);
    assert_eq!(drives.create(r"D:\x.bak").unwrap_err(), OsError::SharingViolation);
    assert_eq!(drives.remove(r"D:\x.bak").unwrap_err(), OsError::SharingViolation);
    drop(file);
    drives.remove(r"D:\x.bak").unwrap();
}

#[test]
fn a_full_disk_says_112_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let drives = drives(&dir);
    assert_eq!(drives.volumes()[0].mount_point, r"D:\");
    let mut database = Database::new("Small", "Latin1_General_CI_AS", 957, NOW);
    for (file, name) in database.files.iter_mut().zip([r"D:\Small.mdf", r"D:\Small_log.ldf"]) {
        file.physical_name = name.into();
    }
    let file = DatabaseFile::create(&drives, &mut database).unwrap();
    let config = InstanceSpec::standard_2022("SQL01", None, NOW).config;
    drives.set_total_bytes(r"D:\", Some((16 << 20) + 10_000)).unwrap();
    assert_eq!(drives.volume(r"D:\").unwrap().total_bytes, (16 << 20) + 10_000);
    let start = || {
        let request = BackupRequest::new("sa", NOW);
        let devices = [r"D:\x.bak".to_string()];
        BackupJob::start(&drives, &devices, file.snapshot().unwrap(), &database, &config, request)
    };
    let error = start().unwrap().step().unwrap_err();
    assert!(
        matches!(
            &error,
            BackupError::Write {
                error: OsError::DiskFull,
                ..
            }
        ),
        "{error}"
    );
    drives.set_total_bytes(r"D:\", None).unwrap();
    // The incomplete set that the "killed" backup left is found and overwritten.
    let sets = MediaSet::headers(&drives, r"D:\x.bak").unwrap();
    assert!(sets.len() == 1 && !sets[0].1);
    let mut job = start().unwrap();
    while job.step().unwrap().is_some() {}
    assert_eq!(job.finish(NOW).unwrap().header.position, 1);

    let media = MediaSet::open(&drives, &[r"D:\x.bak".into()]).unwrap();
    let moves = |to: &str| {
        vec![
            ("small".to_string(), format!(r"{to}.mdf")),
            ("Small_log".into(), format!(r"{to}.ldf")),
        ]
    };
    let refused = |moves: Vec<(String, String)>| RestoreJob::start(&media, 1, &drives, &moves).unwrap_err();
    assert!(matches!(refused(vec![]), BackupError::FileExists(path) if path == r"D:\Small.mdf"));
    assert!(matches!(refused(vec![("nope".into(), "x".into())]), BackupError::NoSuchFile(name) if name == "nope"));
    let twice = vec![
        ("small".into(), r"D:\a.mdf".into()),
        ("Small_log".into(), r"d:\A.mdf".into()),
    ];
    assert!(matches!(refused(twice), BackupError::ClaimedTwice(_)));
    assert!(matches!(
        refused(moves(r"D:\none\copy")),
        BackupError::File(FileError::Os {
            error: OsError::PathNotFound,
            ..
        })
    ));
    drives.set_total_bytes(r"D:\", Some(24 << 20)).unwrap();
    assert!(matches!(refused(moves(r"D:\copy")), BackupError::NoSpace { needed, .. } if needed == 16 << 20));
    assert!(!drives.info(r"D:\copy.mdf").is_file && !drives.info(r"D:\none").is_directory);
}
