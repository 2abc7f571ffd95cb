//! Leases, in memory. The rules are the shared ones; the writer is alone, so what was read is what is replaced.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::event::{NewEvent, StreamKind};
use syncferry_shared::lease::{Lease, LeaseEvent, LeaseKind, LeaseState, ProofKind, Resource};
use syncferry_shared::{HostId, SessionId};
use syncferry_store::{
    By, Cause, Events as _, Grant, LeaseChange, LeaseError, LeaseResult, Leases, NewProof, Result, lease_rules,
};

use crate::tx::MemoryTx;

#[async_trait]
impl Leases for MemoryTx {
    async fn create_lease(
        &mut self,
        resource: &Resource,
        kind: LeaseKind,
        never_used: Option<&Value>,
        by: &By,
    ) -> Result<Lease> {
        if self.data.leases.contains_key(resource) {
            return Err(self.fail(Cause::Conflict(format!("the lease '{resource}'"))));
        }
        let lease = Lease {
            resource: resource.clone(),
            kind,
            state: LeaseState::Free,
            epoch: 0,
            holder: None,
            holder_session: None,
            renewer: None,
            granted_at: None,
            expires_at: None,
            handover_to: None,
            fenced_epoch: 0,
            row_version: 0,
        };
        self.put(|d| &mut d.leases, resource.clone(), lease.clone())?;
        self.write_lease_history(&lease, &lease, "create", by).await?;
        if let Some(evidence) = never_used {
            let proof = NewProof {
                kind: ProofKind::NeverUsed,
                evidence: evidence.clone(),
                actor: by.actor.clone(),
                second: None,
            };
            self.insert_proof(resource, 0, &proof)?;
        }
        Ok(lease)
    }

    async fn lease(&mut self, resource: &Resource) -> Result<Option<Lease>> {
        Ok(self.data.leases.get(resource).cloned())
    }

    async fn leases(&mut self) -> Result<Vec<Lease>> {
        Ok(self.data.leases.values().cloned().collect())
    }

    async fn lease_held_by(&mut self, holder: HostId, kind: LeaseKind) -> Result<Option<Lease>> {
        let holds = |l: &&Lease| {
            l.holder == Some(holder)
                && l.kind == kind
                && matches!(l.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost)
        };
        Ok(self.data.leases.values().find(holds).cloned())
    }

    async fn acquire_lease(&mut self, grant: &Grant, by: &By) -> LeaseResult<Lease> {
        let before = self.known_lease(&grant.resource)?;
        let proven = self.has_proof(&grant.resource, before.epoch);
        let other = self.lease_held_by(grant.holder, before.kind).await?;
        let after = lease_rules::acquire(&before, grant, proven, other.map(|l| l.resource), self.now)?;
        self.write_lease_change(&before, after, LeaseEvent::Acquire, by).await
    }

    async fn renew_lease(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: SessionId,
        ttl_ms: i64,
        by: &By,
    ) -> LeaseResult<Lease> {
        let before = self.known_lease(resource)?;
        let after = lease_rules::renew(&before, epoch, session, ttl_ms, self.now)?;
        if after.row_version != before.row_version {
            return self.write_lease_change(&before, after, LeaseEvent::Renew, by).await;
        }
        self.put(|d| &mut d.leases, resource.clone(), after.clone())?;
        Ok(after)
    }

    async fn adopt_lease(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: SessionId,
        renewer: HostId,
        ttl_ms: i64,
        by: &By,
    ) -> LeaseResult<Lease> {
        let before = self.known_lease(resource)?;
        let after = lease_rules::adopt(&before, epoch, session, renewer, ttl_ms, self.now)?;
        self.write_lease_change(&before, after, LeaseEvent::Adopt, by).await
    }

    async fn request_handover(
        &mut self,
        resource: &Resource,
        epoch: i64,
        to: Option<HostId>,
        by: &By,
    ) -> LeaseResult<Lease> {
        let before = self.known_lease(resource)?;
        let after = lease_rules::handover(&before, epoch, to)?;
        self.write_lease_change(&before, after, LeaseEvent::Handover, by).await
    }

    async fn expire_leases(&mut self, grace_ms: i64, by: &By) -> LeaseResult<Vec<Lease>> {
        let late = self.leases().await?;
        let mut lost = Vec::new();
        for before in late {
            if let Some(after) = lease_rules::expire(&before, grace_ms, self.now)? {
                lost.push(self.write_lease_change(&before, after, LeaseEvent::Expire, by).await?);
            }
        }
        Ok(lost)
    }

    async fn begin_fence(
        &mut self,
        resource: &Resource,
        epoch: i64,
        above: Option<i64>,
        by: &By,
    ) -> LeaseResult<Lease> {
        let before = self.known_lease(resource)?;
        let after = lease_rules::begin_fence(&before, epoch, above)?;
        self.write_lease_change(&before, after, LeaseEvent::BeginFence, by)
            .await
    }

