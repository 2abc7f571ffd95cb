//! RESTORE DATABASE: writes a set's pages into new database files.

use std::collections::BTreeMap;

use super::stream::PageStream;
use super::{BackupError, BackupSet, MediaSet, Progress};
use crate::storage::datafile::{create_file, write_log_page};
use crate::storage::page::{self, Page};
use crate::storage::table::same_name;
use crate::storage::{Database, DatabaseFile, DriveFile, Drives, FileError, FileKind, FileMeta, OsError, PAGE_SIZE};

/// A running RESTORE. Dropped without [`finish`](RestoreJob::finish) its files stay behind, as with SQL Server, until
/// the RESTORING database is dropped.
#[derive(Debug)]
pub struct RestoreJob {
    drives: Drives,
    stream: PageStream,
    files: Vec<FileMeta>,
    data: DriveFile,
    log: DriveFile,
    /// Written last: until then the file is not a database.
    header: Option<Box<Page>>,
    complete: bool,
}

impl RestoreJob {
    /// Checks MOVE, space and targets, and creates the files at their full size. `moves` are pairs of logical and
    /// physical name. Files that exist are refused.
    pub fn start(
        media: &MediaSet,
        position: u16,
        drives: &Drives,
        moves: &[(String, String)],
    ) -> Result<RestoreJob, BackupError> {
        RestoreJob::begin(media, position, drives, moves, false)
    }

    /// The same over existing files: of the database that is being replaced, or that a differential or log backup
    /// rolls forward (those hold all pages too). Its [`DatabaseFile`] must be closed.
    pub fn start_over(
        media: &MediaSet,
        position: u16,
        drives: &Drives,
        moves: &[(String, String)],
    ) -> Result<RestoreJob, BackupError> {
        RestoreJob::begin(media, position, drives, moves, true)
    }

    /// Whether there would be room and the targets are free: RESTORE VERIFYONLY WITH MOVE.
    pub fn check_targets(
        media: &MediaSet,
        position: u16,
        drives: &Drives,
        moves: &[(String, String)],
    ) -> Result<Vec<FileMeta>, BackupError> {
        let files = targets(media.set(position)?, moves)?;
        check_space(drives, &files)?;
        Ok(files)
    }

    fn begin(
        media: &MediaSet,
        position: u16,
        drives: &Drives,
        moves: &[(String, String)],
        over: bool,
    ) -> Result<RestoreJob, BackupError> {
        let files = targets(media.set(position)?, moves)?;
        let taken = files.iter().find(|f| drives.info(&f.physical_name).is_file);
        if let Some(taken) = taken.filter(|_| !over) {
            return Err(BackupError::FileExists(taken.physical_name.clone()));
        }
        check_space(drives, &files)?;
        let stream = media.stream(position)?;
        let data = create_file(drives, find(&files, FileKind::Data)?)?;
        let log = match create_log(drives, &files, media.set(position)?) {
            Ok(log) => log,
            Err(error) => {
                // The statement fails: leave nothing behind.
                let _ = data.remove();
                return Err(error);
            }
        };
        Ok(RestoreJob {
            drives: drives.clone(),
            stream,
            files,
            data,
            log,
            header: None,
            complete: false,
        })
    }

    /// The files as they will be called here: register the database as RESTORING with them.
    pub fn files(&self) -> &[FileMeta] {
        &self.files
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.stream.progress()
    }

    /// Writes the next pages. None when all are written and checked.
    pub fn step(&mut self) -> Result<Option<Progress>, BackupError> {
        let Some(pages) = self.stream.next()? else {
            self.write_headers()?;
            return Ok(None);
        };
        for bytes in pages.chunks_exact(PAGE_SIZE) {
            let page: &Page = bytes
                .try_into()
                .map_err(|_| BackupError::SetDamaged("a page is not whole".into()))?;
            match page::page_id(page) {
                0 => self.header = Some(Box::new(*page)),
                id => self.write(id, page)?,
            }
        }
        Ok(Some(self.stream.progress()))
    }

    /// Opens the restored files. The database is as it was when it was backed up, apart from its file names: now give
    /// it its name and identity ([`Database::fork`]), save it and register it.
    pub fn finish(self) -> Result<(Database, DatabaseFile), BackupError> {
        if !self.complete {
            return Err(BackupError::SetDamaged("not all pages were restored".into()));
        }
        let path = self.data.path().to_string();
        drop((self.data, self.log));
        Ok(DatabaseFile::open_moved(&self.drives, &path, Some(&self.files))?)
    }

