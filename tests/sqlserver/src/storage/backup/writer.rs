//! BACKUP DATABASE: writes a snapshot's pages to one or more stripes.

use time::OffsetDateTime;

use super::{BackupError, BackupKind, BackupSetHeader, Progress};
use crate::storage::{Database, Drives, InstanceConfig, PageSnapshot};

/// What becomes of what is on the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaMode {
    /// `FORMAT`: a new media set, whatever is there.
    Format,
    /// `INIT`: the media set stays, its sets go.
    Init,
    /// `NOINIT`, the default: append.
    Append,
}

/// The options of BACKUP.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRequest {
    /// Full, differential or log.
    pub kind: BackupKind,
    /// FORMAT, INIT or NOINIT.
    pub mode: MediaMode,
    /// COPY_ONLY.
    pub copy_only: bool,
    /// CHECKSUM.
    pub checksum: bool,
    /// COMPRESSION.
    pub compression: bool,
    /// NAME.
    pub name: Option<String>,
    /// DESCRIPTION.
    pub description: Option<String>,
    /// MEDIANAME.
    pub media_name: Option<String>,
    /// MEDIADESCRIPTION.
    pub media_description: Option<String>,
    /// EXPIREDATE.
    pub expiration_date: Option<OffsetDateTime>,
    /// The login that runs it.
    pub user_name: String,
    /// Now, in the server's offset.
    pub started: OffsetDateTime,
}

impl BackupRequest {
    /// A full backup with defaults: append, no checksum, no compression.
    pub fn new(user_name: &str, started: OffsetDateTime) -> BackupRequest {
        BackupRequest {
            kind: BackupKind::Database,
            mode: MediaMode::Append,
            copy_only: false,
            checksum: false,
            compression: false,
            name: None,
            description: None,
            media_name: None,
            media_description: None,
            expiration_date: None,
            user_name: user_name.into(),
            started,
        }
    }
}

/// A running BACKUP. Dropping it without [`finish`](BackupJob::finish) leaves an incomplete set; see `abort`.
#[derive(Debug)]
pub struct BackupJob {}

impl BackupJob {
    /// Opens the devices and writes the headers.
    pub fn start(
        drives: &Drives,
        devices: &[String],
        snapshot: PageSnapshot,
        database: &Database,
        config: &InstanceConfig,
        request: BackupRequest,
    ) -> Result<BackupJob, BackupError> {
        unimplemented!(
            "{drives:?} {devices:?} {snapshot:?} {} {config:?} {request:?}",
            database.meta.name
        )
    }
    /// Writes the next pages (about 1 MiB). None when all are written.
    pub fn step(&mut self) -> Result<Option<Progress>, BackupError> {
        unimplemented!()
    }
    /// The media set's id, `backupmediaset.media_uuid`.
    pub fn media_set_id(&self) -> uuid::Uuid {
        unimplemented!()
    }
    /// Writes the trailer and syncs.
    pub fn finish(self, finished: OffsetDateTime) -> Result<BackupSetHeader, BackupError> {
        unimplemented!("{finished}")
    }
    /// Stops: files this job created are deleted, media that existed are cut back to where they ended.
    pub fn abort(self) {}
}
