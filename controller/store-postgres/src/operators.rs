//! Operators, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::OperatorId;
use syncferry_store::{NewOperator, Operator, Operators, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Operator> {
    Ok(Operator {
        id: row.parsed("operator_id")?,
        name: row.text("name")?,
        fingerprint: row.text("fingerprint")?,
        serial: row.text("serial")?,
        created_at: row.at("created_at")?,
        revoked_at: row.opt_at("revoked_at")?,
    })
}

#[async_trait]
impl Operators for PgTx {
    async fn add_operator(&mut self, new: &NewOperator) -> Result<Operator> {
        let query = sqlx::query(
            "INSERT INTO operator(operator_id, name, fingerprint, serial, created_at) VALUES ($1, $2, $3, $4, $5)
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.name.clone())
        .bind(new.fingerprint.clone())
        .bind(new.serial.clone())
        .bind(self.now.0);
        self.written(query, read, || format!("operator {}", new.id)).await
    }

    async fn operator(&mut self, id: OperatorId) -> Result<Option<Operator>> {
        let query = sqlx::query("SELECT * FROM operator WHERE operator_id = $1");
        self.find(query.bind(id.to_string()), read).await
    }

    async fn operator_named(&mut self, name: &str) -> Result<Option<Operator>> {
        let query = sqlx::query("SELECT * FROM operator WHERE lower(name) = lower($1 COLLATE \"C\")");
        self.find(query.bind(name.to_string()), read).await
    }

    async fn operator_with(&mut self, fingerprint: &str) -> Result<Option<Operator>> {
        let query = sqlx::query("SELECT * FROM operator WHERE fingerprint = $1");
        self.find(query.bind(fingerprint.to_string()), read).await
    }

    async fn operators(&mut self) -> Result<Vec<Operator>> {
        self.list(sqlx::query("SELECT * FROM operator ORDER BY lower(name)"), read)
            .await
    }

    async fn set_operator_certificate(&mut self, id: OperatorId, fingerprint: &str, serial: &str) -> Result<Operator> {
        let query = sqlx::query(
            "UPDATE operator SET fingerprint = $2, serial = $3, revoked_at = NULL WHERE operator_id = $1 RETURNING *",
        )
        .bind(id.to_string())
        .bind(fingerprint.to_string())
        .bind(serial.to_string());
        self.written(query, read, || format!("operator {id}")).await
    }

    async fn revoke_operator(&mut self, id: OperatorId) -> Result<()> {
        let update = sqlx::query("UPDATE operator SET revoked_at = $2 WHERE operator_id = $1 AND revoked_at IS NULL");
        let update = update.bind(id.to_string()).bind(self.now.0);
        let there = sqlx::query("SELECT 'revoked' AS found FROM operator WHERE operator_id = $1").bind(id.to_string());
        self.guarded(update, there, || format!("operator {id}"), "active").await
    }
}
