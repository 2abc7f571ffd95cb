//! Leases that were not renewed in time are called lost. Nothing is freed by that: the server may still run.

use syncferry_store::By;

use super::term::{Right, begin};
use crate::core::Core;
use crate::problem::Problem;

pub(super) async fn look(core: &Core, right: &Right) -> Result<(), Problem> {
    let mut tx = begin(core, "duty.expire-leases", right).await?;
    let lost = tx
        .expire_leases(core.config.leases.grace_ms(), &By::new("controller"))
        .await?;
    if lost.is_empty() {
        return Ok(());
    }
    tx.commit().await?;
    for lease in lost {
        tracing::error!(resource = %lease.resource, epoch = lease.epoch, "a lease is lost: its renewer was not heard of. Its holder may still run");
    }
    Ok(())
}
