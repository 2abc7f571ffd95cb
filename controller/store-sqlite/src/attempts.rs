//! Attempts, on SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use syncferry_shared::state::AttemptState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, JobId, Millis};
use syncferry_store::{Attempt, Attempts, NewAttempt, Result};

use crate::row::{Columns as _, Read};
use crate::tx::{Query, SqliteTx, in_table};

fn read(row: &SqliteRow) -> Read<Attempt> {
    Ok(Attempt {
        job: row.parsed("job_id")?,
        attempt: row.small("attempt")?,
        agent: row.parsed("agent_id")?,
        epoch: row.int("epoch")?,
        incarnation: row.int("incarnation")?,
        digest: row.text("digest")?,
        undo: row.flag("undo")?,
        state: row.parsed("state")?,
        permit_until: row.opt_at("permit_until")?,
        opened_at: row.at("opened_at")?,
        ended_at: row.opt_at("ended_at")?,
    })
}

fn state_of(job: JobId, attempt: i32) -> Query<'static> {
    sqlx::query("SELECT state AS found FROM attempt WHERE job_id = ?1 AND attempt = ?2")
        .bind(job.to_string())
        .bind(attempt)
}

#[async_trait]
impl Attempts for SqliteTx {
    async fn open_attempt(&mut self, new: &NewAttempt) -> Result<Attempt> {
        let query = sqlx::query(
            "INSERT INTO attempt(job_id, attempt, agent_id, epoch, incarnation, digest, undo, state, opened_at)
             SELECT job_id, MAX(1 + (SELECT COALESCE(MAX(attempt), 0) FROM attempt WHERE job_id = ?1), 1 + (?4 - 1) * 1000),
                    ?2, ?3, ?4, ?5, ?6, 'offered', ?7
               FROM job WHERE job_id = ?1
             RETURNING *",
        )
        .bind(new.job.to_string())
        .bind(new.agent.to_string())
        .bind(new.epoch)
        .bind(self.incarnation)
        .bind(new.digest.clone())
        .bind(i64::from(new.undo))
        .bind(self.now.0);
        self.need(query, read, || format!("job {}", new.job)).await
    }

    async fn current_attempt(&mut self, job: JobId) -> Result<Option<Attempt>> {
        let query = sqlx::query("SELECT * FROM attempt WHERE job_id = ?1 ORDER BY attempt DESC LIMIT 1");
        self.find(query.bind(job.to_string()), read).await
    }

    async fn attempt_of(&mut self, token: &AttemptToken) -> Result<Option<Attempt>> {
        if token.incarnation != self.incarnation {
            return Ok(None);
        }
        let query = sqlx::query(
            "SELECT * FROM attempt WHERE job_id = ?1 AND attempt = ?2 AND epoch = ?3 AND incarnation = ?4 AND digest = ?5",
        )
        .bind(token.job.to_string())
        .bind(token.attempt)
        .bind(token.epoch)
        .bind(token.incarnation)
        .bind(token.digest.clone());
        self.find(query, read).await
    }

    async fn attempts(&mut self, job: JobId) -> Result<Vec<Attempt>> {
        let query = sqlx::query("SELECT * FROM attempt WHERE job_id = ?1 ORDER BY attempt");
        self.list(query.bind(job.to_string()), read).await
    }

    async fn open_attempts(&mut self, agent: AgentId) -> Result<Vec<Attempt>> {
        let query = sqlx::query(
            "SELECT * FROM attempt WHERE agent_id = ?1 AND state IN ('offered', 'accepted', 'unknown')
              ORDER BY opened_at, job_id",
        );
        self.list(query.bind(agent.to_string()), read).await
    }

    async fn transition_attempt(
        &mut self,
        job: JobId,
        attempt: i32,
        from: AttemptState,
        to: AttemptState,
    ) -> Result<()> {
        in_table!(self, "attempt", AttemptState, from, to);
        let update = sqlx::query(
            "UPDATE attempt SET state = ?4, ended_at = ?5 WHERE job_id = ?1 AND attempt = ?2 AND state = ?3",
        )
        .bind(job.to_string())
        .bind(attempt)
        .bind(from.as_str())
        .bind(to.as_str())
        .bind(to.is_final().then_some(self.now.0));
        let what = || format!("attempt {attempt} of job {job}");
        self.guarded(update, state_of(job, attempt), what, from.as_str()).await
    }

    async fn permit_attempt(&mut self, job: JobId, attempt: i32, until: Millis) -> Result<()> {
        let update = sqlx::query(
            "UPDATE attempt SET permit_until = ?3 WHERE job_id = ?1 AND attempt = ?2 AND state = 'accepted'",
        )
        .bind(job.to_string())
        .bind(attempt)
        .bind(until.0);
        let what = || format!("attempt {attempt} of job {job}");
        self.guarded(update, state_of(job, attempt), what, "accepted").await
    }
}
