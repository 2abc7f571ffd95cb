//! Leases, on PostgreSQL. One controller's transaction writes at a time, and a lease that is to be changed is locked when it is
//! read, also against a person's session: so what was read is what the UPDATE finds. Its guard and the triggers of
//! `0002_leases.sql` check that again.

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use syncferry_shared::event::{NewEvent, StreamKind};
use syncferry_shared::lease::{Lease, LeaseEvent, LeaseKind, LeaseState, ProofKind, Resource};
use syncferry_shared::{HostId, SessionId};
use syncferry_store::{
    By, Cause, Events as _, Grant, LeaseChange, LeaseError, LeaseResult, Leases, NewProof, Result, lease_rules, words,
};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Lease> {
    Ok(Lease {
        resource: Resource(row.text("resource")?),
        kind: row.word("kind", words::lease_kind)?,
        state: row.parsed("state")?,
        epoch: row.int("epoch")?,
        holder: row.opt_parsed("holder")?,
        holder_session: row.opt_parsed("holder_session")?,
        renewer: row.opt_parsed("renewer")?,
        granted_at: row.opt_at("granted_at")?,
        expires_at: row.opt_at("expires_at")?,
        handover_to: row.opt_parsed("handover_to")?,
        fenced_epoch: row.int("fenced_epoch")?,
        row_version: row.int("row_version")?,
    })
}

fn read_change(row: &PgRow) -> Read<LeaseChange> {
    let job = row.opt_parsed("job_id")?;
    let attempt = row.opt_int("attempt")?.and_then(|a| i32::try_from(a).ok());
    Ok(LeaseChange {
        resource: Resource(row.text("resource")?),
        row_version: row.int("row_version")?,
        epoch: row.int("epoch")?,
        event: words::lease_event(&row.text("event")?),
        from: row.parsed("from_state")?,
        to: row.parsed("to_state")?,
        holder: row.opt_parsed("holder")?,
        session: row.opt_parsed("session")?,
        actor: row.text("actor")?,
        detail: row.json("detail")?,
        migration: row.opt_parsed("migration_id")?,
        attempt: job.zip(attempt),
        at: row.at("at")?,
    })
}

#[async_trait]
impl Leases for PgTx {
    async fn create_lease(
        &mut self,
        resource: &Resource,
        kind: LeaseKind,
        never_used: Option<&Value>,
        by: &By,
    ) -> Result<Lease> {
        // The key of the table would refuse it as a mistake; to a caller it is a conflict.
        if self.lease(resource).await?.is_some() {
            return Err(self.fail(Cause::Conflict(format!("the lease '{resource}'"))));
        }
        let insert = sqlx::query(
            "INSERT INTO lease(resource, kind, state, epoch, fenced_epoch, row_version) VALUES ($1, $2, 'free', 0, 0, 0)
             RETURNING *",
        );
        let insert = insert.bind(resource.0.clone()).bind(kind.as_str());
        let lease = self.written(insert, read, || format!("lease {resource}")).await?;
        self.write_lease_history(&lease, &lease, "create", by).await?;
        if let Some(evidence) = never_used {
            let proof = NewProof {
                kind: ProofKind::NeverUsed,
                evidence: evidence.clone(),
                actor: by.actor.clone(),
                second: None,
            };
            self.insert_proof(resource, 0, &proof).await?;
        }
        Ok(lease)
    }

    async fn lease(&mut self, resource: &Resource) -> Result<Option<Lease>> {
        let query = sqlx::query("SELECT * FROM lease WHERE resource = $1");
        self.find(query.bind(resource.0.clone()), read).await
    }

    async fn leases(&mut self) -> Result<Vec<Lease>> {
        self.list(sqlx::query("SELECT * FROM lease ORDER BY resource"), read)
            .await
    }

    async fn lease_held_by(&mut self, holder: HostId, kind: LeaseKind) -> Result<Option<Lease>> {
        let query = sqlx::query(
            "SELECT * FROM lease WHERE holder = $1 AND kind = $2 AND state IN ('held', 'draining', 'lost')",
        );
        self.find(query.bind(holder.to_string()).bind(kind.as_str()), read)
            .await
    }

    async fn acquire_lease(&mut self, grant: &Grant, by: &By) -> LeaseResult<Lease> {
        let before = self.known_lease(&grant.resource).await?;
        let proven = self.has_proof(&grant.resource, before.epoch).await?;
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
        let before = self.known_lease(resource).await?;
        let after = lease_rules::renew(&before, epoch, session, ttl_ms, self.now)?;
        if after.row_version != before.row_version {
            return self.write_lease_change(&before, after, LeaseEvent::Renew, by).await;
        }
        let update = sqlx::query(
            "UPDATE lease SET expires_at = $4
              WHERE resource = $1 AND epoch = $2 AND holder_session = $3 AND state IN ('held', 'draining')",
        )
        .bind(resource.0.clone())
        .bind(epoch)
        .bind(session.to_string())
        .bind(after.expires_at.map(|t| t.0));
        match self.exec(update).await? {
            1 => Ok(after),
            _ => Err(self.lease_changed_under_us(resource).into()),
        }
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
        let before = self.known_lease(resource).await?;
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
        let before = self.known_lease(resource).await?;
        let after = lease_rules::handover(&before, epoch, to)?;
        self.write_lease_change(&before, after, LeaseEvent::Handover, by).await
    }

