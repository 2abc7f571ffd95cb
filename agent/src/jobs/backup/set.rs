//! The backup set: written by BACKUP, read again in full by RESTORE VERIFYONLY.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::artifact::SetHeader;

use super::Base;
use crate::jobs::common::{OURS, delete_file, file_exists, lock, minutes, same_database, staging};
use crate::jobs::look::Look;
use crate::runner::{Cx, Policy, Probe, Step, StepError};
use crate::sql::ops::{self, backup::BackupOptions};

pub(super) struct BackUp(pub(super) Base);

/// The file of an attempt, in the folder of its migration.
fn file_name(migration: &str, attempt: i32) -> String {
    format!("ADSync_{migration}_{attempt}.bak")
}

/// The files of the attempts before one.
fn earlier_files(migration: &str, attempt: i32) -> Vec<String> {
    (1..attempt).map(|n| file_name(migration, n)).collect()
}

impl BackUp {
    /// An attempt takes its file away when it goes backwards. One whose journal was lost did not: nothing else would ever do it.
    async fn delete_earlier(&self, cx: &mut Cx) -> Result<(), StepError> {
        for name in earlier_files(&cx.spec.migration.short(), cx.token.attempt) {
            let path = cx.env.host.join(&staging(cx), &name);
            if file_exists(&cx.env.host, &path).await {
                delete_file(&cx.env.host, &path).await?;
                cx.saw("left by an earlier attempt, and deleted", path);
            }
        }
        Ok(())
    }
    /// How it is backed up, whoever does it.
    pub(super) fn options(&self, cx: &Cx, path: &str, description: &str) -> BackupOptions {
        BackupOptions {
            name: format!("syncferry {}", cx.spec.migration.short()),
            description: description.to_string(),
            media_name: format!("syncferry-{}", cx.spec.migration.short()),
            media_description: format!("syncferry-agent {}", env!("CARGO_PKG_VERSION")),
            compression: self.0.task.compression,
            ..BackupOptions::new(self.0.database(), path)
        }
    }
    /// The set in the file that an earlier try began, if it is complete and ours.
    async fn complete(&self, cx: &Cx, path: &str, description: &str) -> Result<bool, StepError> {
        let mut server = self.0.server(cx).await?;
        let read = ops::header(&mut server.work, path).await;
        let known = ops::msdb::backups(&mut server.work, self.0.database(), 0).await;
        server.close().await;
        let Ok(record) = read else { return Ok(false) };
        // Where msdb may not be read, the set's own header must do; VERIFYONLY reads all of it in a later step.
        let guid = record.header.backup_set_guid;
        let finished = known.map_or(true, |k| k.iter().any(|b| b.backup_set_guid == guid));
        Ok(finished && record.header.description == description && record.has_checksums && !record.is_damaged)
    }
}

#[async_trait]
impl Step for BackUp {
    fn name(&self) -> &'static str {
        "backup-database"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = file_name(&cx.spec.migration.short(), cx.token.attempt);
        let path = cx.env.host.join(&staging(cx), &name);
        Ok(json!({"path": path, "description": Base::description(cx)}))
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let text = |key: &str| cx.intent().and_then(|i| i.get(key)?.as_str().map(str::to_string));
        let (Some(path), Some(description)) = (text("path"), text("description")) else {
            return Ok(Probe::NotStarted);
        };
        if !file_exists(&cx.env.host, &path).await {
            return Ok(Probe::NotStarted);
        }
        if self.complete(cx, &path, &description).await? {
            return Ok(Probe::Done(json!({"path": path, "description": description})));
        }
        Ok(Probe::Partial(format!("{path} is not a complete backup")))
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let intent = cx.intent().cloned().unwrap_or_default();
        let text = |key: &str| intent.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        let (path, description) = (text("path"), text("description"));
        self.delete_earlier(cx).await?;
        let mut server = self.0.server(cx).await?;
        same_database(cx, &mut server, &self.0.task.database).await?;
        let lock = lock(cx, &mut server, self.0.database()).await?;
        let options = self.options(cx, &path, &description);
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let expected = self.0.task.expected_bytes;
        let mut progress = |p| sink.set(as_bytes(p, expected));
        let (work, watch) = server.watched();
        let done = ops::backup(work, watch, &options, &cancel, &mut progress).await?;
        lock.release().await;
        server.close().await;
        cx.findings.extend(done.findings.clone());
        cx.saw(
            "BACKUP DATABASE",
            format!("{} pages in {} s", done.pages.unwrap_or(0), done.seconds.unwrap_or(0.0)),
        );
        Ok(json!({"path": path, "description": description, "pages": done.pages, "seconds": done.seconds}))
    }
    async fn confirm(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        let text = |key: &str| {
            evidence
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_string()
        };
        if self.complete(cx, &text("path"), &text("description")).await? {
            return Ok(());
        }
        Err(StepError::unknown(
            Finding::blocker(
                "backup-not-confirmed",
                "BACKUP reported success, but its set is not to be seen",
            )
            .saw(text("path"), "no complete set of ours, or msdb does not know it")
            .source(OURS)
            .next("Look at the SQL Server's error log (18264, 3041) and at the file, then apply the migration again."),
        ))
    }
    fn on_partial(&self) -> Policy {
        Policy::CleanAndRepeat
    }
    async fn clean(&self, cx: &mut Cx, _what: &str) -> Result<(), StepError> {
        let path = cx.intent().and_then(|i| i.get("path")?.as_str().map(str::to_string));
        match path {
            Some(path) => delete_file(&cx.env.host, &path).await,
            None => Ok(()),
        }
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        forget(cx, self.0.task.artifact);
        match evidence.get("path").and_then(Value::as_str) {
            Some(path) => delete_file(&cx.env.host, path).await,
            None => Ok(()),
        }
    }
}

