//! `migrate-store`: the store moves to another engine, or another place. Identity and incarnation stay, because nothing is lost:
//! leases and attempts go on. The old one says that it was moved, and no controller starts on it again.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;
use syncferry_store::{Standing, Store, StoreState};
use syncferry_store_sqlite::SystemClock;

use super::compare::{self, Compared};
use super::progress::Progress;
use super::{pump, verify};
use crate::config::{Config, Engine};
use crate::store;

/// What was moved.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// The store's id.
    pub store: String,
    /// The store's incarnation, as before.
    pub incarnation: i64,
    /// Where it was.
    pub from: String,
    /// Where it is.
    pub to: String,
    /// Each table, compared row by row.
    pub tables: Vec<Compared>,
}

/// Moves the store to where `to` says.
pub async fn migrate(config: &Config, to: &Config, quiet: bool) -> anyhow::Result<Moved> {
    if config.store.engine()? == to.store.engine()? {
        bail!("the store is at {} already", to.store);
    }
    let from = source(config).await?;
    let place = to.store.to_string();
    let begun = begin(&*from, &place).await;
    let moved = match begun {
        Ok(resumes) => copy(config, to, resumes, quiet).await,
        Err(e) => {
            from.shut_down().await;
            return Err(e);
        }
    };
    let moved = match moved {
        Ok(moved) => moved,
        Err(Failed::Empty(why)) => {
            stand(&*from, &Standing::live()).await?;
            from.shut_down().await;
            return Err(why.context("nothing was moved: the store is where it was, and may be used"));
        }
        Err(Failed::Unknown(why)) => {
            from.shut_down().await;
            return Err(why.context(format!(
                "it is not known whether {place} was filled; run the command again, which finishes or begins anew"
            )));
        }
    };
    let done = Standing {
        state: StoreState::Moved,
        moved_to: Some(place),
    };
    stand(&*from, &done).await?;
    from.shut_down().await;
    Ok(moved)
}

/// Gives a move up that was interrupted, while the other place is still empty.
pub async fn abandon(config: &Config, to: &Config) -> anyhow::Result<()> {
    let from = source(config).await?;
    let standing = from.read("store.standing").await?.standing().await?;
    if standing.state != StoreState::Moving {
        bail!(
            "the store at {} is not being moved ({})",
            config.store,
            standing.state.as_str()
        );
    }
    if standing.moved_to.as_deref() != Some(to.store.to_string().as_str()) {
        bail!(
            "it was being moved to {}, not to {}",
            standing.moved_to.unwrap_or_default(),
            to.store
        );
    }
    if let Ok(mut there) = store::export(to).await
        && pump::total(&mut *there).await? > 0
    {
        bail!(
            "{} holds a store: finish the move with `migrate-store --to` instead",
            to.store
        );
    }
    stand(&*from, &Standing::live()).await?;
    from.shut_down().await;
    Ok(())
}

/// The store, which nobody else may have open.
async fn source(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let from = match config.store.engine()? {
        Engine::Sqlite(_) => store::open_any(config, Arc::new(SystemClock)).await,
        Engine::Postgres(url) => {
            let alone =
                syncferry_store_postgres::PgStore::open_alone(syncferry_store_postgres::Options::new(url)).await;
            alone.map(|s| Arc::new(s) as Arc<dyn Store>).map_err(Into::into)
        }
    };
    from.context("a move needs every controller stopped")
}

async fn stand(store: &dyn Store, standing: &Standing) -> anyhow::Result<()> {
    let mut tx = store.begin("store.stand").await?;
    tx.stand(standing).await?;
    Ok(tx.commit().await?)
}

