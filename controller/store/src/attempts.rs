//! Attempts: one try at a job by one agent each. A job has at most one that is open, and a token is never used twice.

use async_trait::async_trait;
use syncferry_shared::state::AttemptState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, JobId, Millis};

use crate::error::Result;

/// An attempt to be opened. Its number is the next one, its state offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttempt {
    /// The job.
    pub job: JobId,
    /// The agent.
    pub agent: AgentId,
    /// The lease epoch under which it works.
    pub epoch: i64,
    /// The digest of the job's bytes.
    pub digest: String,
    /// Whether it undoes what an earlier one did.
    pub undo: bool,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The job.
    pub job: JobId,
    /// Which try, from 1; each incarnation of the store begins a new thousand ([`next_number`]).
    pub attempt: i32,
    /// The agent.
    pub agent: AgentId,
    /// The lease epoch under which it works.
    pub epoch: i64,
    /// The incarnation of the store when it was opened.
    pub incarnation: i64,
    /// The digest of the job's bytes.
    pub digest: String,
    /// Whether it undoes what an earlier one did.
    pub undo: bool,
    /// Where it stands.
    pub state: AttemptState,
    /// Until when its agent may do what cannot be taken back, by the store's clock.
    pub permit_until: Option<Millis>,
    /// When it was opened.
    pub opened_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
}

impl Attempt {
    /// Its token.
    pub fn token(&self) -> AttemptToken {
        AttemptToken {
            job: self.job,
            attempt: self.attempt,
            epoch: self.epoch,
            incarnation: self.incarnation,
            digest: self.digest.clone(),
        }
    }
    /// Whether it is still to end.
    pub fn is_open(&self) -> bool {
        !self.state.is_final()
    }
}

/// The number of the next attempt at a job. An agent remembers attempts that a restored store has forgotten, and takes no number
/// twice: the first attempt of an incarnation begins a new thousand.
pub fn next_number(last: i32, incarnation: i64) -> i32 {
    let thousand = i32::try_from(incarnation.saturating_sub(1).saturating_mul(1000)).unwrap_or(i32::MAX - 1);
    1 + last.max(thousand)
}

/// Attempts.
#[async_trait]
pub trait Attempts {
    /// Opens the next one. [`Cause::Conflict`](crate::Cause::Conflict) while another one is open.
    async fn open_attempt(&mut self, new: &NewAttempt) -> Result<Attempt>;
    /// The newest one of a job.
    async fn current_attempt(&mut self, job: JobId) -> Result<Option<Attempt>>;
    /// The one whose token this is, in every part of it; a token of another incarnation matches nothing.
    async fn attempt_of(&mut self, token: &AttemptToken) -> Result<Option<Attempt>>;
    /// Every one of a job, oldest first.
    async fn attempts(&mut self, job: JobId) -> Result<Vec<Attempt>>;
    /// Those of an agent that are still to end.
    async fn open_attempts(&mut self, agent: AgentId) -> Result<Vec<Attempt>>;
    /// Moves it, if it is still in `from` and the table has the transition.
    async fn transition_attempt(
        &mut self,
        job: JobId,
        attempt: i32,
        from: AttemptState,
        to: AttemptState,
    ) -> Result<()>;
    /// Permits it to act until then; only while it is accepted.
    async fn permit_attempt(&mut self, job: JobId, attempt: i32, until: Millis) -> Result<()>;
}
