//! Leases as operators see them.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, timestamp, v1};
use syncferry_shared::HostId;
use syncferry_shared::lease::Lease;
use syncferry_store::{IdentityState, Tx};

use crate::problem::Problem;

async fn host_name(tx: &mut dyn Tx, id: Option<HostId>) -> Result<String, Problem> {
    let Some(id) = id else { return Ok(String::new()) };
    Ok(tx.host(id).await?.map_or_else(|| id.to_string(), |h| h.name))
}

/// What a lease is about, for people: `SQL01 / ADSync`.
pub async fn subject(tx: &mut dyn Tx, l: &Lease) -> Result<String, Problem> {
    let Some(id) = l.resource.database_id() else {
        return Ok(l.resource.0.clone());
    };
    let Some(d) = tx.database(id).await? else {
        return Ok(l.resource.0.clone());
    };
    let retired = if d.identity_state == IdentityState::Retired {
        " (retired)"
    } else {
        ""
    };
    Ok(format!("{} / {}{retired}", d.server_name, d.address.database))
}

/// A lease as a message.
pub async fn message(tx: &mut dyn Tx, l: &Lease) -> Result<v1::Lease, Problem> {
    Ok(v1::Lease {
        resource: l.resource.0.clone(),
        kind: l.kind.as_str().to_string(),
        state: l.state.to_string(),
        epoch: l.epoch,
        holder: host_name(tx, l.holder).await?,
        renewer: host_name(tx, l.renewer).await?,
        granted_at: l.granted_at.map(timestamp),
        expires_at: l.expires_at.map(timestamp),
        fenced_epoch: l.fenced_epoch,
        row_version: l.row_version,
        subject: subject(tx, l).await?,
        ..v1::Lease::default()
    })
}

/// A lease with its proofs and its history.
pub async fn with_history(tx: &mut dyn Tx, l: &Lease) -> Result<v1::GetLeaseResponse, Problem> {
    let history = tx.lease_history(&l.resource).await?;
    let proofs = tx.proofs(&l.resource).await?;
    Ok(v1::GetLeaseResponse {
        lease: Some(message(tx, l).await?),
        history: history
            .into_iter()
            .map(|c| v1::LeaseChange {
                row_version: c.row_version,
                epoch: c.epoch,
                event: c.event.map_or("create", |e| e.as_str()).to_string(),
                from_state: c.from.to_string(),
                to_state: c.to.to_string(),
                actor: c.actor,
                at: Some(timestamp(c.at)),
                detail: Some(Document::of(schema::JSON, &c.detail)),
            })
            .collect(),
        proofs: proofs
            .into_iter()
            .map(|p| v1::LeaseProof {
                epoch: p.epoch,
                kind: p.kind.as_str().to_string(),
                evidence: Some(Document::of(schema::JSON, &p.evidence)),
                actor: p.actor,
                actor2: p.second.unwrap_or_default(),
                at: Some(timestamp(p.at)),
            })
            .collect(),
    })
}
