//! Reading media: label, headers, file list, verification.

use super::{BackupError, BackupSet, MediaLabel, Progress};
use crate::storage::Drives;

/// The stripes of a media set, opened and checked against each other.
#[derive(Debug)]
pub struct MediaSet {}

impl MediaSet {
    /// Opens devices. All stripes must be there and of one set; headers must be whole, pages are not read.
    pub fn open(drives: &Drives, devices: &[String]) -> Result<MediaSet, BackupError> {
        unimplemented!("{drives:?} {devices:?}")
    }
    /// Opens one stripe for RESTORE LABELONLY, which does not need the others.
    pub fn label(drives: &Drives, device: &str) -> Result<MediaLabel, BackupError> {
        unimplemented!("{drives:?} {device:?}")
    }
    /// The labels, in the order of the family sequence.
    pub fn labels(&self) -> Vec<MediaLabel> {
        unimplemented!()
    }
    /// All finished sets.
    pub fn sets(&self) -> &[BackupSet] {
        unimplemented!()
    }
    /// One set, from 1.
    pub fn set(&self, position: u16) -> Result<&BackupSet, BackupError> {
        unimplemented!("{position}")
    }
    /// Starts reading all pages of a set.
    pub fn verify(&self, position: u16) -> Result<VerifyJob, BackupError> {
        unimplemented!("{position}")
    }
}

/// A running VERIFYONLY.
#[derive(Debug)]
pub struct VerifyJob {}

impl VerifyJob {
    /// Reads the next pages. None when the set is proven whole.
    pub fn step(&mut self) -> Result<Option<Progress>, BackupError> {
        unimplemented!()
    }
}
