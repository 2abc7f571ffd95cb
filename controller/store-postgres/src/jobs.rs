//! Jobs, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::lease::Resource;
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::JobState;
use syncferry_shared::{HostId, JobId, MigrationId};
use syncferry_store::{Cause, Job, JobFilter, Jobs, NewJob, Result};

use crate::row::{Columns as _, Read, word_list};
use crate::tx::{PgTx, Query, in_table};

fn read(row: &PgRow) -> Read<Job> {
    Ok(Job {
        id: row.parsed("job_id")?,
        migration: row.parsed("migration_id")?,
        stage: row.small("stage")?,
        ordinal: row.small("ordinal")?,
        name: row.text("name")?,
        kind: row.word("kind", JobKind::parse)?,
        host: row.parsed("host_id")?,
        resource: Resource(row.text("resource")?),
        state: row.parsed("state")?,
        spec: row.opt_bytes("spec")?,
        digest: row.opt_text("digest")?,
        outcome: row.opt_json("outcome")?,
        failure: row.opt_json("failure")?,
        progress: row.opt_json("progress")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

fn state_of(id: JobId) -> Query<'static> {
    sqlx::query("SELECT state AS found FROM job WHERE job_id = $1").bind(id.to_string())
}

#[async_trait]
impl Jobs for PgTx {
    async fn add_jobs(&mut self, migration: MigrationId, new: &[NewJob]) -> Result<()> {
        for job in new {
            let query = sqlx::query(
                "INSERT INTO job(job_id, migration_id, stage, ordinal, name, kind, host_id, resource, state, created_at,
                   updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $9)",
            )
            .bind(job.id.to_string())
            .bind(migration.to_string())
            .bind(job.stage)
            .bind(job.ordinal)
            .bind(job.name.clone())
            .bind(job.kind.as_str())
            .bind(job.host.to_string())
            .bind(job.resource.0.clone())
            .bind(self.now.0);
            self.exec(query).await?;
        }
        Ok(())
    }

    async fn job(&mut self, id: JobId) -> Result<Option<Job>> {
        self.find(
            sqlx::query("SELECT * FROM job WHERE job_id = $1").bind(id.to_string()),
            read,
        )
        .await
    }

    async fn jobs(&mut self, filter: &JobFilter) -> Result<Vec<Job>> {
        let query = sqlx::query(
            "SELECT * FROM job
              WHERE ($1 IS NULL OR migration_id = $1)
                AND ($2 IS NULL OR host_id = $2)
                AND ($3 IS NULL OR state IN (SELECT json_array_elements_text($3::json)))
              ORDER BY migration_id, stage, ordinal",
        )
        .bind(filter.migration.map(|m| m.to_string()))
        .bind(filter.host.map(|h| h.to_string()))
        .bind(word_list(&filter.states, JobState::as_str));
        self.list(query, read).await
    }

    async fn ready_jobs(&mut self, host: HostId) -> Result<Vec<Job>> {
        // Whoever may offer them holds them until the offer is committed. What somebody else holds is no work for now.
        let query = if self.writes {
            sqlx::query(
                "SELECT * FROM job WHERE host_id = $1 AND state IN ('ready', 'undo-ready')
                  ORDER BY migration_id, stage, ordinal FOR UPDATE SKIP LOCKED",
            )
        } else {
            sqlx::query(
                "SELECT * FROM job WHERE host_id = $1 AND state IN ('ready', 'undo-ready')
                  ORDER BY migration_id, stage, ordinal",
            )
        };
        self.list(query.bind(host.to_string()), read).await
    }

    async fn set_job_spec(&mut self, id: JobId, spec: &[u8]) -> Result<String> {
        let digest = syncferry_shared::token::digest(spec);
        let update = sqlx::query(
            "UPDATE job SET spec = $2, digest = $3, updated_at = $4
              WHERE job_id = $1 AND state IN ('waiting', 'ready', 'failed', 'undo-ready')",
        )
        .bind(id.to_string())
        .bind(spec.to_vec())
        .bind(digest.clone())
        .bind(self.now.0);
        self.guarded(update, state_of(id), || format!("job {id}"), "before an offer")
            .await?;
        Ok(digest)
    }

    async fn transition_job(&mut self, id: JobId, from: JobState, to: JobState) -> Result<()> {
        in_table!(self, "job", JobState, from, to);
        let update = sqlx::query("UPDATE job SET state = $3, updated_at = $4 WHERE job_id = $1 AND state = $2")
            .bind(id.to_string())
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(self.now.0);
        self.guarded(update, state_of(id), || format!("job {id}"), from.as_str())
            .await
    }

    async fn set_job_outcome(&mut self, id: JobId, outcome: &Value) -> Result<()> {
        let update = sqlx::query("UPDATE job SET outcome = $2, failure = NULL, updated_at = $3 WHERE job_id = $1");
        let update = update.bind(id.to_string()).bind(outcome.to_string()).bind(self.now.0);
        self.one_job(update, id).await
    }

    async fn set_job_failure(&mut self, id: JobId, failure: &Value) -> Result<()> {
        let update = sqlx::query("UPDATE job SET failure = $2, updated_at = $3 WHERE job_id = $1");
        let update = update.bind(id.to_string()).bind(failure.to_string()).bind(self.now.0);
        self.one_job(update, id).await
    }

    async fn set_job_progress(&mut self, id: JobId, progress: Option<&Value>) -> Result<()> {
        let update = sqlx::query("UPDATE job SET progress = $2, updated_at = $3 WHERE job_id = $1")
            .bind(id.to_string())
            .bind(progress.map(Value::to_string))
            .bind(self.now.0);
        self.one_job(update, id).await
    }
}

impl PgTx {
    async fn one_job(&mut self, update: Query<'_>, id: JobId) -> Result<()> {
        match self.exec(update).await? {
            1 => Ok(()),
            _ => Err(self.fail(Cause::Missing(format!("job {id}")))),
        }
    }
}
