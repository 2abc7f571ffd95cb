//! A transaction on PostgreSQL: one connection, one instant, one name. The repositories are implemented on it in their own
//! files, with the helpers here.
//!
//! PostgreSQL gives a whole transaction up when one statement in it is refused. A caller may go on after a refusal, so
//! every statement that writes stands behind a savepoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use syncferry_shared::Millis;
use syncferry_store::{Cause, Result, StoreError, Tx};

use crate::error::cause;
use crate::line::Line;
use crate::row::Read;

/// A statement with its values.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// A transaction.
pub(crate) struct PgTx {
    pub(crate) line: Line,
    pub(crate) name: &'static str,
    pub(crate) now: Millis,
    pub(crate) incarnation: i64,
    /// Whether it was begun to write.
    pub(crate) writes: bool,
    /// Whether a savepoint is open.
    pub(crate) saved: bool,
    /// Whether a statement failed that no savepoint stood before. PostgreSQL answers COMMIT with a rollback then, and calls
    /// that a success.
    pub(crate) lost: bool,
    /// The place of the newest event, its own ones included.
    pub(crate) position: i64,
    /// Where that is remembered once it is committed.
    pub(crate) seen: Arc<AtomicI64>,
    /// Whether it begins a new incarnation on a server that knows less than it did.
    pub(crate) recovers: bool,
}

impl PgTx {
    /// An error of this transaction.
    pub(crate) fn fail(&self, cause: Cause) -> StoreError {
        StoreError::new(self.name, cause)
    }

    /// The same for an error of sqlx.
    fn fault(&self, error: sqlx::Error) -> StoreError {
        match cause(error) {
            Cause::ReadOnly if self.writes => self.fail(Cause::Unavailable(
                "PostgreSQL answers read-only: it is a standby, or default_transaction_read_only is on".into(),
            )),
            other => self.fail(other),
        }
    }

    /// A failure that no savepoint stood before.
    fn lose(&mut self, error: sqlx::Error) -> StoreError {
        self.lost = true;
        self.fault(error)
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn exec(&mut self, query: Query<'_>) -> Result<u64> {
        self.save().await?;
        match self.line.execute(query).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(e) => Err(self.undo(e).await),
        }
    }

    /// The one row, if there is one.
    pub(crate) async fn find<T>(&mut self, query: Query<'_>, read: fn(&PgRow) -> Read<T>) -> Result<Option<T>> {
        let row = self.line.one(query).await.map_err(|e| self.lose(e))?;
        row.as_ref().map(read).transpose().map_err(|c| self.fail(c))
    }

    /// The one row, which must be there: `what` does not exist otherwise.
    pub(crate) async fn need<T>(
        &mut self,
        query: Query<'_>,
        read: fn(&PgRow) -> Read<T>,
        what: impl FnOnce() -> String,
    ) -> Result<T> {
        let found = self.find(query, read).await?;
        found.ok_or_else(|| self.fail(Cause::Missing(what())))
    }

    /// As `find`, for a statement that writes and returns the row.
    pub(crate) async fn changed<T>(&mut self, query: Query<'_>, read: fn(&PgRow) -> Read<T>) -> Result<Option<T>> {
        self.save().await?;
        match self.line.one(query).await {
            Ok(row) => row.as_ref().map(read).transpose().map_err(|c| self.fail(c)),
            Err(e) => Err(self.undo(e).await),
        }
    }

    /// As `need`, for a statement that writes and returns the row.
    pub(crate) async fn written<T>(
        &mut self,
        query: Query<'_>,
        read: fn(&PgRow) -> Read<T>,
        what: impl FnOnce() -> String,
    ) -> Result<T> {
        let row = self.changed(query, read).await?;
        row.ok_or_else(|| self.fail(Cause::Missing(what())))
    }

    /// Every row.
    pub(crate) async fn list<T>(&mut self, query: Query<'_>, read: fn(&PgRow) -> Read<T>) -> Result<Vec<T>> {
        let rows = self.line.all(query).await.map_err(|e| self.lose(e))?;
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

    /// Sets the point that a refused statement goes back to. What was done before it stays.
    async fn save(&mut self) -> Result<()> {
        let statement = if self.saved {
            "RELEASE SAVEPOINT statement; SAVEPOINT statement"
        } else {
            "SAVEPOINT statement"
        };
        self.line.simple(statement).await.map_err(|e| self.lose(e))?;
        self.saved = true;
        Ok(())
    }

    /// Goes back to that point, and says why.
    async fn undo(&mut self, error: sqlx::Error) -> StoreError {
        let back = self.line.simple("ROLLBACK TO SAVEPOINT statement").await;
        if let Err(e) = back {
            tracing::debug!(transaction = self.name, error = %e, "the transaction is lost");
            self.lost = true;
        }
        self.fault(error)
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
impl Tx for PgTx {
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
        let fail = |c| Err(StoreError::new(self.name, c));
        if self.lost {
            return fail(Cause::Other("a statement failed before, so nothing was done".into()));
        }
        let done = self.line.end("COMMIT").await;
        match &done {
            Ok(()) if self.recovers => self.seen.store(self.position, Ordering::SeqCst),
            Ok(()) if self.writes => drop(self.seen.fetch_max(self.position, Ordering::SeqCst)),
            _ => {}
        }
        tracing::trace!(transaction = self.name, ok = done.is_ok(), "transaction committed");
        done.or_else(|e| fail(cause(e)))
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        let done = self.line.end("ROLLBACK").await;
        tracing::trace!(transaction = self.name, ok = done.is_ok(), "transaction rolled back");
        done.map_err(|e| StoreError::new(self.name, cause(e)))
    }
}
