//! What each change makes of a lease, as pure functions: the lease before, what is asked for, the lease after, or why not.
//! Every engine calls these between its SELECT and its UPDATE, within one transaction; its guards say the same again.

use syncferry_shared::lease::{Lease, LeaseEvent, LeaseState, Resource};
use syncferry_shared::{HostId, Millis, SessionId};

use crate::attestations::{Attestation, AttestationState};
use crate::leases::{Grant, LeaseError, LeaseResult};
use crate::meta::EPOCH_JUMP;

/// The lease after a grant. `proven`: whether its epoch has a proof; `other`: what the server holds of this kind already.
pub fn acquire(l: &Lease, g: &Grant, proven: bool, other: Option<Resource>, now: Millis) -> LeaseResult<Lease> {
    if l.state != LeaseState::Free {
        return Err(LeaseError::NotFree {
            resource: l.resource.clone(),
            state: l.state,
            holder: l.holder,
            epoch: l.epoch,
        });
    }
    believes(l, g.seen_epoch, None)?;
    if !proven {
        return Err(no_proof(l, l.epoch));
    }
    if let Some(resource) = other {
        return Err(LeaseError::HolderHasAnother { resource });
    }
    Ok(Lease {
        epoch: l.epoch + 1,
        holder: Some(g.holder),
        holder_session: Some(g.session),
        renewer: Some(g.renewer),
        granted_at: Some(now),
        expires_at: Some(now.plus(g.ttl_ms)),
        handover_to: None,
        ..changed(l, LeaseEvent::Acquire)?
    })
}

/// The lease after a renewal: a change only when it was lost.
pub fn renew(l: &Lease, epoch: i64, session: SessionId, ttl_ms: i64, now: Millis) -> LeaseResult<Lease> {
    believes(l, epoch, Some(session))?;
    let next = match l.state {
        LeaseState::Lost => changed(l, LeaseEvent::Renew)?,
        LeaseState::Held | LeaseState::Draining => l.clone(),
        _ => return Err(stale(l, epoch)),
    };
    Ok(Lease {
        // A renewal that was overtaken by a longer one shortens nothing.
        expires_at: l.expires_at.max(Some(now.plus(ttl_ms))),
        ..next
    })
}

/// The lease after its session or its renewer changed.
pub fn adopt(
    l: &Lease,
    epoch: i64,
    session: SessionId,
    renewer: HostId,
    ttl_ms: i64,
    now: Millis,
) -> LeaseResult<Lease> {
    believes(l, epoch, None)?;
    Ok(Lease {
        holder_session: Some(session),
        renewer: Some(renewer),
        expires_at: Some(now.plus(ttl_ms)),
        ..changed(l, LeaseEvent::Adopt)?
    })
}

/// The lease after its holder was asked to hand over.
pub fn handover(l: &Lease, epoch: i64, to: Option<HostId>) -> LeaseResult<Lease> {
    believes(l, epoch, None)?;
    Ok(Lease {
        handover_to: to,
        ..changed(l, LeaseEvent::Handover)?
    })
}

/// The lease after it was not renewed, or `None` when it is not that late.
pub fn expire(l: &Lease, grace_ms: i64, now: Millis) -> LeaseResult<Option<Lease>> {
    let alive = matches!(l.state, LeaseState::Held | LeaseState::Draining);
    match l.expires_at {
        Some(at) if alive && at.plus(grace_ms) < now => changed(l, LeaseEvent::Expire).map(Some),
        _ => Ok(None),
    }
}

/// The lease after its tokens became void. `above`: an epoch seen elsewhere, which the new one must exceed.
pub fn begin_fence(l: &Lease, epoch: i64, above: Option<i64>) -> LeaseResult<Lease> {
    believes(l, epoch, None)?;
    Ok(Lease {
        epoch: l.epoch.max(above.unwrap_or(0)) + 1,
        ..changed(l, LeaseEvent::BeginFence)?
    })
}

/// As [`begin_fence`], from a lease that is still alive.
pub fn break_glass(l: &Lease, epoch: i64) -> LeaseResult<Lease> {
    believes(l, epoch, None)?;
    Ok(Lease {
        epoch: l.epoch + 1,
        ..changed(l, LeaseEvent::BreakGlass)?
    })
}

/// The lease after its fence was proven. `proven`: whether its epoch has a proof.
pub fn end_fence(l: &Lease, epoch: i64, proven: bool) -> LeaseResult<Lease> {
    believes(l, epoch, None)?;
    let next = changed(l, LeaseEvent::EndFence)?;
    if !proven {
        return Err(no_proof(l, l.epoch));
    }
    Ok(freed(next))
}

/// The lease after it was given back. Its proof is for the new epoch.
pub fn release(l: &Lease, epoch: i64, session: Option<SessionId>) -> LeaseResult<Lease> {
    believes(l, epoch, session)?;
    Ok(freed(Lease {
        epoch: l.epoch + 1,
        ..changed(l, LeaseEvent::Release)?
    }))
}

