//! The store's own identity and standing, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_store::{
    By, Cause, Highest, LeaseError, Leases as _, Mark, Meta, Result, Standing, StoreMeta, StoreState, lease_rules,
};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<StoreMeta> {
    Ok(StoreMeta {
        id: row.parsed("store_id")?,
        incarnation: row.int("incarnation")?,
        opened_at: row.at("opened_at")?,
    })
}

fn read_standing(row: &PgRow) -> Read<Standing> {
    Ok(Standing {
        state: row.word("state", StoreState::parse)?,
        moved_to: row.opt_text("moved_to")?,
    })
}

#[async_trait]
impl Meta for PgTx {
    async fn meta(&mut self) -> Result<StoreMeta> {
        let query = sqlx::query("SELECT store_id, incarnation, opened_at FROM store_meta");
        self.need(query, read, || "the store's identity".into()).await
    }

    async fn begin_incarnation(&mut self, above: &Highest, by: &By) -> Result<StoreMeta> {
        let next = self.incarnation.max(above.incarnation).saturating_add(1);
        let query = sqlx::query("UPDATE store_meta SET incarnation = $1 RETURNING store_id, incarnation, opened_at");
        let meta = self
            .written(query.bind(next), read, || "the store's identity".into())
            .await?;
        for lease in self.leases().await? {
            let seen = above.epochs.get(&lease.resource).copied().unwrap_or(0);
            let voided = self.void_tokens(lease, seen, by).await;
            voided.map_err(|e| match e {
                LeaseError::Store(e) => e,
                other => self.fail(Cause::Other(other.to_string())),
            })?;
        }
        // What this transaction writes belongs to the new incarnation.
        self.incarnation = meta.incarnation;
        Ok(meta)
    }

    async fn standing(&mut self) -> Result<Standing> {
        let query = sqlx::query("SELECT state, moved_to FROM store_meta");
        self.need(query, read_standing, || "the store's identity".into()).await
    }

    async fn stand(&mut self, standing: &Standing) -> Result<()> {
        let query = sqlx::query("UPDATE store_meta SET state = $1, moved_to = $2");
        let query = query.bind(standing.state.as_str()).bind(standing.moved_to.clone());
        self.exec(query).await.map(drop)
    }

    async fn newest_event(&mut self) -> Result<Option<Mark>> {
        let query = sqlx::query("SELECT position, hash FROM event ORDER BY position DESC LIMIT 1");
        let read: fn(&PgRow) -> Read<Mark> = |row| {
            Ok(Mark {
                position: row.int("position")?,
                hash: row.text("hash")?,
            })
        };
        self.find(query, read).await
    }

    async fn event_hash_at(&mut self, position: i64) -> Result<Option<String>> {
        let query = sqlx::query("SELECT hash FROM event WHERE position = $1");
        self.find(query.bind(position), |row| row.text("hash")).await
    }
}

impl PgTx {
    async fn void_tokens(
        &mut self,
        lease: syncferry_shared::lease::Lease,
        seen: i64,
        by: &By,
    ) -> Result<(), LeaseError> {
        let mut before = lease;
        for (event, after) in lease_rules::voided(&before, seen, self.now)? {
            before = self.write_lease_change(&before, after, event, by).await?;
        }
        Ok(())
    }
}
