//! Opening the store that the configuration names.

use std::sync::Arc;

use anyhow::Context as _;
use syncferry_shared::Clock;
use syncferry_store::Store;
use syncferry_store_postgres::PgStore;
use syncferry_store_sqlite::SqliteStore;

use crate::config::{Config, Engine};

/// Opens it. The clock is for the embedded store; PostgreSQL has its own.
pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match config.store.engine()? {
        Engine::Sqlite(file) => {
            let options = syncferry_store_sqlite::Options {
                clock,
                ..syncferry_store_sqlite::Options::new(config.data_dir.join(file))
            };
            let store = SqliteStore::open(options).await;
            Arc::new(store.context("the store cannot be opened")?)
        }
        Engine::Postgres(url) => {
            let store = PgStore::open(syncferry_store_postgres::Options::new(url)).await;
            Arc::new(store.with_context(|| format!("the store at {} cannot be opened", config.store))?)
        }
    })
}
