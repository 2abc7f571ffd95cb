//! BACKUP DATABASE: writes a snapshot's pages to one or more stripes.

use time::OffsetDateTime;
use uuid::Uuid;

use super::block::{self, Tag};
use super::codec::{self, PAGES_PER_FRAME};
use super::stripe::{FORMAT, LabelBlock, Stripe, TrailerBlock};
use super::{BackupError, BackupKind, BackupSet, BackupSetHeader, MediaLabel, Progress, describe};
use crate::storage::page;
use crate::storage::system::guid;
use crate::storage::{Database, DriveFile, Drives, InstanceConfig, OsError, PAGE_SIZE, PageSnapshot};

/// What becomes of what is on the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaMode {
    /// `FORMAT`: a new media set, whatever is there.
    Format,
    /// `INIT`: the media set stays, its sets go.
    Init,
    /// `NOINIT`, the default: append.
    Append,
}

/// The options of BACKUP.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRequest {
    /// Full, differential or log.
    pub kind: BackupKind,
    /// FORMAT, INIT or NOINIT.
    pub mode: MediaMode,
    /// COPY_ONLY.
    pub copy_only: bool,
    /// CHECKSUM.
    pub checksum: bool,
    /// COMPRESSION.
    pub compression: bool,
    /// NAME.
    pub name: Option<String>,
    /// DESCRIPTION.
    pub description: Option<String>,
    /// MEDIANAME.
    pub media_name: Option<String>,
    /// MEDIADESCRIPTION.
    pub media_description: Option<String>,
    /// EXPIREDATE.
    pub expiration_date: Option<OffsetDateTime>,
    /// The login that runs it.
    pub user_name: String,
    /// Now, in the server's offset.
    pub started: OffsetDateTime,
}

impl BackupRequest {
    /// A full backup with defaults: append, no checksum, no compression.
    pub fn new(user_name: &str, started: OffsetDateTime) -> BackupRequest {
        BackupRequest {
            kind: BackupKind::Database,
            mode: MediaMode::Append,
            copy_only: false,
            checksum: false,
            compression: false,
            name: None,
            description: None,
            media_name: None,
            media_description: None,
            expiration_date: None,
            user_name: user_name.into(),
            started,
        }
    }
}

/// A device while a set is written to it.
#[derive(Debug)]
struct Target {
    device: String,
    file: DriveFile,
    label: MediaLabel,
    /// Where the set begins; None when this job made the file.
    keep: Option<u64>,
    start: u64,
    at: u64,
    crc: crc32fast::Hasher,
}

/// A running BACKUP. Dropping it without [`finish`](BackupJob::finish) leaves an incomplete set, as a killed server
/// would; see [`abort`](BackupJob::abort).
#[derive(Debug)]
pub struct BackupJob {
    targets: Vec<Target>,
    snapshot: PageSnapshot,
    set: BackupSet,
    checksum: bool,
    total: usize,
    done: usize,
    frame: usize,
}

impl BackupJob {
    /// Opens the devices and writes the headers. The snapshot must be of this very state of the database.
    pub fn start(
        drives: &Drives,
        devices: &[String],
        snapshot: PageSnapshot,
        database: &Database,
        config: &InstanceConfig,
        request: BackupRequest,
    ) -> Result<BackupJob, BackupError> {
        let (targets, position) = open_targets(drives, devices, &request)?;
        let set = describe::set(database, config, &request, position, snapshot.page_count());
        let total = usize::try_from(snapshot.page_count()).unwrap_or(usize::MAX);
        let checksum = request.checksum;
        let mut job = BackupJob {
            targets,
            snapshot,
            set,
            checksum,
            total,
            done: 0,
            frame: 0,
        };
        match job.write_set_header() {
            Ok(()) => Ok(job),
            Err(error) => {
                job.abort();
                Err(error)
            }
        }
    }