/// Marks the old store first: while it is not known where the truth is, no controller starts. Whether an earlier move goes on.
async fn begin(from: &dyn Store, place: &str) -> anyhow::Result<bool> {
    let standing = from.read("store.standing").await?.standing().await?;
    match standing.state {
        StoreState::Live => {}
        StoreState::Moving if standing.moved_to.as_deref() == Some(place) => return Ok(true),
        StoreState::Moving => bail!(
            "it is being moved to {}; finish that, or give it up with --abandon",
            standing.moved_to.unwrap_or_default()
        ),
        StoreState::Moved => bail!("it was moved to {} already", standing.moved_to.unwrap_or_default()),
        StoreState::Restoring => bail!("a restore into it was interrupted; restore it again first"),
    }
    let moving = Standing {
        state: StoreState::Moving,
        moved_to: Some(place.to_string()),
    };
    stand(from, &moving).await?;
    Ok(false)
}

enum Failed {
    /// The other place is as empty as it was.
    Empty(anyhow::Error),
    /// It may have been filled.
    Unknown(anyhow::Error),
}

async fn copy(config: &Config, to: &Config, resumes: bool, quiet: bool) -> Result<Moved, Failed> {
    let empty = Failed::Empty;
    let mut from = store::export(config).await.map_err(empty)?;
    let (store_id, incarnation) = super::backup::identity(&mut *from).await.map_err(empty)?;
    let total = pump::total(&mut *from).await.map_err(empty)?;
    let moved = |tables| Moved {
        store: store_id,
        incarnation,
        from: config.store.to_string(),
        to: to.store.to_string(),
        tables,
    };
    if resumes && let Some(tables) = filled(&mut *from, to, total, quiet).await.map_err(Failed::Unknown)? {
        return Ok(moved(tables));
    }
    let mut import = store::import(to, from.schema(), false)
        .await
        .map_err(|e| empty(e.context("the place to move to must be empty, and nobody may use it")))?;
    pump::same_tables(from.shapes(), import.shapes()).map_err(empty)?;
    let shapes = from.shapes().to_vec();
    let places: Vec<usize> = shapes
        .iter()
        .filter_map(|s| import.shapes().iter().position(|t| t.name == s.name))
        .collect();
    let mut progress = Progress::new("copy", total, quiet);
    pump::each(&mut *from, &mut progress, async |table, rows| {
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| pump::stood(&shapes[table], row, "live"))
            .collect();
        Ok(import.insert(places[table], &rows).await?)
    })
    .await
    .map_err(empty)?;
    let here = compare::hashes(&mut *from, &mut Progress::new("compare", total, quiet))
        .await
        .map_err(empty)?;
    // Read back inside the transaction: what differs is never committed.
    let there = compare::hashes(&mut *import, &mut Progress::new("compare", total, quiet))
        .await
        .map_err(empty)?;
    let tables = compare::compare(&here, &there);
    if let Some(wrong) = tables.iter().find(|t| !t.same) {
        return Err(empty(anyhow::anyhow!("the table {} came out differently", wrong.table)));
    }
    let store = import.finish().await.map_err(|e| Failed::Unknown(e.into()))?;
    let findings = verify::audit(&*store).await.map_err(Failed::Unknown)?;
    store.shut_down().await;
    match findings.first() {
        None => Ok(moved(tables)),
        Some((invariant, subject, found)) => Err(Failed::Unknown(anyhow::anyhow!(
            "the copy is not as it must be ({invariant}: {subject}: {found}); drop it and run the command again"
        ))),
    }
}

/// Whether an interrupted move had filled the other place after all; then it must hold the same.
async fn filled(
    from: &mut dyn syncferry_store::portable::Export,
    to: &Config,
    total: i64,
    quiet: bool,
) -> anyhow::Result<Option<Vec<Compared>>> {
    let Ok(mut there) = store::export(to).await else {
        return Ok(None);
    };
    if pump::total(&mut *there).await? == 0 {
        return Ok(None);
    }
    let here = compare::hashes(from, &mut Progress::new("compare", total, quiet)).await?;
    let there = compare::hashes(&mut *there, &mut Progress::new("compare", total, quiet)).await?;
    let tables = compare::compare(&here, &there);
    match tables.iter().find(|t| !t.same) {
        None => Ok(Some(tables)),
        Some(wrong) => bail!("{} holds another store: the table {} differs", to.store, wrong.table),
    }
}
