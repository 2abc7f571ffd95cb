//! Hints from one controller to the others, by LISTEN and NOTIFY. They wake and carry no truth: one that is lost costs a tick.

use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use syncferry_store::{Hints, Result, StoreError};

use crate::error::cause;

const CHANNEL: &str = "syncferry";

/// Tells everybody who listens.
pub(crate) async fn tell(pool: &PgPool, hint: &str) -> Result<()> {
    let told = sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(hint.to_string());
    let done = told.execute(pool).await.map(drop);
    done.map_err(|e| StoreError::new("store.tell", cause(e)))
}

/// Somebody who listens.
pub(crate) struct PgHints {
    pool: PgPool,
    listener: Option<PgListener>,
}

impl PgHints {
    /// Listens on a pool of its own.
    pub(crate) async fn listen(pool: PgPool) -> Result<Self> {
        let mut hints = Self { pool, listener: None };
        hints.connect().await.map_err(fail)?;
        Ok(hints)
    }

    async fn connect(&mut self) -> sqlx::Result<&mut PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(self.listener.insert(listener))
    }
}

#[async_trait]
impl Hints for PgHints {
    async fn next(&mut self) -> Result<Option<String>> {
        let listener = match &mut self.listener {
            Some(listener) => listener,
            None => {
                // What was said meanwhile is lost: whoever asks should look at everything.
                self.connect().await.map_err(fail)?;
                return Ok(None);
            }
        };
        match listener.try_recv().await {
            Ok(Some(told)) => Ok(Some(told.payload().to_string())),
            Ok(None) => {
                self.listener = None;
                Ok(None)
            }
            Err(e) => {
                self.listener = None;
                Err(fail(e))
            }
        }
    }
}

fn fail(error: sqlx::Error) -> StoreError {
    StoreError::new("store.listen", cause(error))
}
