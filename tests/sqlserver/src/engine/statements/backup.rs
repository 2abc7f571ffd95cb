//! BACKUP DATABASE and BACKUP LOG: checks in SQL Server's order, then the job step by step. 3013 comes last.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::media::{With, media_error};
use super::pace::{Pace, full_disk};
use crate::engine::ast::{Backup, BackupKind as Kind};
use crate::engine::errors::{Result, SqlError, err, msg};
use crate::engine::eval::dates;
use crate::engine::instance::{Handle, file_error};
use crate::engine::interpreter::{Outcome, Run, Stop};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::storage::backup::{BackupError, BackupJob, BackupKind, BackupRequest, BackupSet, MediaMode};
use crate::storage::{Database, DatabaseState, InstanceConfig, PageSnapshot, RecoveryModel};

/// Lets the next BACKUP in when this one ends, however it ends.
struct Running(Arc<Handle>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.backing_up.store(false, Ordering::SeqCst);
    }
}

impl Session {
    pub(super) async fn backup(&mut self, out: &mut Out<'_>, backup: &Backup) -> Run<Outcome> {
        let statement = if backup.kind == Kind::Database {
            "BACKUP DATABASE"
        } else {
            "BACKUP LOG"
        };
        match self.run_backup(out, backup, statement).await {
            // A cancelled statement says nothing; every other failure ends with 3013.
            Err(Stop::Sql(e)) if !e.is_cancelled() && !is_syntax(&e) => Err(e.then(err!(3013, statement)).into()),
            other => other,
        }
    }

    async fn run_backup(&mut self, out: &mut Out<'_>, backup: &Backup, statement: &'static str) -> Run<Outcome> {
        if self.transaction.count > 0 {
            return Err(err!(3021).into());
        }
        let with = self.with_options(&backup.options)?;
        let devices = self.devices(&backup.devices)?;
        let name = self.evaluate_text(&backup.database)?.unwrap_or_default();
        let handle = self.backup_source(&name, backup.kind, &with, statement)?;
        let config = self.inst.config();
        check_edition(&config, &with)?;
        if handle.backing_up.swap(true, Ordering::SeqCst) {
            return Err(err!(3023).into());
        }
        let _running = Running(Arc::clone(&handle));
        self.fault("backup", &name, &devices.join(";")).await?;
        let request = self.backup_request(backup.kind, &with, &config)?;
        let (database, snapshot) = pinned(&handle)?;
        let device = devices.first().cloned().unwrap_or_default();
        let told = |e: BackupError| Stop::from(media_error(&e, &database.meta.name, handle.id, &device, false));
        let copy_only = request.copy_only;
        let kind = request.kind;
        let mut job =
            BackupJob::start(&self.inst.drives(), &devices, snapshot, &database, &config, request).map_err(told)?;
        let mut pace = Pace::new(
            self,
            with.stats(),
            command::BACKUP_DATABASE,
            "backup",
            &database.meta.name,
        );
        loop {
            let step = match full_disk(self, &database.meta.name, &device) {
                Some(error) => Err(Stop::from(error)),
                None => job.step().map_err(told),
            };
            let stepped = match step {
                Ok(None) => break,
                Ok(Some(progress)) => pace.step(self, out, progress).await,
                Err(error) => Err(error),
            };
            if let Err(error) = stepped {
                // Cancelled or killed: what is written stays, without its end. A failure is cleaned up.
                if !matches!(&error, Stop::Sql(e) if e.is_cancelled()) && !matches!(&error, Stop::Io(_)) {
                    job.abort();
                }
                return Err(error);
            }
        }
        pace.finish(self, out).await?;
        let labels = job.labels();
        let set = job
            .finish(self.inst.now().to_offset(self.inst.offset()))
            .map_err(told)?;
        self.remember(&handle, &set, kind, copy_only, with.has("NORECOVERY"))?;
        if let Err(error) = self.record_backup(&set, &labels, &devices) {
            tracing::warn!(error = error.number(), "the backup history cannot be written");
            out.info(msg!(3009)).await?;
        }
        self.inst
            .effect(statement, &database.meta.name, &devices.join(";"), self.login_name());
        self.tell(out, &pace, &set, statement).await
    }

