//! The conformance suite on SQLite, with a clock that the tests move. `SYNCFERRY_HAMMER_STEPS` and
//! `SYNCFERRY_PROPERTY_CASES` make the two long ones longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use syncferry_shared::{Clock, Millis};
use syncferry_store::suite::{self, Bench, Time};
use syncferry_store_sqlite::{Options, SqliteStore};

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

#[async_trait::async_trait]
impl Time for Hand {
    async fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
    let mut options = Options::new(folder.path().join("store.db"));
    options.clock = clock.clone();
    Bench {
        store: Arc::new(SqliteStore::open(options).await.unwrap()),
        time: clock,
        keep: Box::new(folder),
    }
}

fn from_env(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(otherwise)
}

#[tokio::test]
async fn conformance() {
    suite::run_all(bench).await;
}

#[test]
fn any_sequence_of_lease_changes_follows_the_model() {
    let cases = from_env("SYNCFERRY_PROPERTY_CASES", 48);
    suite::property::leases(bench, u32::try_from(cases).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hammer() {
    let score = suite::hammer::run(&bench().await, from_env("SYNCFERRY_HAMMER_STEPS", 150)).await;
    println!("{score:?}");
    assert!(score.grants.load(Ordering::SeqCst) > 0);
}
