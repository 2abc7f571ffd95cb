//! The copy of the backup file on this host: fetched, accepted as the expected set, deleted when the database stands.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Base;
use crate::jobs::common::{delete_file, file_exists, minutes};
use crate::jobs::look::Look;
use crate::runner::{Cx, Probe, Step, StepError};
use crate::sql::capability;
use crate::sql::ops::{self, Expectations};
use crate::transfer;

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
        let record = ops::header(&mut server.work, &path).await?;
        let label = ops::label(&mut server.work, &path).await?;
        let files = ops::file_list(&mut server.work, &path).await?;
        let expected = Expectations {
            target_major: major,
            target_internal_version: major.and_then(capability::internal_version),
            ..Expectations::from_header(&self.0.task.header)
        };
        ops::accept_set(&record, &label, &files, &expected).map_err(StepError::Failed)?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        ops::verify_only(work, watch, &path, &cancel, &mut progress).await?;
        server.close().await;
        cx.saw("BackupSetGUID", record.header.backup_set_guid);
        cx.saw("FamilyGUID", record.header.family_guid);
        cx.saw("BackupDescription", &record.header.description);
        cx.saw("RESTORE VERIFYONLY", "The backup set on file 1 is valid.");
        Ok(json!({"media_name": label.media_name}))
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
