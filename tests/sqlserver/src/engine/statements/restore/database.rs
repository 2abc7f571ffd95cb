//! RESTORE DATABASE and RESTORE LOG.

use std::sync::Arc;

use super::Medium;
use crate::engine::ast::{Restore, RestoreKind};
use crate::engine::errors::{Result, SqlError, err, msg, raw_error};
use crate::engine::instance::{Handle, file_error};
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::engine::statements::media::With;
use crate::engine::statements::pace::{Pace, full_disk};
use crate::storage::backup::{BackupKind, BackupSet, RestoreJob};
use crate::storage::{
    Database, DatabaseFile, DatabaseState, FileKind, FileMeta, InstanceConfig, RecoveryModel, UserAccess,
};

/// Express and LocalDB hold 10 GB of data per database.
const EXPRESS_MB: u64 = 10_240;

impl Session {
    pub(super) async fn restore_database(
        &mut self,
        out: &mut Out<'_>,
        restore: &Restore,
        name: &str,
        devices: Vec<String>,
        with: &With,
        statement: &'static str,
    ) -> Run<Outcome> {
        let existing = self.inst.find(name);
        self.check_restore_right(name, existing.as_deref())?;
        if devices.is_empty() {
            return Ok(self.recover(name, existing.as_ref(), with)?);
        }
        let medium = self.open_medium(devices, with, name)?;
        let set = medium.set()?.clone();
        let moves = self.moves(&restore.moves)?;
        let files = targets(&set, &moves, name)?;
        self.check_set(&set, &files)?;
        let over = self.check_existing(name, existing.as_deref(), &set, with, restore.kind)?;
        self.check_paths(&files, &set, existing.as_deref())?;

        let told = |e| medium.error(&e, name, existing.as_ref().map_or(0, |h| h.id));
        let drives = self.inst.drives();
        if over && let Some(handle) = &existing {
            close(self, handle)?;
        }
        let started = if over {
            RestoreJob::start_over(&medium.media, medium.position, &drives, &moves)
        } else {
            RestoreJob::start(&medium.media, medium.position, &drives, &moves)
        };
        let job = started.map_err(|e| with_file(told(e), &files))?;
        let handle = self.restoring(name, existing, &set, job.files())?;
        self.info.activity().target = Some(handle.id);
        let finished = self.run_job(out, job, &medium, with, name).await;
        self.info.activity().target = None;
        let (pace, database, file) = finished?;
        self.bring_up(out, &handle, database, file, &set, with, name).await?;
        if let Err(error) = self.record_restore(&set, &medium, name, with, restore.kind == RestoreKind::Log) {
            tracing::warn!(error = error.number(), "the restore history cannot be written");
        }
        self.inst.effect(statement, name, medium.device(), self.login_name());
        for file in &set.files {
            let pages = if file.kind == FileKind::Data {
                set.header.data_pages
            } else {
                set.header.log_pages
            };
            out.info(msg!(4035, pages, name, file.logical_name, set.header.position))
                .await?;
            out.done_more(command::RESTORE_DATABASE).await?;
        }
        out.info(pace.summary(statement, set.header.data_pages + set.header.log_pages))
            .await?;
        Ok(Outcome::Done(None, command::RESTORE_DATABASE))
    }

    /// A new name needs the right to create databases; an existing one its owner, dbcreator or sysadmin.
    fn check_restore_right(&self, name: &str, existing: Option<&Handle>) -> Result<()> {
        let Some(handle) = existing else {
            let may = self.has_server("CREATE ANY DATABASE");
            return if may {
                Ok(())
            } else {
                Err(err!(262, "CREATE DATABASE", "master"))
            };
        };
        if handle.id == 1 {
            let text = "To restore the master database, the server must be running in single-user mode. For information on starting in single-user mode, see \"How to: Start an Instance of SQL Server (sqlservr.exe)\" in Books Online.";
            return Err(raw_error(3108, 16, 1, text.to_owned()));
        }
        if handle.id == 2 {
            return Err(raw_error(
                3147,
                16,
                3,
                "Backup and restore operations are not allowed on database tempdb.".to_owned(),
            ));
        }
        if self.inst.is_joined(handle) {
            return Err(err!(3104, name));
        }
        let owner = self.login().is_some_and(|l| l.sid == handle.database().meta.owner_sid);
        if owner || self.has_server("CREATE ANY DATABASE") {
            Ok(())
        } else {
            Err(err!(3110, name))
        }
    }

