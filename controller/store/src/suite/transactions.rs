//! What a transaction promises, whatever it is used for.

use std::sync::Arc;

use syncferry_shared::event::{NewEvent, StreamKind};

use super::Bench;
use super::world::id;
use crate::{Cause, Store};

pub(super) async fn dropped_means_undone(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    tx.add_org(id!(OrgId), "dropped").await.unwrap();
    drop(tx);
    let mut tx = b.store.begin("test").await.unwrap();
    tx.add_org(id!(OrgId), "rolled back").await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = b.store.begin("test").await.unwrap();
    tx.add_org(id!(OrgId), "kept").await.unwrap();
    // A statement that was refused undoes itself and nothing else.
    assert!(tx.add_org(id!(OrgId), "kept").await.unwrap_err().is_conflict());
    tx.commit().await.unwrap();
    let mut tx = b.store.read("test").await.unwrap();
    let names: Vec<String> = tx.orgs().await.unwrap().into_iter().map(|o| o.name).collect();
    assert_eq!(names, ["default", "kept"]);
}

pub(super) async fn readers_see_one_instant(b: Bench) {
    let mut reader = b.store.read("reader").await.unwrap();
    let mut writer = b.store.begin("writer").await.unwrap();
    writer.add_org(id!(OrgId), "new").await.unwrap();
    assert_eq!(
        reader.orgs().await.unwrap().len(),
        1,
        "what is not committed is not there"
    );
    writer.commit().await.unwrap();
    assert_eq!(
        reader.orgs().await.unwrap().len(),
        1,
        "nor what was committed after it began"
    );
    drop(reader);
    let mut reader = b.store.read("reader").await.unwrap();
    assert_eq!(reader.orgs().await.unwrap().len(), 2);
    let before = reader.now();
    b.time.advance(1).await;
    assert_eq!(reader.now(), before);
    assert!(b.store.now().await.unwrap() > before);
}

pub(super) async fn reading_writes_nothing(b: Bench) {
    let mut tx = b.store.read("reader").await.unwrap();
    let refused = tx.add_org(id!(OrgId), "x").await.unwrap_err();
    assert_eq!((refused.transaction, refused.cause), ("reader", Cause::ReadOnly));
}

pub(super) async fn writers_take_turns(b: Bench) {
    let append = async |store: Arc<dyn Store>| {
        for _ in 0..10 {
            let mut tx = store.begin("writer").await.unwrap();
            let new = NewEvent {
                stream_kind: StreamKind::System,
                stream_id: "controller".into(),
                kind: "test".into(),
                actor: "controller".into(),
                payload: serde_json::json!({}),
            };
            tx.append_event(new).await.unwrap();
            tx.commit().await.unwrap();
        }
    };
    tokio::join!(
        append(b.store.clone()),
        append(b.store.clone()),
        append(b.store.clone())
    );
    let mut tx = b.store.read("reader").await.unwrap();
    assert_eq!(tx.last_event_seq(StreamKind::System, "controller").await.unwrap(), 30);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}
