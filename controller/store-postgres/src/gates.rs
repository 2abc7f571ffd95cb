//! Gates, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::state::GateState;
use syncferry_shared::{GateId, MigrationId};
use syncferry_store::{Cause, Gate, Gates, NewGate, Result};

use crate::row::{Columns as _, Read};
use crate::tx::{PgTx, Query, in_table};

fn read(row: &PgRow) -> Read<Gate> {
    Ok(Gate {
        id: row.parsed("gate_id")?,
        migration: row.parsed("migration_id")?,
        job: row.parsed("job_id")?,
        title: row.text("title")?,
        cards: row.json("cards")?,
        state: row.parsed("state")?,
        claimed_by: row.opt_text("claimed_by")?,
        observation: row.opt_json("observation")?,
        opened_at: row.at("opened_at")?,
        updated_at: row.at("updated_at")?,
    })
}

#[async_trait]
impl Gates for PgTx {
    async fn add_gate(&mut self, new: &NewGate) -> Result<Gate> {
        let query = sqlx::query(
            "INSERT INTO gate(gate_id, migration_id, job_id, title, cards, state, opened_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, 'open', $6, $6)
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.migration.to_string())
        .bind(new.job.to_string())
        .bind(new.title.clone())
        .bind(new.cards.to_string())
        .bind(self.now.0);
        self.written(query, read, || format!("gate {}", new.id)).await
    }

    async fn gate(&mut self, id: GateId) -> Result<Option<Gate>> {
        self.find(
            sqlx::query("SELECT * FROM gate WHERE gate_id = $1").bind(id.to_string()),
            read,
        )
        .await
    }

    async fn open_gates(&mut self) -> Result<Vec<Gate>> {
        let query = sqlx::query("SELECT * FROM gate WHERE state IN ('open', 'claimed') ORDER BY opened_at, gate_id");
        self.list(query, read).await
    }

    async fn gates_of(&mut self, migration: MigrationId) -> Result<Vec<Gate>> {
        let query = sqlx::query("SELECT * FROM gate WHERE migration_id = $1 ORDER BY opened_at, gate_id");
        self.list(query.bind(migration.to_string()), read).await
    }

    async fn transition_gate(&mut self, id: GateId, from: GateState, to: GateState) -> Result<()> {
        in_table!(self, "gate", GateState, from, to);
        let update = sqlx::query("UPDATE gate SET state = $3, updated_at = $4 WHERE gate_id = $1 AND state = $2")
            .bind(id.to_string())
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(self.now.0);
        let there = sqlx::query("SELECT state AS found FROM gate WHERE gate_id = $1").bind(id.to_string());
        self.guarded(update, there, || format!("gate {id}"), from.as_str())
            .await
    }

    async fn set_gate_claim(&mut self, id: GateId, actor: &str) -> Result<()> {
        let update = sqlx::query("UPDATE gate SET claimed_by = $2, updated_at = $3 WHERE gate_id = $1");
        self.one_gate(update.bind(id.to_string()).bind(actor.to_string()).bind(self.now.0), id)
            .await
    }

    async fn set_gate_observation(&mut self, id: GateId, observation: &Value) -> Result<()> {
        let update = sqlx::query("UPDATE gate SET observation = $2, updated_at = $3 WHERE gate_id = $1");
        let update = update
            .bind(id.to_string())
            .bind(observation.to_string())
            .bind(self.now.0);
        self.one_gate(update, id).await
    }
}

impl PgTx {
    async fn one_gate(&mut self, update: Query<'_>, id: GateId) -> Result<()> {
        match self.exec(update).await? {
            1 => Ok(()),
            _ => Err(self.fail(Cause::Missing(format!("gate {id}")))),
        }
    }
}