    async fn expire_leases(&mut self, grace_ms: i64, by: &By) -> LeaseResult<Vec<Lease>> {
        let query = sqlx::query(
            "SELECT * FROM lease WHERE state IN ('held', 'draining') AND expires_at < $1 ORDER BY resource",
        );
        let late = self.list(query.bind(self.now.plus(-grace_ms).0), read).await?;
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
        let before = self.known_lease(resource).await?;
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
        let before = self.known_lease(resource).await?;
        let after = lease_rules::break_glass(&before, epoch)?;
        let by = by
            .clone()
            .detail(json!({ "second": second, "reason": by.detail.clone() }));
        self.write_lease_change(&before, after, LeaseEvent::BreakGlass, &by)
            .await
    }

    async fn end_fence(&mut self, resource: &Resource, epoch: i64, by: &By) -> LeaseResult<Lease> {
        let before = self.known_lease(resource).await?;
        let proven = self.has_proof(resource, before.epoch).await?;
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
        let before = self.known_lease(resource).await?;
        let after = lease_rules::release(&before, epoch, session)?;
        self.insert_proof(resource, after.epoch, proof).await?;
        self.write_lease_change(&before, after, LeaseEvent::Release, by).await
    }

    async fn quarantine_lease(&mut self, resource: &Resource, epoch: i64, by: &By) -> LeaseResult<Lease> {
        let before = self.known_lease(resource).await?;
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
        let lease = self.known_lease(resource).await?;
        lease_rules::authorize(&lease, epoch, session, budget_ms, self.now)
    }

    async fn authorize_run(&mut self, resource: &Resource, epoch: i64) -> LeaseResult<()> {
        let lease = self.known_lease(resource).await?;
        lease_rules::authorize_run(&lease, epoch)
    }

    async fn lease_history(&mut self, resource: &Resource) -> Result<Vec<LeaseChange>> {
        let query = sqlx::query("SELECT * FROM lease_event WHERE resource = $1 ORDER BY row_version");
        self.list(query.bind(resource.0.clone()), read_change).await
    }
}

impl PgTx {
    /// The lease, which must exist.
    pub(crate) async fn known_lease(&mut self, resource: &Resource) -> LeaseResult<Lease> {
        let lease = if self.writes {
            let query = sqlx::query("SELECT * FROM lease WHERE resource = $1 FOR UPDATE");
            self.find(query.bind(resource.0.clone()), read).await?
        } else {
            self.lease(resource).await?
        };
        lease.ok_or_else(|| LeaseError::Unknown(resource.clone()))
    }

    /// Writes a change: its history, its event, then the row, if the row is still what it was.
    pub(crate) async fn write_lease_change(
        &mut self,
        before: &Lease,
        after: Lease,
        event: LeaseEvent,
        by: &By,
    ) -> LeaseResult<Lease> {
        // The rules took `after` from the table; this is the second look at it.
        let to: LeaseState = before.state.next(event)?;
        debug_assert_eq!(to, after.state);
        self.write_lease_history(before, &after, event.as_str(), by).await?;
        let update = sqlx::query(
            "UPDATE lease SET state = $4, epoch = $5, holder = $6, holder_session = $7, renewer = $8, granted_at = $9,
               expires_at = $10, handover_to = $11, fenced_epoch = $12, row_version = $13
             WHERE resource = $1 AND row_version = $2 AND state = $3",
        )
        .bind(before.resource.0.clone())
        .bind(before.row_version)
        .bind(before.state.as_str())
        .bind(to.as_str())
        .bind(after.epoch)
        .bind(after.holder.map(|h| h.to_string()))
        .bind(after.holder_session.map(|s| s.to_string()))
        .bind(after.renewer.map(|h| h.to_string()))
        .bind(after.granted_at.map(|t| t.0))
        .bind(after.expires_at.map(|t| t.0))
        .bind(after.handover_to.map(|h| h.to_string()))
        .bind(after.fenced_epoch)
        .bind(after.row_version);
        match self.exec(update).await? {
            1 => Ok(after),
            _ => Err(self.lease_changed_under_us(&before.resource).into()),
        }
    }

    async fn write_lease_history(&mut self, before: &Lease, after: &Lease, event: &str, by: &By) -> Result<()> {
        let holder = after.holder.or(before.holder).map(|h| h.to_string());
        let session = after.holder_session.or(before.holder_session).map(|s| s.to_string());
        let insert = sqlx::query(
            "INSERT INTO lease_event(resource, row_version, epoch, event, from_state, to_state, holder, session, actor,
               detail, migration_id, job_id, attempt, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(after.resource.0.clone())
        .bind(after.row_version)
        .bind(after.epoch)
        .bind(event.to_string())
        .bind(before.state.as_str())
        .bind(after.state.as_str())
        .bind(holder.clone())
        .bind(session)
        .bind(by.actor.clone())
        .bind(by.detail.to_string())
        .bind(by.migration.map(|m| m.to_string()))
        .bind(by.attempt.map(|(job, _)| job.to_string()))
        .bind(by.attempt.map(|(_, n)| n))
        .bind(self.now.0);
        self.exec(insert).await?;
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
                "holder": holder,
                "migration": by.migration.map(|m| m.to_string()),
                "detail": by.detail,
            }),
        };
        self.append_event(told).await.map(drop)
    }

    /// Cannot happen while the row is locked; if it does, something else wrote in this very transaction.
    fn lease_changed_under_us(&self, resource: &Resource) -> syncferry_store::StoreError {
        self.fail(Cause::Guard(format!("lease {resource} changed within the transaction")))
    }
}
