//! Why an artifact did not arrive.

use std::path::{Path, PathBuf};

use syncferry_shared::Finding;

use crate::runner::StepError;

/// Why an artifact did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Somebody asked to stop. What arrived stays, and the next try goes on from there.
    #[error("cancelled")]
    Cancelled,
    /// The agent that has it, or the controller, does not answer.
    #[error("the transfer broke: {0}")]
    Unreachable(String),
    /// The agent that has it, or the controller, refuses.
    #[error("the transfer was refused: {0}")]
    Refused(String),
    /// The manifest is not the right one.
    #[error("the source's manifest is not believed: {0}")]
    Manifest(String),
    /// A chunk arrived damaged again and again.
    #[error("chunk {index} arrived damaged {tries} times")]
    Chunk {
        /// Which, from 0.
        index: u32,
        /// How often.
        tries: u32,
    },
    /// The file as it stands on the disk is not what was written.
    #[error("{} does not have the hash of its manifest", path.display())]
    Whole {
        /// Which file.
        path: PathBuf,
        /// Which chunks.
        chunks: Vec<u32>,
    },
    /// The volume is full.
    #[error("there is no space left for {}", .0.display())]
    Full(PathBuf),
    /// The disk refused otherwise.
    #[error("{}: {error}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl TransferError {
    /// What a disk said.
    pub(crate) fn disk(path: &Path, error: std::io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => TransferError::Full(path),
            _ => TransferError::Disk { path, error },
        }
    }

    /// As a finding.
    pub fn finding(&self) -> Finding {
        let (rule, next) = match self {
            TransferError::Cancelled => ("transfer-cancelled", "Nothing: the next try goes on from here."),
            TransferError::Unreachable(_) => (
                "transfer-unreachable",
                "Check that the source agent runs and that its [transfer] port can be reached from this host; the next try goes on where this one stopped.",
            ),
            TransferError::Refused(_) => (
                "transfer-refused",
                "Check that the source still has the backup file, that its [transfer] section is set, and that the clocks of both hosts are right.",
            ),
            TransferError::Manifest(_) => (
                "transfer-manifest",
                "Stop: the file on the source is not the one that was planned with. Cancel the migration and take a new backup.",
            ),
            TransferError::Chunk { .. } => (
                "transfer-chunk-damaged",
                "The source reads other bytes than it hashed, or something on the way changes them. Check the source's disk and memory, then take a new backup.",
            ),
            TransferError::Whole { .. } => (
                "transfer-file-damaged",
                "The target's disk gives back other bytes than were written. Check it, remove the file, then retry the migration.",
            ),
            TransferError::Full(_) => (
                "transfer-disk-full",
                "Free space on the staging volume of the target, then retry: the transfer goes on where it stopped.",
            ),
            TransferError::Disk { .. } => (
                "transfer-disk",
                "Check the staging folder of the target and the agent's rights there, then retry the migration.",
            ),
        };
        let finding = Finding::blocker(rule, self.to_string())
            .source("the agent's transfer")
            .next(next);
        match self {
            TransferError::Chunk { index, .. } => finding.saw("chunk", index),
            TransferError::Whole { chunks, .. } => finding.saw("damaged chunks", format!("{chunks:?}")),
            _ => finding,
        }
    }
}

impl From<TransferError> for StepError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Cancelled => StepError::Cancelled,
            TransferError::Unreachable(_) => StepError::passing(error.finding()),
            other => StepError::failed(other.finding()),
        }
    }
}