    /// 4035 for each file, then 3014: each followed by a DONE of its own.
    async fn tell(&self, out: &mut Out<'_>, pace: &Pace, set: &BackupSet, statement: &str) -> Run<Outcome> {
        let header = &set.header;
        for file in &set.files {
            let pages = if file.kind == crate::storage::FileKind::Data {
                header.data_pages
            } else {
                header.log_pages
            };
            if statement == "BACKUP LOG" && file.kind == crate::storage::FileKind::Data {
                continue;
            }
            out.info(msg!(
                4035,
                pages,
                header.database_name,
                file.logical_name,
                header.position
            ))
            .await?;
            out.done_more(command::BACKUP_DATABASE).await?;
        }
        out.info(pace.summary(statement, header.data_pages + header.log_pages))
            .await?;
        Ok(Outcome::Done(None, command::BACKUP_DATABASE))
    }

    /// The database, if it may be backed up in this way.
    fn backup_source(&self, name: &str, kind: Kind, with: &With, statement: &str) -> Result<Arc<Handle>> {
        let handle = self.inst.usable(name)?;
        let database = handle.database();
        let user = self.user_in(&database, handle.id);
        if user.is_none() {
            return Err(err!(916, self.login_name(), database.meta.name));
        }
        if !self.may(&database, handle.id, statement, None) {
            return Err(err!(262, statement, database.meta.name));
        }
        if handle.id == 2 {
            return Err(crate::engine::errors::raw_error(
                3147,
                16,
                3,
                "Backup and restore operations are not allowed on database tempdb.".to_owned(),
            ));
        }
        let meta = &database.meta;
        if meta.state == DatabaseState::Emergency {
            return Err(err!(3033));
        }
        if kind == Kind::Log {
            if meta.recovery_model == RecoveryModel::Simple {
                return Err(err!(4208, statement));
            }
            if meta.differential_base_lsn.is_none() && meta.last_log_backup_lsn.is_none() {
                return Err(err!(4214));
            }
        }
        if with.has("DIFFERENTIAL") && meta.differential_base_guid.is_none() {
            return Err(err!(3035, meta.name));
        }
        Ok(handle)
    }

    fn backup_request(&self, kind: Kind, with: &With, config: &InstanceConfig) -> Result<BackupRequest> {
        with.check_sizes()?;
        with.exclusive(&[
            ("FORMAT", "NOFORMAT"),
            ("INIT", "NOINIT"),
            ("SKIP", "NOSKIP"),
            ("COMPRESSION", "NO_COMPRESSION"),
            ("FORMAT", "NOSKIP"),
            ("EXPIREDATE", "RETAINDAYS"),
        ])?;
        for (option, limit) in [
            ("NAME", 128),
            ("DESCRIPTION", 255),
            ("MEDIANAME", 128),
            ("MEDIADESCRIPTION", 255),
        ] {
            if with.text(option).is_some_and(|t| t.chars().count() > limit) {
                return Err(err!(
                    103,
                    option,
                    with.text(option)
                        .unwrap_or_default()
                        .chars()
                        .take(32)
                        .collect::<String>(),
                    limit
                ));
            }
        }
        let now = self.inst.now().to_offset(self.inst.offset());
        let expires = match (with.text("EXPIREDATE"), with.int("RETAINDAYS")) {
            (Some(text), _) => Some(
                dates::parse(&text, &self.options.date_format)?
                    .local
                    .assume_offset(self.inst.offset()),
            ),
            (None, Some(days)) => Some(now + time::Duration::days(days)),
            (None, None) => None,
        };
        Ok(BackupRequest {
            kind: match kind {
                Kind::Log => BackupKind::Log,
                Kind::Database if with.has("DIFFERENTIAL") => BackupKind::Differential,
                Kind::Database => BackupKind::Database,
            },
            mode: if with.has("FORMAT") {
                MediaMode::Format
            } else if with.has("INIT") {
                MediaMode::Init
            } else {
                MediaMode::Append
            },
            // COPY_ONLY with DIFFERENTIAL is ignored.
            copy_only: with.has("COPY_ONLY") && !with.has("DIFFERENTIAL"),
            checksum: with.has("CHECKSUM") || config.backup_checksum_default && !with.has("NO_CHECKSUM"),
            compression: with.has("COMPRESSION")
                || config.backup_compression_default && !with.has("NO_COMPRESSION") && can_compress(config),
            name: with.text("NAME"),
            description: with.text("DESCRIPTION"),
            media_name: with.text("MEDIANAME"),
            media_description: with.text("MEDIADESCRIPTION"),
            expiration_date: expires,
            user_name: self.login_name().to_owned(),
            started: now,
        })
    }

