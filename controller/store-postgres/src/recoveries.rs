//! Recoveries and witnesses, on PostgreSQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::HostId;
use syncferry_store::{NewWitness, Recoveries, Recovery, Result, Way, Witness};

use crate::row::{Columns as _, Read, corrupt};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Recovery> {
    Ok(Recovery {
        incarnation: row.int("incarnation")?,
        way: row.word("way", Way::parse)?,
        found: row.json("found")?,
        begun_at: row.at("begun_at")?,
        ended_at: row.opt_at("ended_at")?,
    })
}

fn read_witness(row: &PgRow) -> Read<Witness> {
    let epochs: BTreeMap<String, i64> =
        serde_json::from_value(row.json("epochs")?).map_err(|e| corrupt("epochs", &e))?;
    Ok(Witness {
        host: row.parsed("host_id")?,
        heard_in: row.int("heard_in")?,
        incarnation: row.int("incarnation")?,
        epochs,
        open: row.json("had_open")?,
        at: row.at("at")?,
    })
}

#[async_trait]
impl Recoveries for PgTx {
    async fn add_recovery(&mut self, way: Way, found: &Value) -> Result<Recovery> {
        let query = sqlx::query(
            "INSERT INTO store_recovery(incarnation, way, found, begun_at) VALUES ($1, $2, $3, $4) RETURNING *",
        )
        .bind(self.incarnation)
        .bind(way.as_str())
        .bind(found.to_string())
        .bind(self.now.0);
        self.written(query, read, || "the recovery".into()).await
    }

    async fn recovery(&mut self) -> Result<Option<Recovery>> {
        let query = sqlx::query("SELECT * FROM store_recovery ORDER BY incarnation DESC LIMIT 1");
        self.find(query, read).await
    }

    async fn end_recovery(&mut self, incarnation: i64) -> Result<Recovery> {
        let update = sqlx::query("UPDATE store_recovery SET ended_at = $2 WHERE incarnation = $1 AND ended_at IS NULL")
            .bind(incarnation)
            .bind(self.now.0);
        let there = sqlx::query("SELECT 'over' AS found FROM store_recovery WHERE incarnation = $1").bind(incarnation);
        let what = || format!("recovery {incarnation}");
        self.guarded(update, there, what, "going on").await?;
        let query = sqlx::query("SELECT * FROM store_recovery WHERE incarnation = $1");
        self.need(query.bind(incarnation), read, what).await
    }

    async fn hear_witness(&mut self, new: &NewWitness) -> Result<bool> {
        let query = sqlx::query(
            "INSERT INTO store_witness(host_id, heard_in, incarnation, epochs, had_open, at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (host_id) DO UPDATE SET heard_in = excluded.heard_in, incarnation = excluded.incarnation,
               epochs = excluded.epochs, had_open = excluded.had_open, at = excluded.at
              WHERE store_witness.heard_in <> excluded.heard_in",
        )
        .bind(new.host.to_string())
        .bind(self.incarnation)
        .bind(new.incarnation)
        .bind(serde_json::json!(new.epochs).to_string())
        .bind(new.open.to_string())
        .bind(self.now.0);
        Ok(self.exec(query).await? == 1)
    }

    async fn witness(&mut self, host: HostId) -> Result<Option<Witness>> {
        let query = sqlx::query("SELECT * FROM store_witness WHERE host_id = $1");
        self.find(query.bind(host.to_string()), read_witness).await
    }

    async fn witnesses(&mut self) -> Result<Vec<Witness>> {
        self.list(
            sqlx::query("SELECT * FROM store_witness ORDER BY host_id"),
            read_witness,
        )
        .await
    }
}
