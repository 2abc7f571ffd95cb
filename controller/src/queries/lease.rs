//! Leases as operators see them.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, timestamp, v1};
use syncferry_shared::HostId;
use syncferry_shared::lease::Lease;
use syncferry_store::{IdentityState, Tx};

use crate::find;
use crate::problem::Problem;

async fn host_name(tx: &mut dyn Tx, id: Option<HostId>) -> Result<String, Problem> {
    let Some(id) = id else { return Ok(String::new()) };
    Ok(tx.host(id).await?.map_or_else(|| id.to_string(), |h| h.name))
}

/// The sites of a tenant, by name.
async fn sites_of(tx: &mut dyn Tx, tenant: &str) -> Result<Vec<String>, Problem> {
    let sites = tx.sites().await?.into_iter();
    Ok(sites
        .filter(|s| s.tenant_id.eq_ignore_ascii_case(tenant))
        .map(|s| s.name)
        .collect())
}

/// The sites that a lease belongs to, by name.
async fn sites(tx: &mut dyn Tx, l: &Lease) -> Result<Vec<String>, Problem> {
    if let Some(tenant) = l.resource.tenant_id() {
        return sites_of(tx, tenant).await;
    }
    let database = find::database_of(tx, l).await?;
    let site = match database {
        Some(d) => tx.site(d.site).await?,
        None => None,
    };
    Ok(site.into_iter().map(|s| s.name).collect())
}

/// The name under which operators find a lease and no other: `SQL01/default/ADSync`, `contoso/export`.
pub async fn name(tx: &mut dyn Tx, l: &Lease) -> Result<String, Problem> {
    if let Some(tenant) = l.resource.tenant_id() {
        let site = sites_of(tx, tenant).await?.into_iter().next();
        return Ok(site.map_or_else(|| l.resource.0.clone(), |s| format!("{s}/export")));
    }
    match find::database_of(tx, l).await? {
        // The names of a retired database are free for another one.
        Some(d) if d.identity_state != IdentityState::Retired => find::place(tx, &d).await,
        _ => Ok(l.resource.0.clone()),
    }
}

/// What a lease is about, for people: `SQL01 / ADSync`.
pub async fn subject(tx: &mut dyn Tx, l: &Lease) -> Result<String, Problem> {
    if let Some(tenant) = l.resource.tenant_id() {
        return Ok(format!("export of {}", sites_of(tx, tenant).await?.join(", ")));
    }
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

/// The word that waits for a second one, while it is good.
async fn attestation(tx: &mut dyn Tx, l: &Lease) -> Result<Option<v1::Attestation>, Problem> {
    let now = tx.now();
    let waiting = tx.waiting_attestation(&l.resource).await?;
    let good = waiting.filter(|a| now <= a.valid_until && a.epoch == l.epoch);
    Ok(good.map(|a| v1::Attestation {
        first: a.first,
        purpose: a.purpose.as_str().to_string(),
        server: a.server,
        reason: a.reason,
        ticket: a.ticket,
        valid_until: Some(timestamp(a.valid_until)),
    }))
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
        handover_to: host_name(tx, l.handover_to).await?,
        attestation: attestation(tx, l).await?,
        name: name(tx, l).await?,
        sites: sites(tx, l).await?,
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
