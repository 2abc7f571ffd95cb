//! `verify` by a person's word: tasks that no agent can see, one card each. The gate is passed when somebody says by name that
//! they are done; who and when is in the history.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::CloseTasksTask;

use super::common::minutes;
use super::look::{Look, LooksOnly};
use crate::journal::Sight;
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &CloseTasksTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(Close(task.clone())))], |_| Outcome::default())
}

struct Close(CloseTasksTask);

#[async_trait]
impl Look for Close {
    const NAME: &'static str = "close-tasks";

    fn budget(&self) -> Duration {
        // A person may take a week.
        minutes(7 * 24 * 60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let open: Vec<&str> = self.0.cards.iter().map(|c| c.page.as_str()).collect();
        if open.is_empty() {
            cx.saw("tasks", "none");
            return Ok(json!({"attested": []}));
        }
        let waiting = format!("{} tasks to attest: {}", open.len(), open.join(", "));
        let mut gate = cx.gate(&self.0.title, &self.0.cards).await?;
        loop {
            gate.saw(cx, Sight::Waiting, &waiting).await?;
            gate.next_look(cx, cx.env.pace.look_again).await?;
            if gate.claimed() {
                gate.saw(cx, Sight::Proven, "attested by the operator who completed the gate")
                    .await?;
                for task in &open {
                    cx.saw("attested", task);
                }
                return Ok(json!({"attested": open}));
            }
        }
    }
}
