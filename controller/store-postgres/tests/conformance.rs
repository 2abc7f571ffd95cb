//! The conformance suite on PostgreSQL, with a clock that the tests move: the view `db_clock` is replaced by one of a table.
//! `SYNCFERRY_HAMMER_STEPS` and `SYNCFERRY_PROPERTY_CASES` make the long ones longer.

#![cfg(unix)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection};
use syncferry_shared::Millis;
use syncferry_store::suite::{self, Bench, Time, from_env};
use syncferry_store::{Result, Store, Tx};
use syncferry_store_postgres::server::Server;
use syncferry_store_postgres::{Options, PgStore};
use tokio::sync::Mutex;

struct Hand(Mutex<PgConnection>);

impl Hand {
    async fn take(url: &str) -> Self {
        let mut conn = PgConnection::connect(url).await.unwrap();
        let replaced = "CREATE SCHEMA test; CREATE TABLE test.clock AS SELECT now_ms FROM db_clock;
                        CREATE OR REPLACE VIEW db_clock AS SELECT now_ms FROM test.clock;";
        sqlx::raw_sql(replaced).execute(&mut conn).await.unwrap();
        Self(Mutex::new(conn))
    }
}

#[async_trait]
impl Time for Hand {
    async fn advance(&self, ms: i64) {
        let moved = sqlx::query("UPDATE test.clock SET now_ms = now_ms + $1").bind(ms);
        moved.execute(&mut *self.0.lock().await).await.unwrap();
    }
}

async fn bench() -> Bench {
    let url = Server::shared().await.database().await;
    let store = PgStore::open(Options::new(&url)).await.unwrap();
    Bench {
        store: Arc::new(store),
        time: Arc::new(Hand::take(&url).await),
        keep: Box::new(()),
    }
}

/// Several controllers' stores, one after the other.
struct Several(Vec<PgStore>, AtomicUsize);

impl Several {
    fn next(&self) -> &PgStore {
        &self.0[self.1.fetch_add(1, Ordering::Relaxed) % self.0.len()]
    }
}

#[async_trait]
impl Store for Several {
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        self.next().begin(name).await
    }
    async fn read(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        self.next().read(name).await
    }
    async fn now(&self) -> Result<Millis> {
        self.next().now().await
    }
}

/// Three controllers that start at the same time, on an empty database.
async fn three() -> Bench {
    let url = Server::shared().await.database().await;
    let open = || PgStore::open(Options::new(&url));
    let (a, b, c) = tokio::join!(open(), open(), open());
    let stores = vec![a.unwrap(), b.unwrap(), c.unwrap()];
    Bench {
        store: Arc::new(Several(stores, AtomicUsize::new(0))),
        time: Arc::new(Hand::take(&url).await),
        keep: Box::new(()),
    }
}

#[tokio::test]
async fn conformance() {
    suite::run_all(bench).await;
}

#[tokio::test]
async fn conformance_of_three_controllers() {
    suite::run_all(three).await;
}

#[test]
fn any_sequence_of_lease_changes_follows_the_model() {
    suite::property::leases(bench, from_env("SYNCFERRY_PROPERTY_CASES", 48));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hammer() {
    let score = suite::hammer::run(&bench().await, from_env("SYNCFERRY_HAMMER_STEPS", 150)).await;
    println!("{score:?}");
    assert!(score.grants.load(Ordering::SeqCst) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hammer_of_three_controllers() {
    let score = suite::hammer::run(&three().await, from_env("SYNCFERRY_HAMMER_STEPS", 150)).await;
    println!("{score:?}");
    assert!(score.grants.load(Ordering::SeqCst) > 0);
}
