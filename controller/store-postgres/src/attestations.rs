//! Attestations, on PostgreSQL. That two people gave their word in time is checked by the rules here, and again by the guards
//! of `0004_attestations.sql`.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::AttestationId;
use syncferry_shared::lease::Resource;
use syncferry_store::{
    Attestation, AttestationState, Attestations, Cause, LeaseResult, NewAttestation, Purpose, Result, lease_rules,
};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Attestation> {
    Ok(Attestation {
        id: row.parsed("attestation_id")?,
        resource: Resource(row.text("resource")?),
        epoch: row.int("epoch")?,
        purpose: row.word("purpose", Purpose::parse)?,
        server: row.text("server")?,
        reason: row.text("reason")?,
        ticket: row.text("ticket")?,
        first: row.text("first")?,
        second: row.opt_text("second")?,
        state: row.word("state", AttestationState::parse)?,
        given_at: row.at("given_at")?,
        valid_until: row.at("valid_until")?,
        confirmed_at: row.opt_at("confirmed_at")?,
    })
}

#[async_trait]
impl Attestations for PgTx {
    async fn add_attestation(&mut self, new: &NewAttestation) -> LeaseResult<Attestation> {
        let lease = self.known_lease(&new.resource).await?;
        let waiting = self.waiting_attestation(&new.resource).await?;
        lease_rules::first_word(&lease, new.epoch, &new.first, waiting.as_ref(), self.now)?;
        let lapse =
            sqlx::query("UPDATE lease_attestation SET state = 'lapsed' WHERE resource = $1 AND state = 'waiting'");
        self.exec(lapse.bind(new.resource.0.clone())).await?;
        let insert = sqlx::query(
            "INSERT INTO lease_attestation(attestation_id, resource, epoch, purpose, server, reason, ticket, first, state,
               given_at, valid_until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $10)
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.resource.0.clone())
        .bind(new.epoch)
        .bind(new.purpose.as_str())
        .bind(new.server.clone())
        .bind(new.reason.clone())
        .bind(new.ticket.clone())
        .bind(new.first.clone())
        .bind(self.now.0)
        .bind(self.now.plus(new.valid_ms).0);
        Ok(self.written(insert, read, || format!("attestation {}", new.id)).await?)
    }

    async fn waiting_attestation(&mut self, resource: &Resource) -> Result<Option<Attestation>> {
        let query = sqlx::query("SELECT * FROM lease_attestation WHERE resource = $1 AND state = 'waiting'");
        self.find(query.bind(resource.0.clone()), read).await
    }

    async fn confirm_attestation(&mut self, id: AttestationId, second: &str) -> LeaseResult<Attestation> {
        let query = sqlx::query("SELECT * FROM lease_attestation WHERE attestation_id = $1");
        let found = self.find(query.bind(id.to_string()), read).await?;
        let found = found.ok_or_else(|| self.fail(Cause::Missing(format!("attestation {id}"))))?;
        let lease = self.known_lease(&found.resource).await?;
        lease_rules::second_word(&lease, &found, second, self.now)?;
        let update = sqlx::query(
            "UPDATE lease_attestation SET state = 'confirmed', second = $2, confirmed_at = $3
              WHERE attestation_id = $1 AND state = 'waiting'
             RETURNING *",
        )
        .bind(id.to_string())
        .bind(second.to_string())
        .bind(self.now.0);
        Ok(self.written(update, read, || format!("attestation {id}")).await?)
    }

    async fn attestations(&mut self, resource: &Resource) -> Result<Vec<Attestation>> {
        let query =
            sqlx::query("SELECT * FROM lease_attestation WHERE resource = $1 ORDER BY given_at, attestation_id");
        self.list(query.bind(resource.0.clone()), read).await
    }
}
