//! The backup file: hashed into the manifest by which the target knows it.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::artifact::{Manifest, SetHeader};

use super::Base;
use crate::jobs::common::{OURS, minutes};
use crate::jobs::look::Look;
use crate::runner::{Cx, StepError};
use crate::transfer::{HashError, hash_file};

pub(super) struct HashFile(pub(super) Base);

#[async_trait]
impl Look for HashFile {
    const NAME: &'static str = "hash-file";

    fn budget(&self) -> Duration {
        minutes(60)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let made: Value = cx.evidence_as("backup-database")?;
        let path = made.get("path").and_then(Value::as_str).unwrap_or_default().to_string();
        let header: SetHeader = cx.evidence_as("verify-set")?;
        let local = cx.env.host.local_path(&path);
        let hashed = hash_file(local, "hashing the backup", Some(cx.progress_sink()), cx.cancel_token()).await;
        let hashed = hashed.map_err(|e| match e {
            HashError::Cancelled => StepError::Cancelled,
            HashError::Io { error, .. } => unreadable(&path, &error),
        })?;
        let manifest = Manifest {
            artifact: self.0.task.artifact,
            migration: cx.spec.migration,
            host: cx.spec.host,
            path,
            size: hashed.size,
            chunk_size: hashed.chunk_size,
            chunks: hashed.chunks,
            root: hashed.root,
            header,
            taken_at: cx.env.clocks.now(),
        };
        cx.env
            .artifacts
            .put(&manifest)
            .map_err(|e| unreadable(&manifest.path, &e))?;
        cx.saw("BLAKE3", &manifest.root);
        cx.saw("bytes", manifest.size);
        Ok(serde_json::to_value(manifest).unwrap_or_default())
    }
}

fn unreadable(path: &str, error: &dyn std::fmt::Display) -> StepError {
    StepError::failed(
        Finding::blocker("backup-file-unusable", format!("{path} cannot be read by the agent, or not be handed out"))
            .saw(path, error)
            .source(OURS)
            .next("Give the agent's account read access to its staging folder and its data directory, then apply the migration again."),
    )
}