    /// Writes the next pages (256 KiB). None when all are written.
    pub fn step(&mut self) -> Result<Option<Progress>, BackupError> {
        if self.done >= self.total {
            return Ok(None);
        }
        let count = PAGES_PER_FRAME.min(self.total - self.done);
        let mut pages = vec![0; count * PAGE_SIZE];
        for (index, bytes) in pages.chunks_exact_mut(PAGE_SIZE).enumerate() {
            // `chunks_exact_mut` gives chunks of exactly this size.
            if let Ok(page) = bytes.try_into() {
                self.read_page(self.done + index, page)?;
            }
        }
        let payload = codec::encode(self.done as u64, &pages);
        let stripe = self.frame % self.targets.len();
        self.targets[stripe].write(&block::encode(Tag::Pages, &payload))?;
        self.done += count;
        self.frame += 1;
        Ok(Some(self.progress()))
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.done as u64,
            total: self.total as u64,
        }
    }

    /// The label of each device, in order, for `backupmediaset` and `backupmediafamily`.
    pub fn labels(&self) -> Vec<MediaLabel> {
        self.targets.iter().map(|t| t.label.clone()).collect()
    }

    /// The set as far as it is known before the end.
    pub fn set(&self) -> &BackupSet {
        &self.set
    }

    /// Writes the trailers and syncs. The set exists from here on.
    pub fn finish(mut self, finished: OffsetDateTime) -> Result<BackupSet, BackupError> {
        let written: u64 = self.targets.iter().map(|t| t.at - t.start).sum();
        let header = &mut self.set.header;
        header.backup_finish_date = finished;
        if header.compressed {
            header.compressed_backup_size = i64::try_from(written).unwrap_or(i64::MAX);
        }
        let result = self.targets.iter_mut().try_for_each(|target| target.finish(header));
        match result {
            Ok(()) => Ok(self.set),
            Err(error) => {
                self.abort();
                Err(error)
            }
        }
    }

    /// Stops: files this job created are deleted, media that existed are cut back to where they ended.
    pub fn abort(self) {
        for mut target in self.targets {
            // The statement has failed already: what cannot be cleaned up is an incomplete set, and says so itself.
            let _ = match target.keep {
                None => target.file.remove(),
                Some(end) => target.file.set_len(end),
            };
        }
    }

    fn write_set_header(&mut self) -> Result<(), BackupError> {
        let payload = json(&self.set)?;
        for target in &mut self.targets {
            if target.at == 0 {
                let label = LabelBlock {
                    format: FORMAT,
                    label: target.label.clone(),
                };
                target.write(&block::encode(Tag::Label, &json(&label)?))?;
                target.begin_set();
            }
            target.write(&block::encode(Tag::Set, &payload))?;
        }
        Ok(())
    }

    fn read_page(&mut self, index: usize, page: &mut page::Page) -> Result<(), BackupError> {
        let read = self.snapshot.read(index, page);
        let id = read.map_err(|error| BackupError::Read {
            device: self.set.header.database_name.clone(),
            error,
        })?;
        // Without CHECKSUM a damaged page is copied as it is; reading the set will find it.
        if self.checksum {
            page::check(page, Some(id)).map_err(BackupError::SourceDamaged)?;
        }
        Ok(())
    }
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.file.write_at(self.at, bytes).map_err(|error| self.failed(error))?;
        self.crc.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn begin_set(&mut self) {
        self.start = self.at;
        self.crc = crc32fast::Hasher::new();
    }

    fn finish(&mut self, header: &BackupSetHeader) -> Result<(), BackupError> {
        let trailer = TrailerBlock {
            header: header.clone(),
            stream_bytes: self.at - self.start,
            stream_crc: self.crc.clone().finalize(),
        };
        self.write(&block::encode(Tag::Trailer, &json(&trailer)?))?;
        self.file.sync().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: OsError) -> BackupError {
        BackupError::Write {
            device: self.device.clone(),
            error,
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec(value).map_err(|e| BackupError::SetDamaged(e.to_string()))
}

/// Opens all devices; new or reformatted ones are empty. Gives the position of the set to be written.
fn open_targets(
    drives: &Drives,
    devices: &[String],
    request: &BackupRequest,
) -> Result<(Vec<Target>, u16), BackupError> {
    let existing = devices.iter().filter(|d| drives.info(d).is_file).count();
    if request.mode == MediaMode::Format || existing == 0 {
        return Ok((create_targets(drives, devices, request)?, 1));
    }
    let mut targets: Vec<Target> = Vec::new();
    let mut positions = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        let opened = drives.open_write(device);
        let mut file = opened.map_err(|error| BackupError::Open {
            device: device.clone(),
            error,
        })?;
        let stripe = Stripe::scan(&mut file, device)?;
        let first = targets.first().map_or(&stripe.label, |t: &Target| &t.label);
        fits(&stripe, index, devices.len(), first, request)?;
        let keep = if request.mode == MediaMode::Init {
            stripe.label_end
        } else {
            stripe.append_at()
        };
        positions.push(stripe.sets.iter().take_while(|s| s.start < keep).count() + 1);
        let crc = crc32fast::Hasher::new();
        targets.push(Target {
            device: device.clone(),
            file,
            label: stripe.label,
            keep: Some(keep),
            start: keep,
            at: keep,
            crc,
        });
    }
    let position = positions.iter().copied().max().unwrap_or(1);
    if let Some(lagging) = positions.iter().position(|p| *p != position) {
        let reason = "the media family does not have the sets of the others".into();
        return Err(BackupError::CannotAppend {
            device: devices[lagging].clone(),
            reason,
        });
    }
    // Only now, when all devices fit, anything is changed.
    for target in &mut targets {
        let cut = target.file.set_len(target.at);
        cut.map_err(|error| target.failed(error))?;
    }
    Ok((targets, u16::try_from(position).unwrap_or(u16::MAX)))
}

