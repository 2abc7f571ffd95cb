//! The store's identity, and what a restore does.

use super::Bench;
use super::world::{by, session, world};
use crate::meta::EPOCH_JUMP;
use crate::{LeaseError, NewProof};
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
    let meta = tx.begin_incarnation(&by()).await.unwrap();
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
