//! Alarms and watches.

use serde_json::json;
use syncferry_shared::alarm::{AlarmKind, AlarmState};

use super::Bench;
use super::world::{id, world};
use crate::{Cause, NewAlarm};

fn new(subject: &str, found: i64) -> NewAlarm {
    NewAlarm {
        id: id!(AlarmId),
        kind: AlarmKind::ForeignSession,
        subject: subject.into(),
        finding: json!({ "found": found }),
    }
}

pub(super) async fn one_is_open_for_a_subject(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    let (first, is_new) = tx.raise_alarm(&new("a", 1)).await.unwrap();
    assert_eq!((is_new, first.state), (true, AlarmState::Raised));
    tx.commit().await.unwrap();
    b.time.advance(10).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (again, is_new) = tx.raise_alarm(&new("a", 2)).await.unwrap();
    assert_eq!(
        (again.id, is_new, &again.finding),
        (first.id, false, &json!({ "found": 2 }))
    );
    assert_eq!((again.raised_at, again.seen_at), (first.raised_at, tx.now()));
    let (other, is_new) = tx.raise_alarm(&new("b", 1)).await.unwrap();
    assert!(is_new && other.id != first.id);

    let known = tx.acknowledge_alarm(first.id, "operator:ada", "on it").await.unwrap();
    assert_eq!(
        (known.state, known.acknowledged_by.as_deref(), known.remark.as_deref()),
        (AlarmState::Acknowledged, Some("operator:ada"), Some("on it"))
    );
    let twice = tx.acknowledge_alarm(first.id, "operator:bob", "").await.unwrap_err();
    assert!(twice.is_moved(), "{twice}");
    let (seen, is_new) = tx.raise_alarm(&new("a", 3)).await.unwrap();
    assert_eq!(
        (seen.state, is_new),
        (AlarmState::Acknowledged, false),
        "what is known stays known"
    );

    let cleared = tx.clear_alarm(first.id).await.unwrap();
    assert_eq!(
        (cleared.state, cleared.cleared_at),
        (AlarmState::Cleared, Some(tx.now()))
    );
    let twice = tx.clear_alarm(first.id).await.unwrap_err();
    assert!(matches!(twice.cause, Cause::Illegal(_)), "{twice}");
    let (anew, is_new) = tx.raise_alarm(&new("a", 4)).await.unwrap();
    assert!(is_new && anew.id != first.id, "after its end it is another one");
    let open: Vec<_> = tx
        .alarms(false)
        .await
        .unwrap()
        .iter()
        .map(|a| a.subject.clone())
        .collect();
    assert_eq!(open.len(), 2);
    assert_eq!(tx.alarms(true).await.unwrap().len(), 3);
    assert_eq!(
        tx.alarms(true).await.unwrap()[2].id,
        first.id,
        "the ended ones are last"
    );
}

pub(super) async fn the_newest_look_is_kept(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.keep_watch(w.old, &json!({ "n": 1 })).await.unwrap(), None);
    let before = tx.keep_watch(w.old, &json!({ "n": 2 })).await.unwrap().unwrap();
    assert_eq!((before.host, before.report), (w.old, json!({ "n": 1 })));
    tx.keep_watch(w.new, &json!({ "n": 3 })).await.unwrap();
    let all = tx.watches().await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .any(|x| x.host == w.old && x.report == json!({ "n": 2 }) && x.at == tx.now())
    );
}
