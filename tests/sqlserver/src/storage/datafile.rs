//! The `.mdf`: shadow-paged, so that kill -9 at any moment leaves the last saved state.

use super::{Database, Drives, OsError};

/// A page that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageDamage {
    /// Its number in the file.
    pub page_id: u32,
    /// The object it belongs to, where that is known.
    pub object_id: Option<i32>,
    /// Why.
    pub reason: String,
}

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused (5120, 5123, 5133).
    #[error("{path}: operating system error {error}")]
    Os {
        /// The Windows path.
        path: String,
        /// The error.
        error: OsError,
    },
    /// Not a database file (5171).
    #[error("{0} is not a primary database file")]
    NotADatabase(String),
    /// A page is damaged (824).
    #[error("{path}: page {}: {}", .damage.page_id, .damage.reason)]
    Damaged {
        /// The Windows path.
        path: String,
        /// The first damaged page.
        damage: PageDamage,
    },
}

/// An open `.mdf` and its `.ldf`.
#[derive(Debug)]
pub struct DatabaseFile {}

/// The pages of one saved state, pinned: later saves do not overwrite them while the snapshot lives. BACKUP reads it.
#[derive(Debug)]
pub struct PageSnapshot {}

impl DatabaseFile {
    /// Creates the `.mdf` and `.ldf` named by the database's files and saves the database. The files must not exist.
    /// Updates the files' `size_pages`.
    pub fn create(drives: &Drives, database: &mut Database) -> Result<DatabaseFile, FileError> {
        unimplemented!("{drives:?} {}", database.meta.name)
    }
    /// Opens a `.mdf` by its Windows path and loads the database.
    pub fn open(drives: &Drives, path: &str) -> Result<(Database, DatabaseFile), FileError> {
        unimplemented!("{drives:?} {path}")
    }
    /// Saves the database: on return it survives kill -9. Only what changed is written.
    pub fn save(&mut self, database: &mut Database) -> Result<(), FileError> {
        unimplemented!("{}", database.meta.name)
    }
    /// Reads every allocated page from disk (`DBCC CHECKDB`). Empty means clean.
    pub fn check(&self) -> Result<Vec<PageDamage>, FileError> {
        unimplemented!()
    }
    /// Pages in use (`FILEPROPERTY(name,'SpaceUsed')`).
    pub fn used_pages(&self) -> u32 {
        unimplemented!()
    }
    /// Pages in use by one table (`sys.dm_db_partition_stats`).
    pub fn object_pages(&self, object_id: i32) -> u32 {
        unimplemented!("{object_id}")
    }
    /// The saved pages, pinned for a backup.
    pub fn snapshot(&self) -> Result<PageSnapshot, FileError> {
        unimplemented!()
    }
}
