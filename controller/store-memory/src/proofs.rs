//! Proofs, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use syncferry_shared::lease::{LeaseState, ProofKind, Resource};
use syncferry_store::{Cause, LeaseError, LeaseResult, NewProof, Proof, Proofs, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl Proofs for MemoryTx {
    async fn add_proof(&mut self, resource: &Resource, epoch: i64, proof: &NewProof) -> LeaseResult<()> {
        let lease = self.known_lease(resource)?;
        if lease.epoch != epoch {
            return Err(LeaseError::Stale {
                resource: lease.resource,
                expected: epoch,
                found: lease.epoch,
                state: lease.state,
                holder: lease.holder,
            });
        }
        Ok(self.insert_proof(resource, epoch, proof)?)
    }

    async fn proofs(&mut self, resource: &Resource) -> Result<Vec<Proof>> {
        let mut all = self.data.proofs.get(resource).cloned().unwrap_or_default();
        all.sort_by_key(|p| (p.epoch, p.at, p.kind.as_str()));
        Ok(all)
    }
}

impl MemoryTx {
    /// Whether the epoch has a proof of any kind.
    pub(crate) fn has_proof(&self, resource: &Resource, epoch: i64) -> bool {
        let all = self.data.proofs.get(resource);
        all.is_some_and(|all| all.iter().any(|p| p.epoch == epoch))
    }

    /// Writes a proof, unless one of its kind is there for the epoch. The guards are those of the other engines' triggers.
    pub(crate) fn insert_proof(&mut self, resource: &Resource, epoch: i64, proof: &NewProof) -> Result<()> {
        let guard = |why: &str| Err(self.fail(Cause::Guard(why.to_string())));
        let Some(lease) = self.data.leases.get(resource) else {
            return Err(self.missing("something that this refers to"));
        };
        let belongs = match lease.state {
            LeaseState::Fencing => epoch == lease.epoch,
            LeaseState::Held | LeaseState::Draining => epoch == lease.epoch + 1,
            LeaseState::Free => lease.epoch == 0 && epoch == 0 && proof.kind == ProofKind::NeverUsed,
            _ => false,
        };
        if !belongs {
            return guard("a proof belongs to a fence in progress, to a release, or to a lease that was never used");
        }
        let second = proof.second.as_deref().unwrap_or_default();
        if proof.kind == ProofKind::OperatorAttested && !self.word_was_given(resource, &proof.actor, Some(second), None)
        {
            return guard("two people did not give their word for this");
        }
        let row = Proof {
            resource: resource.clone(),
            epoch,
            kind: proof.kind,
            evidence: proof.evidence.clone(),
            actor: proof.actor.clone(),
            second: proof.second.clone(),
            at: self.now,
        };
        let all = Arc::make_mut(&mut self.change()?.proofs);
        let all = all.entry(resource.clone()).or_default();
        if !all.iter().any(|p| p.epoch == epoch && p.kind == row.kind) {
            all.push(row);
        }
        Ok(())
    }
}
