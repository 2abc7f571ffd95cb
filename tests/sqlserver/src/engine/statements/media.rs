//! What BACKUP and RESTORE share: devices, option values, and the engine's numbers for what media say.

use std::collections::BTreeMap;

use crate::engine::ast::{Device, DeviceKind, MediaOption};
use crate::engine::errors::{Result, SqlError, err, raw_error};
use crate::engine::eval::convert::plain_text;
use crate::engine::instance::file_error;
use crate::engine::session::Session;
use crate::storage::FileError;
use crate::storage::backup::BackupError;
use crate::types::{SqlType, Value};

/// WITH options with their values.
#[derive(Debug, Default)]
pub(super) struct With {
    values: BTreeMap<String, Value>,
}

impl With {
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::Str(s) => Some(s.to_string()),
            _ => None,
        }
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Value::Int(i) => Some(*i),
            Value::Str(s) => s.trim().parse().ok(),
            Value::Decimal(v, 0) => i64::try_from(*v).ok(),
            _ => None,
        }
    }

    /// STATS: every so many per cent; 10 without a value, 0 when it was not asked for.
    pub(super) fn stats(&self) -> u8 {
        if !self.has("STATS") {
            return 0;
        }
        u8::try_from(self.int("STATS").unwrap_or(10).clamp(1, 100)).unwrap_or(10)
    }

    /// 3031 for options that exclude each other.
    pub(super) fn exclusive(&self, pairs: &[(&str, &str)]) -> Result<()> {
        let clash = pairs.iter().find(|(a, b)| self.has(a) && self.has(b));
        clash.map_or(Ok(()), |(a, b)| Err(err!(3031, a, b)))
    }

    /// 3250 for a number out of range.
    pub(super) fn in_range(&self, name: &str, fits: impl Fn(i64) -> bool) -> Result<()> {
        match self.int(name) {
            Some(n) if !fits(n) => Err(err!(3250, n, name)),
            _ => Ok(()),
        }
    }

    pub(super) fn check_sizes(&self) -> Result<()> {
        self.in_range("BLOCKSIZE", |n| (512..=65_536).contains(&n) && n.count_ones() == 1)?;
        self.in_range("MAXTRANSFERSIZE", |n| {
            (65_536..=4_194_304).contains(&n) && n % 65_536 == 0
        })?;
        self.in_range("BUFFERCOUNT", |n| n > 0)?;
        self.in_range("STATS", |n| (0..=100).contains(&n))?;
        self.exclusive(&[("CHECKSUM", "NO_CHECKSUM"), ("STOP_ON_ERROR", "CONTINUE_AFTER_ERROR")])
    }
}

impl Session {
    pub(super) fn with_options(&self, options: &[MediaOption]) -> Result<With> {
        let mut with = With::default();
        for option in options {
            let value = match &option.value {
                Some(value) => self.evaluate(value)?.0,
                None => Value::Null,
            };
            if with.values.insert(option.name.clone(), value).is_some() {
                let text = format!("The option \"{}\" is specified more than once.", option.name);
                return Err(raw_error(1049, 15, 1, text).ends_batch());
            }
        }
        Ok(with)
    }

    /// The devices' paths. A bare file name is in the default backup folder.
    pub(super) fn devices(&self, devices: &[Device]) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for device in devices {
            let (value, ty) = self.evaluate(&device.path)?;
            let path = match value {
                Value::Null => String::new(),
                value => plain_text(&value, &ty, &SqlType::NVarChar(None), 0)?.to_string(),
            };
            if path.trim().is_empty() {
                return Err(raw_error(
                    3044,
                    16,
                    1,
                    "Invalid zero-length device name. Reissue the BACKUP statement with a valid device name."
                        .to_owned(),
                ));
            }
            match device.kind {
                DeviceKind::Disk => {}
                DeviceKind::Logical => return Err(err!(3206, path)),
                DeviceKind::Tape => return Err(err!(3201, path, crate::storage::OsError::FileNotFound)),
                DeviceKind::Url => {
                    let text = format!(
                        "A nonrecoverable I/O error occurred on file \"{path}:\" Backup to URL received an exception from the remote endpoint. Exception Message: The remote name could not be resolved."
                    );
                    return Err(raw_error(3271, 16, 1, text));
                }
            }
            if path.chars().count() > 259 {
                return Err(err!(3057, 259));
            }
            let absolute = path.contains(":\\") || path.contains(":/") || path.starts_with("\\\\");
            paths.push(if absolute {
                path.replace('/', "\\")
            } else {
                format!("{}{path}", self.inst.config().backup_path)
            });
        }
        Ok(paths)
    }
}

/// What a failed file of the database is in BACKUP and RESTORE.
fn target_error(error: &FileError, database_id: i32) -> SqlError {
    match error {
        FileError::Os { path, error } => match error.code().0 {
            2 | 3 | 53 | 21 => err!(5133, folder(path), error),
            _ => err!(5123, error, path),
        },
        other => file_error(other, database_id),
    }
}

fn folder(path: &str) -> &str {
    path.rfind('\\').map_or(path, |at| &path[..=at])
}

/// A media error as SQL Server says it. `restoring` decides the state of 3201.
pub(super) fn media_error(
    error: &BackupError,
    database: &str,
    database_id: i32,
    device: &str,
    restoring: bool,
) -> SqlError {
    match error {
        BackupError::Open { device, error } => err!(3201, device, error).state(if restoring { 2 } else { 1 }),
        BackupError::Write { device, error } => err!(3202, device, error),
        BackupError::Read { device, error } => err!(3203, device, error),
        BackupError::NotAMedium { device } => err!(3241, device),
        BackupError::Empty { device } => err!(3254, device),
        BackupError::MediaVersion { device, version } => err!(3243, device, version, 0, 1, 0),
        BackupError::Incomplete { .. } => err!(3256, device),
        BackupError::NoSuchSet { position } => err!(3287, position, device),
        BackupError::MissingFamily { family_count, provided } => err!(3132, family_count, provided),
        BackupError::ForeignFamily { device, .. } => err!(3258, device),
        BackupError::DuplicateFamily { device, sequence } => err!(3227, device, sequence, device),
        BackupError::CannotAppend { device, reason } => {
            if reason.contains("compression") {
                err!(3098, "COMPRESSION", "COMPRESSION", "NO_COMPRESSION")
            } else if let Some(count) = reason.strip_prefix("the media set has ") {
                let count = count.split(' ').next().unwrap_or("1");
                err!(3231, device, count, 1)
            } else {
                err!(3258, device)
            }
        }
        BackupError::SourceDamaged(damage) => {
            err!(3043, database, 1, damage.page_id, database)
        }
        BackupError::PageDamaged(damage) => err!(3183, 1, damage.page_id, database),
        BackupError::SetDamaged(_) => err!(3189),
        BackupError::NoChecksums => err!(3187),
        BackupError::NoSuchFile(logical) => err!(3234, logical, database),
        BackupError::NoSpace {
            volume,
            needed,
            available,
        } => err!(3257, volume, needed, available).then(err!(3119)),
        BackupError::FileExists(path) => err!(3142, path, path).then(err!(3119)),
        BackupError::ClaimedTwice(path) => err!(3176, path, "", 2, "", 1).then(err!(3119)),
        BackupError::File(file) => target_error(file, database_id),
    }
}
