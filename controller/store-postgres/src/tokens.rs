//! Enrolment tokens, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_store::{EnrolmentToken, NewToken, Result, Tokens};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<EnrolmentToken> {
    Ok(EnrolmentToken {
        hash: row.text("hash")?,
        host: row.parsed("host_id")?,
        expires_at: row.at("expires_at")?,
        uses_left: row.int("uses_left")?,
        actor: row.text("actor")?,
        created_at: row.at("created_at")?,
    })
}

#[async_trait]
impl Tokens for PgTx {
    async fn add_token(&mut self, new: &NewToken) -> Result<EnrolmentToken> {
        let query = sqlx::query(
            "INSERT INTO enrolment_token(hash, host_id, expires_at, uses_left, actor, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             RETURNING *",
        )
        .bind(new.hash.clone())
        .bind(new.host.to_string())
        .bind(new.expires_at.0)
        .bind(new.uses)
        .bind(new.actor.clone())
        .bind(self.now.0);
        self.written(query, read, || "the token".into()).await
    }

    async fn consume_token(&mut self, hash: &str) -> Result<Option<EnrolmentToken>> {
        let query = sqlx::query(
            "UPDATE enrolment_token SET uses_left = uses_left - 1
              WHERE hash = $1 AND uses_left > 0 AND expires_at > $2
              RETURNING *",
        );
        let query = query.bind(hash.to_string()).bind(self.now.0);
        self.changed(query, read).await
    }

    async fn tokens(&mut self) -> Result<Vec<EnrolmentToken>> {
        let query = sqlx::query(
            "SELECT * FROM enrolment_token WHERE uses_left > 0 AND expires_at > $1 ORDER BY created_at, hash",
        );
        self.list(query.bind(self.now.0), read).await
    }
}
