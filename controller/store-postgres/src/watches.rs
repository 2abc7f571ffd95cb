//! Watches, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::HostId;
use syncferry_store::{Result, Watch, Watches};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Watch> {
    Ok(Watch {
        host: row.parsed("host_id")?,
        report: row.json("report")?,
        at: row.at("at")?,
    })
}

#[async_trait]
impl Watches for PgTx {
    async fn keep_watch(&mut self, host: HostId, report: &Value) -> Result<Option<Watch>> {
        let before = sqlx::query("SELECT * FROM watch_report WHERE host_id = $1").bind(host.to_string());
        let before = self.find(before, read).await?;
        let keep = sqlx::query(
            "INSERT INTO watch_report(host_id, report, at) VALUES ($1, $2, $3)
             ON CONFLICT (host_id) DO UPDATE SET report = excluded.report, at = excluded.at",
        )
        .bind(host.to_string())
        .bind(report.to_string())
        .bind(self.now.0);
        self.exec(keep).await?;
        Ok(before)
    }

    async fn watches(&mut self) -> Result<Vec<Watch>> {
        self.list(sqlx::query("SELECT * FROM watch_report ORDER BY host_id"), read)
            .await
    }
}
