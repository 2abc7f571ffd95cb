//! The database under its temporary name: restored, checked by DBCC, made ready for the service account.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;

use super::Base;
use crate::jobs::common::{OURS, Server, lock, minutes};
use crate::jobs::look::Look;
use crate::runner::{Cx, Policy, Probe, Step, StepError};
use crate::sql::ops::{self, AfterRestore, Dropped, restore::FileMove, restore::RestoreOptions};

pub(super) struct Restore(pub(super) Base);

impl Restore {
    pub(super) fn moves(cx: &Cx) -> Vec<FileMove> {
        let listed = cx
            .intent()
            .and_then(|i| i.get("moves")?.as_array().cloned())
            .unwrap_or_default();
        let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        listed
            .iter()
            .map(|m| FileMove {
                logical_name: text(m, "logical_name"),
                to: text(m, "to"),
            })
            .collect()
    }
    /// Whether the database of the temporary name came from our set: as msdb has it, or, where msdb may not be read, because
    /// it has exactly the files that only this migration uses.
    async fn is_from_our_set(&self, cx: &Cx, server: &mut Server) -> Result<bool, StepError> {
        let name = &self.0.task.temporary_name;
        let sets = ops::msdb::restored_sets(&mut server.work, name)
            .await
            .unwrap_or_default();
        if sets.contains(&self.0.task.header.backup_set_guid) {
            return Ok(true);
        }
        let files = Self::our_files(cx);
        for file in &files {
            if ops::paths::owner_of_file(&mut server.work, file).await?.as_ref() != Some(name) {
                return Ok(false);
            }
        }
        Ok(!files.is_empty())
    }
    fn our_files(cx: &Cx) -> Vec<String> {
        Self::moves(cx).into_iter().map(|m| m.to).collect()
    }
    pub(super) async fn drop_temporary(&self, cx: &Cx) -> Result<(), StepError> {
        let name = &self.0.task.temporary_name;
        let mut server = self.0.server(cx).await?;
        let dropped = ops::drop_ours(&mut server.work, name, self.0.family(), &Self::our_files(cx)).await?;
        server.close().await;
        match dropped {
            Dropped::Done | Dropped::Absent => Ok(()),
            Dropped::NotOurs => Err(Finding::blocker(
                "temporary-name-not-ours",
                format!("{name} is not the database that we restored"),
            )
            .saw("family_guid and files", "not ours")
            .source(OURS)
            .next(format!("Find out what {name} is. It was left alone."))
            .into()),
        }
    }
}

#[async_trait]
impl Step for Restore {
    fn name(&self) -> &'static str {
        "restore-database"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let target: Value = cx.evidence_as("look-at-target")?;
        let dir = |key: &str| target.get(key).and_then(Value::as_str).map(str::to_string);
        let (Some(data), Some(log)) = (dir("data_path"), dir("log_path")) else {
            return Err(Finding::blocker(
                "target-folders-unknown",
                "The target instance does not say where its files belong",
            )
            .saw("SERVERPROPERTY('InstanceDefaultDataPath')", "NULL")
            .source(OURS)
            .next("Give the folders with --data-dir and --log-dir and plan again.")
            .into());
        };
        let moves = ops::place_files(&self.0.task.header.files, &self.0.task.temporary_name, &data, &log);
        let moves: Vec<Value> = moves
            .iter()
            .map(|m| json!({"logical_name": m.logical_name, "to": m.to}))
            .collect();
        Ok(json!({"temporary_name": self.0.task.temporary_name, "moves": moves}))
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let name = &self.0.task.temporary_name;
        if self.0.is_renamed(cx) {
            return Ok(Probe::Done(
                json!({"temporary_name": name, "files": Self::our_files(cx)}),
            ));
        }
        let mut server = self.0.server(cx).await?;
        let row = ops::database_identity(&mut server.work, name).await?;
        let ours = match &row {
            Some(row) => row.family_guid == Some(self.0.family()) && self.is_from_our_set(cx, &mut server).await?,
            None => false,
        };
        server.close().await;
        let Some(row) = row else { return Ok(Probe::NotStarted) };
        Ok(match row.state.as_str() {
            "ONLINE" if ours => Probe::Done(json!({"temporary_name": name, "files": Self::our_files(cx)})),
            "ONLINE" => Probe::Unknown(format!("{name} is online and not from this backup")),
            "RECOVERING" => Probe::InProgress,
            state => Probe::Partial(format!("{name} is {state}")),
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let media: Value = cx.evidence_as("accept-set")?;
        let options = RestoreOptions {
            media_name: media.get("media_name").and_then(Value::as_str).map(str::to_string),
            checksums: !task.without_checksums,
            ..RestoreOptions::new(&task.temporary_name, self.0.file(cx), Self::moves(cx))
        };
        let mut server = self.0.server(cx).await?;
        let lock = lock(cx, &mut server, &task.final_name).await?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        let done = ops::restore(work, watch, &options, &cancel, &mut progress).await?;
        lock.release().await;
        server.close().await;
        cx.saw(
            "RESTORE DATABASE",
            format!("{} pages in {} s", done.pages.unwrap_or(0), done.seconds.unwrap_or(0.0)),
        );
        Ok(
            json!({"temporary_name": task.temporary_name, "files": Self::our_files(cx), "pages": done.pages, "seconds": done.seconds}),
        )
    }
    fn on_partial(&self) -> Policy {
        Policy::CleanAndRepeat
    }
    async fn clean(&self, cx: &mut Cx, _what: &str) -> Result<(), StepError> {
        self.drop_temporary(cx).await
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        self.drop_temporary(cx).await
    }
}

pub(super) struct CheckDatabase(pub(super) Base);

#[async_trait]
impl Look for CheckDatabase {
    const NAME: &'static str = "check-database";

    fn budget(&self) -> Duration {
        minutes(120)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = self.0.server(cx).await?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        let findings = ops::check_db(work, watch, self.0.name(cx), &cancel, &mut progress).await?;
        server.close().await;
        if !findings.is_empty() {
            return Err(StepError::Failed(findings));
        }
        cx.saw("DBCC CHECKDB", "no errors");
        Ok(json!({"errors": 0}))
    }
}

pub(super) struct Prepare(pub(super) Base);

#[async_trait]
impl Step for Prepare {
    fn name(&self) -> &'static str {
        "prepare-database"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        // Owner, users and options: each is looked at before it is set, and read back.
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let target: Value = cx.evidence_as("look-at-target")?;
        let major = target.get("major").and_then(Value::as_i64).unwrap_or(0);
        let after = AfterRestore {
            database: self.0.name(cx).to_string(),
            service_account: task.service_account.clone(),
            update_statistics: i64::from(task.header.software_major) != major,
        };
        let mut server = self.0.server(cx).await?;
        let findings = ops::after_restore(&mut server.work, &after).await?;
        server.close().await;
        for f in &findings {
            cx.saw(f.rule.clone(), f.title.clone());
        }
        cx.findings.extend(findings);
        if let Some(account) = &task.service_account {
            cx.saw("db_owner", account);
        }
        Ok(json!({"service_account": task.service_account}))
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(())
    }
}
