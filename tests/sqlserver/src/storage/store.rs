//! An instance's folder: `instance.json`, `databases.json`, the drives and the database files on them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Database, DatabaseFile, DatabaseMeta, DatabaseState, Drives, FileError, FileKind, FileMeta, InstanceConfig,
    InstanceSpec, OsError, atomic, system,
};

const TEMPDB: i32 = 2;

/// Why an instance folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The real file system failed.
    #[error("{path}: {source}")]
    Io {
        /// The real path.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// A JSON file cannot be read.
    #[error("{path}: {source}")]
    Json {
        /// The real path.
        path: PathBuf,
        /// The error.
        source: serde_json::Error,
    },
    /// There is an instance in the folder already.
    #[error("{0}: there is an instance already; open it, or choose an empty folder")]
    Exists(PathBuf),
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

/// A line of `databases.json`. `meta` and `files` are what is shown while the files cannot be opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    database_id: i32,
    meta: DatabaseMeta,
    files: Vec<FileMeta>,
}

/// The folder of an instance. It does not keep the databases: the engine owns those.
#[derive(Debug)]
pub struct InstanceStore {
    dir: PathBuf,
    config: InstanceConfig,
    drives: Drives,
    entries: Vec<Entry>,
}

impl InstanceStore {
    /// Creates a new instance in a folder.
    pub fn create(dir: &Path, spec: InstanceSpec) -> Result<InstanceStore, StoreError> {
        if dir.join("instance.json").exists() {
            return Err(StoreError::Exists(dir.into()));
        }
        fs::create_dir_all(dir).map_err(|source| StoreError::Io {
            path: dir.into(),
            source,
        })?;
        let drives = Drives::new(dir, &spec.config.drives, &spec.config.service_account);
        let mut store = InstanceStore {
            dir: dir.into(),
            config: spec.config,
            drives,
            entries: Vec::new(),
        };
        store.make_folders()?;
        let collation = store.config.collation.clone();
        let version = store.config.internal_version();
        for (id, mut database) in system::system_databases(&collation, version, spec.created) {
            if id == 1 {
                for (login, procedure) in &spec.master_grants {
                    system::grant_procedure(&mut database, store.config.login(login), procedure, spec.created);
                }
            }
            store.create_as(id, database)?;
        }
        for database in spec.databases {
            store.make_file_folders(&database)?;
            store.create_database(database)?;
        }
        // Last: a folder with this file is a whole instance.
        write_json(&store.dir.join("instance.json"), &store.config)?;
        Ok(store)
    }