    /// Deletes the files.
    pub fn abort(self) {
        // The statement has failed already.
        let _ = self.data.remove();
        let _ = self.log.remove();
    }

    fn write_headers(&mut self) -> Result<(), BackupError> {
        let Some(mut header) = self.header.take() else {
            return if self.complete {
                Ok(())
            } else {
                Err(BackupError::SetDamaged("it has no header page".into()))
            };
        };
        self.sync()?;
        for id in [0, 1] {
            page::seal(&mut header, id);
            self.write(id, &header)?;
        }
        self.sync()?;
        self.complete = true;
        Ok(())
    }

    fn write(&mut self, id: u32, page: &Page) -> Result<(), BackupError> {
        let offset = u64::from(id) * PAGE_SIZE as u64;
        if offset >= self.data.len() {
            return Err(BackupError::SetDamaged(format!(
                "page {id} is beyond the end of its file"
            )));
        }
        let path = self.data.path().to_string();
        self.data
            .write_at(offset, &page[..])
            .map_err(|error| FileError::Os { path, error }.into())
    }

    fn sync(&self) -> Result<(), BackupError> {
        let path = self.data.path().to_string();
        self.data.sync().map_err(|error| FileError::Os { path, error }.into())
    }
}

/// The files of a set with their new places.
fn targets(set: &BackupSet, moves: &[(String, String)]) -> Result<Vec<FileMeta>, BackupError> {
    let unknown = moves
        .iter()
        .find(|(logical, _)| !set.files.iter().any(|f| same_name(&f.logical_name, logical)));
    if let Some((logical, _)) = unknown {
        return Err(BackupError::NoSuchFile(logical.clone()));
    }
    let mut files: Vec<FileMeta> = Vec::new();
    for file in &set.files {
        let moved = moves.iter().find(|(logical, _)| same_name(&file.logical_name, logical));
        let physical_name = moved.map_or(&file.physical_name, |(_, physical)| physical).clone();
        if files.iter().any(|f| same_name(&f.physical_name, &physical_name)) {
            return Err(BackupError::ClaimedTwice(physical_name));
        }
        let pages = u64::try_from(file.size).unwrap_or(0).div_ceil(PAGE_SIZE as u64);
        files.push(FileMeta {
            file_id: i32::try_from(file.file_id).unwrap_or_default(),
            file_guid: file.unique_id,
            kind: file.kind,
            name: file.logical_name.clone(),
            physical_name,
            size_pages: u32::try_from(pages).unwrap_or(u32::MAX),
            // The rest is in the catalogue and comes with it.
            max_size_pages: -1,
            growth: 0,
            is_percent_growth: false,
            create_lsn: file.create_lsn,
        });
    }
    Ok(files)
}

fn find(files: &[FileMeta], kind: FileKind) -> Result<&FileMeta, BackupError> {
    let found = files.iter().find(|f| f.kind == kind);
    found.ok_or_else(|| BackupError::SetDamaged("its file list is not complete".into()))
}

fn create_log(drives: &Drives, files: &[FileMeta], set: &BackupSet) -> Result<DriveFile, BackupError> {
    let mut log = create_file(drives, find(files, FileKind::Log)?)?;
    write_log_page(&mut log, set.header.binding_id)?;
    Ok(log)
}

/// Adds up what each volume must hold; files that will be replaced count as free.
fn check_space(drives: &Drives, files: &[FileMeta]) -> Result<(), BackupError> {
    let mut volumes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in files {
        let path = &file.physical_name;
        let os = |error: OsError| FileError::Os {
            path: path.clone(),
            error,
        };
        let volume = drives.volume(path).map_err(os)?;
        let entry = volumes.entry(volume.mount_point).or_insert((0, volume.free_bytes));
        entry.0 += u64::from(file.size_pages) * PAGE_SIZE as u64;
        let existing = drives.real_path(path).ok().and_then(|p| p.metadata().ok());
        entry.1 += existing.map_or(0, |m| m.len());
    }
    match volumes.into_iter().find(|(_, (needed, available))| needed > available) {
        Some((volume, (needed, available))) => Err(BackupError::NoSpace {
            volume,
            needed,
            available,
        }),
        None => Ok(()),
    }
}