/// BACKUP says per cent; people want bytes.
fn as_bytes(p: syncferry_shared::progress::Progress, expected: u64) -> syncferry_shared::progress::Progress {
    use syncferry_shared::progress::Unit;
    if p.unit != Unit::Percent || expected == 0 {
        return p;
    }
    let done = expected / 100 * p.done.min(100);
    let left = p.left_ms.filter(|ms| *ms > 0);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = left.map_or(0.0, |ms| (expected - done.min(expected)) as f64 * 1000.0 / ms as f64);
    syncferry_shared::progress::Progress {
        done,
        total: expected,
        unit: Unit::Bytes,
        rate,
        ..p
    }
}

pub(super) struct VerifySet(pub(super) Base);

#[async_trait]
impl Look for VerifySet {
    const NAME: &'static str = "verify-set";

    fn budget(&self) -> Duration {
        minutes(60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let made: Value = cx.evidence_as("backup-database")?;
        let path = made.get("path").and_then(Value::as_str).unwrap_or_default().to_string();
        let mut server = self.0.server(cx).await?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        ops::verify_only(work, watch, &path, &cancel, &mut progress).await?;
        let record = ops::header(&mut server.work, &path).await?;
        let label = ops::label(&mut server.work, &path).await?;
        let files = ops::file_list(&mut server.work, &path).await?;
        server.close().await;
        let expected = ops::Expectations {
            family_guid: self.0.task.database.family_guid,
            binding_id: Some(self.0.task.database.database_guid),
            database_name: record.header.database_name.clone(),
            server_name: Some(self.0.task.database.server_name.clone()),
            description: made.get("description").and_then(Value::as_str).map(str::to_string),
            files: 1,
            ..ops::Expectations::default()
        };
        ops::accept_set(&record, &label, &files, &expected).map_err(StepError::Failed)?;
        let header = SetHeader {
            files: files.into_iter().map(|f| f.file).collect(),
            ..record.header
        };
        cx.saw("RESTORE VERIFYONLY", "The backup set on file 1 is valid.");
        cx.saw("BackupSetGUID", header.backup_set_guid);
        cx.saw("FamilyGUID", header.family_guid);
        Ok(serde_json::to_value(header).unwrap_or_default())
    }
}

/// Hands an artifact out no more.
fn forget(cx: &Cx, artifact: syncferry_shared::ArtifactId) {
    if let Err(error) = cx.env.artifacts.remove(artifact) {
        tracing::warn!(%error, %artifact, "a manifest could not be removed; without its file it cannot be handed out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_earlier_attempts_are_known_by_their_names() {
        assert!(earlier_files("0242ac12", 1).is_empty());
        assert_eq!(
            earlier_files("0242ac12", 3),
            ["ADSync_0242ac12_1.bak", "ADSync_0242ac12_2.bak"]
        );
    }
}
