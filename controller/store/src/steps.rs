//! Steps: what an agent reports inside an attempt.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::state::StepState;
use syncferry_shared::{JobId, Millis};

use crate::error::Result;

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: i32,
    /// Its place in the attempt, from 0.
    pub ordinal: i32,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: StepState,
    /// What its agent says of it: a JSON object.
    pub detail: Value,
    /// When it began.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
}

/// Steps.
#[async_trait]
pub trait Steps {
    /// Writes what is known of a step, by job, attempt and place. A time that is known stays when the new one is `None`.
    async fn put_step(&mut self, step: &Step) -> Result<()>;
    /// Those of one attempt, or of every attempt of the job; by attempt and place.
    async fn steps(&mut self, job: JobId, attempt: Option<i32>) -> Result<Vec<Step>>;
}