    /// What the set itself forbids: a newer version, a licence that is too small.
    fn check_set(&self, set: &BackupSet, files: &[FileMeta]) -> Result<()> {
        let config = self.inst.config();
        let (major, minor, build) = config.version();
        let own = (i32::from(major), i32::from(minor), i32::from(build));
        let header = &set.header;
        if header.software_version.0 > own.0 || header.database_version > i32::from(config.internal_version()) {
            let shown = |v: (i32, i32, i32)| format!("{:02}.{:02}.{:04}", v.0, v.1, v.2);
            return Err(err!(3169, shown(header.software_version), shown(own)));
        }
        let data: u64 = files
            .iter()
            .filter(|f| f.kind == FileKind::Data)
            .map(|f| u64::from(f.size_pages) * 8192)
            .sum();
        if config.engine_edition == 4 && data > EXPRESS_MB << 20 {
            return Err(err!(1827, EXPRESS_MB));
        }
        Ok(())
    }

    /// What stands under the name already. Says whether its files are written over.
    fn check_existing(
        &self,
        name: &str,
        existing: Option<&Handle>,
        set: &BackupSet,
        with: &With,
        kind: RestoreKind,
    ) -> Result<bool> {
        let rolls_forward = kind == RestoreKind::Log || set.header.kind != BackupKind::Database;
        let Some(handle) = existing else {
            return if rolls_forward {
                Err(err!(3118, name))
            } else {
                Ok(with.has("REPLACE"))
            };
        };
        let database = handle.database();
        let meta = &database.meta;
        if self.database_id == handle.id {
            return Err(err!(3102, "RESTORE", name));
        }
        if !self.inst.users_of(handle.id, self.info.spid).is_empty() {
            return Err(err!(3101));
        }
        let restoring = meta.state == DatabaseState::Restoring;
        if rolls_forward {
            if !restoring {
                return Err(err!(3117));
            }
            let fits = match set.header.kind {
                BackupKind::Differential => set.header.differential_base_guid == meta.differential_base_guid,
                _ => set.header.family_guid == meta.family_guid,
            };
            return if fits { Ok(true) } else { Err(err!(3136)) };
        }
        if !with.has("REPLACE") {
            if set.header.family_guid != meta.family_guid
                && !(restoring && handle.file().is_none() && meta.family_guid.is_nil())
            {
                return Err(err!(3154, name));
            }
            if meta.recovery_model != RecoveryModel::Simple && !restoring {
                return Err(err!(3159, name));
            }
        }
        Ok(true)
    }

    /// 1834 for a file of another database, with 3156 and 3119 behind.
    fn check_paths(&self, files: &[FileMeta], set: &BackupSet, existing: Option<&Handle>) -> Result<()> {
        let mut failed: Option<SqlError> = None;
        for handle in self.inst.handles() {
            if existing.is_some_and(|h| h.id == handle.id) {
                continue;
            }
            let database = handle.database();
            for (file, entry) in files.iter().zip(&set.files) {
                let taken = database
                    .files
                    .iter()
                    .any(|f| f.physical_name.eq_ignore_ascii_case(&file.physical_name));
                if taken {
                    let error = err!(1834, file.physical_name, database.meta.name).then(err!(
                        3156,
                        entry.logical_name,
                        file.physical_name
                    ));
                    failed = Some(match failed {
                        Some(before) => before.then(error),
                        None => error,
                    });
                }
            }
        }
        failed.map_or(Ok(()), |error| Err(error.then(err!(3119))))
    }

