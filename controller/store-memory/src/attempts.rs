//! Attempts, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use syncferry_shared::state::AttemptState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, JobId, Millis};
use syncferry_store::attempts::next_number;
use syncferry_store::{Attempt, Attempts, NewAttempt, Result};

use crate::tx::{MemoryTx, in_table};

#[async_trait]
impl Attempts for MemoryTx {
    async fn open_attempt(&mut self, new: &NewAttempt) -> Result<Attempt> {
        if !self.data.jobs.contains_key(&new.job) {
            return Err(self.missing(format!("job {}", new.job)));
        }
        let before = self.attempts_of(new.job);
        if before.iter().any(Attempt::is_open) {
            return Err(self.taken("the job's one open attempt"));
        }
        let attempt = Attempt {
            job: new.job,
            attempt: next_number(before.last().map_or(0, |a| a.attempt), self.data.meta.incarnation),
            agent: new.agent,
            epoch: new.epoch,
            incarnation: self.data.meta.incarnation,
            digest: new.digest.clone(),
            undo: new.undo,
            state: AttemptState::Offered,
            permit_until: None,
            opened_at: self.now,
            ended_at: None,
        };
        let table = Arc::make_mut(&mut self.change()?.attempts);
        table.entry(new.job).or_default().push(attempt.clone());
        Ok(attempt)
    }

    async fn current_attempt(&mut self, job: JobId) -> Result<Option<Attempt>> {
        Ok(self.attempts_of(job).last().cloned())
    }

    async fn attempt_of(&mut self, token: &AttemptToken) -> Result<Option<Attempt>> {
        if token.incarnation != self.data.meta.incarnation {
            return Ok(None);
        }
        let found = self.attempts_of(token.job).iter().find(|a| a.token() == *token);
        Ok(found.cloned())
    }

    async fn attempts(&mut self, job: JobId) -> Result<Vec<Attempt>> {
        Ok(self.attempts_of(job).to_vec())
    }

    async fn open_attempts(&mut self, agent: AgentId) -> Result<Vec<Attempt>> {
        let all = self.data.attempts.values().flatten();
        let mut found: Vec<Attempt> = all.filter(|a| a.agent == agent && a.is_open()).cloned().collect();
        found.sort_by_key(|a| (a.opened_at, a.job));
        Ok(found)
    }

    async fn transition_attempt(
        &mut self,
        job: JobId,
        attempt: i32,
        from: AttemptState,
        to: AttemptState,
    ) -> Result<()> {
        in_table!(self, "attempt", AttemptState, from, to);
        let now = self.now;
        let row = self.attempt_in(job, attempt, from)?;
        row.state = to;
        row.ended_at = to.is_final().then_some(now);
        Ok(())
    }

    async fn permit_attempt(&mut self, job: JobId, attempt: i32, until: Millis) -> Result<()> {
        self.attempt_in(job, attempt, AttemptState::Accepted)?.permit_until = Some(until);
        Ok(())
    }
}

impl MemoryTx {
    fn attempts_of(&self, job: JobId) -> &[Attempt] {
        self.data.attempts.get(&job).map_or(&[], Vec::as_slice)
    }

    /// An attempt in a state, to be changed.
    fn attempt_in(&mut self, job: JobId, attempt: i32, state: AttemptState) -> Result<&mut Attempt> {
        let what = format!("attempt {attempt} of job {job}");
        let found = self.attempts_of(job).iter().position(|a| a.attempt == attempt);
        let Some(place) = found else {
            return Err(self.missing(what));
        };
        let there = self.attempts_of(job)[place].state;
        if there != state {
            return Err(self.moved(what, state.as_str(), there.as_str()));
        }
        let all = self.row(|d| &mut d.attempts, &job, || what)?;
        Ok(&mut all[place])
    }
}
