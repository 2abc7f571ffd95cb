//! Inspections, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::{HostId, InspectionId, MigrationId};
use syncferry_store::{Inspection, InspectionState, Inspections, NewInspection, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Inspection> {
    Ok(Inspection {
        id: row.parsed("inspection_id")?,
        host: row.parsed("host_id")?,
        request: row.json("request")?,
        purpose: row.text("purpose")?,
        migration: row.opt_parsed("migration_id")?,
        state: row.word("state", InspectionState::parse)?,
        inventory: row.opt_json("inventory")?,
        error: row.opt_text("error")?,
        created_at: row.at("created_at")?,
        completed_at: row.opt_at("completed_at")?,
    })
}

#[async_trait]
impl Inspections for PgTx {
    async fn add_inspection(&mut self, new: &NewInspection) -> Result<Inspection> {
        let query = sqlx::query(
            "INSERT INTO inspection(inspection_id, host_id, request, purpose, migration_id, state, created_at)
             VALUES ($1, $2, $3, $4, $5, 'pending', $6)
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.host.to_string())
        .bind(new.request.to_string())
        .bind(new.purpose.clone())
        .bind(new.migration.map(|m| m.to_string()))
        .bind(self.now.0);
        self.written(query, read, || format!("inspection {}", new.id)).await
    }

    async fn inspection(&mut self, id: InspectionId) -> Result<Option<Inspection>> {
        let query = sqlx::query("SELECT * FROM inspection WHERE inspection_id = $1");
        self.find(query.bind(id.to_string()), read).await
    }

    async fn pending_inspections(&mut self, host: HostId) -> Result<Vec<Inspection>> {
        let query = sqlx::query(
            "SELECT * FROM inspection WHERE host_id = $1 AND state = 'pending' ORDER BY created_at, inspection_id",
        );
        self.list(query.bind(host.to_string()), read).await
    }

    async fn inspections_of(&mut self, migration: MigrationId) -> Result<Vec<Inspection>> {
        let query = sqlx::query("SELECT * FROM inspection WHERE migration_id = $1 ORDER BY created_at, inspection_id");
        self.list(query.bind(migration.to_string()), read).await
    }

    async fn complete_inspection(&mut self, id: InspectionId, answer: Result<&Value, &str>) -> Result<Inspection> {
        let state = if answer.is_ok() {
            InspectionState::Done
        } else {
            InspectionState::Failed
        };
        let query = sqlx::query(
            "UPDATE inspection SET state = $2, inventory = $3, error = $4, completed_at = $5
              WHERE inspection_id = $1 AND state = 'pending'
              RETURNING *",
        )
        .bind(id.to_string())
        .bind(state.as_str())
        .bind(answer.ok().map(Value::to_string))
        .bind(answer.err().map(str::to_string))
        .bind(self.now.0);
        if let Some(done) = self.changed(query, read).await? {
            return Ok(done);
        }
        let there = sqlx::query("SELECT state AS found FROM inspection WHERE inspection_id = $1").bind(id.to_string());
        Err(self.moved(there, || format!("inspection {id}"), "pending").await)
    }
}
