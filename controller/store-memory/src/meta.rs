//! The store's own identity, in memory.

use async_trait::async_trait;
use syncferry_shared::lease::{Lease, LeaseEvent, LeaseState};
use syncferry_store::meta::EPOCH_JUMP;
use syncferry_store::{By, Cause, LeaseError, Leases as _, Meta, Result, StoreMeta, lease_rules};

use crate::tx::MemoryTx;

#[async_trait]
impl Meta for MemoryTx {
    async fn meta(&mut self) -> Result<StoreMeta> {
        Ok(self.data.meta)
    }

    async fn begin_incarnation(&mut self, by: &By) -> Result<StoreMeta> {
        for lease in self.leases().await? {
            let jumped = self.void_tokens(lease, by).await;
            jumped.map_err(|e| match e {
                LeaseError::Store(e) => e,
                other => self.fail(Cause::Other(other.to_string())),
            })?;
        }
        let meta = &mut self.change()?.meta;
        meta.incarnation += 1;
        Ok(*meta)
    }
}

impl MemoryTx {
    /// Quarantines a lease at an epoch far above every one that may have been given out and forgotten.
    async fn void_tokens(&mut self, lease: Lease, by: &By) -> Result<(), LeaseError> {
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
