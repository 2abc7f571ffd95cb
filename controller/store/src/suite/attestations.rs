//! Attestations: two people, in time, about the lease as it is.

use syncferry_shared::lease::{LeaseState, ProofKind, Resource};

use super::Bench;
use super::world::{World, by, session, word, world};
use crate::{AttestationState, LeaseError, NewProof, Tx};

async fn held(w: &World, tx: &mut dyn Tx) -> Resource {
    let r = w.free_lease(tx).await;
    tx.acquire_lease(&w.grant(&r, 0, session()), &by()).await.unwrap();
    r
}

pub(super) async fn a_word_waits_for_another_person(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = held(&w, tx.as_mut()).await;
    let given = tx.add_attestation(&word(&r, 1, "operator:ada")).await.unwrap();
    assert_eq!(
        (given.state, given.second.as_deref()),
        (AttestationState::Waiting, None)
    );
    assert_eq!(given.valid_until, tx.now().plus(1_000));
    assert_eq!(tx.waiting_attestation(&r).await.unwrap().as_ref(), Some(&given));
    let alone = tx.confirm_attestation(given.id, "operator:ada").await;
    assert!(matches!(alone, Err(LeaseError::OnePerson { .. })), "{alone:?}");
    let another = tx.add_attestation(&word(&r, 1, "operator:bob")).await;
    assert!(matches!(another, Err(LeaseError::WordWaits { .. })), "{another:?}");
    // One's own word may be given anew: the older one lapses.
    let again = tx.add_attestation(&word(&r, 1, "operator:ada")).await.unwrap();
    let old = tx.confirm_attestation(given.id, "operator:bob").await;
    assert!(matches!(old, Err(LeaseError::NoWord { .. })), "{old:?}");
    let both = tx.confirm_attestation(again.id, "operator:bob").await.unwrap();
    assert_eq!(
        (both.state, both.second.as_deref(), both.confirmed_at),
        (AttestationState::Confirmed, Some("operator:bob"), Some(tx.now()))
    );
    assert_eq!(tx.waiting_attestation(&r).await.unwrap(), None);
    let twice = tx.confirm_attestation(again.id, "operator:eve").await;
    assert!(matches!(twice, Err(LeaseError::NoWord { .. })), "{twice:?}");
    let states: Vec<_> = tx.attestations(&r).await.unwrap().iter().map(|a| a.state).collect();
    assert!(states.contains(&AttestationState::Lapsed) && states.contains(&AttestationState::Confirmed));
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn a_word_lapses(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = held(&w, tx.as_mut()).await;
    let given = tx.add_attestation(&word(&r, 1, "operator:ada")).await.unwrap();
    tx.commit().await.unwrap();
    b.time.advance(1_200).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let late = tx.confirm_attestation(given.id, "operator:bob").await;
    assert!(matches!(late, Err(LeaseError::WordLapsed { .. })), "{late:?}");
    // A lapsed one is in nobody's way.
    let other = tx.add_attestation(&word(&r, 1, "operator:bob")).await.unwrap();
    tx.confirm_attestation(other.id, "operator:ada").await.unwrap();
    let longer = tx
        .add_attestation(&crate::NewAttestation {
            valid_ms: crate::attestations::MOST_VALID_MS + 1,
            ..word(&r, 1, "operator:ada")
        })
        .await;
    assert!(
        matches!(longer, Err(LeaseError::Store(_))),
        "longer than a quarter of an hour: {longer:?}"
    );
}

pub(super) async fn a_word_is_about_one_epoch_and_one_moment(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = held(&w, tx.as_mut()).await;
    let wrong = tx.add_attestation(&word(&r, 2, "operator:ada")).await;
    assert!(matches!(wrong, Err(LeaseError::Stale { .. })), "{wrong:?}");
    let given = tx.add_attestation(&word(&r, 1, "operator:ada")).await.unwrap();
    tx.quarantine_lease(&r, 1, &by()).await.unwrap();
    tx.begin_fence(&r, 1, None, &by()).await.unwrap();
    let moved = tx.confirm_attestation(given.id, "operator:bob").await;
    assert!(
        matches!(moved, Err(LeaseError::Stale { .. })),
        "the lease moved on: {moved:?}"
    );
    let given = tx.add_attestation(&word(&r, 2, "operator:ada")).await.unwrap();
    tx.confirm_attestation(given.id, "operator:bob").await.unwrap();
    tx.commit().await.unwrap();

    // What was confirmed a moment ago proves nothing now.
    b.time.advance(10).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let proof = NewProof {
        kind: ProofKind::OperatorAttested,
        evidence: serde_json::json!({}),
        actor: "operator:ada".into(),
        second: Some("operator:bob".into()),
    };
    assert!(
        tx.add_proof(&r, 2, &proof).await.is_err(),
        "a word of another transaction"
    );
    drop(tx);
    let mut tx = b.store.begin("test").await.unwrap();
    let given = tx.add_attestation(&word(&r, 2, "operator:ada")).await.unwrap();
    tx.confirm_attestation(given.id, "operator:bob").await.unwrap();
    tx.add_proof(&r, 2, &proof).await.unwrap();
    assert_eq!(tx.end_fence(&r, 2, &by()).await.unwrap().state, LeaseState::Free);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}
