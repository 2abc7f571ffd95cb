//! The lease of a tenant's export: at most one Connect server of a tenant is out of staging mode. It exists from the site
//! on, belongs to the server that is seen active when its database is registered, and changes hands by `lease handover`.

use serde_json::{Value, json};
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, ProofKind, Resource};
use syncferry_shared::{Finding, HostId, SessionId};
use syncferry_store::{By, Grant, NewProof, Tx};

use crate::core::Core;
use crate::problem::Problem;

/// The lease, made when it is not there. Sites that name the same tenant share it.
pub(crate) async fn ensure(tx: &mut dyn Tx, tenant: &str, actor: &str) -> Result<Lease, Problem> {
    let resource = Resource::tenant_export(tenant);
    if let Some(lease) = tx.lease(&resource).await? {
        return Ok(lease);
    }
    // Nothing proves yet that nobody exports: the proof comes with the server that is seen to.
    let by = By::new(actor).detail(json!({"reason": "the tenant became known"}));
    Ok(tx.create_lease(&resource, LeaseKind::TenantExport, None, &by).await?)
}

/// A server that was seen out of staging mode, and who renews for it.
pub(crate) struct Active {
    pub(crate) host: HostId,
    pub(crate) renewer: HostId,
    pub(crate) session: SessionId,
    /// What was seen.
    pub(crate) evidence: Value,
}

/// Gives a free export to the server that is seen to have it in fact. Anybody else's is left alone: the watch says so.
pub(crate) async fn grant_to_active(
    core: &Core,
    tx: &mut dyn Tx,
    tenant: &str,
    actor: &str,
    active: &Active,
) -> Result<Option<Lease>, Problem> {
    let lease = ensure(tx, tenant, actor).await?;
    let busy = tx.lease_held_by(active.host, LeaseKind::TenantExport).await?.is_some();
    if lease.state != LeaseState::Free || busy {
        return Ok(None);
    }
    if lease.epoch == 0 {
        let proof = NewProof {
            kind: ProofKind::NeverUsed,
            evidence: json!({"reason": "nobody held it under Syncferry before", "seen": active.evidence}),
            actor: actor.to_string(),
            second: None,
        };
        tx.add_proof(&lease.resource, 0, &proof).await?;
    }
    let grant = Grant {
        resource: lease.resource.clone(),
        seen_epoch: lease.epoch,
        holder: active.host,
        session: active.session,
        renewer: active.renewer,
        ttl_ms: core.config.leases.ttl_ms(),
    };
    let by = By::new(actor).detail(json!({
        "reason": "seen out of staging mode when its database was registered", "seen": active.evidence,
    }));
    Ok(Some(tx.acquire_lease(&grant, &by).await?))
}

/// Whether a server may leave staging mode: what `switch-active` asks before it lets anybody turn it off.
pub fn may_leave_staging(lease: Option<&Lease>, host: HostId, name: &str) -> Result<(), Box<Finding>> {
    let held = lease.filter(|l| l.state == LeaseState::Held && l.holder == Some(host));
    if held.is_some() {
        return Ok(());
    }
    let (resource, found) = match lease {
        Some(l) => (l.resource.0.clone(), format!("{}, epoch {}", l.state, l.epoch)),
        None => ("the tenant's export".to_string(), "no such lease".to_string()),
    };
    Err(Box::new(
        Finding::blocker("export-not-held", format!("{name} does not hold the tenant's export"))
            .saw(format!("lease {resource}"), found)
            .source("Microsoft: one server of a tenant exports; every other one is in staging mode")
            .next(format!(
                "Put the active server into staging mode, then: syncferry lease handover {resource} --to {name} --reason <why>"
            )),
    ))
}

#[cfg(test)]
mod tests {
    use syncferry_shared::Millis;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_the_holder_of_the_export_may_leave_staging_mode() {
        let (ours, other) = (HostId(Uuid::from_u128(1)), HostId(Uuid::from_u128(2)));
        let lease = |state, holder| Lease {
            resource: Resource::tenant_export("t"),
            kind: LeaseKind::TenantExport,
            state,
            epoch: 4,
            holder,
            holder_session: None,
            renewer: None,
            granted_at: None,
            expires_at: Some(Millis(1)),
            handover_to: None,
            fenced_epoch: 2,
            row_version: 7,
        };
        let may = |l: Option<Lease>| may_leave_staging(l.as_ref(), ours, "SYNC02");
        assert!(may(Some(lease(LeaseState::Held, Some(ours)))).is_ok());
        for refused in [
            None,
            Some(lease(LeaseState::Held, Some(other))),
            Some(lease(LeaseState::Free, None)),
            Some(lease(LeaseState::Draining, Some(ours))),
            Some(lease(LeaseState::Lost, Some(ours))),
            Some(lease(LeaseState::Fencing, Some(ours))),
        ] {
            let finding = may(refused).unwrap_err();
            assert_eq!(finding.rule, "export-not-held");
            assert!(finding.next_step.contains("--to SYNC02"), "{finding:?}");
        }
    }
}