    /// The database in the middle of its restore: visible, not usable, and still there after a crash.
    fn restoring(
        &self,
        name: &str,
        existing: Option<Arc<Handle>>,
        set: &BackupSet,
        files: &[FileMeta],
    ) -> Result<Arc<Handle>> {
        let config = self.inst.config();
        let mut database = match &existing {
            Some(handle) => (*handle.database()).clone(),
            None => Database::new(name, &set.header.collation, config.internal_version(), self.inst.now()),
        };
        database.meta.state = DatabaseState::Restoring;
        database.meta.user_access = UserAccess::Multi;
        database.meta.family_guid = set.header.family_guid;
        database.meta.recovery_model = set.header.recovery_model;
        if let Some(login) = self.login().filter(|_| existing.is_none()) {
            database.meta.owner_sid = login.sid;
        }
        database.files = files.to_vec();
        let handle = match existing {
            Some(handle) => handle,
            None => {
                let id = self.inst.store().next_database_id();
                self.inst.attach(id, database.clone(), None)
            }
        };
        self.inst.replace(&handle, database, None)?;
        Ok(handle)
    }

    async fn run_job(
        &self,
        out: &mut Out<'_>,
        mut job: RestoreJob,
        medium: &Medium,
        with: &With,
        name: &str,
    ) -> Run<(Pace, Database, DatabaseFile)> {
        let mut pace = Pace::new(self, with.stats(), command::RESTORE_DATABASE, "restore", name);
        loop {
            let file = job.files().first().map(|f| f.physical_name.clone()).unwrap_or_default();
            if let Some(error) = full_disk(self, name, &file) {
                return Err(error.into());
            }
            match job.step().map_err(|e| medium.error(&e, name, 0))? {
                Some(progress) => pace.step(self, out, progress).await?,
                None => break,
            }
        }
        pace.finish(self, out).await?;
        let (database, file) = job.finish().map_err(|e| medium.error(&e, name, 0))?;
        Ok((pace, database, file))
    }

    /// Recovery: a new identity in the same family, the restorer as owner, the engine's own version.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that the restored database is made of"
    )]
    async fn bring_up(
        &self,
        out: &mut Out<'_>,
        handle: &Handle,
        mut database: Database,
        mut file: DatabaseFile,
        set: &BackupSet,
        with: &With,
        name: &str,
    ) -> Run<()> {
        let (before, config) = (handle.database(), self.inst.config());
        let created = before.meta.create_date;
        database.fork(
            name,
            if before.files.is_empty() {
                self.inst.now()
            } else {
                created.max(self.inst.now())
            },
        );
        database.meta.owner_sid.clone_from(&before.meta.owner_sid);
        database.meta.state = DatabaseState::Online;
        if set.header.kind == BackupKind::Database && !set.header.is_copy_only {
            database.meta.differential_base_guid = Some(set.header.backup_set_guid);
            database.meta.differential_base_lsn = Some(set.header.first_lsn);
        }
        if with.has("RESTRICTED_USER") {
            database.meta.user_access = UserAccess::Restricted;
        }
        if with.has("ENABLE_BROKER") {
            database.meta.is_broker_enabled = true;
        }
        let recovers = !with.has("NORECOVERY") && !with.has("STANDBY");
        if recovers {
            upgrade(out, &mut database, &config, name).await?;
        }
        file.save(&mut database).map_err(|e| file_error(&e, handle.id))?;
        if recovers {
            self.inst.replace(handle, database, Some(file))?;
        } else {
            drop(file);
            database.meta.state = DatabaseState::Restoring;
            self.inst.replace(handle, database, None)?;
        }
        Ok(())
    }

    /// `RESTORE DATABASE x WITH RECOVERY`, without a medium.
    fn recover(&self, name: &str, existing: Option<&Arc<Handle>>, with: &With) -> Result<Outcome> {
        let handle = existing.ok_or_else(|| err!(3118, name))?;
        let database = handle.database();
        if database.meta.state != DatabaseState::Restoring {
            let text = "The database cannot be recovered because the log was not restored.";
            return Err(raw_error(3153, 16, 2, text.to_owned()));
        }
        let path = database
            .data_file()
            .map(|f| f.physical_name.clone())
            .unwrap_or_default();
        // Files of a restore that did not come to its end are no database: 4333.
        let opened = DatabaseFile::open(&self.inst.drives(), &path);
        let (mut restored, mut file) = opened.map_err(|_| {
            let text = "The database cannot be recovered because the log was not restored.";
            raw_error(4333, 16, 1, text.to_owned())
        })?;
        restored.meta.state = DatabaseState::Online;
        if with.has("RESTRICTED_USER") {
            restored.meta.user_access = UserAccess::Restricted;
        }
        restored.meta.internal_version = self.inst.config().internal_version();
        file.save(&mut restored).map_err(|e| file_error(&e, handle.id))?;
        self.inst.replace(handle, restored, Some(file))?;
        Ok(Outcome::Done(None, command::RESTORE_DATABASE))
    }
}