    async fn break_glass(&mut self, resource: &Resource, epoch: i64, second: &str, by: &By) -> LeaseResult<Lease> {
        if second == by.actor || second.is_empty() {
            return Err(self
                .fail(Cause::Guard("break-glass needs the word of two people".into()))
                .into());
        }
        let before = self.known_lease(resource)?;
        let after = lease_rules::break_glass(&before, epoch)?;
        if !self.word_was_given(resource, &by.actor, None, Some(epoch)) {
            let why = "two people did not give their word for this";
            return Err(self.fail(Cause::Guard(why.into())).into());
        }
        let by = by
            .clone()
            .detail(json!({ "second": second, "reason": by.detail.clone() }));
        self.write_lease_change(&before, after, LeaseEvent::BreakGlass, &by)
            .await
    }

    async fn end_fence(&mut self, resource: &Resource, epoch: i64, by: &By) -> LeaseResult<Lease> {
        let before = self.known_lease(resource)?;
        let proven = self.has_proof(resource, before.epoch);
        let after = lease_rules::end_fence(&before, epoch, proven)?;
        self.write_lease_change(&before, after, LeaseEvent::EndFence, by).await
    }

    async fn release_lease(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: Option<SessionId>,
        proof: &NewProof,
        by: &By,
    ) -> LeaseResult<Lease> {
        let before = self.known_lease(resource)?;
        let after = lease_rules::release(&before, epoch, session)?;
        self.insert_proof(resource, after.epoch, proof)?;
        self.write_lease_change(&before, after, LeaseEvent::Release, by).await
    }

    async fn quarantine_lease(&mut self, resource: &Resource, epoch: i64, by: &By) -> LeaseResult<Lease> {
        let before = self.known_lease(resource)?;
        let after = lease_rules::quarantine(&before, epoch, 0)?;
        self.write_lease_change(&before, after, LeaseEvent::Quarantine, by)
            .await
    }

    async fn authorize(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: Option<SessionId>,
        budget_ms: i64,
    ) -> LeaseResult<i64> {
        let lease = self.known_lease(resource)?;
        lease_rules::authorize(&lease, epoch, session, budget_ms, self.now)
    }

    async fn authorize_run(&mut self, resource: &Resource, epoch: i64) -> LeaseResult<()> {
        lease_rules::authorize_run(&self.known_lease(resource)?, epoch)
    }

    async fn lease_history(&mut self, resource: &Resource) -> Result<Vec<LeaseChange>> {
        Ok(self.data.history.get(resource).cloned().unwrap_or_default())
    }
}

impl MemoryTx {
    /// The lease, which must exist.
    pub(crate) fn known_lease(&self, resource: &Resource) -> LeaseResult<Lease> {
        let lease = self.data.leases.get(resource).cloned();
        lease.ok_or_else(|| LeaseError::Unknown(resource.clone()))
    }

    /// Writes a change: its history, its event, then the row.
    pub(crate) async fn write_lease_change(
        &mut self,
        before: &Lease,
        after: Lease,
        event: LeaseEvent,
        by: &By,
    ) -> LeaseResult<Lease> {
        // The rules took `after` from the table; this is the second look at it.
        let to = before.state.next(event)?;
        debug_assert_eq!(to, after.state);
        for host in [after.holder, after.renewer, after.handover_to].into_iter().flatten() {
            self.needs_host(host)?;
        }
        self.write_lease_history(before, &after, event.as_str(), by).await?;
        self.put(|d| &mut d.leases, after.resource.clone(), after.clone())?;
        Ok(after)
    }

    async fn write_lease_history(&mut self, before: &Lease, after: &Lease, event: &str, by: &By) -> Result<()> {
        let change = LeaseChange {
            resource: after.resource.clone(),
            row_version: after.row_version,
            epoch: after.epoch,
            event: syncferry_store::words::lease_event(event),
            from: before.state,
            to: after.state,
            holder: after.holder.or(before.holder),
            session: after.holder_session.or(before.holder_session),
            actor: by.actor.clone(),
            detail: by.detail.clone(),
            migration: by.migration,
            attempt: by.attempt,
            at: self.now,
        };
        let told = NewEvent {
            stream_kind: StreamKind::Lease,
            stream_id: after.resource.0.clone(),
            kind: format!("lease.{event}"),
            actor: by.actor.clone(),
            payload: json!({
                "row_version": after.row_version,
                "epoch": after.epoch,
                "from": before.state.as_str(),
                "to": after.state.as_str(),
                "holder": change.holder.map(|h| h.to_string()),
                "migration": by.migration.map(|m| m.to_string()),
                "detail": by.detail,
            }),
        };
        let history = Arc::make_mut(&mut self.change()?.history);
        history.entry(after.resource.clone()).or_default().push(change);
        self.append_event(told).await.map(drop)
    }
}
