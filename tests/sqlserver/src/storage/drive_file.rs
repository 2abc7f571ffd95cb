//! An open file on a drive: `std::fs::File` plus the drive's quota.

use std::fs::File;

/// An open file. Writing beyond the drive's free space fails with [`super::OsError::DiskFull`].
#[derive(Debug)]
pub struct DriveFile {
    #[expect(dead_code, reason = "the first slice has signatures only")]
    file: File,
}
