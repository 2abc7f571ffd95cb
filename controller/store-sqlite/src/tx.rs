//! A transaction on SQLite: one connection, one instant, one name. The repositories are implemented on it in their own
//! files, with the helpers here.

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, Transaction};
use syncferry_shared::Millis;
use syncferry_store::{Cause, Result, StoreError, Tx};

use crate::error::cause;
use crate::row::Read;

/// A statement with its values.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// A transaction. Dropped without commit, sqlx rolls it back before the connection is used again.
pub(crate) struct SqliteTx {
    pub(crate) inner: Transaction<'static, Sqlite>,
    pub(crate) name: &'static str,
    pub(crate) now: Millis,
    pub(crate) incarnation: i64,
}

impl SqliteTx {
    /// An error of this transaction.
    pub(crate) fn fail(&self, cause: Cause) -> StoreError {
        StoreError::new(self.name, cause)
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn exec(&mut self, query: Query<'_>) -> Result<u64> {
        match query.execute(&mut *self.inner).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(e) => Err(self.fail(cause(e))),
        }
    }

    /// The one row, if there is one.
    pub(crate) async fn find<T>(&mut self, query: Query<'_>, read: fn(&SqliteRow) -> Read<T>) -> Result<Option<T>> {
        let row = query.fetch_optional(&mut *self.inner).await;
        let row = row.map_err(|e| self.fail(cause(e)))?;
        row.as_ref().map(read).transpose().map_err(|c| self.fail(c))
    }

    /// The one row, which must be there: `what` does not exist otherwise.
    pub(crate) async fn need<T>(
        &mut self,
        query: Query<'_>,
        read: fn(&SqliteRow) -> Read<T>,
        what: impl FnOnce() -> String,
    ) -> Result<T> {
        let found = self.find(query, read).await?;
        found.ok_or_else(|| self.fail(Cause::Missing(what())))
    }

    /// Every row.
    pub(crate) async fn list<T>(&mut self, query: Query<'_>, read: fn(&SqliteRow) -> Read<T>) -> Result<Vec<T>> {
        let rows = query.fetch_all(&mut *self.inner).await;
        let rows = rows.map_err(|e| self.fail(cause(e)))?;
        rows.iter()
            .map(read)
            .collect::<Read<Vec<T>>>()
            .map_err(|c| self.fail(c))
    }

    /// Runs an UPDATE that names its guard. When no row was changed, `now_there` reads what is there instead (a column
    /// `found`), for the error: missing, or moved.
    pub(crate) async fn guarded(
        &mut self,
        update: Query<'_>,
        now_there: Query<'_>,
        what: impl FnOnce() -> String,
        expected: &str,
    ) -> Result<()> {
        if self.exec(update).await? == 1 {
            return Ok(());
        }
        Err(self.moved(now_there, what, expected).await)
    }

    /// The error for a row that is not as expected.
    pub(crate) async fn moved(
        &mut self,
        now_there: Query<'_>,
        what: impl FnOnce() -> String,
        expected: &str,
    ) -> StoreError {
        use crate::row::Columns as _;
        match self.find(now_there, |row| row.text("found")).await {
            Err(e) => e,
            Ok(None) => self.fail(Cause::Missing(what())),
            Ok(Some(found)) => self.fail(Cause::Moved {
                what: what(),
                expected: expected.to_string(),
                found,
            }),
        }
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
impl Tx for SqliteTx {
    fn name(&self) -> &'static str {
        self.name
    }

    fn now(&self) -> Millis {
        self.now
    }

    fn incarnation(&self) -> i64 {
        self.incarnation
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let name = self.name;
        let done = self.inner.commit().await;
        tracing::trace!(transaction = name, ok = done.is_ok(), "transaction committed");
        done.map_err(|e| StoreError::new(name, cause(e)))
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        let name = self.name;
        tracing::trace!(transaction = name, "transaction rolled back");
        self.inner.rollback().await.map_err(|e| StoreError::new(name, cause(e)))
    }
}
