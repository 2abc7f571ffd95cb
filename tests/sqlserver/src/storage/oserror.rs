//! The Windows errors a drive can answer with, and their texts as SQL Server shows them: `5(Access is denied.)`.

use std::fmt;
use std::io;

/// A Windows error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OsError {
    /// 2.
    FileNotFound,
    /// 3: a folder on the way, or the drive, does not exist.
    PathNotFound,
    /// 5.
    AccessDenied,
    /// 21.
    NotReady,
    /// 23.
    Crc,
    /// 32.
    SharingViolation,
    /// 38.
    EndOfFile,
    /// 53: a UNC path to an unknown server or share.
    BadNetworkPath,
    /// 80.
    FileExists,
    /// 112.
    DiskFull,
    /// 123.
    InvalidName,
    /// 1117: the real file system failed in another way.
    IoDevice,
}

impl OsError {
    /// The number and the text.
    pub fn code(self) -> (u32, &'static str) {
        match self {
            OsError::FileNotFound => (2, "The system cannot find the file specified."),
            OsError::PathNotFound => (3, "The system cannot find the path specified."),
            OsError::AccessDenied => (5, "Access is denied."),
            OsError::NotReady => (21, "The device is not ready."),
            OsError::Crc => (23, "Data error (cyclic redundancy check)."),
            OsError::SharingViolation => (
                32,
                "The process cannot access the file because it is being used by another process.",
            ),
            OsError::EndOfFile => (38, "Reached the end of the file."),
            OsError::BadNetworkPath => (53, "The network path was not found."),
            OsError::FileExists => (80, "The file exists."),
            OsError::DiskFull => (112, "There is not enough space on the disk."),
            OsError::InvalidName => (
                123,
                "The filename, directory name, or volume label syntax is incorrect.",
            ),
            OsError::IoDevice => (
                1117,
                "The request could not be performed because of an I/O device error.",
            ),
        }
    }
}

impl fmt::Display for OsError {
    /// `5(Access is denied.)`, ready for `Operating system error %ls`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, text) = self.code();
        write!(f, "{number}({text})")
    }
}

impl From<io::Error> for OsError {
    fn from(e: io::Error) -> OsError {
        match e.kind() {
            io::ErrorKind::NotFound => OsError::FileNotFound,
            io::ErrorKind::NotADirectory => OsError::PathNotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => OsError::AccessDenied,
            io::ErrorKind::AlreadyExists => OsError::FileExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OsError::DiskFull,
            io::ErrorKind::UnexpectedEof => OsError::EndOfFile,
            io::ErrorKind::InvalidFilename => OsError::InvalidName,
            _ => OsError::IoDevice,
        }
    }
}
