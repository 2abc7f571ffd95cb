//! A transaction: a copy of everything, given back at the commit. The repositories are implemented on it in their own files,
//! with the helpers here. What is refused must have changed nothing: look first, then change.

use std::sync::Arc;

use async_trait::async_trait;
use syncferry_shared::Millis;
use syncferry_store::{Cause, Result, StoreError, Tx};
use tokio::sync::OwnedMutexGuard;

use crate::data::{Data, Table};
use crate::open::{Commits, Committed};

/// A transaction.
pub(crate) struct MemoryTx {
    pub(crate) data: Data,
    /// The writer's turn and where the copy goes; `None` for one that only reads.
    pub(crate) writes: Option<(OwnedMutexGuard<()>, Committed)>,
    pub(crate) commits: Option<Arc<dyn Commits>>,
    pub(crate) name: &'static str,
    pub(crate) now: Millis,
}

impl MemoryTx {
    /// An error of this transaction.
    pub(crate) fn fail(&self, cause: Cause) -> StoreError {
        StoreError::new(self.name, cause)
    }

    /// A missing row.
    pub(crate) fn missing(&self, what: impl std::fmt::Display) -> StoreError {
        self.fail(Cause::Missing(what.to_string()))
    }

    /// Something that is taken.
    pub(crate) fn taken(&self, what: &str) -> StoreError {
        self.fail(Cause::Conflict(what.to_string()))
    }

    /// A row that is not as expected.
    pub(crate) fn moved(&self, what: String, expected: &str, found: &str) -> StoreError {
        self.fail(Cause::Moved {
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        })
    }

    /// Everything, to be changed.
    pub(crate) fn change(&mut self) -> Result<&mut Data> {
        if self.writes.is_none() {
            return Err(self.fail(Cause::ReadOnly));
        }
        Ok(&mut self.data)
    }

    /// One row, to be changed; it must be there.
    pub(crate) fn row<K: Ord + Clone + 'static, V: Clone + 'static>(
        &mut self,
        table: fn(&mut Data) -> &mut Table<K, V>,
        key: &K,
        what: impl FnOnce() -> String,
    ) -> Result<&mut V> {
        let name = self.name;
        let table = Arc::make_mut(table(self.change()?));
        table
            .get_mut(key)
            .ok_or_else(|| StoreError::new(name, Cause::Missing(what())))
    }

    /// Adds a row under a new key, or puts it in the place of the one there.
    pub(crate) fn put<K: Ord + Clone + 'static, V: Clone + 'static>(
        &mut self,
        table: fn(&mut Data) -> &mut Table<K, V>,
        key: K,
        row: V,
    ) -> Result<()> {
        Arc::make_mut(table(self.change()?)).insert(key, row);
        Ok(())
    }
}

/// Refuses a transition that the table of a machine does not have.
macro_rules! in_table {
    ($tx:expr, $machine:literal, $state:ty, $from:expr, $to:expr) => {
        if !<$state>::TABLE.iter().any(|(f, _, t)| *f == $from && *t == $to) {
            return Err($tx.fail(syncferry_store::Cause::NoTransition {
                machine: $machine,
                from: $from.as_str(),
                to: $to.as_str(),
            }));
        }
    };
}
pub(crate) use in_table;

#[async_trait]
impl Tx for MemoryTx {
    fn name(&self) -> &'static str {
        self.name
    }

    fn now(&self) -> Millis {
        self.now
    }

    fn incarnation(&self) -> i64 {
        self.data.meta.incarnation
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let Some((_turn, committed)) = self.writes else {
            return Ok(());
        };
        if let Some(commits) = &self.commits {
            commits.before(self.name).await?;
        }
        committed.replace(self.data);
        match &self.commits {
            Some(commits) => commits.after(self.name).await,
            None => Ok(()),
        }
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
