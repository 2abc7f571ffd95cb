//! Words about items of a checklist.

use syncferry_shared::{MigrationId, WordId};

use super::Bench;
use super::world::{id, world};
use crate::NewItemWord;

fn word(migration: MigrationId, withdraws: Option<WordId>) -> NewItemWord {
    NewItemWord {
        id: id!(WordId),
        migration,
        item: "pass-through-agents".into(),
        withdraws,
        actor: "operator:ada".into(),
        reason: "two agents active".into(),
        until: None,
    }
}

pub(super) async fn they_are_said_and_taken_back(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (migration, _, _) = w.migration(tx.as_mut()).await;
    let until = Some(tx.now().plus(1_000));
    let first = tx
        .add_item_word(&NewItemWord {
            until,
            ..word(migration, None)
        })
        .await
        .unwrap();
    assert_eq!((first.until, first.at, first.withdraws), (until, tx.now(), None));
    tx.commit().await.unwrap();
    b.time.advance(2_000).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let second = tx.add_item_word(&word(migration, None)).await.unwrap();
    let back = tx.add_item_word(&word(migration, Some(second.id))).await.unwrap();
    assert_eq!(back.withdraws, Some(second.id));
    tx.commit().await.unwrap();
    let mut tx = b.store.begin("test").await.unwrap();
    let all = tx.item_words(migration).await.unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0], first);
    assert!(all.contains(&second) && all.contains(&back));
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn they_have_a_reason_and_what_they_take_back(b: Bench) {
    let w = world(&*b.store).await;
    for broken in 0..7 {
        let mut tx = b.store.begin("test").await.unwrap();
        let (migration, _, _) = w.migration(tx.as_mut()).await;
        let now = tx.now();
        let said = tx.add_item_word(&word(migration, None)).await.unwrap();
        let taken = tx.add_item_word(&word(migration, Some(said.id))).await.unwrap();
        let other = tx.add_item_word(&word(migration, None)).await.unwrap();
        let mut new = word(migration, None);
        match broken {
            0 => new.reason = " ".into(),
            1 => new.item = " ".into(),
            2 => new.until = Some(now),
            3 => new.withdraws = Some(said.id),
            4 => new.withdraws = Some(taken.id),
            5 => (new.withdraws, new.item) = (Some(other.id), "sql-backups".into()),
            _ => (new.withdraws, new.until) = (Some(other.id), Some(now.plus(1_000))),
        }
        let refused = tx.add_item_word(&new).await;
        assert!(refused.is_err(), "{broken}: {refused:?}");
    }
}
