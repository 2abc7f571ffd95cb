//! An instance's folder: `instance.json`, `databases.json`, the drives and the database files on them.

use std::path::Path;

use super::{Database, DatabaseFile, Drives, FileError, InstanceConfig, InstanceSpec};

/// Why an instance folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The real file system failed.
    #[error("{path}: {source}")]
    Io {
        /// The real path.
        path: std::path::PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// A JSON file cannot be read.
    #[error("{path}: {source}")]
    Json {
        /// The real path.
        path: std::path::PathBuf,
        /// The error.
        source: serde_json::Error,
    },
    /// A database file failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A database of the instance as it was found on disk.
#[derive(Debug)]
pub struct OpenDatabase {
    /// `database_id`: 1 master, 2 tempdb, 3 model, 4 msdb, 5 and up user databases.
    pub database_id: i32,
    /// The database; only metadata is filled where there is no file (RESTORING, OFFLINE, RECOVERY_PENDING).
    pub database: Database,
    /// Its file; None while the files are not open.
    pub file: Option<DatabaseFile>,
    /// Why the file could not be opened; the state is then RECOVERY_PENDING or SUSPECT.
    pub error: Option<FileError>,
}

/// The folder of an instance. It does not keep the databases: the engine owns those.
#[derive(Debug)]
pub struct InstanceStore {}

impl InstanceStore {
    /// Creates a new instance in a folder.
    pub fn create(dir: &Path, spec: InstanceSpec) -> Result<InstanceStore, StoreError> {
        unimplemented!("{dir:?} {spec:?}")
    }
    /// Opens an existing instance.
    pub fn open(dir: &Path) -> Result<InstanceStore, StoreError> {
        unimplemented!("{dir:?}")
    }
    /// The configuration.
    pub fn config(&self) -> &InstanceConfig {
        unimplemented!()
    }
    /// Changes the configuration (logins, mostly) and saves it atomically.
    pub fn update_config(&mut self, change: impl FnOnce(&mut InstanceConfig)) -> Result<(), StoreError> {
        let _ = change;
        unimplemented!()
    }
    /// The drives as the service account sees them.
    pub fn drives(&self) -> &Drives {
        unimplemented!()
    }
    /// Opens every database that is registered; tempdb is made anew. One that fails is returned with its error.
    pub fn open_databases(&mut self) -> Result<Vec<OpenDatabase>, StoreError> {
        unimplemented!()
    }
    /// The id the next database gets.
    pub fn next_database_id(&self) -> i32 {
        unimplemented!()
    }
    /// Fills empty `physical_name`s with the default folders: `<data_path><name>.mdf`, `<log_path><name>_log.ldf`.
    pub fn place_files(&self, database: &mut Database) {
        unimplemented!("{}", database.meta.name)
    }
    /// CREATE DATABASE: creates the files and registers it.
    pub fn create_database(&mut self, database: Database) -> Result<OpenDatabase, StoreError> {
        unimplemented!("{}", database.meta.name)
    }
    /// Writes name, state and files of a database into `databases.json`, atomically: call it when it is attached or
    /// restored (first with state RESTORING), renamed, or its state changes.
    pub fn register(&mut self, database_id: i32, database: &Database) -> Result<(), StoreError> {
        unimplemented!("{database_id} {}", database.meta.name)
    }
    /// DROP DATABASE: forgets it and deletes its files. Close the [`DatabaseFile`] first.
    pub fn drop_database(&mut self, database_id: i32) -> Result<(), StoreError> {
        unimplemented!("{database_id}")
    }
}
