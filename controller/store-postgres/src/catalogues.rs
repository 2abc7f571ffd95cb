//! Imported version catalogues, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_store::{Catalogues, ImportedCatalogue, NewCatalogue, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<ImportedCatalogue> {
    Ok(ImportedCatalogue {
        number: row.int("number")?,
        digest: row.text("digest")?,
        signed_off: row.text("signed_off")?,
        text: row.text("body")?,
        actor: row.text("imported_by")?,
        at: row.at("imported_at")?,
    })
}

#[async_trait]
impl Catalogues for PgTx {
    async fn add_catalogue(&mut self, new: &NewCatalogue) -> Result<ImportedCatalogue> {
        let query = sqlx::query(
            "INSERT INTO version_catalogue(number, digest, signed_off, body, imported_by, imported_at)
             SELECT COALESCE(MAX(number), 0) + 1, $1::text, $2::text, $3::text, $4::text, $5::bigint FROM version_catalogue
             RETURNING *",
        )
        .bind(new.digest.clone())
        .bind(new.signed_off.clone())
        .bind(new.text.clone())
        .bind(new.actor.clone())
        .bind(self.now.0);
        self.need(query, read, || "the new catalogue".into()).await
    }

    async fn catalogue(&mut self) -> Result<Option<ImportedCatalogue>> {
        let query = sqlx::query("SELECT * FROM version_catalogue ORDER BY number DESC LIMIT 1");
        self.find(query, read).await
    }
}
