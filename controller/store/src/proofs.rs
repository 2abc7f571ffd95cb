//! Proofs: what shows that the holder of one epoch can no longer act. They are never changed and never deleted.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::Millis;
use syncferry_shared::lease::{ProofKind, Resource};

use crate::error::Result;
use crate::leases::LeaseResult;

/// A proof to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProof {
    /// What kind.
    pub kind: ProofKind,
    /// What was seen: a JSON object.
    pub evidence: Value,
    /// Who saw it.
    pub actor: String,
    /// Who else, for a word given by two people; must be another one.
    pub second: Option<String>,
}

/// A proof as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// Of which lease.
    pub resource: Resource,
    /// For which epoch: nobody of an epoch before it can act any more.
    pub epoch: i64,
    /// What kind.
    pub kind: ProofKind,
    /// What was seen.
    pub evidence: Value,
    /// Who saw it.
    pub actor: String,
    /// Who else.
    pub second: Option<String>,
    /// When it was added.
    pub at: Millis,
}

/// Proofs.
#[async_trait]
pub trait Proofs {
    /// Adds a proof for the lease's present epoch, while it is being fenced (or free at epoch 0, where it says
    /// `never_used`). The same kind a second time changes nothing.
    async fn add_proof(&mut self, resource: &Resource, epoch: i64, proof: &NewProof) -> LeaseResult<()>;
    /// Those of a lease, oldest epoch first.
    async fn proofs(&mut self, resource: &Resource) -> Result<Vec<Proof>>;
}
