//! Words about items of a checklist, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::MigrationId;
use syncferry_store::{ItemWord, ItemWords, NewItemWord, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<ItemWord> {
    Ok(ItemWord {
        id: row.parsed("word_id")?,
        migration: row.parsed("migration_id")?,
        item: row.text("item")?,
        withdraws: row.opt_parsed("withdraws")?,
        actor: row.text("actor")?,
        reason: row.text("reason")?,
        at: row.at("said_at")?,
        until: row.opt_at("valid_until")?,
    })
}

#[async_trait]
impl ItemWords for PgTx {
    async fn add_item_word(&mut self, new: &NewItemWord) -> Result<ItemWord> {
        let query = sqlx::query(
            "INSERT INTO item_word(word_id, migration_id, item, withdraws, actor, reason, said_at, valid_until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.migration.to_string())
        .bind(new.item.clone())
        .bind(new.withdraws.map(|w| w.to_string()))
        .bind(new.actor.clone())
        .bind(new.reason.clone())
        .bind(self.now.0)
        .bind(new.until.map(|u| u.0));
        self.need(query, read, || format!("word {}", new.id)).await
    }

    async fn item_words(&mut self, migration: MigrationId) -> Result<Vec<ItemWord>> {
        let query = sqlx::query("SELECT * FROM item_word WHERE migration_id = $1 ORDER BY said_at, word_id");
        self.list(query.bind(migration.to_string()), read).await
    }
}
