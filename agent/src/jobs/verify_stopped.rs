//! `verify` on an old Connect server whose database is another server's now: its service is stopped and disabled, or gone.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::VerifyStoppedTask;

use super::common::minutes;
use super::look::{Look, LooksOnly};
use super::stop_server::{not_out, say, stopped};
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &VerifyStoppedTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(LookAtOldServer(task.clone())))], |cx| Outcome {
        stopped: cx.evidence_as("look-at-old-server").ok(),
        ..Outcome::default()
    })
}

struct LookAtOldServer(VerifyStoppedTask);

#[async_trait]
impl Look for LookAtOldServer {
    const NAME: &'static str = "look-at-old-server";

    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        let seen = stopped(cx, facts).await;
        if !seen.is_out() {
            return Err(not_out(&seen).saw("the old server", &self.0.server).into());
        }
        say(cx, &seen);
        Ok(serde_json::to_value(seen).unwrap_or_default())
    }
}
