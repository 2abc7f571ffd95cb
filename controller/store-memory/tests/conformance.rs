//! The conformance suite in memory, with a clock that the tests move. `SYNCFERRY_HAMMER_STEPS` and
//! `SYNCFERRY_PROPERTY_CASES` make the two long ones longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use syncferry_shared::event::{Event, NewEvent, StreamKind};
use syncferry_shared::{Clock, Millis};
use syncferry_store::Store;
use syncferry_store::suite::{self, Bench, Time, from_env};
use syncferry_store_memory::{MemoryStore, Options};

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

fn make() -> (MemoryStore, Arc<Hand>) {
    let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
    (MemoryStore::new(Options::new(clock.clone(), 7)), clock)
}

async fn bench() -> Bench {
    let (store, time) = make();
    Bench {
        store: Arc::new(store),
        time,
        keep: Box::new(()),
    }
}

#[tokio::test]
async fn conformance() {
    suite::run_all(bench).await;
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

/// The same work gives the same history, hash by hash: nothing in the store is random or depends on the machine.
#[tokio::test]
async fn the_same_twice() {
    async fn history() -> Vec<Event> {
        let (store, _) = make();
        for n in 0..5 {
            let mut tx = store.begin("test").await.unwrap();
            let id = tx.default_org().await.unwrap().id;
            let event = NewEvent {
                stream_kind: StreamKind::System,
                stream_id: id.to_string(),
                kind: "test".into(),
                actor: "controller".into(),
                payload: serde_json::json!({ "n": n, "store": tx.meta().await.unwrap().id.to_string() }),
            };
            tx.append_event(event).await.unwrap();
            tx.commit().await.unwrap();
        }
        let mut tx = store.read("test").await.unwrap();
        let id = tx.default_org().await.unwrap().id.to_string();
        tx.events(StreamKind::System, &id, 0, 100).await.unwrap()
    }
    let first = history().await;
    assert_eq!(first.len(), 5);
    assert_eq!(first, history().await);
}

#[tokio::test]
async fn a_writer_waits_no_longer_than_it_may() {
    let clock = Arc::new(Hand(AtomicI64::new(1)));
    let mut options = Options::new(clock, 7);
    options.busy_timeout = std::time::Duration::from_millis(50);
    let store = MemoryStore::new(options);
    let first = store.begin("first").await.unwrap();
    let second = store.begin("second").await.err().unwrap();
    assert_eq!((second.transaction, second.is_busy()), ("second", true));
    drop(first);
    store.begin("second").await.unwrap();
}
