//! One device of a media set: its label and where its sets begin and end.

use serde::{Deserialize, Serialize};

use super::block::{self, BLOCK_HEADER, BlockError, Tag};
use super::{BackupError, BackupSet, BackupSetHeader, MediaLabel};
use crate::storage::{DriveFile, Drives, OsError};

/// The format this build writes, and the newest it reads.
pub(crate) const FORMAT: u16 = 1;

/// The payload of LABL.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabelBlock {
    pub(crate) format: u16,
    pub(crate) label: MediaLabel,
}

/// The format alone, readable whatever else a newer version writes.
#[derive(Deserialize)]
struct FormatOnly {
    format: u16,
}

/// The payload of TRLR.
#[derive(Serialize, Deserialize)]
pub(crate) struct TrailerBlock {
    pub(crate) header: BackupSetHeader,
    pub(crate) stream_bytes: u64,
    pub(crate) stream_crc: u32,
}

/// How a set ends on this stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetEnd {
    /// With its trailer; the next set begins at this offset.
    Complete(u64),
    /// The file ends between two blocks: BACKUP was killed.
    Stopped,
    /// The file ends inside a block: it was cut.
    Cut,
    /// Something else stands there.
    Damaged(&'static str),
}

/// A set on this stripe.
#[derive(Debug, Clone)]
pub(crate) struct StripeSet {
    pub(crate) set: BackupSet,
    /// Where its BSET block is.
    pub(crate) start: u64,
    pub(crate) end: SetEnd,
}

/// A device, opened and scanned. Pages are skipped, not read.
#[derive(Debug)]
pub(crate) struct Stripe {
    pub(crate) device: String,
    pub(crate) label: MediaLabel,
    pub(crate) label_end: u64,
    pub(crate) sets: Vec<StripeSet>,
}

impl Stripe {
    /// Opens a device for reading and scans it.
    pub(crate) fn open(drives: &Drives, device: &str) -> Result<Stripe, BackupError> {
        let opened = drives.open(device);
        let mut file = opened.map_err(|error| BackupError::Open {
            device: device.into(),
            error,
        })?;
        Stripe::scan(&mut file, device)
    }

    /// Scans an open device.
    pub(crate) fn scan(file: &mut DriveFile, device: &str) -> Result<Stripe, BackupError> {
        let (label, label_end) = read_label(file, device)?;
        let mut stripe = Stripe {
            device: device.into(),
            label,
            label_end,
            sets: Vec::new(),
        };
        let mut at = label_end;
        while let Some(set) = stripe.scan_set(file, at)? {
            let end = set.end.clone();
            stripe.sets.push(set);
            match end {
                SetEnd::Complete(next) => at = next,
                _ => break,
            }
        }
        Ok(stripe)
    }

    /// Where the next set may be written: after the last complete one.
    pub(crate) fn append_at(&self) -> u64 {
        let ends = self.sets.iter().rev().find_map(|s| match s.end {
            SetEnd::Complete(next) => Some(next),
            _ => None,
        });
        ends.unwrap_or(self.label_end)
    }

    fn scan_set(&self, file: &mut DriveFile, start: u64) -> Result<Option<StripeSet>, BackupError> {
        let ill_formed = || BackupError::NotAMedium {
            device: self.device.clone(),
        };
        let payload = match block::read(file, start, &mut crc32fast::Hasher::new()) {
            Ok((Tag::Set, payload)) => payload,
            // A header that was cut: BACKUP was killed before it began. What was before it is whole.
            Err(BlockError::End | BlockError::Cut) => return Ok(None),
            Err(BlockError::Os(error)) => return Err(self.read_error(error)),
            Ok(_) | Err(BlockError::Damaged(..)) => return Err(ill_formed()),
        };
        let mut set: BackupSet = serde_json::from_slice(&payload).map_err(|_| ill_formed())?;
        let mut at = start + (BLOCK_HEADER + payload.len()) as u64;
        let end = loop {
            match block::read_header(file, at) {
                Ok((header, _)) if header.tag == Tag::Pages => at += (BLOCK_HEADER + header.len) as u64,
                Ok((header, _)) if header.tag == Tag::Trailer => match read_trailer(file, at) {
                    Ok(trailer) => {
                        set.header = trailer.header;
                        break SetEnd::Complete(at + (BLOCK_HEADER + header.len) as u64);
                    }
                    Err(Some(error)) => return Err(self.read_error(error)),
                    Err(None) => break SetEnd::Damaged("the trailer is damaged"),
                },
                Ok(_) => break SetEnd::Damaged("the set has no trailer"),
                Err(BlockError::End) => break SetEnd::Stopped,
                Err(BlockError::Cut) => break SetEnd::Cut,
                Err(BlockError::Damaged(reason, _)) => break SetEnd::Damaged(reason),
                Err(BlockError::Os(error)) => return Err(self.read_error(error)),
            }
        };
        Ok(Some(StripeSet { set, start, end }))
    }

    fn read_error(&self, error: OsError) -> BackupError {
        BackupError::Read {
            device: self.device.clone(),
            error,
        }
    }
}

/// Reads a device's label and where it ends.
pub(crate) fn read_label(file: &mut DriveFile, device: &str) -> Result<(MediaLabel, u64), BackupError> {
    let ill_formed = || BackupError::NotAMedium { device: device.into() };
    let payload = match block::read(file, 0, &mut crc32fast::Hasher::new()) {
        Ok((Tag::Label, payload)) => payload,
        Err(BlockError::End) => return Err(BackupError::Empty { device: device.into() }),
        Err(BlockError::Os(error)) => {
            return Err(BackupError::Read {
                device: device.into(),
                error,
            });
        }
        Ok(_) | Err(BlockError::Cut | BlockError::Damaged(..)) => return Err(ill_formed()),
    };
    let FormatOnly { format } = serde_json::from_slice(&payload).map_err(|_| ill_formed())?;
    if format != FORMAT {
        return Err(BackupError::MediaVersion {
            device: device.into(),
            version: format,
        });
    }
    let block: LabelBlock = serde_json::from_slice(&payload).map_err(|_| ill_formed())?;
    Ok((block.label, (BLOCK_HEADER + payload.len()) as u64))
}

fn read_trailer(file: &mut DriveFile, at: u64) -> Result<TrailerBlock, Option<OsError>> {
    match block::read(file, at, &mut crc32fast::Hasher::new()) {
        Ok((_, payload)) => serde_json::from_slice(&payload).map_err(|_| None),
        Err(BlockError::Os(error)) => Err(Some(error)),
        Err(_) => Err(None),
    }
}
