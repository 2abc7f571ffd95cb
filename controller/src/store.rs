//! Opening the store that the configuration names.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use syncferry_shared::Clock;
use syncferry_store::portable::{Export, Import};
use syncferry_store::{Standing, Store, StoreState};
use syncferry_store_postgres::{PgExport, PgImport, PgStore};
use syncferry_store_sqlite::{SqliteExport, SqliteImport, SqliteStore, SystemClock};

use crate::config::{Config, Engine};

/// Opens it for a controller, and refuses one that no controller may run on. The clock is for the embedded store; PostgreSQL
/// has its own.
pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    let store = open_any(config, clock).await?;
    let standing = store.read("store.standing").await?.standing().await?;
    if let Some(why) = refusal(&standing) {
        store.shut_down().await;
        bail!("the store at {}: {why}", config.store);
    }
    Ok(store)
}

/// Opens it whatever became of it.
pub async fn open_any(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
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

/// Opens it to be read, beside controllers that may run on it.
pub async fn look(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let failed = || format!("the store at {} cannot be looked at", config.store);
    Ok(match config.store.engine()? {
        Engine::Sqlite(file) => {
            let store = SqliteStore::look(&config.data_dir.join(file)).await;
            Arc::new(store.with_context(failed)?)
        }
        Engine::Postgres(url) => {
            let store = PgStore::look(syncferry_store_postgres::Options::new(url)).await;
            Arc::new(store.with_context(failed)?)
        }
    })
}

/// One snapshot of its rows.
pub async fn export(config: &Config) -> anyhow::Result<Box<dyn Export>> {
    let failed = || format!("the store at {} cannot be read", config.store);
    Ok(match config.store.engine()? {
        Engine::Sqlite(file) => {
            let export = SqliteExport::open(&config.data_dir.join(file)).await;
            Box::new(export.with_context(failed)?)
        }
        Engine::Postgres(url) => {
            let export = PgExport::open(syncferry_store_postgres::Options::new(url)).await;
            Box::new(export.with_context(failed)?)
        }
    })
}

/// The place of an empty store, to be filled. With `replace`, PostgreSQL drops what is there in the same transaction; a file
/// must be put aside before.
pub async fn import(config: &Config, schema: i64, replace: bool) -> anyhow::Result<Box<dyn Import>> {
    let failed = || format!("the store at {} cannot be filled", config.store);
    Ok(match config.store.engine()? {
        Engine::Sqlite(file) => {
            let options = syncferry_store_sqlite::Options {
                clock: Arc::new(SystemClock),
                ..syncferry_store_sqlite::Options::new(config.data_dir.join(file))
            };
            Box::new(SqliteImport::open(options, schema).await.with_context(failed)?)
        }
        Engine::Postgres(url) => {
            let options = syncferry_store_postgres::Options::new(url);
            Box::new(PgImport::open(options, schema, replace).await.with_context(failed)?)
        }
    })
}

/// The file of an embedded store.
pub fn file(config: &Config) -> anyhow::Result<Option<PathBuf>> {
    Ok(match config.store.engine()? {
        Engine::Sqlite(file) => Some(config.data_dir.join(file)),
        Engine::Postgres(_) => None,
    })
}

/// Why no controller may run on a store, with the next step.
fn refusal(standing: &Standing) -> Option<String> {
    let to = standing.moved_to.as_deref().unwrap_or("another store");
    match standing.state {
        StoreState::Live => None,
        StoreState::Restoring => Some(
            "a restore into it was interrupted; run `syncferry-controller restore --replace --from FILE` again"
                .to_string(),
        ),
        StoreState::Moving => Some(format!(
            "it was being moved to {to}; run `syncferry-controller migrate-store --to URL` again, which finishes that, or with \
             --abandon, which lets this one be used again while the other one is empty"
        )),
        StoreState::Moved => Some(format!(
            "it was moved to {to} and is not used again; set store to that in the configuration"
        )),
    }
}
