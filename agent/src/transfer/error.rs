//! Why an artifact did not arrive.

use std::path::{Path, PathBuf};

use syncferry_shared::Finding;
use syncferry_shared::finding::bytes;

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
    /// The volume is full, or would be.
    #[error("there is not enough space for {}", path.display())]
    Full {
        /// Which file.
        path: PathBuf,
        /// Bytes that it still needs and that are free, where that was looked at before anything was written.
        room: Option<(u64, u64)>,
    },
    /// The disk refused otherwise.
    #[error("{}: {error}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// The volume has less room than the file still needs. Found before anything is written.
#[derive(Debug, thiserror::Error)]
#[error("{needed} bytes are needed, {free} are free")]
pub(super) struct NoRoom {
    pub(super) needed: u64,
    pub(super) free: u64,
}

impl From<NoRoom> for std::io::Error {
    fn from(error: NoRoom) -> Self {
        std::io::Error::new(std::io::ErrorKind::StorageFull, error)
    }
}

impl TransferError {
    /// What a disk said.
    pub(crate) fn disk(path: &Path, error: std::io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                let room = error
                    .get_ref()
                    .and_then(|e| e.downcast_ref::<NoRoom>())
                    .map(|e| (e.needed, e.free));
                TransferError::Full { path, room }
            }
            _ => TransferError::Disk { path, error },
        }
    }

    /// As a finding.
    pub fn finding(&self) -> Finding {
        let (rule, title, next) = self.words();
        let finding = Finding::blocker(rule, title).source(SOURCE).next(next);
        match self {
            TransferError::Cancelled => finding.saw("transfer", self),
            TransferError::Unreachable(said) => finding.saw("the source's agent, or the controller", said),
            TransferError::Refused(said) => finding.saw("the source's agent, or the controller, said", said),
            TransferError::Manifest(why) => finding.saw("the manifest that the source sent", why),
            TransferError::Chunk { index, tries } => finding.saw(
                format!("BLAKE3 of chunk {index}"),
                format!("wrong in each of {tries} tries"),
            ),
            TransferError::Whole { path, chunks } => finding
                .saw(format!("BLAKE3 of {}", path.display()), "not that of the manifest")
                .saw("damaged chunks", listed(chunks)),
            TransferError::Full { path, room } => match room {
                Some((needed, free)) => finding
                    .saw(format!("free on the volume of {}", path.display()), bytes(*free))
                    .saw("still needed", bytes(*needed)),
                None => finding.saw(path.display().to_string(), "the volume is full"),
            },
            TransferError::Disk { path, error } => finding.saw(path.display().to_string(), error),
        }
    }

    /// The rule, one sentence that says what is wrong, and what to do next.
    fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            TransferError::Cancelled => (
                "transfer-cancelled",
                "The transfer of the backup was stopped",
                "Nothing: the next try goes on from here.",
            ),
            TransferError::Unreachable(_) => (
                "transfer-unreachable",
                "The backup could not be fetched from the source's agent",
                "Check that the source's agent runs and that its [transfer] port can be reached from this host, then apply the migration again: it goes on where it stopped.",
            ),
            TransferError::Refused(_) => (
                "transfer-refused",
                "The source's agent does not hand the backup over",
                "Check that the backup file is still on the source, that its agent's [transfer] section is set, and that the clocks of both hosts are right. Then apply the migration again. Where the file is gone, cancel the migration and plan again: that takes a new backup.",
            ),
            TransferError::Manifest(_) => (
                "transfer-manifest",
                "The source's manifest is not the one that the job was made for",
                "Nothing was fetched. Find out who changed the artifacts in the data directory of the source's agent, then cancel the migration and plan again: that takes a new backup.",
            ),
            TransferError::Chunk { .. } => (
                "transfer-chunk-damaged",
                "A part of the backup does not have the hash that it had when it was made",
                "The file on the source changed after it was hashed, or something on the way changes bytes. Check the source's disk and memory, then cancel the migration and plan again: that takes a new backup.",
            ),
            TransferError::Whole { .. } => (
                "transfer-file-damaged",
                "The fetched file does not have the hash of its manifest",
                "The target's disk gives back other bytes than were written, or the file is somebody else's. Check the disk, move the file away, then apply the migration again.",
            ),
            TransferError::Full { .. } => (
                "transfer-disk-full",
                "The backup does not fit into the staging folder of the target",
                "Free space on that volume, then apply the migration again: the transfer goes on where it stopped.",
            ),
            TransferError::Disk { .. } => (
                "transfer-disk",
                "The staging folder of the target cannot be used",
                "Check the disk and the agent's rights in the staging folder, then apply the migration again.",
            ),
        }
    }
}

/// Where the rules come from.
const SOURCE: &str = "Syncferry: a backup counts only where every byte of it was proven";

/// The first few of many.
fn listed(chunks: &[u32]) -> String {
    let first: Vec<String> = chunks.iter().take(10).map(u32::to_string).collect();
    match chunks.len() {
        0 => "none by itself".to_string(),
        n if n > first.len() => format!("{} and {} more", first.join(", "), n - first.len()),
        _ => first.join(", "),
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