fn create_targets(drives: &Drives, devices: &[String], request: &BackupRequest) -> Result<Vec<Target>, BackupError> {
    let media_set_id = guid();
    let mut targets = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        let file = drives.create(device).map_err(|error| BackupError::Open {
            device: device.clone(),
            error,
        })?;
        let label = new_label(media_set_id, index, devices.len(), request);
        let crc = crc32fast::Hasher::new();
        targets.push(Target {
            device: device.clone(),
            file,
            label,
            keep: None,
            start: 0,
            at: 0,
            crc,
        });
    }
    Ok(targets)
}

fn new_label(media_set_id: Uuid, index: usize, count: usize, request: &BackupRequest) -> MediaLabel {
    MediaLabel {
        media_name: request.media_name.clone(),
        media_set_id,
        // T-SQL allows 64 devices.
        family_count: count as u16,
        family_sequence_number: index as u16 + 1,
        media_family_id: guid(),
        media_sequence_number: 1,
        media_description: request.media_description.clone(),
        software_name: "Microsoft SQL Server".into(),
        software_vendor_id: describe::VENDOR,
        media_date: request.started,
        mirror_count: 1,
        is_compressed: request.compression,
    }
}

/// Whether a set with these options may be written to an existing stripe.
fn fits(
    stripe: &Stripe,
    index: usize,
    count: usize,
    first: &MediaLabel,
    request: &BackupRequest,
) -> Result<(), BackupError> {
    let label = &stripe.label;
    let device = stripe.device.clone();
    if label.media_set_id != first.media_set_id {
        return Err(BackupError::ForeignFamily {
            device,
            expected: first.media_set_id,
        });
    }
    let reason = if usize::from(label.family_count) != count {
        format!("the media set has {} families", label.family_count)
    } else if usize::from(label.family_sequence_number) != index + 1 {
        format!("it is family {} of the media set", label.family_sequence_number)
    } else if label.is_compressed != request.compression {
        "its compression differs".into()
    } else if request.media_name.is_some() && request.media_name != label.media_name {
        format!(
            "the media name is '{}'",
            label.media_name.as_deref().unwrap_or_default()
        )
    } else {
        return Ok(());
    };
    Err(BackupError::CannotAppend { device, reason })
}
