//! The store's identity, and what a restore does.

use super::Bench;
use super::world::{by, session, world};
use crate::meta::EPOCH_JUMP;
use crate::{Cause, Highest, LeaseError, NewProof, NewWitness, Standing, StoreState, Way};
use syncferry_shared::lease::{LeaseState, ProofKind};

pub(super) async fn exists_from_the_beginning(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    let meta = tx.meta().await.unwrap();
    assert_eq!(meta.incarnation, 1);
    assert_eq!(tx.incarnation(), 1);
    assert!(meta.opened_at <= tx.now());
    assert_eq!(tx.orgs().await.unwrap(), vec![tx.default_org().await.unwrap()]);
    assert_eq!(tx.name(), "test");
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn a_restore_voids_every_token(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (free, held, doubtful) = (
        w.free_lease(tx.as_mut()).await,
        w.free_lease(tx.as_mut()).await,
        w.free_lease(tx.as_mut()).await,
    );
    let s = session();
    tx.acquire_lease(&w.grant(&held, 0, s), &by()).await.unwrap();
    tx.quarantine_lease(&doubtful, 0, &by()).await.unwrap();
    let meta = tx.begin_incarnation(&Highest::default(), &by()).await.unwrap();
    assert_eq!((meta.incarnation, tx.incarnation()), (2, 2));
    tx.commit().await.unwrap();

    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.incarnation(), 2);
    for resource in [&free, &held, &doubtful] {
        let lease = tx.lease(resource).await.unwrap().unwrap();
        assert_eq!(lease.state, LeaseState::Quarantined, "{resource}");
        assert!(lease.epoch >= EPOCH_JUMP, "{lease:?}");
    }
    let refused = tx.authorize(&held, 1, Some(s), 0).await;
    assert!(
        matches!(refused, Err(LeaseError::Stale { found, .. }) if found > EPOCH_JUMP),
        "{refused:?}"
    );
    // The way back goes through a fence.
    let epoch = tx.lease(&held).await.unwrap().unwrap().epoch;
    let fencing = tx.begin_fence(&held, epoch, None, &by()).await.unwrap();
    let proof = NewProof {
        kind: ProofKind::HolderStopped,
        evidence: serde_json::json!({}),
        actor: "agent:old".into(),
        second: None,
    };
    tx.add_proof(&held, fencing.epoch, &proof).await.unwrap();
    tx.end_fence(&held, fencing.epoch, &by()).await.unwrap();
    let again = tx
        .acquire_lease(&w.grant(&held, fencing.epoch, session()), &by())
        .await
        .unwrap();
    assert_eq!(again.epoch, fencing.epoch + 1);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn a_new_incarnation_is_above_everything_seen(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (seen, unseen) = (w.free_lease(tx.as_mut()).await, w.free_lease(tx.as_mut()).await);
    tx.quarantine_lease(&seen, 0, &by()).await.unwrap();
    let mut above = Highest::default();
    above.see(7, [(seen.clone(), 5 * EPOCH_JUMP)]);
    above.see(3, [(seen.clone(), 9)]);
    let meta = tx.begin_incarnation(&above, &by()).await.unwrap();
    assert_eq!(meta.incarnation, 8);
    let epoch = tx.lease(&seen).await.unwrap().unwrap().epoch;
    assert!(epoch >= 6 * EPOCH_JUMP, "{epoch}");
    let first = tx.lease(&unseen).await.unwrap().unwrap().epoch;
    tx.commit().await.unwrap();
    // Restored from the same backup once more, a little later: no epoch is given out twice.
    b.time.advance(2_000).await;
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(
        tx.begin_incarnation(&Highest::default(), &by())
            .await
            .unwrap()
            .incarnation,
        9
    );
    assert!(tx.lease(&unseen).await.unwrap().unwrap().epoch > first + EPOCH_JUMP);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn a_store_that_was_moved_stays_so(b: Bench) {
    let moved = Standing {
        state: StoreState::Moved,
        moved_to: Some("postgres://…@db/x".into()),
    };
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.standing().await.unwrap(), Standing::live());
    let nowhere = Standing {
        state: StoreState::Moving,
        moved_to: None,
    };
    assert!(matches!(tx.stand(&nowhere).await.unwrap_err().cause, Cause::Guard(_)));
    tx.stand(&Standing {
        state: StoreState::Moving,
        ..moved.clone()
    })
    .await
    .unwrap();
    tx.stand(&Standing::live()).await.unwrap();
    tx.stand(&moved).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.standing().await.unwrap(), moved);
    assert!(matches!(
        tx.stand(&Standing::live()).await.unwrap_err().cause,
        Cause::Guard(_)
    ));
    assert_eq!(tx.standing().await.unwrap(), moved);
}

pub(super) async fn how_far_it_has_come_shows(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.newest_event().await.unwrap(), None);
    let w = super::world::add_world(tx.as_mut()).await;
    w.free_lease(tx.as_mut()).await;
    let first = tx.newest_event().await.unwrap().unwrap();
    w.free_lease(tx.as_mut()).await;
    let second = tx.newest_event().await.unwrap().unwrap();
    assert!(second.position > first.position && second.hash != first.hash);
    tx.commit().await.unwrap();
    let mut tx = b.store.read("test").await.unwrap();
    assert_eq!(tx.event_hash_at(first.position).await.unwrap(), Some(first.hash));
    assert_eq!(tx.event_hash_at(second.position).await.unwrap(), Some(second.hash));
    assert_eq!(tx.event_hash_at(second.position + 1).await.unwrap(), None);
    assert_eq!(tx.event_hash_at(-1).await.unwrap(), None);
}

pub(super) async fn a_recovery_ends_once_and_witnesses_speak_once(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let says = |epoch| NewWitness {
        host: w.sql,
        incarnation: 1,
        epochs: [("adsync-db:x".to_string(), epoch)].into(),
        open: serde_json::json!([{"job": "x"}]),
    };
    assert!(tx.hear_witness(&says(3)).await.unwrap());
    assert_eq!(tx.recovery().await.unwrap(), None);
    let found = serde_json::json!({"epoch": 4});
    assert!(matches!(
        tx.add_recovery(Way::Agent, &found).await.unwrap_err().cause,
        Cause::Guard(_)
    ));
    tx.begin_incarnation(&Highest::default(), &by()).await.unwrap();
    let recovery = tx.add_recovery(Way::Agent, &found).await.unwrap();
    assert_eq!((recovery.incarnation, recovery.ended_at), (2, None));
    assert!(
        tx.add_recovery(Way::Note, &found).await.is_err(),
        "one for an incarnation"
    );
    tx.commit().await.unwrap();

    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.recovery().await.unwrap(), Some(recovery));
    assert_eq!(tx.witness(w.old).await.unwrap(), None);
    // The first word in the new incarnation takes the place of the old one; later ones are not about the time before.
    assert!(tx.hear_witness(&says(4)).await.unwrap());
    assert!(!tx.hear_witness(&says(5)).await.unwrap());
    let kept = tx.witness(w.sql).await.unwrap().unwrap();
    assert_eq!((kept.heard_in, kept.epochs["adsync-db:x"]), (2, 4));
    assert_eq!(tx.witnesses().await.unwrap(), vec![kept]);
    assert!(tx.end_recovery(2).await.unwrap().ended_at.is_some());
    let again = tx.end_recovery(2).await.unwrap_err();
    assert!(again.is_moved(), "{again}");
    assert!(tx.end_recovery(3).await.unwrap_err().is_missing());
}