/// The files of the set at their new places: 3234 for a MOVE that names none of them.
fn targets(set: &BackupSet, moves: &[(String, String)], database: &str) -> Result<Vec<FileMeta>> {
    if let Some((logical, _)) = moves
        .iter()
        .find(|m| !set.files.iter().any(|f| f.logical_name.eq_ignore_ascii_case(&m.0)))
    {
        return Err(err!(3234, logical, database));
    }
    let place = |f: &crate::storage::backup::FileListEntry| {
        let moved = moves.iter().find(|m| m.0.eq_ignore_ascii_case(&f.logical_name));
        FileMeta {
            file_id: i32::try_from(f.file_id).unwrap_or(0),
            file_guid: f.unique_id,
            kind: f.kind,
            name: f.logical_name.clone(),
            physical_name: moved.map_or_else(|| f.physical_name.clone(), |m| m.1.clone()),
            size_pages: u32::try_from(f.size / 8192).unwrap_or(u32::MAX),
            max_size_pages: -1,
            growth: 0,
            is_percent_growth: false,
            create_lsn: f.create_lsn,
        }
    };
    Ok(set.files.iter().map(place).collect())
}

/// 3156 behind a failed file, and 3119 behind that.
fn with_file(error: SqlError, files: &[FileMeta]) -> SqlError {
    let planning = matches!(error.number(), 5133 | 5123 | 5120);
    let Some(file) = files.first().filter(|_| planning) else {
        return error;
    };
    let named = files
        .iter()
        .find(|f| error.messages.iter().any(|m| m.text.contains(&f.physical_name)))
        .unwrap_or(file);
    error.then(err!(3156, named.name, named.physical_name)).then(err!(3119))
}

/// Closes the files of a database that is written over.
fn close(session: &Session, handle: &Handle) -> Result<()> {
    let mut database = (*handle.database()).clone();
    database.meta.state = DatabaseState::Restoring;
    session.inst.replace(handle, database, None)
}

/// "Converting database" and a line per step, when the set is older than the engine.
async fn upgrade(out: &mut Out<'_>, database: &mut Database, config: &InstanceConfig, name: &str) -> Run<()> {
    const STEPS: [u16; 7] = [706, 782, 852, 869, 904, 957, 998];
    let (from, to) = (database.meta.internal_version, config.internal_version());
    if from >= to {
        return Ok(());
    }
    let text = format!("Converting database '{name}' from version {from} to the current version {to}.");
    out.info(crate::engine::errors::raw(1838, 0, 1, text)).await?;
    out.done_more(command::RESTORE_DATABASE).await?;
    let mut at = from;
    for next in STEPS.into_iter().filter(|s| *s > from && *s <= to) {
        out.info(msg!(951, name, at, next)).await?;
        out.done_more(command::RESTORE_DATABASE).await?;
        at = next;
    }
    database.meta.internal_version = to;
    Ok(())
}
