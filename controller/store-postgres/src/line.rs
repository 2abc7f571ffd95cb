//! One connection of the pool with a transaction on it. It is never left behind: dropped, it is rolled back, or closed when it
//! does not obey. A server that is gone without a word ends a wait here, because nothing else would.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgQueryResult, PgRow};
use sqlx::{PgConnection, PgPool, Postgres};

use crate::error::is_connection;
use crate::tx::Query;

/// How long a ROLLBACK that nobody waits for may take.
const LAST_WORD: Duration = Duration::from_secs(5);

pub(crate) struct Line {
    conn: Option<PoolConnection<Postgres>>,
    /// Longer than the server's own limit for a statement, so that the server speaks first.
    patience: Duration,
    /// Whether a transaction was begun and not ended.
    open: bool,
    /// Whether the connection cannot be used any more.
    broken: bool,
}

impl Line {
    /// Takes a connection of the pool and begins.
    pub(crate) async fn begin(pool: &PgPool, how: &'static str, patience: Duration) -> sqlx::Result<Self> {
        let mut line = Self {
            conn: Some(pool.acquire().await?),
            patience,
            open: true,
            broken: false,
        };
        line.simple(how).await?;
        Ok(line)
    }

    /// Statements without values.
    pub(crate) async fn simple(&mut self, statements: &'static str) -> sqlx::Result<PgQueryResult> {
        let patience = self.patience;
        let done = within(patience, sqlx::raw_sql(statements).execute(self.conn()?)).await;
        self.note(done)
    }

    pub(crate) async fn execute(&mut self, query: Query<'_>) -> sqlx::Result<PgQueryResult> {
        let patience = self.patience;
        let done = within(patience, query.execute(self.conn()?)).await;
        self.note(done)
    }

    pub(crate) async fn one(&mut self, query: Query<'_>) -> sqlx::Result<Option<PgRow>> {
        let patience = self.patience;
        let row = within(patience, query.fetch_optional(self.conn()?)).await;
        self.note(row)
    }

    pub(crate) async fn all(&mut self, query: Query<'_>) -> sqlx::Result<Vec<PgRow>> {
        let patience = self.patience;
        let rows = within(patience, query.fetch_all(self.conn()?)).await;
        self.note(rows)
    }

    /// Ends the transaction with COMMIT or ROLLBACK.
    pub(crate) async fn end(mut self, how: &'static str) -> sqlx::Result<()> {
        self.simple(how).await?;
        self.open = false;
        Ok(())
    }

    /// Gives the connection up: the next one may lead elsewhere.
    pub(crate) fn give_up(mut self) {
        self.broken = true;
    }

    fn conn(&mut self) -> sqlx::Result<&mut PgConnection> {
        // Taken when this is dropped, and never before.
        self.conn.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    fn note<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        if let Err(e) = &result {
            self.broken |= is_connection(e);
        }
        result
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Nobody is left who could wait for it; the server rolls back what its client has left.
            drop(conn.detach());
            return;
        };
        if self.broken {
            conn.close_on_drop();
        } else if self.open {
            runtime.spawn(async move {
                let back = sqlx::raw_sql("ROLLBACK").execute(&mut *conn);
                if within(LAST_WORD, back).await.is_err() {
                    conn.close_on_drop();
                }
            });
        }
    }
}

/// The result, or an error of the connection when there is none in time.
pub(crate) async fn within<T>(patience: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("no answer within {} s", patience.as_secs()),
        ))),
    }
}
