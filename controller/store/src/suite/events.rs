//! Events.

use serde_json::{Value, json};
use syncferry_shared::event::{NewEvent, StreamKind, verify_chain};

use super::Bench;

fn event(stream_id: &str, payload: Value) -> NewEvent {
    NewEvent {
        stream_kind: StreamKind::Migration,
        stream_id: stream_id.into(),
        kind: "job.succeeded".into(),
        actor: "controller".into(),
        payload,
    }
}

pub(super) async fn chain_and_page(b: Bench) {
    for n in 1..=5 {
        let mut tx = b.store.begin("test").await.unwrap();
        let a = tx
            .append_event(event("a", json!({ "n": n, "umlaut": "ä" })))
            .await
            .unwrap();
        assert_eq!((a.seq, a.at), (n, tx.now()));
        tx.append_event(event("b", json!({}))).await.unwrap();
        tx.commit().await.unwrap();
        b.time.advance(1).await;
    }
    let mut tx = b.store.begin("test").await.unwrap();
    tx.append_event(event("a", json!({}))).await.unwrap();
    tx.rollback().await.unwrap();

    let mut tx = b.store.read("test").await.unwrap();
    let all = tx.events(StreamKind::Migration, "a", 0, 100).await.unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(verify_chain(&all), Ok(()));
    let page = tx.events(StreamKind::Migration, "a", 2, 2).await.unwrap();
    assert_eq!(page.iter().map(|e| e.seq).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(tx.events(StreamKind::Agent, "a", 0, 100).await.unwrap(), vec![]);
    assert_eq!(tx.last_event_seq(StreamKind::Migration, "a").await.unwrap(), 5);
    assert_eq!(tx.last_event_seq(StreamKind::System, "a").await.unwrap(), 0);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn numbers_survive_their_text(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    let odd = json!({ "sum": 0.1 + 0.2, "rate": 1e23, "tiny": 5e-324, "big": u64::MAX, "third": 1.0 / 3.0 });
    let told = tx.append_event(event("a", odd)).await.unwrap();
    let read = tx.events(StreamKind::Migration, "a", 0, 1).await.unwrap();
    assert_eq!(read, vec![told]);
    assert_eq!(verify_chain(&read), Ok(()));
}
