//! The running instance: its databases, sessions, locks, faults, clock. What one statement does is not here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::Context;
use serde::Deserialize;
use time::{Duration, OffsetDateTime, UtcOffset};
use tokio_util::sync::CancellationToken;

use super::effects::{Effect, Effects};
use super::errors::{Result, SqlError, err, raw_error};
use super::faults::Faults;
use super::locks::Locks;
use crate::storage::{
    Database, DatabaseFile, DatabaseState, Drives, FileError, InstanceConfig, InstanceStore, StoreError,
};
use crate::types::{Cancel, Login};

/// A server instance, shared by all its connections.
#[derive(Clone)]
pub struct Instance(pub(super) Arc<Inner>);

/// A database of the instance and its open file.
pub(super) struct Handle {
    /// `database_id`.
    pub id: i32,
    committed: RwLock<Arc<Database>>,
    /// The open file; None while RESTORING or OFFLINE.
    pub file: Mutex<Option<DatabaseFile>>,
    /// A BACKUP runs: 3023 for the next.
    pub backing_up: AtomicBool,
}

impl Handle {
    /// The committed state.
    pub(super) fn database(&self) -> Arc<Database> {
        Arc::clone(&self.committed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name.
    pub(super) fn name(&self) -> String {
        self.database().meta.name.clone()
    }

    /// The file, locked.
    pub(super) fn file(&self) -> MutexGuard<'_, Option<DatabaseFile>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Used pages of the data file; zero while it is closed.
    pub(super) fn used_pages(&self) -> u32 {
        self.file().as_ref().map_or(0, DatabaseFile::used_pages)
    }
}

/// What other sessions see of a session.
pub(super) struct SessionInfo {
    /// `session_id`.
    pub spid: u16,
    /// What the client said at login.
    pub login: Login,
    /// When it connected, UTC.
    pub connected: OffsetDateTime,
    /// `connection_id`.
    pub connection_id: uuid::Uuid,
    /// Attention or KILL.
    pub cancel: Cancel,
    /// KILL: the connection has to close.
    pub killed: CancellationToken,
    /// What changes.
    pub state: Mutex<Activity>,
}

/// What a session does at the moment.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    /// The login it acts as.
    pub login_name: String,
    /// The login it connected as.
    pub original_login: String,
    /// Its SID.
    pub sid: Vec<u8>,
    /// The current database.
    pub database_id: i32,
    /// Open transactions.
    pub transactions: i32,
    /// Databases its transaction has written to.
    pub written: Vec<i32>,
    /// A request runs.
    pub running: bool,
    /// The command, for `sys.dm_exec_requests`.
    pub command: String,
    /// 0 to 100.
    pub percent: f32,
    /// When the request began, UTC.
    pub request_started: OffsetDateTime,
    /// When the last one ended, UTC.
    pub request_ended: OffsetDateTime,
    /// `wait_type`.
    pub wait: Option<&'static str>,
    /// `transaction_isolation_level`.
    pub isolation: u8,
    /// The request's text, for DBCC INPUTBUFFER.
    pub text: String,
    /// A database the request works on besides the current one: RESTORE.
    pub target: Option<i32>,
}

impl SessionInfo {
    /// The activity, locked.
    pub(super) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings of the lab beside the configuration: `lab.json`, or the same keys in `instance.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LabSettings {
    /// Added to the machine's clock.
    pub clock_offset_ms: i64,
    /// The pace of BACKUP, RESTORE and CHECKDB; 0 is as fast as can be.
    pub io_mb_per_s: f64,
}

/// What [`Instance`] shares.
pub(super) struct Inner {
    /// The instance's folder.
    pub dir: PathBuf,
    store: Mutex<InstanceStore>,
    config: RwLock<Arc<InstanceConfig>>,
    databases: RwLock<BTreeMap<i32, Arc<Handle>>>,
    sessions: Mutex<BTreeMap<u16, Arc<SessionInfo>>>,
    /// All locks.
    pub locks: Locks,
    /// The fault plan.
    pub faults: Faults,
    /// Completed effects.
    pub effects: Effects,
    /// When it started, UTC.
    pub started: OffsetDateTime,
    initial: LabSettings,
    transactions: AtomicU64,
}

/// msdb and the engine's own failures have no number of their own.
pub(super) fn internal(error: impl std::fmt::Display) -> SqlError {
    raw_error(3449, 21, 1, format!("The stand-in failed: {error}"))
}

/// A failed database file as SQL Server says it.
pub(super) fn file_error(error: &FileError, database_id: i32) -> SqlError {
    match error {
        FileError::Os { path, error } => err!(5120, path, error.code().0, error),
        FileError::Damaged { path, damage } => {
            let offset = format!("0x{:016x}", u64::from(damage.page_id) * 8192);
            err!(
                824,
                "00000000",
                "ffffffff",
                1,
                damage.page_id,
                database_id,
                offset,
                path
            )
        }
        other => raw_error(5171, 16, 1, format!("{other}.")),
    }
}

/// A failed store as SQL Server says it.
pub(super) fn store_error(error: &StoreError, database_id: i32) -> SqlError {
    match error {
        StoreError::File(file) => file_error(file, database_id),
        other => internal(other),
    }
}

impl Instance {
    /// Opens an instance's folder.
    pub fn open(dir: &Path) -> anyhow::Result<Instance> {
        let mut store =
            InstanceStore::open(dir).with_context(|| format!("opening the instance in {}", dir.display()))?;
        let opened = store
            .open_databases()
            .with_context(|| format!("opening the databases in {}", dir.display()))?;
        let started = OffsetDateTime::now_utc();
        let mut databases = BTreeMap::new();
        for open in opened {
            if let Some(error) = &open.error {
                tracing::warn!(database = open.database.meta.name, %error, "the database cannot be opened");
            }
            let handle = Handle {
                id: open.database_id,
                committed: RwLock::new(Arc::new(open.database)),
                file: Mutex::new(open.file),
                backing_up: AtomicBool::new(false),
            };
            databases.insert(handle.id, Arc::new(handle));
        }
        let inner = Inner {
            dir: dir.to_owned(),
            config: RwLock::new(Arc::new(store.config().clone())),
            store: Mutex::new(store),
            databases: RwLock::new(databases),
            sessions: Mutex::default(),
            locks: Locks::default(),
            faults: Faults::new(dir),
            effects: Effects::open(dir),
            started,
            initial: read_settings(&dir.join("instance.json")).unwrap_or_default(),
            transactions: AtomicU64::new(1000),
        };
        Ok(Instance(Arc::new(inner)))
    }

    /// The instance's folder.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// `SQL01` or `SQL01\INST`.
    pub fn server_name(&self) -> String {
        self.0.config().server_name.clone()
    }

    /// Major, minor and build, for LOGINACK.
    pub fn product_version(&self) -> (u8, u8, u16) {
        self.0.config().version()
    }

    /// Whether clients without encryption are refused.
    pub fn force_encryption(&self) -> bool {
        self.0.config().force_encryption
    }

    /// The fault plan.
    pub fn faults(&self) -> Faults {
        self.0.faults.clone()
    }

    /// Completed effects, as `effects.json` has them.
    pub fn effects(&self) -> &Effects {
        &self.0.effects
    }

    /// Ends all sessions: their transactions are rolled back. What is committed is on disk already.
    pub async fn shutdown(&self) {
        for session in self.0.sessions() {
            session.cancel.cancel();
            session.killed.cancel();
        }
        while self.0.backups_running() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

fn read_settings(path: &Path) -> Option<LabSettings> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

impl Inner {
    // ---- configuration ----

    /// The configuration at this moment.
    pub(super) fn config(&self) -> Arc<InstanceConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes logins or other configuration, on disk first.
    pub(super) fn update_config(&self, change: impl FnOnce(&mut InstanceConfig)) -> Result<()> {
        let mut store = self.store();
        store.update_config(change).map_err(|e| internal(&e))?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(store.config().clone());
        Ok(())
    }

    /// The store, locked.
    pub(super) fn store(&self) -> MutexGuard<'_, InstanceStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The drives as the service account sees them.
    pub(super) fn drives(&self) -> Drives {
        self.store().drives().clone()
    }

    /// The lab's settings, read again each time.
    pub(super) fn settings(&self) -> LabSettings {
        read_settings(&self.dir.join("lab.json")).unwrap_or(self.initial)
    }

    // ---- time ----

    /// Now, UTC, with the lab's shift.
    pub(super) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + Duration::milliseconds(self.settings().clock_offset_ms)
    }

    /// The server's offset from UTC.
    pub(super) fn offset(&self) -> UtcOffset {
        let minutes = i32::from(self.config().utc_offset_minutes);
        UtcOffset::from_whole_seconds(minutes * 60).unwrap_or(UtcOffset::UTC)
    }

    // ---- databases ----

    /// All databases by id.
    pub(super) fn handles(&self) -> Vec<Arc<Handle>> {
        self.databases
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// One by id.
    pub(super) fn handle(&self, id: i32) -> Option<Arc<Handle>> {
        self.databases
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// One by name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Handle>> {
        self.handles()
            .into_iter()
            .find(|h| h.database().meta.name.to_lowercase() == name.to_lowercase())
    }

    /// Adds a database that was created or restored.
    pub(super) fn attach(&self, id: i32, database: Database, file: Option<DatabaseFile>) -> Arc<Handle> {
        let handle = Arc::new(Handle {
            id,
            committed: RwLock::new(Arc::new(database)),
            file: Mutex::new(file),
            backing_up: AtomicBool::new(false),
        });
        self.databases
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Arc::clone(&handle));
        handle
    }

    /// Forgets a database.
    pub(super) fn detach(&self, id: i32) {
        self.databases
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// Changes a database and saves it: on return the change is on disk. A database without open file only changes
    /// its entry in the instance's list.
    pub(super) fn change(&self, handle: &Handle, change: impl FnOnce(&mut Database)) -> Result<()> {
        let mut file = handle.file();
        let mut database = (*handle.database()).clone();
        let before = (
            database.meta.name.clone(),
            database.meta.state,
            database.meta.user_access,
        );
        change(&mut database);
        database.meta.lsn = database.meta.lsn.after(1);
        if let Some(file) = file.as_mut() {
            file.save(&mut database)
                .map_err(|e| save_error(&e, handle.id, &database.meta.name))?;
        }
        let after = (
            database.meta.name.clone(),
            database.meta.state,
            database.meta.user_access,
        );
        if before != after || file.is_none() {
            self.store()
                .register(handle.id, &database)
                .map_err(|e| store_error(&e, handle.id))?;
        }
        *handle.committed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(database);
        Ok(())
    }

    /// Puts another state of a database in place without saving it: RESTORE has written it already.
    pub(super) fn replace(&self, handle: &Handle, database: Database, file: Option<DatabaseFile>) -> Result<()> {
        self.store()
            .register(handle.id, &database)
            .map_err(|e| store_error(&e, handle.id))?;
        *handle.file() = file;
        *handle.committed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(database);
        Ok(())
    }

    /// Checks that a database can be used: 911, 927, 942, 945.
    pub(super) fn usable(&self, name: &str) -> Result<Arc<Handle>> {
        let handle = self.find(name).ok_or_else(|| err!(911, name))?;
        let database = handle.database();
        match database.meta.state {
            DatabaseState::Online | DatabaseState::Emergency => Ok(handle),
            DatabaseState::Restoring => Err(err!(927, database.meta.name)),
            DatabaseState::Offline => Err(err!(942, database.meta.name)),
            DatabaseState::RecoveryPending | DatabaseState::Suspect => Err(err!(945, database.meta.name)),
        }
    }

    fn backups_running(&self) -> bool {
        self.handles().iter().any(|h| h.backing_up.load(Ordering::SeqCst))
    }

    // ---- sessions ----

    /// All sessions by id.
    pub(super) fn sessions(&self) -> Vec<Arc<SessionInfo>> {
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Adds a session under the lowest free id from 51.
    pub(super) fn add_session(&self, build: impl FnOnce(u16) -> SessionInfo) -> Arc<SessionInfo> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let spid = (51..u16::MAX).find(|n| !sessions.contains_key(n)).unwrap_or(u16::MAX);
        let session = Arc::new(build(spid));
        sessions.insert(spid, Arc::clone(&session));
        session
    }

    /// A session ended.
    pub(super) fn remove_session(&self, spid: u16) {
        self.locks.release_session(spid);
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&spid);
    }

    /// Other sessions that use a database: it is current there, or their transaction wrote to it.
    pub(super) fn users_of(&self, database_id: i32, except: u16) -> Vec<Arc<SessionInfo>> {
        let uses = |s: &Arc<SessionInfo>| {
            let activity = s.activity();
            activity.database_id == database_id
                || activity.written.contains(&database_id)
                || activity.target == Some(database_id)
        };
        self.sessions()
            .into_iter()
            .filter(|s| s.spid != except && !s.killed.is_cancelled() && uses(s))
            .collect()
    }

    /// A new transaction descriptor.
    pub(super) fn next_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::SeqCst)
    }

    /// Records a completed effect.
    pub(super) fn effect(&self, what: &str, database: &str, detail: &str, login: &str) {
        let at = self.now().unix_timestamp_nanos() / 1_000_000;
        self.effects.record(Effect {
            what: what.to_owned(),
            database: database.to_owned(),
            detail: detail.to_owned(),
            login: login.to_owned(),
            at_ms: i64::try_from(at).unwrap_or(i64::MAX),
        });
    }
}

/// A full drive under a data file is 1105 for the writer.
fn save_error(error: &FileError, database_id: i32, name: &str) -> SqlError {
    match error {
        FileError::Os { error, .. } if error.code().0 == 112 => raw_error(
            1105,
            17,
            2,
            format!(
                "Could not allocate space for object 'dbo' in database '{name}' because the 'PRIMARY' filegroup is full. Create disk space by deleting unneeded files, dropping objects in the filegroup, adding additional files to the filegroup, or setting autogrowth on for existing files in the filegroup."
            ),
        ),
        other => file_error(other, database_id),
    }
}
