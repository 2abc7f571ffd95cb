//! Terms, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::ControllerId;
use syncferry_store::{Result, Term, Terms};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Term> {
    Ok(Term {
        controller: row.parsed("controller")?,
        epoch: row.int("epoch")?,
        expires_at: row.at("expires_at")?,
    })
}

#[async_trait]
impl Terms for PgTx {
    async fn term(&mut self) -> Result<Option<Term>> {
        self.find(sqlx::query("SELECT controller, epoch, expires_at FROM duty_term"), read)
            .await
    }

    async fn lead(&mut self, controller: ControllerId, ttl_ms: i64) -> Result<Term> {
        let query = sqlx::query(
            "INSERT INTO duty_term(only_row, controller, epoch, expires_at) VALUES (1, $1, 1, $3)
             ON CONFLICT (only_row) DO UPDATE SET
               controller = excluded.controller, expires_at = excluded.expires_at,
               epoch = duty_term.epoch + CASE WHEN duty_term.expires_at > $2 THEN 0 ELSE 1 END
              WHERE duty_term.controller = $1 OR duty_term.expires_at <= $2
             RETURNING controller, epoch, expires_at",
        )
        .bind(controller.to_string())
        .bind(self.now.0)
        .bind(self.now.plus(ttl_ms).0);
        if let Some(mine) = self.changed(query, read).await? {
            return Ok(mine);
        }
        let newest = sqlx::query("SELECT controller, epoch, expires_at FROM duty_term");
        self.need(newest, read, || "the term".into()).await
    }

    async fn in_term(&mut self, term: &Term) -> Result<()> {
        let same = sqlx::query(
            "SELECT controller, epoch, expires_at FROM duty_term
              WHERE controller = $1 AND epoch = $2 AND expires_at > $3",
        )
        .bind(term.controller.to_string())
        .bind(term.epoch)
        .bind(self.now.0);
        if self.find(same, read).await?.is_some() {
            return Ok(());
        }
        let there = sqlx::query("SELECT 'over: the newest is ' || epoch AS found FROM duty_term");
        let what = || format!("term {}", term.epoch);
        Err(self.moved(there, what, "going on").await)
    }

    async fn resign(&mut self, controller: ControllerId) -> Result<()> {
        let query = sqlx::query("UPDATE duty_term SET expires_at = $2 WHERE controller = $1 AND expires_at > $2");
        self.exec(query.bind(controller.to_string()).bind(self.now.0))
            .await
            .map(drop)
    }
}
