//! Terms: one leads, and knows when it does not.

use super::Bench;
use super::world::id;

pub(super) async fn one_leads_until_its_term_is_over(b: Bench) {
    let (ada, bob) = (id!(ControllerId), id!(ControllerId));
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.term().await.unwrap(), None);
    let first = tx.lead(ada, 1_000).await.unwrap();
    assert_eq!((first.controller, first.epoch), (ada, 1));
    assert_eq!(first.expires_at, tx.now().plus(1_000));
    assert_eq!(tx.lead(bob, 1_000).await.unwrap(), first, "it is taken");
    tx.commit().await.unwrap();

    b.time.advance(600).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let longer = tx.lead(ada, 1_000).await.unwrap();
    assert_eq!((longer.epoch, longer.expires_at), (1, tx.now().plus(1_000)));
    tx.commit().await.unwrap();

    b.time.advance(1_000).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let second = tx.lead(bob, 1_000).await.unwrap();
    assert_eq!((second.controller, second.epoch), (bob, 2));
    assert_eq!(tx.lead(ada, 1_000).await.unwrap(), second);
    assert_eq!(tx.term().await.unwrap(), Some(second));
    tx.resign(ada).await.unwrap();
    assert_eq!(
        tx.term().await.unwrap(),
        Some(second),
        "only one's own can be given back"
    );
    tx.resign(bob).await.unwrap();
    let third = tx.lead(ada, 1_000).await.unwrap();
    assert_eq!((third.controller, third.epoch), (ada, 3));
}

pub(super) async fn a_term_is_checked_where_it_counts(b: Bench) {
    let (ada, bob) = (id!(ControllerId), id!(ControllerId));
    let mut tx = b.store.begin("test").await.unwrap();
    let mine = tx.lead(ada, 1_000).await.unwrap();
    tx.in_term(&mine).await.unwrap();
    tx.commit().await.unwrap();

    b.time.advance(1_000).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let over = tx.in_term(&mine).await.unwrap_err();
    assert!(over.is_moved(), "it ran out, though nobody took over: {over}");
    // Even one's own next term is another one.
    let again = tx.lead(ada, 1_000).await.unwrap();
    assert_eq!(again.epoch, 2);
    assert!(tx.in_term(&mine).await.unwrap_err().is_moved());
    tx.in_term(&again).await.unwrap();
    tx.resign(ada).await.unwrap();
    let next = tx.lead(bob, 1_000).await.unwrap();
    assert!(tx.in_term(&again).await.unwrap_err().is_moved());
    tx.in_term(&next).await.unwrap();
}
