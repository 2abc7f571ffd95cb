//! Leases: each verb, each refusal.

use serde_json::json;
use syncferry_shared::event::{StreamKind, verify_chain};
use syncferry_shared::lease::{LeaseEvent, LeaseKind, LeaseState, ProofKind, Resource};

use super::Bench;
use super::world::{by, id, session, two_people, word, world};
use crate::{By, Cause, LeaseError, NewProof, StoreError};

fn proof(kind: ProofKind, second: Option<&str>) -> NewProof {
    NewProof {
        kind,
        evidence: json!({ "seen": true }),
        actor: "operator:ada".into(),
        second: second.map(str::to_string),
    }
}

pub(super) async fn a_whole_life(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let s = session();
    let held = tx.acquire_lease(&w.grant(&r, 0, s), &by()).await.unwrap();
    assert_eq!((held.state, held.epoch, held.row_version), (LeaseState::Held, 1, 1));
    assert_eq!(
        (held.holder, held.holder_session, held.renewer),
        (Some(w.new), Some(s), Some(w.sql))
    );
    assert_eq!(
        (held.granted_at, held.expires_at),
        (Some(tx.now()), Some(tx.now().plus(1_000)))
    );
    assert_eq!(tx.lease(&r).await.unwrap().as_ref(), Some(&held));
    assert_eq!(
        tx.lease_held_by(w.new, LeaseKind::Database).await.unwrap().as_ref(),
        Some(&held)
    );
    assert_eq!(tx.authorize(&r, 1, Some(s), 900).await.unwrap(), 1_000);
    tx.commit().await.unwrap();

    b.time.advance(400).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let renewed = tx.renew_lease(&r, 1, s, 1_000, &by()).await.unwrap();
    assert_eq!(
        (renewed.row_version, renewed.expires_at),
        (1, Some(tx.now().plus(1_000)))
    );
    assert_eq!(tx.lease_history(&r).await.unwrap().len(), 2, "renewing is no change");
    let draining = tx.request_handover(&r, 1, Some(w.old), &by()).await.unwrap();
    assert_eq!(
        (draining.state, draining.handover_to),
        (LeaseState::Draining, Some(w.old))
    );
    assert_eq!(
        tx.renew_lease(&r, 1, s, 2_000, &by()).await.unwrap().state,
        LeaseState::Draining
    );
    assert!(tx.authorize(&r, 1, None, 500).await.is_ok(), "who hands over still may");

    let stopped = proof(ProofKind::HolderStopped, None);
    let wrong = tx.release_lease(&r, 1, Some(session()), &stopped, &by()).await;
    assert!(matches!(wrong, Err(LeaseError::Stale { .. })), "{wrong:?}");
    let free = tx.release_lease(&r, 1, Some(s), &stopped, &by()).await.unwrap();
    assert_eq!(
        (free.state, free.epoch, free.fenced_epoch, free.holder),
        (LeaseState::Free, 2, 2, None)
    );
    let mut next = w.grant(&r, 2, session());
    next.holder = w.old;
    assert_eq!(tx.acquire_lease(&next, &by()).await.unwrap().epoch, 3);
    let proofs = tx.proofs(&r).await.unwrap();
    assert_eq!(
        proofs.iter().map(|p| (p.epoch, p.kind)).collect::<Vec<_>>(),
        [(0, ProofKind::NeverUsed), (2, ProofKind::HolderStopped)]
    );
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn what_refuses_a_grant(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let nothing = Resource("adsync-db:x".into());
    let unknown = tx.acquire_lease(&w.grant(&nothing, 0, session()), &by()).await;
    assert_eq!(unknown, Err(LeaseError::Unknown(nothing)));

    let unproven = Resource::database(id!(DatabaseId));
    tx.create_lease(&unproven, LeaseKind::Database, None, &by())
        .await
        .unwrap();
    let again = tx.create_lease(&unproven, LeaseKind::Database, None, &by()).await;
    assert!(again.unwrap_err().is_conflict());
    let refused = tx.acquire_lease(&w.grant(&unproven, 0, session()), &by()).await;
    assert!(
        matches!(refused, Err(LeaseError::NoProof { epoch: 0, .. })),
        "{refused:?}"
    );
    tx.add_proof(&unproven, 0, &proof(ProofKind::NeverUsed, None))
        .await
        .unwrap();

    let (r, second) = (w.free_lease(tx.as_mut()).await, w.free_lease(tx.as_mut()).await);
    let early = tx.acquire_lease(&w.grant(&r, 1, session()), &by()).await;
    assert!(
        matches!(
            early,
            Err(LeaseError::Stale {
                expected: 1,
                found: 0,
                ..
            })
        ),
        "{early:?}"
    );
    tx.acquire_lease(&w.grant(&r, 0, session()), &by()).await.unwrap();
    let mut other = w.grant(&r, 1, session());
    other.holder = w.old;
    let taken = tx.acquire_lease(&other, &by()).await.unwrap_err();
    let expected = LeaseError::NotFree {
        resource: r.clone(),
        state: LeaseState::Held,
        holder: Some(w.new),
        epoch: 1,
    };
    assert_eq!(taken, expected);
    let greedy = tx.acquire_lease(&w.grant(&second, 0, session()), &by()).await;
    assert_eq!(greedy, Err(LeaseError::HolderHasAnother { resource: r }));
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn expiry_only_loses(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let s = session();
    tx.acquire_lease(&w.grant(&r, 0, s), &by()).await.unwrap();
    let asks_too_much = tx.authorize(&r, 1, None, 1_001).await;
    assert!(
        matches!(
            asks_too_much,
            Err(LeaseError::Expired {
                remaining_ms: 1_000,
                ..
            })
        ),
        "{asks_too_much:?}"
    );
    tx.commit().await.unwrap();

    b.time.advance(1_000).await;
    let over = b.store.read("test").await.unwrap().authorize(&r, 1, None, 0).await;
    assert!(
        matches!(over, Err(LeaseError::Expired { remaining_ms: 0, .. })),
        "{over:?}"
    );
    b.time.advance(100).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let late = tx.authorize(&r, 1, None, 0).await;
    assert!(matches!(late, Err(LeaseError::Expired { .. })), "{late:?}");
    assert_eq!(
        tx.expire_leases(10_000, &by()).await.unwrap(),
        vec![],
        "within the grace period"
    );
    let lost = tx.expire_leases(50, &By::new("controller")).await.unwrap();
    assert_eq!((lost.len(), lost[0].state, lost[0].epoch), (1, LeaseState::Lost, 1));
    assert_eq!(tx.expire_leases(50, &by()).await.unwrap(), vec![], "only once");
    let lost_one = tx.authorize(&r, 1, Some(s), 0).await;
    assert!(matches!(lost_one, Err(LeaseError::Stale { .. })), "{lost_one:?}");
    let freed = tx
        .release_lease(&r, 1, Some(s), &proof(ProofKind::HolderStopped, None), &by())
        .await;
    assert!(
        matches!(freed, Err(LeaseError::Illegal(_))),
        "lost never becomes free: {freed:?}"
    );
    assert_eq!(tx.proofs(&r).await.unwrap().len(), 1, "what was refused left no proof");
    // Nobody has begun to fence it, so it is still its holder's.
    let back = tx.renew_lease(&r, 1, s, 1_000, &by()).await.unwrap();
    assert_eq!((back.state, back.row_version), (LeaseState::Held, 3));
    let last = tx.lease_history(&r).await.unwrap().pop().unwrap();
    assert_eq!(
        (last.event, last.from, last.to),
        (Some(LeaseEvent::Renew), LeaseState::Lost, LeaseState::Held)
    );
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn a_fence_frees_with_proof(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let s = session();
    tx.acquire_lease(&w.grant(&r, 0, s), &by()).await.unwrap();
    tx.commit().await.unwrap();
    b.time.advance(2_000).await;
    let mut tx = b.store.begin("test").await.unwrap();
    tx.expire_leases(0, &by()).await.unwrap();
    let fencing = tx.begin_fence(&r, 1, None, &by()).await.unwrap();
    assert_eq!(
        (fencing.state, fencing.epoch, fencing.holder),
        (LeaseState::Fencing, 2, Some(w.new))
    );
    let comes_back = tx.renew_lease(&r, 1, s, 1_000, &by()).await;
    assert!(
        matches!(comes_back, Err(LeaseError::Stale { found: 2, .. })),
        "{comes_back:?}"
    );
    let unproven = tx.end_fence(&r, 2, &by()).await;
    assert!(
        matches!(unproven, Err(LeaseError::NoProof { epoch: 2, .. })),
        "{unproven:?}"
    );
    let wrong = tx.add_proof(&r, 1, &proof(ProofKind::SqlFenced, None)).await;
    assert!(
        matches!(
            wrong,
            Err(LeaseError::Stale {
                expected: 1,
                found: 2,
                ..
            })
        ),
        "{wrong:?}"
    );
    tx.add_proof(&r, 2, &proof(ProofKind::SqlFenced, None)).await.unwrap();
    tx.add_proof(&r, 2, &proof(ProofKind::SqlFenced, None)).await.unwrap();
    let free = tx.end_fence(&r, 2, &by()).await.unwrap();
    assert_eq!((free.state, free.epoch, free.fenced_epoch), (LeaseState::Free, 2, 2));
    let mut next = w.grant(&r, 2, session());
    next.holder = w.old;
    tx.acquire_lease(&next, &by()).await.unwrap();
    let comes_back = tx.renew_lease(&r, 1, s, 1_000, &by()).await;
    assert!(
        matches!(comes_back, Err(LeaseError::Stale { found: 3, .. })),
        "{comes_back:?}"
    );
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

fn is_guard<T: std::fmt::Debug>(refused: crate::LeaseResult<T>, what: &str) {
    assert!(
        matches!(
            refused,
            Err(LeaseError::Store(StoreError {
                cause: Cause::Guard(_),
                ..
            }))
        ),
        "{what}: {refused:?}"
    );
}

pub(super) async fn break_glass_takes_two(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    tx.acquire_lease(&w.grant(&r, 0, session()), &by()).await.unwrap();
    tx.commit().await.unwrap();

    // A second name alone is no second word.
    let mut tx = b.store.begin("test").await.unwrap();
    is_guard(tx.break_glass(&r, 1, "operator:ada", &by()).await, "one person");
    is_guard(tx.break_glass(&r, 1, "operator:bob", &by()).await, "no word was given");
    drop(tx);
    let mut tx = b.store.begin("test").await.unwrap();
    tx.add_attestation(&word(&r, 1, "operator:ada")).await.unwrap();
    is_guard(tx.break_glass(&r, 1, "operator:bob", &by()).await, "nobody confirmed");
    drop(tx);

    let mut tx = b.store.begin("test").await.unwrap();
    two_people(tx.as_mut(), &r, 1).await;
    let reason = by().detail(json!({ "ticket": "INC-1" }));
    let fencing = tx.break_glass(&r, 1, "operator:bob", &reason).await.unwrap();
    assert_eq!((fencing.state, fencing.epoch), (LeaseState::Fencing, 2));
    let last = tx.lease_history(&r).await.unwrap().pop().unwrap();
    assert_eq!(
        last.detail,
        json!({ "second": "operator:bob", "reason": { "ticket": "INC-1" } })
    );
    for second in [None, Some("operator:ada"), Some("operator:eve")] {
        let alone = tx.add_proof(&r, 2, &proof(ProofKind::OperatorAttested, second)).await;
        is_guard(alone, "not whose word it is");
    }
    tx.add_proof(&r, 2, &proof(ProofKind::OperatorAttested, Some("operator:bob")))
        .await
        .unwrap();
    tx.end_fence(&r, 2, &by()).await.unwrap();
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn doubt_ends_in_a_fence(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let s = session();
    tx.acquire_lease(&w.grant(&r, 0, s), &by()).await.unwrap();
    tx.quarantine_lease(&r, 1, &by()).await.unwrap();
    let refused = tx.authorize(&r, 1, Some(s), 0).await;
    assert!(
        matches!(
            refused,
            Err(LeaseError::Stale {
                state: LeaseState::Quarantined,
                ..
            })
        ),
        "{refused:?}"
    );
    let refused = tx.renew_lease(&r, 1, s, 1_000, &by()).await;
    assert!(matches!(refused, Err(LeaseError::Stale { .. })), "{refused:?}");
    // The marker at the resource knows a higher epoch than we do.
    let fencing = tx.begin_fence(&r, 1, Some(41), &by()).await.unwrap();
    assert_eq!((fencing.state, fencing.epoch), (LeaseState::Fencing, 42));
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn another_session_is_adopted(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let (old, new) = (session(), session());
    tx.acquire_lease(&w.grant(&r, 0, old), &by()).await.unwrap();
    let refused = tx.renew_lease(&r, 1, new, 1_000, &by()).await;
    assert!(matches!(refused, Err(LeaseError::Stale { .. })), "{refused:?}");
    let adopted = tx.adopt_lease(&r, 1, new, w.new, 5_000, &by()).await.unwrap();
    assert_eq!(
        (adopted.epoch, adopted.holder_session, adopted.renewer),
        (1, Some(new), Some(w.new))
    );
    assert_eq!(adopted.holder, Some(w.new));
    assert!(tx.renew_lease(&r, 1, old, 1_000, &by()).await.is_err());
    let renewed = tx.renew_lease(&r, 1, new, 1_000, &by()).await.unwrap();
    assert_eq!(
        renewed.expires_at,
        Some(tx.now().plus(5_000)),
        "a renewal shortens nothing"
    );
    tx.commit().await.unwrap();
    b.time.advance(6_000).await;
    let mut tx = b.store.begin("test").await.unwrap();
    tx.expire_leases(0, &by()).await.unwrap();
    let back = tx.adopt_lease(&r, 1, old, w.sql, 1_000, &by()).await.unwrap();
    assert_eq!(back.state, LeaseState::Held);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn there_are_no_short_cuts(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let stopped = proof(ProofKind::HolderStopped, None);
    let illegal = |what: &str, refused: crate::LeaseResult<_>| {
        let refused: crate::LeaseResult<syncferry_shared::lease::Lease> = refused;
        assert!(matches!(refused, Err(LeaseError::Illegal(_))), "{what}: {refused:?}");
    };
    illegal("release of free", tx.release_lease(&r, 0, None, &stopped, &by()).await);
    illegal("fence of free", tx.begin_fence(&r, 0, None, &by()).await);
    illegal("end of no fence", tx.end_fence(&r, 0, &by()).await);
    illegal("handover of free", tx.request_handover(&r, 0, None, &by()).await);
    illegal(
        "break-glass of free",
        tx.break_glass(&r, 0, "operator:bob", &by()).await,
    );
    let word_on_free = tx.add_attestation(&word(&r, 0, "operator:ada")).await;
    assert!(
        matches!(word_on_free, Err(LeaseError::Stale { .. })),
        "{word_on_free:?}"
    );
    tx.acquire_lease(&w.grant(&r, 0, session()), &by()).await.unwrap();
    illegal("fence of held", tx.begin_fence(&r, 1, None, &by()).await);
    illegal("end of no fence", tx.end_fence(&r, 1, &by()).await);
    let early = tx.add_proof(&r, 1, &stopped).await;
    assert!(
        matches!(
            early,
            Err(LeaseError::Store(StoreError {
                cause: Cause::Guard(_),
                ..
            }))
        ),
        "{early:?}"
    );
    for (epoch, what) in [(0, "an old epoch"), (2, "an epoch from the future")] {
        let refused = tx.request_handover(&r, epoch, None, &by()).await;
        assert!(matches!(refused, Err(LeaseError::Stale { .. })), "{what}: {refused:?}");
    }
    assert_eq!(tx.authorize_run(&r, 1).await, Ok(()));
    assert!(tx.authorize_run(&r, 2).await.is_err(), "a run of another epoch");
    tx.quarantine_lease(&r, 1, &by()).await.unwrap();
    assert!(tx.authorize_run(&r, 1).await.is_err(), "a run under doubt");
    illegal("quarantine twice", tx.quarantine_lease(&r, 1, &by()).await);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn kinds_are_apart(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let export = Resource("tenant:t:export".into());
    tx.create_lease(&export, LeaseKind::TenantExport, Some(&json!({})), &by())
        .await
        .unwrap();
    tx.acquire_lease(&w.grant(&r, 0, session()), &by()).await.unwrap();
    tx.acquire_lease(&w.grant(&export, 0, session()), &by()).await.unwrap();
    let held = tx.lease_held_by(w.new, LeaseKind::TenantExport).await.unwrap().unwrap();
    assert_eq!((held.resource, held.kind), (export, LeaseKind::TenantExport));
    assert_eq!(tx.leases().await.unwrap().len(), 2);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn sites_of_one_tenant_share_its_export(b: Bench) {
    let (hamburg, berlin) = (world(&*b.store).await, world(&*b.store).await);
    let mut tx = b.store.begin("test").await.unwrap();
    let export = Resource::tenant_export("T");
    let made = tx
        .create_lease(&export, LeaseKind::TenantExport, Some(&json!({})), &by())
        .await
        .unwrap();
    // The second site's way to it is the same row, whatever the case of the letters.
    let again = Resource::tenant_export("t");
    assert_eq!(tx.lease(&again).await.unwrap().as_ref(), Some(&made));
    let second = tx
        .create_lease(&again, LeaseKind::TenantExport, Some(&json!({})), &by())
        .await;
    assert!(second.is_err(), "one row per tenant");
    tx.commit().await.unwrap();
    let mut tx = b.store.begin("test").await.unwrap();
    tx.acquire_lease(&hamburg.grant(&export, 0, session()), &by())
        .await
        .unwrap();
    for epoch in [0, 1] {
        let late = tx.acquire_lease(&berlin.grant(&again, epoch, session()), &by()).await;
        assert!(late.is_err(), "a server of the other site while it is held: {late:?}");
    }
    assert_eq!(tx.leases().await.unwrap().len(), 1);
    // Given back with proof, it may go to the other site.
    let free = tx
        .release_lease(&export, 1, None, &proof(ProofKind::HolderStopped, None), &by())
        .await
        .unwrap();
    let held = tx
        .acquire_lease(&berlin.grant(&again, free.epoch, session()), &by())
        .await
        .unwrap();
    assert_eq!(held.holder, Some(berlin.new));
    assert_eq!(tx.audit().await.unwrap(), vec![]);
}

pub(super) async fn the_history_is_told(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let r = w.free_lease(tx.as_mut()).await;
    let (migration, job, _) = w.migration(tx.as_mut()).await;
    let cause = by()
        .detail(json!({ "why": "plan" }))
        .migration(migration)
        .attempt(job, 2);
    let s = session();
    tx.acquire_lease(&w.grant(&r, 0, s), &cause).await.unwrap();
    tx.release_lease(&r, 1, None, &proof(ProofKind::NeverUsed, None), &by())
        .await
        .unwrap();
    let history = tx.lease_history(&r).await.unwrap();
    let told: Vec<_> = history.iter().map(|h| (h.row_version, h.event, h.epoch)).collect();
    assert_eq!(
        told,
        [
            (0, None, 0),
            (1, Some(LeaseEvent::Acquire), 1),
            (2, Some(LeaseEvent::Release), 2)
        ]
    );
    let grant = &history[1];
    assert_eq!((grant.migration, grant.attempt), (Some(migration), Some((job, 2))));
    assert_eq!(
        (grant.holder, grant.session, grant.at),
        (Some(w.new), Some(s), tx.now())
    );
    assert_eq!(
        (grant.actor.as_str(), &grant.detail),
        ("operator:ada", &json!({ "why": "plan" }))
    );
    assert_eq!(history[2].holder, Some(w.new), "who gave it back");
    let events = tx.events(StreamKind::Lease, &r.0, 0, 100).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["lease.create", "lease.acquire", "lease.release"]);
    assert_eq!(verify_chain(&events), Ok(()));
}
