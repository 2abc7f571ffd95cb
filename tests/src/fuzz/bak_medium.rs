//! A `.bak` file as the SQL Server stand-in reads it: label, headers, every page, and a RESTORE.

use std::path::{Path, PathBuf};

use syncferry_sqlserver::storage::backup::{BackupError, BackupJob, BackupRequest, MediaSet, RestoreJob};
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use syncferry_sqlserver::storage::{DatabaseFile, DriveSpec, Drives, InstanceSpec};
use time::OffsetDateTime;

const NAME: &str = r"D:\x.bak";

fn drives(dir: &Path) -> Drives {
    let drive = DriveSpec {
        name: "D:".into(),
        root: PathBuf::from("."),
        total_bytes: None,
    };
    Drives::new(dir, &[drive], "svc")
}

/// Reads a medium to its end.
pub fn read(bytes: &[u8]) -> bool {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("x.bak"), bytes).expect("a temporary file");
    let drives = drives(dir.path());
    let _ = (MediaSet::label(&drives, NAME), MediaSet::headers(&drives, NAME));
    restore(&drives).is_ok()
}

fn restore(drives: &Drives) -> Result<(), BackupError> {
    let media = MediaSet::open(drives, &[NAME.to_string()])?;
    let mut verify = media.verify(1)?;
    while verify.step()?.is_some() {}
    let files = &media.set(1)?.files;
    let moves: Vec<_> = files
        .iter()
        .map(|f| (f.logical_name.clone(), format!(r"D:\r{}", f.file_id)))
        .collect();
    let mut job = RestoreJob::start(&media, 1, drives, &moves)?;
    while job.step()?.is_some() {}
    job.finish().map(|_| ())
}

/// A backup of a small ADSync.
pub fn seeds() -> Vec<Vec<u8>> {
    small().into_iter().collect()
}

fn small() -> Option<Vec<u8>> {
    let now = OffsetDateTime::from_unix_timestamp(1_795_338_843).ok()?;
    let dir = tempfile::tempdir().ok()?;
    let drives = drives(dir.path());
    let mut database = adsync(&AdSync {
        objects: 10,
        last_sync_age: None,
        ..AdSync::new(now)
    });
    for (file, name) in database.files.iter_mut().zip([r"D:\x.mdf", r"D:\x.ldf"]) {
        file.physical_name = name.into();
        file.size_pages = 8;
        file.growth = 8;
    }
    let file = DatabaseFile::create(&drives, &mut database).ok()?;
    let config = InstanceSpec::standard_2022("SQL01", None, now).config;
    let request = BackupRequest {
        checksum: true,
        ..BackupRequest::new("sa", now)
    };
    let snapshot = file.snapshot().ok()?;
    let mut job = BackupJob::start(&drives, &[NAME.to_string()], snapshot, &database, &config, request).ok()?;
    while job.step().ok()?.is_some() {}
    job.finish(now).ok()?;
    std::fs::read(dir.path().join("x.bak")).ok()
}