    /// What the database remembers of its backup: the base of differentials, the end of the log chain.
    fn remember(&self, handle: &Handle, set: &BackupSet, kind: BackupKind, copy_only: bool, tail: bool) -> Result<()> {
        let header = &set.header;
        let (base, log) = (
            kind == BackupKind::Database && !copy_only,
            kind == BackupKind::Log && !copy_only,
        );
        if !base && !log {
            return Ok(());
        }
        self.inst.change(handle, |database| {
            if base {
                database.meta.differential_base_lsn = Some(header.first_lsn);
                database.meta.differential_base_guid = Some(header.backup_set_guid);
            }
            if log {
                database.meta.last_log_backup_lsn = Some(header.last_lsn);
            }
        })?;
        if log && tail {
            *handle.file() = None;
            self.inst
                .change(handle, |database| database.meta.state = DatabaseState::Restoring)?;
        }
        Ok(())
    }
}

fn is_syntax(error: &SqlError) -> bool {
    matches!(error.number(), 102 | 103 | 137 | 155 | 156 | 1049 | 3031 | 3250)
}

/// A state of the database and the pages that hold it: nobody saves in between.
fn pinned(handle: &Handle) -> Result<(Arc<Database>, PageSnapshot)> {
    let file = handle.file();
    let database = handle.database();
    let Some(open) = file.as_ref() else {
        return Err(err!(945, database.meta.name));
    };
    let snapshot = open.snapshot().map_err(|e| file_error(&e, handle.id))?;
    Ok((database, snapshot))
}

/// Enterprise, Developer, Standard: Ola Hallengren's test, word for word.
fn can_compress(config: &InstanceConfig) -> bool {
    matches!(config.engine_edition, 3 | 8) || matches!(config.edition_id, -1_534_726_760 | -1_785_266_663)
}

fn check_edition(config: &InstanceConfig, with: &With) -> Result<()> {
    let refused = |what: &str| err!(1844, what, config.edition);
    if with.has("COMPRESSION") && !can_compress(config) {
        return Err(refused("BACKUP DATABASE WITH COMPRESSION"));
    }
    if with.has("ENCRYPTION") && !can_compress(config) {
        return Err(refused("BACKUP DATABASE WITH ENCRYPTION"));
    }
    if with.has("ENCRYPTION") {
        // There are no certificates here.
        return Err(err!(
            15_151,
            "find",
            "certificate",
            with.text("SERVER CERTIFICATE").unwrap_or_default()
        ));
    }
    let (major, algorithm) = (config.version().0, with.text("COMPRESSION ALGORITHM"));
    let needs = match algorithm.as_deref() {
        None => 0,
        Some("ZSTD") => 17,
        Some(_) => 16,
    };
    let needs = if with.has("COMPRESSION LEVEL") {
        needs.max(17)
    } else {
        needs
    };
    if major < needs {
        return Err(err!(
            102,
            if with.has("COMPRESSION LEVEL") {
                "LEVEL"
            } else {
                "ALGORITHM"
            }
        ));
    }
    Ok(())
}
