//! Backup media: `.bak` files with a media label, backup sets, 8 KiB pages with checksums and a checksum over the whole
//! stream. Not Microsoft Tape Format: only this stand-in reads them.
//!
//! Jobs go step by step, so that the engine can send STATS messages and look at Cancel between two steps:
//!
//! ```text
//! let mut job = BackupJob::start(drives, &devices, file.snapshot()?, &database, request)?;
//! while let Some(progress) = job.step()? { /* 3211, Cancel */ }
//! let set = job.finish(now)?;                 // 4035 and 3014 from set.header; job.abort() instead when cancelled
//!
//! let media = MediaSet::open(drives, &devices)?;             // LABELONLY, HEADERONLY, FILELISTONLY
//! let mut job = media.verify(1)?;                            // VERIFYONLY; HEADERONLY of a cut file: MediaSet::headers
//! let mut job = RestoreJob::start(&media, 1, drives, &moves)?;
//! while let Some(progress) = job.step()? { … }
//! let (database, file) = job.finish()?;                      // then database.fork(name, now), save, register
//! ```

mod block;
mod codec;
mod describe;
mod error;
mod header;
mod reader;
mod restore;
mod stream;
mod stripe;
mod writer;

pub use error::BackupError;
pub use header::{BackupKind, BackupSet, BackupSetHeader, FileListEntry, MediaLabel};
pub use reader::{MediaSet, VerifyJob};
pub use restore::RestoreJob;
pub use writer::{BackupJob, BackupRequest, MediaMode};

/// How far a job is, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pages done.
    pub done: u64,
    /// Pages in all.
    pub total: u64,
}

impl Progress {
    /// 0 to 100.
    pub fn percent(self) -> u8 {
        // The quotient is at most 100.
        u8::try_from((self.done.min(self.total) * 100).checked_div(self.total).unwrap_or(100)).unwrap_or(100)
    }
}
