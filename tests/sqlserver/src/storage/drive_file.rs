//! An open file on a drive: `std::fs::File` plus the drive's quota. It holds the file's lock.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Drives, OsError};

/// Free space is measured again after this much growth.
const MEASURE_EVERY: u64 = 4 << 20;

/// An open file. Growing beyond the drive's free space fails with [`OsError::DiskFull`].
#[derive(Debug)]
pub struct DriveFile {
    drives: Drives,
    path: String,
    real: PathBuf,
    file: File,
    len: u64,
    /// Bytes this file may still grow before free space is measured again.
    allowance: u64,
}

impl DriveFile {
    pub(crate) fn new(drives: Drives, path: &str, real: PathBuf, file: File) -> Result<DriveFile, OsError> {
        let len = file.metadata()?.len();
        Ok(DriveFile {
            drives,
            path: path.into(),
            real,
            file,
            len,
            allowance: 0,
        })
    }
    /// The Windows path it was opened with.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The real path.
    pub fn real(&self) -> &Path {
        &self.real
    }
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Fills the buffer from an offset; [`OsError::EndOfFile`] when the file is too short.
    pub fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), OsError> {
        self.file.seek(SeekFrom::Start(offset))?;
        Ok(self.file.read_exact(buf)?)
    }
    /// Writes at an offset, growing the file where needed.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), OsError> {
        let end = offset + bytes.len() as u64;
        self.grow(end)?;
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)?;
        self.len = self.len.max(end);
        Ok(())
    }
    /// Makes the file longer (with zeros) or shorter.
    pub fn set_len(&mut self, len: u64) -> Result<(), OsError> {
        self.grow(len)?;
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }
    /// Waits until everything is on the disk.
    pub fn sync(&self) -> Result<(), OsError> {
        Ok(self.file.sync_data()?)
    }
    /// Closes and deletes it.
    pub fn remove(self) -> Result<(), OsError> {
        Ok(std::fs::remove_file(&self.real)?)
    }

    fn grow(&mut self, end: u64) -> Result<(), OsError> {
        let growth = end.saturating_sub(self.len);
        if growth > self.allowance {
            let free = self.drives.volume(&self.path)?.free_bytes;
            if free < growth {
                return Err(OsError::DiskFull);
            }
            self.allowance = free.min(growth + MEASURE_EVERY);
        }
        self.allowance -= growth;
        Ok(())
    }
}
