//! The store: what is committed, the writer's turn, and the clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use syncferry_shared::{Clock, Millis, OrgId, StoreId};
use syncferry_store::{Cause, Org, Result, Store, StoreError, StoreMeta, Tx};

use crate::data::Data;
use crate::tx::MemoryTx;

/// What may happen around a commit. An error before it means that nothing was written; one after it, that the answer was lost.
#[async_trait]
pub trait Commits: Send + Sync {
    /// The transaction of this name is about to commit.
    async fn before(&self, name: &'static str) -> Result<()>;
    /// It has.
    async fn after(&self, name: &'static str) -> Result<()>;
}

/// Everything that a store held at one moment.
#[derive(Clone)]
pub struct Backup(Data);

/// How to make a store.
pub struct Options {
    /// What happens around commits.
    pub commits: Option<Arc<dyn Commits>>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Makes the store's own ids. Nothing else in it is random.
    pub seed: u8,
    /// How long to wait for the writer before it.
    pub busy_timeout: Duration,
}

impl Options {
    /// The usual: 10 seconds.
    pub fn new(clock: Arc<dyn Clock>, seed: u8) -> Self {
        Self {
            commits: None,
            clock,
            seed,
            busy_timeout: Duration::from_secs(10),
        }
    }
}

/// What is committed. Shared with the transaction that writes.
#[derive(Clone)]
pub(crate) struct Committed(Arc<Mutex<Data>>);

impl Committed {
    /// What is there now. Cheap: the maps are shared until somebody changes them.
    pub(crate) fn snapshot(&self) -> Data {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// From here on, this is what is there.
    pub(crate) fn replace(&self, data: Data) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = data;
    }
}

/// The store. It is gone when it is dropped.
pub struct MemoryStore {
    committed: Committed,
    turn: Arc<tokio::sync::Mutex<()>>,
    clock: Arc<dyn Clock>,
    highest: AtomicI64,
    busy_timeout: Duration,
    commits: Option<Arc<dyn Commits>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(options: Options) -> Self {
        let now = options.clock.now();
        let meta = StoreMeta {
            id: StoreId::new(now, &[options.seed; 10]),
            incarnation: 1,
            opened_at: now,
        };
        let org = Org {
            id: OrgId::new(now, &[options.seed; 10]),
            name: "default".into(),
            created_at: now,
        };
        Self {
            committed: Committed(Arc::new(Mutex::new(Data::new(meta, org)))),
            turn: Arc::default(),
            clock: options.clock,
            highest: AtomicI64::new(now.0),
            busy_timeout: options.busy_timeout,
            commits: options.commits,
        }
    }

    /// What it holds now.
    pub fn backup(&self) -> Backup {
        Backup(self.committed.snapshot())
    }

    /// Puts a backup in the place of what it holds, as a file is put back while nobody has the store open. What a restored
    /// store must do next is its user's business: [`Meta::begin_incarnation`](syncferry_store::Meta::begin_incarnation).
    pub fn put_back(&self, backup: Backup) {
        self.committed.replace(backup.0);
    }

    fn now(&self) -> Millis {
        let now = self.clock.now().0;
        Millis(self.highest.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        let turn = tokio::time::timeout(self.busy_timeout, self.turn.clone().lock_owned()).await;
        let turn = turn.map_err(|_| StoreError::new(name, Cause::Busy))?;
        Ok(Box::new(MemoryTx {
            data: self.committed.snapshot(),
            writes: Some((turn, self.committed.clone())),
            commits: self.commits.clone(),
            name,
            now: self.now(),
        }))
    }

    async fn read(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        Ok(Box::new(MemoryTx {
            data: self.committed.snapshot(),
            writes: None,
            commits: None,
            name,
            now: self.now(),
        }))
    }

    async fn now(&self) -> Result<Millis> {
        Ok(self.now())
    }
}
