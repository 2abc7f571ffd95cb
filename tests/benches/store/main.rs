//! How fast the store's paths are: the very transactions that the controller runs when a migration is submitted and when agents
//! accept, report and renew, without the wire, on SQLite and on PostgreSQL; next to `pgbench` on the same server in the same run.
//!
//! `cargo bench -p syncferry-tests --bench store`. It needs Debian's PostgreSQL and nothing that runs. Each measurement takes
//! `SYNCFERRY_BENCH_SECONDS` (4).

mod paths;
mod pgbench;
mod table;
mod world;

use std::sync::Arc;
use std::time::Duration;

use syncferry_store::Store;
use syncferry_store_postgres::server::Server;
use syncferry_store_postgres::{Options, PgStore};
use syncferry_store_sqlite::SqliteStore;

use paths::PATHS;
use table::Row;
use world::World;

/// How many do it side by side.
const SIDE_BY_SIDE: [usize; 3] = [1, 4, 16];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seconds = std::env::var("SYNCFERRY_BENCH_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(4));
    let server = Server::own().await;
    let peers = pgbench::Peers::prepare(&server).await?;
    let mut rows = Vec::new();
    for lanes in SIDE_BY_SIDE {
        // On the same server, one after the other, so that nobody has it easier.
        let mut row = Row::begin(lanes, peers.tpcb(lanes, time).await?, peers.one_row(lanes, time).await?);
        let url = server.database().await;
        let store: Arc<dyn Store> = Arc::new(PgStore::open(Options::new(url)).await?);
        row.postgres = measure(store, lanes, time).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("store.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(syncferry_store_sqlite::Options::new(file)).await?);
        row.sqlite = measure(store, lanes, time).await?;
        eprintln!("{}", row.line());
        rows.push(row);
    }
    println!("\n{}", table::markdown(&rows));
    Ok(())
}

/// Each path's transactions in a second, in the order of `PATHS`.
async fn measure(store: Arc<dyn Store>, lanes: usize, time: Duration) -> anyhow::Result<Vec<f64>> {
    let world = Arc::new(World::make(store, lanes).await?);
    let mut rates = Vec::new();
    for path in PATHS {
        rates.push(paths::rate(&world, *path, time).await?);
    }
    world.audit().await?;
    Ok(rates)
}
