//! Opening the store: the file and its rights, the lock that keeps a second controller out, the writer's one connection,
//! the readers' pool, the schema, and the rows that exist from the beginning.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use syncferry_shared::{Clock, Millis, OrgId, StoreId};
use syncferry_store::{Cause, Result, Store, StoreError, Tx};

use crate::clock::{Monotone, SystemClock};
use crate::error::cause;
use crate::row::Columns as _;
use crate::schema;
use crate::tx::SqliteTx;

const OPEN: &str = "store.open";

/// How to open a store.
pub struct Options {
    /// The file. Its folder is made when it is not there; both are for the owner alone.
    pub path: PathBuf,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// How long to wait for the writer before it, and for a free reader.
    pub busy_timeout: Duration,
    /// How many transactions may read side by side.
    pub readers: u32,
}

impl Options {
    /// The usual: the system's clock, 10 seconds, 4 readers.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            busy_timeout: Duration::from_secs(10),
            readers: 4,
        }
    }
}

/// A store with its writer and not yet its readers: before the schema is up to date.
pub(crate) struct Opening {
    pub(crate) writer: SqlitePool,
    pub(crate) clock: Monotone,
    /// How readers connect; `None` in memory, where there is one connection for everybody.
    readers: Option<(SqliteConnectOptions, u32, Duration)>,
    lock: Option<File>,
}

impl Opening {
    /// The file, which no other process may have open.
    pub(crate) fn file(options: Options) -> Result<Self, Cause> {
        let lock = prepare_files(&options.path)?;
        let connect = usual()
            .filename(&options.path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(options.busy_timeout);
        Ok(Self {
            writer: pool(1, options.busy_timeout).connect_lazy_with(connect.clone()),
            clock: Monotone::new(options.clock),
            readers: Some((connect, options.readers.max(1), options.busy_timeout)),
            lock: Some(lock),
        })
    }

    /// Nothing but memory, gone with the store.
    pub(crate) fn memory() -> Result<Self, Cause> {
        let patience = Duration::from_secs(10);
        Ok(Self {
            writer: pool(1, patience).connect_lazy_with(usual().in_memory(true)),
            clock: Monotone::new(Arc::new(SystemClock)),
            readers: None,
            lock: None,
        })
    }
}

fn usual() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .foreign_keys(true)
        .statement_cache_capacity(256)
}