    /// Opens an existing instance.
    pub fn open(dir: &Path) -> Result<InstanceStore, StoreError> {
        let config: InstanceConfig = read_json(&dir.join("instance.json"))?;
        let entries = read_json(&dir.join("databases.json"))?;
        let drives = Drives::new(dir, &config.drives, &config.service_account);
        Ok(InstanceStore {
            dir: dir.into(),
            config,
            drives,
            entries,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &InstanceConfig {
        &self.config
    }

    /// Changes the configuration (logins, mostly) and saves it atomically.
    pub fn update_config(&mut self, change: impl FnOnce(&mut InstanceConfig)) -> Result<(), StoreError> {
        let mut config = self.config.clone();
        change(&mut config);
        write_json(&self.dir.join("instance.json"), &config)?;
        self.config = config;
        Ok(())
    }

    /// The drives as the service account sees them.
    pub fn drives(&self) -> &Drives {
        &self.drives
    }

    /// Opens every database that is registered; tempdb is made anew. One that fails is returned with its error.
    pub fn open_databases(&mut self) -> Result<Vec<OpenDatabase>, StoreError> {
        let mut databases = Vec::new();
        for entry in self.entries.clone() {
            databases.push(match entry.database_id {
                TEMPDB => self.create_tempdb(&entry)?,
                _ => self.open_entry(entry),
            });
        }
        Ok(databases)
    }

    /// The id the next database gets: the lowest that is free, as in SQL Server.
    pub fn next_database_id(&self) -> i32 {
        let mut id = 5;
        while self.entries.iter().any(|e| e.database_id == id) {
            id += 1;
        }
        id
    }

    /// Fills empty `physical_name`s with the default folders: `<data_path><name>.mdf`, `<log_path><name>_log.ldf`.
    pub fn place_files(&self, database: &mut Database) {
        let system = system::system_file_names(&database.meta.name);
        let name = database.meta.name.clone();
        for file in database.files.iter_mut().filter(|f| f.physical_name.is_empty()) {
            file.physical_name = match (system, file.kind) {
                (Some((data, _)), FileKind::Data) => format!("{}{data}", self.config.system_path),
                (Some((_, log)), FileKind::Log) => format!("{}{log}", self.config.system_path),
                (None, FileKind::Data) => format!("{}{name}.mdf", self.config.data_path),
                (None, FileKind::Log) => format!("{}{name}_log.ldf", self.config.log_path),
            };
        }
    }

    /// CREATE DATABASE: creates the files and registers it.
    pub fn create_database(&mut self, database: Database) -> Result<OpenDatabase, StoreError> {
        self.create_as(self.next_database_id(), database)
    }

    /// Writes name, state and files of a database into `databases.json`, atomically: call it when it is attached or
    /// restored (first with state RESTORING), renamed, or its state changes.
    pub fn register(&mut self, database_id: i32, database: &Database) -> Result<(), StoreError> {
        let entry = Entry {
            database_id,
            meta: database.meta.clone(),
            files: database.files.clone(),
        };
        let mut entries = self.entries.clone();
        match entries.iter_mut().find(|e| e.database_id == database_id) {
            Some(existing) => *existing = entry,
            None => entries.push(entry),
        }
        self.save_entries(entries)
    }

    /// DROP DATABASE: forgets it and deletes its files (those of an OFFLINE database stay, as with SQL Server).
    /// Close the [`DatabaseFile`] first.
    pub fn drop_database(&mut self, database_id: i32) -> Result<(), StoreError> {
        let Some(dropped) = self.entries.iter().find(|e| e.database_id == database_id).cloned() else {
            return Ok(());
        };
        let entries = self
            .entries
            .iter()
            .filter(|e| e.database_id != database_id)
            .cloned()
            .collect();
        self.save_entries(entries)?;
        if dropped.meta.state == DatabaseState::Offline {
            return Ok(());
        }
        for file in dropped.files {
            match self.drives.remove(&file.physical_name) {
                // A RESTORE that failed early never made them.
                Ok(()) | Err(OsError::FileNotFound | OsError::PathNotFound) => {}
                Err(error) => {
                    return Err(FileError::Os {
                        path: file.physical_name,
                        error,
                    }
                    .into());
                }
            }
        }
        Ok(())
    }

    /// Deletes leftovers of a database that is not registered, for example of a RESTORE that failed.
    pub fn remove_files(&self, files: &[FileMeta]) {
        for file in files {
            // A file that is not there needs no deleting.
            let _ = self.drives.remove(&file.physical_name);
        }
    }

    fn create_as(&mut self, database_id: i32, mut database: Database) -> Result<OpenDatabase, StoreError> {
        self.place_files(&mut database);
        let file = DatabaseFile::create(&self.drives, &mut database)?;
        self.register(database_id, &database)?;
        Ok(OpenDatabase {
            database_id,
            database,
            file: Some(file),
            error: None,
        })
    }

    fn create_tempdb(&mut self, entry: &Entry) -> Result<OpenDatabase, StoreError> {
        let version = self.config.internal_version();
        let tempdb = system::system_databases(&self.config.collation, version, OffsetDateTime::now_utc())
            .into_iter()
            .find(|(id, _)| *id == TEMPDB);
        let mut database = tempdb.map_or_else(|| stub(entry), |(_, database)| database);
        for (new, old) in database.files.iter_mut().zip(&entry.files) {
            new.physical_name.clone_from(&old.physical_name);
        }
        self.create_as(TEMPDB, database)
    }

    fn open_entry(&self, entry: Entry) -> OpenDatabase {
        let database_id = entry.database_id;
        let closed = [DatabaseState::Restoring, DatabaseState::Offline].contains(&entry.meta.state);
        let data = entry.files.iter().find(|f| f.kind == FileKind::Data);
        let Some(data) = data.filter(|_| !closed) else {
            return OpenDatabase {
                database_id,
                database: stub(&entry),
                file: None,
                error: None,
            };
        };
        match DatabaseFile::open_moved(&self.drives, &data.physical_name, Some(&entry.files)) {
            Ok((mut database, file)) => {
                database.meta.name = entry.meta.name;
                // A database that could not be opened last time is well again.
                if ![DatabaseState::RecoveryPending, DatabaseState::Suspect].contains(&entry.meta.state) {
                    database.meta.state = entry.meta.state;
                }
                OpenDatabase {
                    database_id,
                    database,
                    file: Some(file),
                    error: None,
                }
            }
            Err(error) => {
                let mut database = stub(&entry);
                database.meta.state = match error {
                    FileError::Os { .. } => DatabaseState::RecoveryPending,
                    FileError::NotADatabase(_) | FileError::Damaged { .. } => DatabaseState::Suspect,
                };
                OpenDatabase {
                    database_id,
                    database,
                    file: None,
                    error: Some(error),
                }
            }
        }
    }

    fn make_folders(&self) -> Result<(), StoreError> {
        for spec in &self.config.drives {
            let path = self.drives.root_of(spec);
            fs::create_dir_all(&path).map_err(|source| StoreError::Io { path, source })?;
        }
        let config = &self.config;
        for folder in [
            &config.system_path,
            &config.data_path,
            &config.log_path,
            &config.backup_path,
        ] {
            self.make_folder(folder)?;
        }
        Ok(())
    }

    fn make_file_folders(&self, database: &Database) -> Result<(), StoreError> {
        for file in &database.files {
            if let Some((folder, _)) = file.physical_name.rsplit_once('\\') {
                self.make_folder(folder)?;
            }
        }
        Ok(())
    }

    fn make_folder(&self, folder: &str) -> Result<(), StoreError> {
        let made = self.drives.create_dir(folder);
        made.map_err(|error| {
            FileError::Os {
                path: folder.into(),
                error,
            }
            .into()
        })
    }

    fn save_entries(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        write_json(&self.dir.join("databases.json"), &entries)?;
        self.entries = entries;
        Ok(())
    }
}

/// What is known of a database without its files.
fn stub(entry: &Entry) -> Database {
    Database {
        meta: entry.meta.clone(),
        files: entry.files.clone(),
        tables: Vec::new(),
        procedures: Vec::new(),
        principals: Vec::new(),
        permissions: Vec::new(),
        extended_properties: Vec::new(),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let json = serde_json::to_vec_pretty(value).map_err(|source| StoreError::Json {
        path: path.into(),
        source,
    })?;
    atomic::write(path, &json).map_err(|source| StoreError::Io {
        path: path.into(),
        source,
    })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let json = fs::read(path).map_err(|source| StoreError::Io {
        path: path.into(),
        source,
    })?;
    serde_json::from_slice(&json).map_err(|source| StoreError::Json {
        path: path.into(),
        source,
    })
}
