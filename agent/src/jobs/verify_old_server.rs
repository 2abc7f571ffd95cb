//! `verify` on the old server: it is as it was. Then the backup file, which carries credentials, is deleted.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::VerifyOldServerTask;

use super::common::{OURS, Server, delete_file, file_exists, minutes, same_database};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, Probe, Step, StepError};

/// The job.
pub(super) fn job(task: &VerifyOldServerTask) -> Job {
    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(LooksOnly(LookAtOldServer { task: task.clone() }))];
    if let Some(path) = &task.delete_artifact {
        steps.push(Box::new(DeleteBackup { path: path.clone() }));
    }
    // What it found is added by the runner.
    Job::new(steps, |_| Outcome::default())
}

struct LookAtOldServer {
    task: VerifyOldServerTask,
}

#[async_trait]
impl Look for LookAtOldServer {
    const NAME: &'static str = "look-at-old-server";

    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let row = same_database(cx, &mut server, &self.task.database).await?;
        server.close().await;
        cx.saw("database_guid", self.task.database.database_guid);
        cx.saw("sys.databases.state_desc", &row.state);
        if self.task.connect_here {
            self.connect(cx).await?;
        }
        Ok(json!({"state": row.state}))
    }
}

impl LookAtOldServer {
    async fn connect(&self, cx: &mut Cx) -> Result<(), StepError> {
        let facts = cx.env.host.connect_facts().await?;
        let changed = |what: &str, now: String, before: String| {
            Finding::warning("old-server-changed", format!("The old server is not as it was: {what}"))
                .saw(format!("{what} now"), now)
                .saw("before", before)
                .source(OURS)
                .next("Syncferry put back what it had changed, so somebody else changed this. Find out who, and decide which server is to be active.")
        };
        let shown = |b: Option<bool>| b.map_or("unknown".to_string(), |b| b.to_string());
        let state = facts
            .service
            .as_ref()
            .map_or("not there".to_string(), |s| s.state.clone());
        cx.saw("service ADSync", &state);
        if !state.eq_ignore_ascii_case("running") {
            cx.findings
                .push(changed("service ADSync", state, "running".to_string()));
        }
        let staging = facts.scheduler.as_ref().map(|s| s.staging_mode);
        let enabled = facts.scheduler.as_ref().map(|s| s.sync_cycle_enabled);
        for (what, now, before) in [
            ("StagingModeEnabled", staging, self.task.staging_mode),
            ("SyncCycleEnabled", enabled, self.task.scheduler_enabled),
        ] {
            cx.saw(what, shown(now));
            if before.is_some() && now != before {
                cx.findings.push(changed(what, shown(now), shown(before)));
            }
        }
        Ok(())
    }
}

struct DeleteBackup {
    path: String,
}

#[async_trait]
impl Step for DeleteBackup {
    fn name(&self) -> &'static str {
        "delete-backup"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let there = file_exists(&cx.env.host, &self.path).await;
        Ok(if there {
            Probe::NotStarted
        } else {
            Probe::Done(json!({"deleted": self.path}))
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        // Without its file an artifact cannot be handed out; the manifest stays as evidence.
        delete_file(&cx.env.host, &self.path).await?;
        cx.saw("deleted", &self.path);
        Ok(json!({"deleted": self.path}))
    }
}