/// The lease after its identity came into doubt; `jump` is added to its epoch (0 except after a restore of the store).
pub fn quarantine(l: &Lease, epoch: i64, jump: i64) -> LeaseResult<Lease> {
    believes(l, epoch, None)?;
    Ok(Lease {
        epoch: l.epoch + jump,
        ..changed(l, LeaseEvent::Quarantine)?
    })
}

/// The changes that void every token of a lease whose store was restored: it ends quarantined, at an epoch far above its own
/// and above `seen`, the highest that anybody saw of it.
pub fn voided(l: &Lease, seen: i64, now: Millis) -> LeaseResult<Vec<(LeaseEvent, Lease)>> {
    let highest = l.epoch.max(seen);
    let far = highest.saturating_add(EPOCH_JUMP).saturating_add(now.0.max(0) / 1000);
    if l.state != LeaseState::Quarantined {
        let after = quarantine(l, l.epoch, far - l.epoch)?;
        return Ok(vec![(LeaseEvent::Quarantine, after)]);
    }
    // A quarantined lease is quarantined again by way of a fence: nothing else raises its epoch.
    let fencing = begin_fence(l, l.epoch, Some(far - 1))?;
    let after = quarantine(&fencing, fencing.epoch, 0)?;
    Ok(vec![(LeaseEvent::BeginFence, fencing), (LeaseEvent::Quarantine, after)])
}

/// What is left of the lease, if that is enough.
pub fn authorize(l: &Lease, epoch: i64, session: Option<SessionId>, budget_ms: i64, now: Millis) -> LeaseResult<i64> {
    believes(l, epoch, session)?;
    let (LeaseState::Held | LeaseState::Draining, Some(expires)) = (l.state, l.expires_at) else {
        return Err(stale(l, epoch));
    };
    let remaining_ms = expires.since(now);
    if remaining_ms <= 0 || remaining_ms < budget_ms {
        return Err(LeaseError::Expired {
            resource: l.resource.clone(),
            remaining_ms,
            budget_ms,
        });
    }
    Ok(remaining_ms)
}

/// Whether a run at SQL Server may act.
pub fn authorize_run(l: &Lease, epoch: i64) -> LeaseResult<()> {
    believes(l, epoch, None)?;
    match l.state {
        LeaseState::Fencing | LeaseState::Held | LeaseState::Draining | LeaseState::Free => Ok(()),
        LeaseState::Lost | LeaseState::Quarantined => Err(stale(l, epoch)),
    }
}

/// Whether a first word may be given while another one waits.
pub fn first_word(l: &Lease, epoch: i64, first: &str, waiting: Option<&Attestation>, now: Millis) -> LeaseResult<()> {
    believes(l, epoch, None)?;
    if l.state == LeaseState::Free {
        return Err(stale(l, epoch));
    }
    match waiting {
        // One's own word may be given again, and a lapsed one is nobody's.
        Some(a) if a.first != first && now <= a.valid_until => Err(LeaseError::WordWaits {
            resource: l.resource.clone(),
            first: a.first.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whether a second word confirms a first one.
pub fn second_word(l: &Lease, a: &Attestation, second: &str, now: Millis) -> LeaseResult<()> {
    let (resource, first) = (l.resource.clone(), a.first.clone());
    if a.state != AttestationState::Waiting {
        return Err(LeaseError::NoWord { resource });
    }
    if now > a.valid_until {
        return Err(LeaseError::WordLapsed { resource, first });
    }
    if second.is_empty() || second == first {
        return Err(LeaseError::OnePerson { resource, first });
    }
    believes(l, a.epoch, None)
}

/// The lease with the state after the event, one change older.
fn changed(l: &Lease, event: LeaseEvent) -> LeaseResult<Lease> {
    Ok(Lease {
        state: l.state.next(event)?,
        row_version: l.row_version + 1,
        ..l.clone()
    })
}

/// The lease without a holder; its epoch is proven.
fn freed(l: Lease) -> Lease {
    Lease {
        holder: None,
        holder_session: None,
        renewer: None,
        granted_at: None,
        expires_at: None,
        handover_to: None,
        fenced_epoch: l.epoch,
        ..l
    }
}

/// The comparison is strict, in both directions: an epoch from the future is as wrong as an old one.
fn believes(l: &Lease, epoch: i64, session: Option<SessionId>) -> LeaseResult<()> {
    let same_session = session.is_none_or(|s| l.holder_session == Some(s));
    if l.epoch == epoch && same_session {
        Ok(())
    } else {
        Err(stale(l, epoch))
    }
}

fn stale(l: &Lease, expected: i64) -> LeaseError {
    LeaseError::Stale {
        resource: l.resource.clone(),
        expected,
        found: l.epoch,
        state: l.state,
        holder: l.holder,
    }
}

fn no_proof(l: &Lease, epoch: i64) -> LeaseError {
    LeaseError::NoProof {
        resource: l.resource.clone(),
        epoch,
    }
}
