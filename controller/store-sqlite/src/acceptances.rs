//! Acceptances, on SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use syncferry_shared::MigrationId;
use syncferry_store::{Acceptance, Acceptances, NewAcceptance, Result};

use crate::row::{Columns as _, Read};
use crate::tx::SqliteTx;

fn read(row: &SqliteRow) -> Read<Acceptance> {
    Ok(Acceptance {
        id: row.parsed("acceptance_id")?,
        migration: row.parsed("migration_id")?,
        rule: row.text("rule")?,
        actor: row.text("actor")?,
        reason: row.text("reason")?,
        at: row.at("accepted_at")?,
        until: row.opt_at("valid_until")?,
    })
}

#[async_trait]
impl Acceptances for SqliteTx {
    async fn add_acceptance(&mut self, new: &NewAcceptance) -> Result<Acceptance> {
        let query = sqlx::query(
            "INSERT INTO warning_acceptance(acceptance_id, migration_id, rule, actor, reason, accepted_at, valid_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.migration.to_string())
        .bind(new.rule.clone())
        .bind(new.actor.clone())
        .bind(new.reason.clone())
        .bind(self.now.0)
        .bind(new.until.map(|u| u.0));
        self.need(query, read, || format!("acceptance {}", new.id)).await
    }

    async fn acceptances(&mut self, migration: MigrationId) -> Result<Vec<Acceptance>> {
        let query =
            sqlx::query("SELECT * FROM warning_acceptance WHERE migration_id = ?1 ORDER BY accepted_at, acceptance_id");
        self.list(query.bind(migration.to_string()), read).await
    }
}
