//! Steps, in memory.

use async_trait::async_trait;
use syncferry_shared::JobId;
use syncferry_store::{Result, Step, Steps};

use crate::tx::MemoryTx;

#[async_trait]
impl Steps for MemoryTx {
    async fn put_step(&mut self, step: &Step) -> Result<()> {
        let attempts = self.data.attempts.get(&step.job);
        if !attempts.is_some_and(|all| all.iter().any(|a| a.attempt == step.attempt)) {
            return Err(self.missing("something that this refers to"));
        }
        let key = (step.job, step.attempt, step.ordinal);
        let mut row = step.clone();
        if let Some(before) = self.data.steps.get(&key) {
            row.started_at = row.started_at.or(before.started_at);
            row.ended_at = row.ended_at.or(before.ended_at);
        }
        self.put(|d| &mut d.steps, key, row)
    }

    async fn steps(&mut self, job: JobId, attempt: Option<i32>) -> Result<Vec<Step>> {
        let of_job = self
            .data
            .steps
            .range((job, i32::MIN, i32::MIN)..=(job, i32::MAX, i32::MAX));
        let found = of_job.filter(|((_, a, _), _)| attempt.is_none_or(|n| n == *a));
        Ok(found.map(|(_, step)| step.clone()).collect())
    }
}
