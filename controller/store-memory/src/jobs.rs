//! Jobs, in memory.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::state::JobState;
use syncferry_shared::{HostId, JobId, MigrationId};
use syncferry_store::{Job, JobFilter, Jobs, NewJob, Result};

use crate::tx::{MemoryTx, in_table};

#[async_trait]
impl Jobs for MemoryTx {
    async fn add_jobs(&mut self, migration: MigrationId, new: &[NewJob]) -> Result<()> {
        self.needs_migration(migration)?;
        for job in new {
            self.needs_host(job.host)?;
            for other in self.data.jobs.values().filter(|o| o.migration == migration) {
                if other.name == job.name {
                    return Err(self.taken("the name of the job"));
                }
                if (other.stage, other.ordinal) == (job.stage, job.ordinal) {
                    return Err(self.taken("the place of the job"));
                }
            }
            let row = Job {
                id: job.id,
                migration,
                stage: job.stage,
                ordinal: job.ordinal,
                name: job.name.clone(),
                kind: job.kind,
                host: job.host,
                resource: job.resource.clone(),
                state: JobState::Waiting,
                spec: None,
                digest: None,
                outcome: None,
                failure: None,
                progress: None,
                created_at: self.now,
                updated_at: self.now,
            };
            self.put(|d| &mut d.jobs, job.id, row)?;
        }
        Ok(())
    }

    async fn job(&mut self, id: JobId) -> Result<Option<Job>> {
        Ok(self.data.jobs.get(&id).cloned())
    }

    async fn jobs(&mut self, filter: &JobFilter) -> Result<Vec<Job>> {
        Ok(self.jobs_where(|j| {
            filter.migration.is_none_or(|m| j.migration == m)
                && filter.host.is_none_or(|h| j.host == h)
                && (filter.states.is_empty() || filter.states.contains(&j.state))
        }))
    }

    async fn ready_jobs(&mut self, host: HostId) -> Result<Vec<Job>> {
        Ok(self.jobs_where(|j| j.host == host && matches!(j.state, JobState::Ready | JobState::UndoReady)))
    }

    async fn set_job_spec(&mut self, id: JobId, spec: &[u8]) -> Result<String> {
        use JobState::{Failed, Ready, UndoReady, Waiting};
        let digest = syncferry_shared::token::digest(spec);
        let job = self.job_row(id)?;
        let found = job.state;
        if !matches!(found, Waiting | Ready | Failed | UndoReady) {
            return Err(self.moved(format!("job {id}"), "before an offer", found.as_str()));
        }
        job.spec = Some(spec.to_vec());
        job.digest = Some(digest.clone());
        Ok(digest)
    }

    async fn transition_job(&mut self, id: JobId, from: JobState, to: JobState) -> Result<()> {
        in_table!(self, "job", JobState, from, to);
        let job = self.job_row(id)?;
        let found = job.state;
        if found != from {
            return Err(self.moved(format!("job {id}"), from.as_str(), found.as_str()));
        }
        job.state = to;
        Ok(())
    }

    async fn set_job_outcome(&mut self, id: JobId, outcome: &Value) -> Result<()> {
        let job = self.job_row(id)?;
        job.outcome = Some(outcome.clone());
        job.failure = None;
        Ok(())
    }

    async fn set_job_failure(&mut self, id: JobId, failure: &Value) -> Result<()> {
        self.job_row(id)?.failure = Some(failure.clone());
        Ok(())
    }

    async fn set_job_progress(&mut self, id: JobId, progress: Option<&Value>) -> Result<()> {
        self.job_row(id)?.progress = progress.cloned();
        Ok(())
    }
}

impl MemoryTx {
    /// A job, to be changed: now. Where the change is refused, the caller gives the transaction up or the time stays, which
    /// nobody decides by.
    fn job_row(&mut self, id: JobId) -> Result<&mut Job> {
        let now = self.now;
        let job = self.row(|d| &mut d.jobs, &id, || format!("job {id}"))?;
        job.updated_at = now;
        Ok(job)
    }

    fn jobs_where(&self, fits: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut found: Vec<Job> = self.data.jobs.values().filter(|j| fits(j)).cloned().collect();
        found.sort_by_key(|j| (j.migration, j.stage, j.ordinal));
        found
    }

    /// Refuses what refers to a job that is not there.
    pub(crate) fn needs_job(&self, id: JobId) -> Result<()> {
        if self.data.jobs.contains_key(&id) {
            Ok(())
        } else {
            Err(self.missing("something that this refers to"))
        }
    }
}
