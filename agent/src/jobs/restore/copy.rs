//! The copy of the backup file on this host: fetched, accepted as the expected set, deleted when the database stands.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Base;
use syncferry_shared::Finding;

use crate::jobs::common::{OURS, delete_file, file_exists, minutes};
use crate::jobs::look::Look;
use crate::runner::{Cx, Probe, Step, StepError};
use crate::sql::capability;
use crate::sql::errors::SqlErrorKind;
use crate::sql::ops::{self, Expectations};
use crate::transfer::{self, HashError, hash_file};

pub(super) struct Fetch(pub(super) Base);

#[async_trait]
impl Step for Fetch {
    fn name(&self) -> &'static str {
        "fetch"
    }
    fn budget(&self) -> Duration {
        minutes(24 * 60)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let wanted = self.0.wanted(cx);
        // What an earlier try fetched is beside the file and is not fetched again.
        Ok(match transfer::is_there(cx, &wanted).await? {
            true => Probe::Done(self.evidence(cx)),
            false => Probe::NotStarted,
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let wanted = self.0.wanted(cx);
        let manifest = transfer::pull(cx, &wanted).await?;
        cx.saw("chunks, each with its hash", manifest.chunks.len());
        cx.saw("bytes", manifest.size);
        cx.saw("BLAKE3", &manifest.root);
        Ok(self.evidence(cx))
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        // The file got its name only after the whole of it was read again from the disk.
        Ok(())
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(transfer::discard(&self.0.wanted(cx).destination)?)
    }
    async fn discard(&self, cx: &mut Cx) -> Result<(), StepError> {
        // Parts of a backup carry credentials as the whole does.
        Ok(transfer::discard(&self.0.wanted(cx).destination)?)
    }
}

impl Fetch {
    fn evidence(&self, cx: &Cx) -> Value {
        json!({"path": self.0.file(cx), "root": self.0.task.root, "size": self.0.task.size})
    }
}

pub(super) struct AcceptSet(pub(super) Base);

#[async_trait]
impl Look for AcceptSet {
    const NAME: &'static str = "accept-set";

    fn budget(&self) -> Duration {
        minutes(60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let path = self.0.file(cx);
        let target: Value = cx.evidence_as("look-at-target")?;
        let major = target
            .get("major")
            .and_then(Value::as_i64)
            .and_then(|m| i32::try_from(m).ok());
        let mut server = self.0.server(cx).await?;
        let record = match ops::header(&mut server.work, &path).await {
            // To read a header takes the right to make databases. The bytes are those whose header was read at the source: their
            // hash says so; and VERIFYONLY is in what the DBA is asked to run.
            Err(e) if self.0.task.dba && e.kind == SqlErrorKind::PermissionDenied && !self.0.task.root.is_empty() => {
                server.close().await;
                cx.saw(
                    "RESTORE HEADERONLY",
                    "not permitted to the agent; the file's hash is the manifest's",
                );
                cx.saw("BackupSetGUID", self.0.task.header.backup_set_guid);
                return Ok(json!({"media_name": Value::Null}));
            }
            record => record?,
        };
        let label = ops::label(&mut server.work, &path).await?;
        let files = ops::file_list(&mut server.work, &path).await?;
        let expected = Expectations {
            target_major: major,
            target_internal_version: major.and_then(capability::internal_version),
            without_checksums: self.0.task.without_checksums,
            ..Expectations::from_header(&self.0.task.header)
        };
        ops::accept_set(&record, &label, &files, &expected).map_err(StepError::Failed)?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        if self.0.task.without_checksums {
            ops::verify_without_checksums(work, watch, &path, &cancel, &mut progress).await?;
        } else {
            ops::verify_only(work, watch, &path, &cancel, &mut progress).await?;
        }
        server.close().await;
        cx.saw("BackupSetGUID", record.header.backup_set_guid);
        cx.saw("FamilyGUID", record.header.family_guid);
        cx.saw("BackupDescription", &record.header.description);
        cx.saw("RESTORE VERIFYONLY", "The backup set on file 1 is valid.");
        Ok(json!({"media_name": label.media_name}))
    }
}

/// A file that is here already: hashed, and held against the manifest where there is one.
pub(super) struct HashHere(pub(super) Base);

#[async_trait]
impl Look for HashHere {
    const NAME: &'static str = "hash-file";

    fn budget(&self) -> Duration {
        minutes(60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let path = self.0.file(cx);
        let local = cx.env.host.local_path(&path);
        let hashing = hash_file(local, "hashing the backup", Some(cx.progress_sink()), cx.cancel_token()).await;
        let hashed = match hashing {
            Ok(hashed) => hashed,
            Err(HashError::Cancelled) => return Err(StepError::Cancelled),
            // SQL Server reads the file itself; what binds the restore without a manifest is its header.
            Err(HashError::Io { error, .. }) if self.0.task.root.is_empty() => {
                cx.findings.push(
                    Finding::note("backup-not-hashed", format!("{path} could not be read by the agent"))
                        .saw(&path, error)
                        .source(OURS)
                        .next("Nothing: SQL Server reads it, and its header says which set it is. No hash of it is in the report."),
                );
                return Ok(json!({"root": Value::Null}));
            }
            Err(HashError::Io { error, .. }) => {
                return Err(
                    Finding::blocker("backup-file-unusable", format!("{path} cannot be read by the agent"))
                        .saw(&path, error)
                        .source(OURS)
                        .next("Give the agent's account read access to it, then apply the migration again.")
                        .into(),
                );
            }
        };
        cx.saw("BLAKE3", &hashed.root);
        cx.saw("bytes", hashed.size);
        if !self.0.task.root.is_empty() && self.0.task.root != hashed.root {
            return Err(
                Finding::blocker("backup-file-changed", format!("{path} is not the file of its manifest"))
                    .saw("BLAKE3 now", &hashed.root)
                    .saw("BLAKE3 in the manifest", &self.0.task.root)
                    .source(OURS)
                    .next("Somebody wrote into it. Use another backup: cancel the migration and plan again.")
                    .into(),
            );
        }
        Ok(json!({"root": hashed.root, "size": hashed.size}))
    }
}

pub(super) struct DeleteCopy(pub(super) Base);

#[async_trait]
impl Step for DeleteCopy {
    fn name(&self) -> &'static str {
        "delete-copy"
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let path = self.0.file(cx);
        Ok(if file_exists(&cx.env.host, &path).await {
            Probe::NotStarted
        } else {
            Probe::Done(json!({"deleted": path}))
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let path = self.0.file(cx);
        delete_file(&cx.env.host, &path).await?;
        Ok(json!({"deleted": path}))
    }
}
