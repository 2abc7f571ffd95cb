//! Proofs, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::lease::Resource;
use syncferry_store::{LeaseError, LeaseResult, NewProof, Proof, Proofs, Result, words};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Proof> {
    Ok(Proof {
        resource: Resource(row.text("resource")?),
        epoch: row.int("epoch")?,
        kind: row.word("kind", words::proof_kind)?,
        evidence: row.json("evidence")?,
        actor: row.text("actor")?,
        second: row.opt_text("actor2")?,
        at: row.at("at")?,
    })
}

#[async_trait]
impl Proofs for PgTx {
    async fn add_proof(&mut self, resource: &Resource, epoch: i64, proof: &NewProof) -> LeaseResult<()> {
        let lease = self.known_lease(resource).await?;
        if lease.epoch != epoch {
            return Err(LeaseError::Stale {
                resource: lease.resource,
                expected: epoch,
                found: lease.epoch,
                state: lease.state,
                holder: lease.holder,
            });
        }
        Ok(self.insert_proof(resource, epoch, proof).await?)
    }

    async fn proofs(&mut self, resource: &Resource) -> Result<Vec<Proof>> {
        let query = sqlx::query("SELECT * FROM lease_proof WHERE resource = $1 ORDER BY epoch, at, kind");
        self.list(query.bind(resource.0.clone()), read).await
    }
}

impl PgTx {
    /// Whether the epoch has a proof of any kind.
    pub(crate) async fn has_proof(&mut self, resource: &Resource, epoch: i64) -> Result<bool> {
        let query =
            sqlx::query("SELECT 1::bigint AS found FROM lease_proof WHERE resource = $1 AND epoch = $2 LIMIT 1");
        let found = self
            .find(query.bind(resource.0.clone()).bind(epoch), |row| row.int("found"))
            .await?;
        Ok(found.is_some())
    }

    /// Writes a proof, unless one of its kind is there for the epoch.
    pub(crate) async fn insert_proof(&mut self, resource: &Resource, epoch: i64, proof: &NewProof) -> Result<()> {
        let insert = sqlx::query(
            "INSERT INTO lease_proof(resource, epoch, kind, evidence, actor, actor2, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (resource, epoch, kind) DO NOTHING",
        )
        .bind(resource.0.clone())
        .bind(epoch)
        .bind(proof.kind.as_str())
        .bind(proof.evidence.to_string())
        .bind(proof.actor.clone())
        .bind(proof.second.clone())
        .bind(self.now.0);
        self.exec(insert).await.map(drop)
    }
}
