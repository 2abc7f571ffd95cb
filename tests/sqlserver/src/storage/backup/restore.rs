//! RESTORE DATABASE: writes a set's pages into new database files.

use super::{BackupError, MediaSet, Progress};
use crate::storage::{Database, DatabaseFile, Drives};

/// A running RESTORE. Dropped without `finish`, its files are deleted... by DROP DATABASE, as with SQL Server.
#[derive(Debug)]
pub struct RestoreJob {}

impl RestoreJob {
    /// Checks MOVE, space and targets, and creates the files at their full size.
    /// `moves` are pairs of logical and physical name.
    pub fn start(
        media: &MediaSet,
        position: u16,
        drives: &Drives,
        moves: &[(String, String)],
    ) -> Result<RestoreJob, BackupError> {
        unimplemented!("{media:?} {position} {drives:?} {moves:?}")
    }
    /// The same over existing files of the database that is being replaced or rolled forward.
    pub fn start_over(
        media: &MediaSet,
        position: u16,
        drives: &Drives,
        moves: &[(String, String)],
    ) -> Result<RestoreJob, BackupError> {
        unimplemented!("{media:?} {position} {drives:?} {moves:?}")
    }
    /// Writes the next pages. None when all are written and checked.
    pub fn step(&mut self) -> Result<Option<Progress>, BackupError> {
        unimplemented!()
    }
    /// Opens the restored files. The database is as it was when it was backed up, apart from its file names.
    pub fn finish(self) -> Result<(Database, DatabaseFile), BackupError> {
        unimplemented!()
    }
}
