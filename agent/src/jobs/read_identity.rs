//! `fence`: reads what a database says of itself through another way, nonces included. That nobody answers there is an answer too:
//! what was written elsewhere is to be removed all the same.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::fence::MARK_NONCE;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::ReadIdentityTask;

use super::common::{Server, minutes};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, StepError};
use crate::sql::ops::identity_facts;

/// The job.
pub(super) fn job(task: &ReadIdentityTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(ReadIdentity { task: task.clone() }))], |cx| {
        Outcome {
            probed: cx.evidence_as(ReadIdentity::NAME).ok(),
            ..Outcome::default()
        }
    })
}

struct ReadIdentity {
    task: ReadIdentityTask,
}

#[async_trait]
impl Look for ReadIdentity {
    const NAME: &'static str = "read-identity";

    fn budget(&self) -> Duration {
        minutes(2)
    }

    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let address = &self.task.database;
        let mut server = match Server::open(cx, &address.instance).await {
            Ok(server) => server,
            Err(e) => {
                cx.saw(format!("instance {}", address.instance), e);
                return Ok(Value::Null);
            }
        };
        let facts = identity_facts(&mut server.work, &address.database).await?;
        server.close().await;
        let Some(facts) = facts else {
            cx.saw("sys.databases", format!("no database {}", address.database));
            return Ok(Value::Null);
        };
        cx.saw(MARK_NONCE, facts.marks.get(MARK_NONCE).map_or("none", String::as_str));
        Ok(json!(facts))
    }
}
