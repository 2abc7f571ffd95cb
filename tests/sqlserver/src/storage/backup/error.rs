//! What can go wrong with backup media, one variant per SQL Server error the engine answers with.

use uuid::Uuid;

use crate::storage::{FileError, OsError, PageDamage};

/// A failed backup, restore or read of media.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// 3201: a device cannot be opened.
    #[error("cannot open backup device '{device}': operating system error {error}")]
    Open {
        /// The path as given.
        device: String,
        /// The cause.
        error: OsError,
    },
    /// 3202: a write failed, usually 112.
    #[error("write on '{device}' failed: {error}")]
    Write {
        /// The path.
        device: String,
        /// The cause.
        error: OsError,
    },
    /// 3203: a read failed; a truncated file is 38 (end of file).
    #[error("read on '{device}' failed: {error}")]
    Read {
        /// The path.
        device: String,
        /// The cause.
        error: OsError,
    },
    /// 3241: not a backup, or its headers are damaged.
    #[error("the media family on device '{device}' is incorrectly formed")]
    NotAMedium {
        /// The path.
        device: String,
    },
    /// 3254: the volume is empty.
    #[error("the volume on device '{device}' is empty")]
    Empty {
        /// The path.
        device: String,
    },
    /// 3243: written by a newer format version of this stand-in.
    #[error("the media family on device '{device}' has format version {version}")]
    MediaVersion {
        /// The path.
        device: String,
        /// The version found.
        version: u16,
    },
    /// 3256: the set was never finished (BACKUP was cancelled or killed, or the file was cut).
    #[error("the backup set on file {position} is incomplete")]
    Incomplete {
        /// The set.
        position: u16,
    },
    /// 3287: there is no set at this position.
    #[error("there is no backup set {position}")]
    NoSuchSet {
        /// The position asked for.
        position: u16,
    },
    /// 3132: too few stripes.
    #[error("the media set has {family_count} families but {provided} were provided")]
    MissingFamily {
        /// Stripes of the set.
        family_count: u16,
        /// Devices given.
        provided: u16,
    },
    /// 3227 (foreign stripe).
    #[error("the device '{device}' is not of media set {expected}")]
    ForeignFamily {
        /// The path.
        device: String,
        /// The media set of the first device.
        expected: Uuid,
    },
    /// 3231 (the same stripe twice).
    #[error("the media loaded on '{device}' is family {sequence} again")]
    DuplicateFamily {
        /// The path.
        device: String,
        /// The family that was there already.
        sequence: u16,
    },
    /// 3258: NOINIT onto a medium with another number of stripes; 3098: with other structure (compression).
    #[error("the volume on '{device}' cannot be appended to: {reason}")]
    CannotAppend {
        /// The path.
        device: String,
        /// Why.
        reason: String,
    },
    /// 3043 during BACKUP: a page of the database itself is damaged.
    #[error("page {} of the database is damaged: {}", .0.page_id, .0.reason)]
    SourceDamaged(PageDamage),
    /// 3183: a page in the set is damaged.
    #[error("page {} in the backup set is damaged: {}", .0.page_id, .0.reason)]
    PageDamaged(PageDamage),
    /// 3189: the set is damaged otherwise (stream checksum, order of pages).
    #[error("the backup set is damaged: {0}")]
    SetDamaged(String),
    /// 3187: CHECKSUM asked for, none present.
    #[error("the backup set has no checksums")]
    NoChecksums,
    /// 3234: a MOVE names a file the set does not have.
    #[error("logical file '{0}' is not part of the database")]
    NoSuchFile(String),
    /// 3257: not enough room for the files.
    #[error("volume '{volume}' needs {needed} bytes and has {available}")]
    NoSpace {
        /// The volume's mount point.
        volume: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// 1834, 5170: a target file exists.
    #[error("the file '{0}' exists")]
    FileExists(String),
    /// 3176: two files of the set would go to the same place.
    #[error("the file '{0}' is claimed by more than one file of the database")]
    ClaimedTwice(String),
    /// The database file failed: 5133, 5123 …
    #[error(transparent)]
    File(#[from] FileError),
}
