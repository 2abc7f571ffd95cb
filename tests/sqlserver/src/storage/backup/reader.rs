//! Reading media: label, headers, file list, verification.

use super::stream::PageStream;
use super::stripe::{self, SetEnd, Stripe, StripeSet};
use super::{BackupError, BackupSet, MediaLabel, Progress};
use crate::storage::{Drives, OsError};

/// The stripes of a media set, opened and checked against each other.
#[derive(Debug)]
pub struct MediaSet {
    drives: Drives,
    /// By family sequence number.
    stripes: Vec<Stripe>,
    sets: Vec<BackupSet>,
}

impl MediaSet {
    /// Opens devices. All stripes must be there and of one set; headers must be whole, pages are not read.
    pub fn open(drives: &Drives, devices: &[String]) -> Result<MediaSet, BackupError> {
        let mut stripes = Vec::new();
        for device in devices {
            stripes.push(Stripe::open(drives, device)?);
        }
        stripes.sort_by_key(|s| s.label.family_sequence_number);
        check_family(&stripes)?;
        let sets = complete_sets(&stripes);
        Ok(MediaSet {
            drives: drives.clone(),
            stripes,
            sets,
        })
    }

    /// Opens one stripe for RESTORE LABELONLY, which does not need the others.
    pub fn label(drives: &Drives, device: &str) -> Result<MediaLabel, BackupError> {
        let opened = drives.open(device);
        let mut file = opened.map_err(|error| BackupError::Open {
            device: device.into(),
            error,
        })?;
        Ok(stripe::read_label(&mut file, device)?.0)
    }

    /// The sets on one stripe for RESTORE HEADERONLY, which needs neither the others nor whole sets. An incomplete or
    /// damaged last set is included: `true` says that it is complete.
    pub fn headers(drives: &Drives, device: &str) -> Result<Vec<(BackupSet, bool)>, BackupError> {
        let stripe = Stripe::open(drives, device)?;
        let sets = stripe.sets.into_iter();
        Ok(sets.map(|s| (s.set, matches!(s.end, SetEnd::Complete(_)))).collect())
    }

    /// The labels, in the order of the family sequence.
    pub fn labels(&self) -> Vec<MediaLabel> {
        self.stripes.iter().map(|s| s.label.clone()).collect()
    }

    /// The devices, in the order of the family sequence.
    pub fn devices(&self) -> Vec<&str> {
        self.stripes.iter().map(|s| s.device.as_str()).collect()
    }

    /// All finished sets.
    pub fn sets(&self) -> &[BackupSet] {
        &self.sets
    }

    /// One finished set, from 1. Errors say why it is not usable: incomplete, cut, damaged or not there.
    pub fn set(&self, position: u16) -> Result<&BackupSet, BackupError> {
        let index = usize::from(position).wrapping_sub(1);
        if let Some(set) = self.sets.get(index) {
            return Ok(set);
        }
        let broken = self.stripes.iter().filter_map(|s| Some((s, s.sets.get(index)?)));
        let reasons = broken.map(|(stripe, set)| match &set.end {
            SetEnd::Cut => Some(BackupError::Read {
                device: stripe.device.clone(),
                error: OsError::EndOfFile,
            }),
            SetEnd::Damaged(reason) => Some(BackupError::SetDamaged((*reason).into())),
            SetEnd::Stopped => Some(BackupError::Incomplete { position }),
            // Another stripe has it not, or not whole.
            SetEnd::Complete(_) => None,
        });
        let mut found = false;
        let reason = reasons.inspect(|_| found = true).flatten().next();
        let missing = if found {
            BackupError::Incomplete { position }
        } else {
            BackupError::NoSuchSet { position }
        };
        Err(reason.unwrap_or(missing))
    }

    /// Starts reading all pages of a set.
    pub fn verify(&self, position: u16) -> Result<VerifyJob, BackupError> {
        Ok(VerifyJob {
            stream: self.stream(position)?,
        })
    }

    pub(crate) fn stream(&self, position: u16) -> Result<PageStream, BackupError> {
        let total = self.set(position)?.header.data_pages;
        let index = usize::from(position) - 1;
        let stripes: Vec<(&str, &StripeSet)> = self
            .stripes
            .iter()
            .filter_map(|s| Some((s.device.as_str(), s.sets.get(index)?)))
            .collect();
        PageStream::open(&self.drives, &stripes, position, total)
    }
}

fn check_family(stripes: &[Stripe]) -> Result<(), BackupError> {
    let Some(first) = stripes.first() else {
        return Err(BackupError::MissingFamily {
            family_count: 1,
            provided: 0,
        });
    };
    for (index, stripe) in stripes.iter().enumerate() {
        let device = stripe.device.clone();
        if stripe.label.media_set_id != first.label.media_set_id {
            return Err(BackupError::ForeignFamily {
                device,
                expected: first.label.media_set_id,
            });
        }
        let sequence = stripe.label.family_sequence_number;
        if stripes[..index]
            .iter()
            .any(|s| s.label.family_sequence_number == sequence)
        {
            return Err(BackupError::DuplicateFamily { device, sequence });
        }
    }
    let provided = u16::try_from(stripes.len()).unwrap_or(u16::MAX);
    if provided != first.label.family_count {
        return Err(BackupError::MissingFamily {
            family_count: first.label.family_count,
            provided,
        });
    }
    Ok(())
}

/// The sets that are complete on all stripes.
fn complete_sets(stripes: &[Stripe]) -> Vec<BackupSet> {
    let Some(first) = stripes.first() else {
        return Vec::new();
    };
    let complete = first.sets.iter().enumerate().take_while(|(index, set)| {
        stripes.iter().all(|stripe| {
            stripe.sets.get(*index).is_some_and(|other| {
                matches!(other.end, SetEnd::Complete(_))
                    && other.set.header.backup_set_guid == set.set.header.backup_set_guid
            })
        })
    });
    complete.map(|(_, set)| set.set.clone()).collect()
}

/// A running VERIFYONLY.
#[derive(Debug)]
pub struct VerifyJob {
    stream: PageStream,
}

impl VerifyJob {
    /// Reads the next pages. None when the set is proven whole.
    pub fn step(&mut self) -> Result<Option<Progress>, BackupError> {
        Ok(self.stream.next()?.map(|_| self.stream.progress()))
    }
}
