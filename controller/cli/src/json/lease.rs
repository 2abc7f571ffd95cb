//! Leases.

use serde::Serialize;
use serde_json::Value;
use syncferry_proto::v1;

use super::{raw, some, time};

/// `lease list`.
#[derive(Debug, Serialize)]
pub struct Leases {
    /// All of them.
    pub leases: Vec<Lease>,
}

/// A lease.
#[derive(Debug, Serialize)]
pub struct Lease {
    /// The resource.
    pub resource: String,
    /// What it is, for people.
    pub subject: String,
    /// `database` or `tenant-export`.
    pub kind: String,
    /// `free`, `held`, `draining`, `lost`, `fencing`, `quarantined`.
    pub state: String,
    /// The fencing token.
    pub epoch: i64,
    /// The holder's host name.
    pub holder: Option<String>,
    /// The host whose agent renews.
    pub renewer: Option<String>,
    /// When it was granted.
    pub granted_at: Option<String>,
    /// When it will be called lost, unless renewed.
    pub expires_at: Option<String>,
    /// The newest epoch that is proven at the resource.
    pub fenced_epoch: i64,
    /// Counts changes.
    pub row_version: i64,
    /// The name under which `lease` verbs find it and nothing else.
    pub name: String,
    /// To whom it is being handed over.
    pub handover_to: Option<String>,
    /// The word of a first person that waits for a second one.
    pub attestation: Option<Attestation>,
    /// The sites that share it.
    pub sites: Vec<String>,
}

/// The word of a first person.
#[derive(Debug, Serialize)]
pub struct Attestation {
    /// Who gave it.
    pub first: String,
    /// `break-glass` or `attest`.
    pub purpose: String,
    /// The server's name as it was typed.
    pub server: String,
    /// Why.
    pub reason: String,
    /// The ticket.
    pub ticket: String,
    /// Until when another operator may confirm it.
    pub valid_until: Option<String>,
}

impl From<&v1::Attestation> for Attestation {
    fn from(a: &v1::Attestation) -> Self {
        Self {
            first: a.first.clone(),
            purpose: a.purpose.clone(),
            server: a.server.clone(),
            reason: a.reason.clone(),
            ticket: a.ticket.clone(),
            valid_until: time(a.valid_until.as_ref()),
        }
    }
}

impl From<&v1::Lease> for Lease {
    fn from(l: &v1::Lease) -> Self {
        Self {
            resource: l.resource.clone(),
            subject: l.subject.clone(),
            kind: l.kind.clone(),
            state: l.state.clone(),
            epoch: l.epoch,
            holder: some(&l.holder),
            renewer: some(&l.renewer),
            granted_at: time(l.granted_at.as_ref()),
            expires_at: time(l.expires_at.as_ref()),
            fenced_epoch: l.fenced_epoch,
            row_version: l.row_version,
            name: l.name.clone(),
            handover_to: some(&l.handover_to),
            attestation: l.attestation.as_ref().map(Attestation::from),
            sites: l.sites.clone(),
        }
    }
}

/// `lease history`.
#[derive(Debug, Serialize)]
pub struct LeaseHistory {
    /// The resource.
    pub resource: Option<String>,
    /// Its changes, oldest first.
    pub history: Vec<Change>,
}

impl From<&v1::GetLeaseResponse> for LeaseHistory {
    fn from(r: &v1::GetLeaseResponse) -> Self {
        Self {
            resource: r.lease.as_ref().map(|l| l.resource.clone()),
            history: r.history.iter().map(Change::from).collect(),
        }
    }
}

/// `lease handover|fence|break-glass|attest|adopt`.
#[derive(Debug, Serialize)]
pub struct LeaseActed {
    /// The lease: before it with `--dry-run`, after it otherwise.
    pub lease: Option<Lease>,
    /// Whether something was done.
    pub acted: bool,
    /// Whether nothing stands in the way; afterwards, whether all of it was done.
    pub ready: bool,
    /// What would be done, or was done.
    pub steps: Vec<String>,
    /// What stands in the way, and what is worth knowing.
    pub findings: Value,
    /// What comes next.
    pub next_step: Option<String>,
}

impl LeaseActed {
    /// Of an answer.
    pub fn of(a: &v1::LeaseAnswer, acted: bool) -> Self {
        Self {
            lease: a.lease.as_ref().map(Lease::from),
            acted,
            ready: a.ready,
            steps: a.steps.clone(),
            findings: raw(a.findings.as_ref()),
            next_step: some(&a.next_step),
        }
    }
}

/// `lease show`.
#[derive(Debug, Serialize)]
pub struct LeaseDetail {
    /// The lease.
    pub lease: Option<Lease>,
    /// Its changes, oldest first.
    pub history: Vec<Change>,
    /// Its proofs.
    pub proofs: Vec<Proof>,
}

impl From<&v1::GetLeaseResponse> for LeaseDetail {
    fn from(r: &v1::GetLeaseResponse) -> Self {
        Self {
            lease: r.lease.as_ref().map(Lease::from),
            history: r.history.iter().map(Change::from).collect(),
            proofs: r.proofs.iter().map(Proof::from).collect(),
        }
    }
}

/// A change of a lease.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The row version that it made.
    pub row_version: i64,
    /// The epoch after it.
    pub epoch: i64,
    /// What happened.
    pub event: String,
    /// The state before.
    pub from_state: String,
    /// The state after.
    pub to_state: String,
    /// Who caused it.
    pub actor: String,
    /// When.
    pub at: Option<String>,
    /// More.
    pub detail: Value,
}

impl From<&v1::LeaseChange> for Change {
    fn from(c: &v1::LeaseChange) -> Self {
        Self {
            row_version: c.row_version,
            epoch: c.epoch,
            event: c.event.clone(),
            from_state: c.from_state.clone(),
            to_state: c.to_state.clone(),
            actor: c.actor.clone(),
            at: time(c.at.as_ref()),
            detail: raw(c.detail.as_ref()),
        }
    }
}

/// A proof that a holder can no longer act.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// The epoch that it proves.
    pub epoch: i64,
    /// `never_used`, `holder_stopped`, `sql_fenced`, `power_off`, `operator_attested`.
    pub kind: String,
    /// The evidence.
    pub evidence: Value,
    /// Who gave it.
    pub actor: String,
    /// The second person, where two are needed.
    pub actor2: Option<String>,
    /// When.
    pub at: Option<String>,
}

impl From<&v1::LeaseProof> for Proof {
    fn from(p: &v1::LeaseProof) -> Self {
        Self {
            epoch: p.epoch,
            kind: p.kind.clone(),
            evidence: raw(p.evidence.as_ref()),
            actor: p.actor.clone(),
            actor2: some(&p.actor2),
            at: time(p.at.as_ref()),
        }
    }
}
