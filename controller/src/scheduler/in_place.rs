//! A server that stays the same host: when the old database's lease is free with a proof, it takes the new one's, in one transaction.

use serde_json::json;
use syncferry_shared::HostId;
use syncferry_shared::lease::{Lease, LeaseState, Resource};
use syncferry_shared::plan::PlannedHandover;
use syncferry_store::{By, IdentityState, Migration, Tx};

use super::handing_over::{acquire, no_renewer, renewer};
use crate::core::{Core, migration_event};
use crate::problem::Problem;

/// Whether the server has the lease that it takes when it gives this one up.
pub(super) async fn taken(tx: &mut dyn Tx, h: &PlannedHandover) -> Result<bool, Problem> {
    let Some(takes) = &h.takes else { return Ok(true) };
    let alive = |l: &Lease| matches!(l.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost);
    Ok(tx
        .lease(takes)
        .await?
        .is_some_and(|l| alive(&l) && l.holder == Some(h.to)))
}

/// The old database is nobody's, so the server gets the new one. Both stand in one transaction with what freed the old one: a
/// server that never held two, and a database that nobody else could have taken in between.
#[expect(
    clippy::too_many_arguments,
    reason = "what frees the one lease and what seats the other belong together"
)]
pub(super) async fn take(
    core: &Core,
    tx: &mut dyn Tx,
    m: &Migration,
    h: &PlannedHandover,
    free: &Lease,
    takes: &Resource,
    mut hosts: Vec<HostId>,
    by: &By,
) -> Result<Result<Vec<HostId>, String>, Problem> {
    let Some(seat) = tx.lease(takes).await? else {
        return Ok(Err(format!("the lease {takes} is gone")));
    };
    let Some((renewer, session)) = renewer(tx, h, takes, h.to).await? else {
        return Ok(Err(no_renewer(h)));
    };
    let held = match acquire(core, tx, &seat, h.to, renewer, session, by).await? {
        Ok(held) => held,
        Err(why) => return Ok(Err(why)),
    };
    // What the old installation had stays where it is, and is nobody's to use any more.
    if let Some(left) = h.resource.database_id()
        && tx
            .database(left)
            .await?
            .is_some_and(|d| d.identity_state != IdentityState::Retired)
    {
        tx.retire_database(left).await?;
    }
    let proofs: Vec<&str> = tx
        .proofs(&h.resource)
        .await?
        .iter()
        .filter(|p| p.epoch == free.epoch)
        .map(|p| p.kind.as_str())
        .collect();
    let payload = json!({
        "title": format!("{} → {takes}", h.lease_name),
        "lease": h.lease_name,
        "takes": takes,
        "from_epoch": free.epoch, "to_epoch": held.epoch,
        "proof": proofs,
    });
    tx.append_event(migration_event(m.id, "lease.handed-over", "controller", payload))
        .await?;
    hosts.push(renewer);
    Ok(Ok(hosts))
}
