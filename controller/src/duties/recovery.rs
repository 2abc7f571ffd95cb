//! A recovery ends when the last of its leases was released.

use super::term::{Right, begin};
use crate::core::Core;
use crate::problem::Problem;
use crate::recovery;

pub(super) async fn look(core: &Core, right: &Right) -> Result<(), Problem> {
    let mut tx = core.store.read("duty.recovery-look").await?;
    if tx.recovery().await?.is_none_or(|r| r.ended_at.is_some()) {
        return Ok(());
    }
    let waits = recovery::status::look(&mut *tx)
        .await?
        .is_some_and(|s| !s.leases.is_empty());
    drop(tx);
    if waits {
        return Ok(());
    }
    let mut tx = begin(core, "duty.recovery", right).await?;
    if recovery::end_when_done(&mut *tx).await? {
        tx.commit().await?;
        tracing::warn!("every lease was released: the store is recovered");
    }
    Ok(())
}
