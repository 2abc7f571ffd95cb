//! `fence`: removes every mark of ours from a database, gives CONNECT back to those named, and proves that nothing of it is left.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::fence::MarksReadBack;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::RemoveMarksTask;

use super::common::{OURS, Server, minutes, same_database};
use super::fence_database::{gone, same_digest};
use crate::fence::{RemovalRun, refused, removal_run};
use crate::runner::{Cx, Job, Probe, Step, StepError};
use crate::sql::ops::fence;

/// The job.
pub(super) fn job(task: &RemoveMarksTask) -> Job {
    let task = || task.clone();
    let steps: Vec<Box<dyn Step>> = vec![
        Box::new(LookAtMarks { task: task() }),
        Box::new(RemoveMarks { task: task() }),
        Box::new(ProveClean { task: task() }),
    ];
    Job::new(steps, |cx| Outcome {
        cleaned: cx.evidence_as("prove-clean").ok(),
        ..Outcome::default()
    })
}

async fn approved(cx: &Cx, server: &mut Server, task: &RemoveMarksTask) -> Result<RemovalRun, StepError> {
    same_database(cx, server, &task.database).await?;
    let run = removal_run(&mut server.work, &task.database.address.database, &task.allow).await?;
    let run = run.ok_or_else(|| gone(&task.database))?;
    let blockers: Vec<Finding> = run.findings.iter().filter(|f| f.blocks()).cloned().collect();
    if !blockers.is_empty() {
        return Err(StepError::Failed(blockers));
    }
    same_digest(&run.preview.digest(), &task.preview_digest)?;
    Ok(run)
}

struct LookAtMarks {
    task: RemoveMarksTask,
}

#[async_trait]
impl Step for LookAtMarks {
    fn name(&self) -> &'static str {
        "look-at-marks"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let run = approved(cx, &mut server, &self.task).await?;
        server.close().await;
        for (name, value) in &run.preview.marks {
            cx.saw(name.clone(), value);
        }
        for p in &run.preview.principals {
            cx.saw("CONNECT denied to", &p.login);
        }
        for statement in &run.preview.statements {
            cx.saw(statement.purpose.clone(), &statement.text);
        }
        Ok(json!({"marks": run.preview.marks, "denied": run.preview.principals, "allow": run.allow}))
    }
}

struct RemoveMarks {
    task: RemoveMarksTask,
}

#[async_trait]
impl Step for RemoveMarks {
    fn name(&self) -> &'static str {
        "remove-marks"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let name = &self.task.database.address.database;
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        same_database(cx, &mut server, &self.task.database).await?;
        let marks = fence::marks(&mut server.work, name).await?;
        let run = removal_run(&mut server.work, name, &self.task.allow).await?;
        let run = run.ok_or_else(|| gone(&self.task.database))?;
        server.close().await;
        let denied = run.preview.principals.iter().filter_map(|p| p.user.as_ref());
        let left = denied.filter(|user| run.allow.contains(user)).count();
        Ok(if marks.is_empty() && left == 0 {
            Probe::Done(json!({"allowed": run.allow}))
        } else {
            Probe::NotStarted
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let run = approved(cx, &mut server, &self.task).await?;
        let name = &self.task.database.address.database;
        fence::commit(&mut server.work, name, &run.clean)
            .await
            .map_err(refused)?;
        server.close().await;
        cx.saw("granted CONNECT", run.allow.join(", "));
        Ok(json!({"allowed": run.allow}))
    }
}

struct ProveClean {
    task: RemoveMarksTask,
}

#[async_trait]
impl Step for ProveClean {
    fn name(&self) -> &'static str {
        "prove-clean"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = &self.task.database.address.database;
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let row = same_database(cx, &mut server, &self.task.database).await?;
        let marks = fence::marks(&mut server.work, name).await?;
        let denied = fence::denied(&mut server.work, name).await?;
        let at = fence::look(&mut server.work, name, &[]).await?.at;
        server.close().await;
        let back = MarksReadBack {
            server_name: self.task.database.server_name.clone(),
            marks,
            denied: denied.into_iter().map(|d| d.user).collect(),
            allowed: cx.evidence_as::<Allowed>("remove-marks")?.allowed,
            at,
        };
        let left = back.ours_left();
        if !left.is_empty() {
            return Err(
                Finding::blocker("marks-left", format!("Something of ours is still on {}", row.name))
                    .saw("extended properties, and sys.database_permissions", left.join(", "))
                    .source(OURS)
                    .next("Somebody writes it at the same time. Find out which agent, let it end, and run this again.")
                    .into(),
            );
        }
        let others = back.others_denied().join(", ");
        if !others.is_empty() {
            cx.findings.push(
                Finding::warning("denials-left", format!("CONNECT to {} is still denied to users that were not named", row.name))
                    .saw("sys.database_permissions", &others)
                    .source(OURS)
                    .next("Name them when they are Connect's accounts and should come in again; leave them when a DBA denied them."),
            );
        }
        cx.saw("marks on the database", "none");
        let told = if others.is_empty() { "nobody" } else { others.as_str() };
        cx.saw("CONNECT denied to", told);
        Ok(json!(back))
    }
}

/// What the step before did.
#[derive(serde::Deserialize)]
struct Allowed {
    allowed: Vec<String>,
}