fn pool(max: u32, patience: Duration) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(max)
        .acquire_timeout(patience)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// The store. One process has it open at a time.
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Monotone,
    /// Released when the store is dropped, or the process ends in whatever way. A store that is only looked at has none.
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the store, and creates it when it is not there.
    pub async fn open(options: Options) -> Result<Self> {
        Self::try_open(options).await.map_err(|c| StoreError::new(OPEN, c))
    }

    async fn try_open(options: Options) -> Result<Self, Cause> {
        let opening = Opening::file(options)?;
        {
            let mut conn = opening.writer.acquire().await.map_err(cause)?;
            schema::migrate(&mut conn, opening.clock.now()).await?;
        }
        begin_existence(&opening.writer, opening.clock.now()).await?;
        Self::ready(opening).await
    }

    /// Opens it to be read, beside a controller that may run on it: takes no lock, writes nothing, migrates nothing. Its schema
    /// must be this version's.
    pub async fn look(path: &Path) -> Result<Self> {
        let look = async {
            if !path.is_file() {
                return Err(Cause::Io(format!("{}: there is no store", path.display())));
            }
            let connect = usual().filename(path).read_only(true).pragma("query_only", "ON");
            let only = pool(1, Duration::from_secs(10))
                .connect_with(connect)
                .await
                .map_err(cause)?;
            let schema = schema::applied(&mut *only.acquire().await.map_err(cause)?).await?;
            if schema != schema::newest() {
                return Err(Cause::Schema(format!(
                    "its schema is {schema}, and this version's is {}; start this version's controller on it once, or use the \
                     version that wrote it",
                    schema::newest()
                )));
            }
            Ok(Self {
                writer: only.clone(),
                readers: only,
                clock: Monotone::new(Arc::new(SystemClock)),
                _lock: None,
            })
        };
        look.await.map_err(|c| StoreError::new(OPEN, c))
    }

    /// The store once its schema is up to date.
    pub(crate) async fn ready(opening: Opening) -> Result<Self, Cause> {
        let readers = match opening.readers {
            Some((connect, most, patience)) => {
                let connect = connect.pragma("query_only", "ON");
                pool(most, patience).connect_with(connect).await.map_err(cause)?
            }
            None => opening.writer.clone(),
        };
        Ok(Self {
            writer: opening.writer,
            readers,
            clock: opening.clock,
            _lock: opening.lock,
        })
    }

    /// Closes every connection, once the transactions that run have ended.
    pub async fn close(self) {
        self.shut_down().await;
    }

    async fn start(&self, pool: &SqlitePool, statement: &'static str, name: &'static str) -> Result<Box<dyn Tx>> {
        let fail = |e| StoreError::new(name, cause(e));
        let mut inner = pool.begin_with(statement).await.map_err(fail)?;
        // The first read also fixes the snapshot of a transaction that only reads.
        let row = sqlx::query("SELECT incarnation FROM store_meta")
            .fetch_one(&mut *inner)
            .await
            .map_err(fail)?;
        let incarnation = row.int("incarnation").map_err(|c| StoreError::new(name, c))?;
        tracing::trace!(transaction = name, "transaction begun");
        Ok(Box::new(SqliteTx {
            inner,
            name,
            now: self.clock.now(),
            incarnation,
        }))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        self.start(&self.writer, "BEGIN IMMEDIATE", name).await
    }

    async fn read(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        self.start(&self.readers, "BEGIN DEFERRED", name).await
    }

    async fn now(&self) -> Result<Millis> {
        Ok(self.clock.now())
    }

    async fn shut_down(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The store's identity and the default organisation, at the first opening.
async fn begin_existence(writer: &SqlitePool, now: Millis) -> Result<(), Cause> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(cause)?;
    sqlx::query("INSERT INTO store_meta(only_row, store_id, incarnation, opened_at) VALUES (1, ?1, 1, ?2) ON CONFLICT DO NOTHING")
        .bind(StoreId::new(now, &rand::random()).to_string())
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .map_err(cause)?;
    sqlx::query(
        "INSERT INTO org(org_id, name, is_default, created_at) VALUES (?1, 'default', 1, ?2) ON CONFLICT DO NOTHING",
    )
    .bind(OrgId::new(now, &rand::random()).to_string())
    .bind(now.0)
    .execute(&mut *tx)
    .await
    .map_err(cause)?;
    tx.commit().await.map_err(cause)
}

/// Makes the folder and the file, for the owner alone, and takes the lock beside it.
fn prepare_files(path: &Path) -> Result<File, Cause> {
    let io = |what: &Path, e: std::io::Error| Cause::Io(format!("{}: {e}", what.display()));
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        make_private_folder(folder).map_err(|e| io(folder, e))?;
    }
    let lock = lock(path)?;
    // SQLite gives its -wal and -shm files the rights of the file.
    open_private(path).map_err(|e| io(path, e))?;
    Ok(lock)
}

/// The lock beside a file: one process has the store open at a time.
pub(crate) fn lock(path: &Path) -> Result<File, Cause> {
    let lock_path = path.with_added_extension("lock");
    let io = |e: std::io::Error| Cause::Io(format!("{}: {e}", lock_path.display()));
    let lock = open_private(&lock_path).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(Cause::InUse(path.display().to_string())),
        Err(std::fs::TryLockError::Error(e)) => Err(io(e)),
    }
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(unix)]
fn open_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = OpenOptions::new();
    let file = options.read(true).append(true).create(true).mode(0o600).open(path)?;
    // A file that was there before may be open to others.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(not(unix))]
fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}
