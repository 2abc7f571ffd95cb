//! `fence`: writes a nonce into a database. Whoever reads it through another way is in the same database; whoever does not is in
//! a copy, or in something else.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::fence::{IdentityFacts, MARK_NONCE};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::ProbeIdentityTask;

use super::common::{OURS, Server, minutes, same_database};
use super::fence_database::gone;
use crate::fence::refused;
use crate::runner::{Cx, Job, Probe, Step, StepError};
use crate::sql::ops::{fence, identity_facts};

/// The job.
pub(super) fn job(task: &ProbeIdentityTask) -> Job {
    let steps: Vec<Box<dyn Step>> = vec![Box::new(WriteNonce { task: task.clone() })];
    Job::new(steps, |cx| Outcome {
        probed: cx.evidence_as("write-nonce").ok(),
        ..Outcome::default()
    })
}

/// The job that removes the nonce again, and proves it removed.
pub(super) fn removal(task: &ProbeIdentityTask) -> Job {
    let steps: Vec<Box<dyn Step>> = vec![Box::new(RemoveNonce(WriteNonce { task: task.clone() }))];
    Job::new(steps, |cx| Outcome {
        probed: cx.evidence_as("remove-nonce").ok(),
        ..Outcome::default()
    })
}

struct RemoveNonce(WriteNonce);

#[async_trait]
impl Step for RemoveNonce {
    fn name(&self) -> &'static str {
        "remove-nonce"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let mut server = Server::open(cx, &self.0.task.database.address.instance).await?;
        let facts = self.0.read(cx, &mut server).await?;
        server.close().await;
        Ok(if self.0.is_ours(&facts) {
            Probe::NotStarted
        } else {
            Probe::Done(json!(facts))
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        self.0.undo(cx, &Value::Null).await?;
        let mut server = Server::open(cx, &self.0.task.database.address.instance).await?;
        let facts = self.0.read(cx, &mut server).await?;
        server.close().await;
        if self.0.is_ours(&facts) {
            return Err(Finding::blocker("nonce-left", "The nonce is still on the database")
                .saw(MARK_NONCE, &self.0.task.nonce)
                .source(OURS)
                .next("Somebody writes it at the same time. Find out which agent, let it end, and run this again; `syncferry lease marks remove` takes every mark away.")
                .into());
        }
        cx.saw(MARK_NONCE, facts.marks.get(MARK_NONCE).map_or("none", String::as_str));
        Ok(json!(facts))
    }
}

struct WriteNonce {
    task: ProbeIdentityTask,
}

impl WriteNonce {
    /// What the database says of itself; refused where it takes no changes, because nothing is proven there.
    async fn read(&self, cx: &Cx, server: &mut Server) -> Result<IdentityFacts, StepError> {
        same_database(cx, server, &self.task.database).await?;
        let facts = identity_facts(&mut server.work, &self.task.database.address.database).await?;
        let facts = facts.ok_or_else(|| gone(&self.task.database))?;
        if facts.updateability.as_deref() == Some("READ_WRITE") {
            return Ok(facts);
        }
        Err(Finding::blocker("identity-not-writable", "The database takes no changes where the agent reaches it")
            .saw("DATABASEPROPERTYEX Updateability", facts.updateability.as_deref().unwrap_or("unknown"))
            .source(OURS)
            .next("A secondary, a snapshot or a standby proves nothing. Give the agent an endpoint that leads to the primary replica.")
            .into())
    }

    fn is_ours(&self, facts: &IdentityFacts) -> bool {
        facts.marks.get(MARK_NONCE) == Some(&self.task.nonce)
    }
}

#[async_trait]
impl Step for WriteNonce {
    fn name(&self) -> &'static str {
        "write-nonce"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let facts = self.read(cx, &mut server).await?;
        server.close().await;
        Ok(if self.is_ours(&facts) {
            Probe::Done(json!(facts))
        } else {
            Probe::NotStarted
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let identity = &self.task.database;
        let (name, uid) = (&identity.address.database, identity.id.to_string());
        self.read(cx, &mut server).await?;
        fence::write_nonce(&mut server.work, name, identity.database_guid, &uid, &self.task.nonce)
            .await
            .map_err(refused)?;
        let facts = self.read(cx, &mut server).await?;
        server.close().await;
        cx.saw(MARK_NONCE, facts.marks.get(MARK_NONCE).map_or("none", String::as_str));
        Ok(json!(facts))
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let identity = &self.task.database;
        same_database(cx, &mut server, identity).await?;
        let name = &identity.address.database;
        fence::remove_nonce(&mut server.work, name, identity.database_guid, &self.task.nonce)
            .await
            .map_err(refused)?;
        server.close().await;
        Ok(())
    }
}
