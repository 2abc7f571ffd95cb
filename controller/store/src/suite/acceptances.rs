//! Acceptances and imported catalogues.

use super::Bench;
use super::world::{id, world};
use crate::{NewAcceptance, NewCatalogue};

pub(super) async fn they_count_until_they_are_over(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (migration, _, _) = w.migration(tx.as_mut()).await;
    let new = |until| NewAcceptance {
        id: id!(AcceptanceId),
        migration,
        rule: "target-is-express".into(),
        actor: "operator:ada".into(),
        reason: "change 4711".into(),
        until,
    };
    let now = tx.now();
    let short = tx.add_acceptance(&new(Some(now.plus(1_000)))).await.unwrap();
    assert!(short.counts(now) && !short.counts(now.plus(1_000)));
    let long = tx.add_acceptance(&new(None)).await.unwrap();
    assert!(long.counts(now.plus(i64::MAX)));
    assert_eq!(tx.acceptances(migration).await.unwrap().len(), 2);
    tx.commit().await.unwrap();
    b.time.advance(2_000).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let found = tx.acceptances(migration).await.unwrap();
    let now = tx.now();
    let counting: Vec<_> = found.iter().filter(|a| a.counts(now)).map(|a| a.id).collect();
    assert_eq!(counting, [long.id]);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn they_have_a_reason_and_a_future(b: Bench) {
    let w = world(&*b.store).await;
    for broken in 0..3 {
        let mut tx = b.store.begin("test").await.unwrap();
        let (migration, _, _) = w.migration(tx.as_mut()).await;
        let now = tx.now();
        let new = NewAcceptance {
            id: id!(AcceptanceId),
            migration,
            rule: if broken == 0 {
                " ".into()
            } else {
                "target-is-express".into()
            },
            actor: "operator:ada".into(),
            reason: if broken == 1 { " ".into() } else { "change 4711".into() },
            until: (broken == 2).then_some(now),
        };
        let refused = tx.add_acceptance(&new).await;
        assert!(refused.is_err(), "{broken}: {refused:?}");
    }
}

pub(super) async fn the_newest_catalogue_counts(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.catalogue().await.unwrap(), None);
    for (digest, date) in [("aa", "2026-11-01"), ("bb", "2026-12-01"), ("aa", "2026-11-01")] {
        let new = NewCatalogue {
            digest: digest.into(),
            signed_off: date.into(),
            text: format!("signed_off = \"{date}\""),
            actor: "operator:ada".into(),
        };
        let made = tx.add_catalogue(&new).await.unwrap();
        assert_eq!(tx.catalogue().await.unwrap(), Some(made.clone()));
        assert_eq!((made.digest.as_str(), made.at), (digest, tx.now()));
    }
    assert_eq!(tx.catalogue().await.unwrap().unwrap().number, 3);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}
