//! Leases that were not renewed in time are called lost. Nothing is freed by that: the server may still run.

use syncferry_shared::lease::{Lease, ProofKind};
use syncferry_shared::sabotage::{self, Mutant};
use syncferry_store::{By, NewProof, Tx};

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
    if sabotage::on(Mutant::ExpiryFrees) {
        for lease in &lost {
            free(&mut *tx, lease).await?;
        }
    }
    tx.commit().await?;
    for lease in lost {
        tracing::error!(resource = %lease.resource, epoch = lease.epoch, "a lease is lost: its renewer was not heard of. Its holder may still run");
    }
    Ok(())
}

/// What must never happen: a simulation does it to see that it would notice.
async fn free(tx: &mut dyn Tx, lease: &Lease) -> Result<(), Problem> {
    let by = By::new("controller");
    let fencing = tx.begin_fence(&lease.resource, lease.epoch, None, &by).await?;
    let proof = NewProof {
        kind: ProofKind::HolderStopped,
        evidence: serde_json::json!({}),
        actor: by.actor.clone(),
        second: None,
    };
    tx.add_proof(&lease.resource, fencing.epoch, &proof).await?;
    tx.end_fence(&lease.resource, fencing.epoch, &by).await?;
    Ok(())
}
