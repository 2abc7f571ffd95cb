//! The store's own identity and standing, in memory.

use async_trait::async_trait;
use syncferry_shared::lease::Lease;
use syncferry_store::{
    By, Cause, Highest, LeaseError, Leases as _, Mark, Meta, Result, Standing, StoreMeta, StoreState, lease_rules,
};

use crate::tx::MemoryTx;

#[async_trait]
impl Meta for MemoryTx {
    async fn meta(&mut self) -> Result<StoreMeta> {
        Ok(self.data.meta)
    }

    async fn begin_incarnation(&mut self, above: &Highest, by: &By) -> Result<StoreMeta> {
        for lease in self.leases().await? {
            let seen = above.epochs.get(&lease.resource).copied().unwrap_or(0);
            let voided = self.void_tokens(lease, seen, by).await;
            voided.map_err(|e| match e {
                LeaseError::Store(e) => e,
                other => self.fail(Cause::Other(other.to_string())),
            })?;
        }
        let meta = &mut self.change()?.meta;
        meta.incarnation = meta.incarnation.max(above.incarnation).saturating_add(1);
        Ok(*meta)
    }

    async fn standing(&mut self) -> Result<Standing> {
        Ok(self.data.standing.clone())
    }

    async fn stand(&mut self, standing: &Standing) -> Result<()> {
        let guard = |why: &str| Err(Cause::Guard(why.into()));
        let moves = matches!(standing.state, StoreState::Moving | StoreState::Moved);
        let checked = match self.data.standing.state {
            StoreState::Moved if standing.state != StoreState::Moved => {
                guard("a store that was moved is not used again")
            }
            _ if moves != standing.moved_to.is_some() => guard("a store that moves says where to"),
            _ => Ok(()),
        };
        checked.map_err(|c| self.fail(c))?;
        self.change()?.standing = standing.clone();
        Ok(())
    }

    async fn newest_event(&mut self) -> Result<Option<Mark>> {
        let position = i64::try_from(self.data.positions.len()).unwrap_or(i64::MAX);
        let hash = self.event_hash_at(position).await?;
        Ok(hash.map(|hash| Mark { position, hash }))
    }

    async fn event_hash_at(&mut self, position: i64) -> Result<Option<String>> {
        let at = usize::try_from(position).ok().and_then(|p| p.checked_sub(1));
        let hash = at.and_then(|at| self.data.positions.get(at));
        Ok(hash.map(|h| String::from_utf8_lossy(h).into_owned()))
    }
}

impl MemoryTx {
    async fn void_tokens(&mut self, lease: Lease, seen: i64, by: &By) -> Result<(), LeaseError> {
        let mut before = lease;
        for (event, after) in lease_rules::voided(&before, seen, self.now)? {
            before = self.write_lease_change(&before, after, event, by).await?;
        }
        Ok(())
    }
}
