//! The store's own identity, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::lease::{LeaseEvent, LeaseState};
use syncferry_store::meta::EPOCH_JUMP;
use syncferry_store::{By, Cause, LeaseError, Leases as _, Meta, Result, StoreMeta, lease_rules};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<StoreMeta> {
    Ok(StoreMeta {
        id: row.parsed("store_id")?,
        incarnation: row.int("incarnation")?,
        opened_at: row.at("opened_at")?,
    })
}

#[async_trait]
impl Meta for PgTx {
    async fn meta(&mut self) -> Result<StoreMeta> {
        let query = sqlx::query("SELECT store_id, incarnation, opened_at FROM store_meta");
        self.need(query, read, || "the store's identity".into()).await
    }

    async fn begin_incarnation(&mut self, by: &By) -> Result<StoreMeta> {
        let query = sqlx::query(
            "UPDATE store_meta SET incarnation = incarnation + 1 RETURNING store_id, incarnation, opened_at",
        );
        let meta = self.written(query, read, || "the store's identity".into()).await?;
        for lease in self.leases().await? {
            let jumped = self.void_tokens(lease, by).await;
            jumped.map_err(|e| match e {
                LeaseError::Store(e) => e,
                other => self.fail(Cause::Other(other.to_string())),
            })?;
        }
        // What this transaction writes belongs to the new incarnation.
        self.incarnation = meta.incarnation;
        Ok(meta)
    }
}

impl PgTx {
    /// Quarantines a lease at an epoch far above every one that may have been given out and forgotten.
    async fn void_tokens(&mut self, lease: syncferry_shared::lease::Lease, by: &By) -> Result<(), LeaseError> {
        let (before, jump) = match lease.state {
            // A quarantined lease is quarantined again by way of a fence: nothing else raises its epoch.
            LeaseState::Quarantined => {
                let fenced = lease_rules::begin_fence(&lease, lease.epoch, Some(lease.epoch + EPOCH_JUMP - 1))?;
                (
                    self.write_lease_change(&lease, fenced, LeaseEvent::BeginFence, by)
                        .await?,
                    0,
                )
            }
            _ => (lease, EPOCH_JUMP),
        };
        let after = lease_rules::quarantine(&before, before.epoch, jump)?;
        self.write_lease_change(&before, after, LeaseEvent::Quarantine, by)
            .await?;
        Ok(())
    }
}
