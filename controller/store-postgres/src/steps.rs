//! Steps, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::JobId;
use syncferry_store::{Result, Step, Steps};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Step> {
    Ok(Step {
        job: row.parsed("job_id")?,
        attempt: row.small("attempt")?,
        ordinal: row.small("ordinal")?,
        name: row.text("name")?,
        state: row.parsed("state")?,
        detail: row.json("detail")?,
        started_at: row.opt_at("started_at")?,
        ended_at: row.opt_at("ended_at")?,
    })
}

#[async_trait]
impl Steps for PgTx {
    async fn put_step(&mut self, step: &Step) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO step(job_id, attempt, ordinal, name, state, detail, started_at, ended_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (job_id, attempt, ordinal) DO UPDATE SET
               name = excluded.name, state = excluded.state, detail = excluded.detail,
               started_at = COALESCE(excluded.started_at, step.started_at),
               ended_at = COALESCE(excluded.ended_at, step.ended_at)",
        )
        .bind(step.job.to_string())
        .bind(step.attempt)
        .bind(step.ordinal)
        .bind(step.name.clone())
        .bind(step.state.as_str())
        .bind(step.detail.to_string())
        .bind(step.started_at.map(|t| t.0))
        .bind(step.ended_at.map(|t| t.0));
        self.exec(query).await.map(drop)
    }

    async fn steps(&mut self, job: JobId, attempt: Option<i32>) -> Result<Vec<Step>> {
        let query = sqlx::query(
            "SELECT * FROM step WHERE job_id = $1 AND ($2 IS NULL OR attempt = $2) ORDER BY attempt, ordinal",
        );
        self.list(query.bind(job.to_string()).bind(attempt), read).await
    }
}
