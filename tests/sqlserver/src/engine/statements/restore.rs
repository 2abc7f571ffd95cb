//! RESTORE: DATABASE and LOG write a database, the other forms read a medium. Every check of SQL Server that can occur
//! here comes before the first file is made; what fails later leaves the database RESTORING.

mod columns;
mod database;

use super::media::{With, media_error};
use super::pace::Pace;
use crate::engine::ast::{Restore, RestoreKind};
use crate::engine::errors::{Result, SqlError, err, msg};
use crate::engine::interpreter::{Outcome, Run, Stop};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::storage::backup::{BackupError, BackupSet, MediaSet, RestoreJob};

/// A medium that was opened, and the set that was asked for.
pub(super) struct Medium {
    media: MediaSet,
    devices: Vec<String>,
    position: u16,
}

impl Medium {
    fn device(&self) -> &str {
        self.devices.first().map_or("", String::as_str)
    }

    fn error(&self, error: &BackupError, database: &str, database_id: i32) -> SqlError {
        media_error(error, database, database_id, self.device(), true)
    }

    /// The labels and devices of the medium, in the order of its families.
    pub(super) fn origin(&self) -> (Vec<crate::storage::backup::MediaLabel>, Vec<String>) {
        (
            self.media.labels(),
            self.media.devices().into_iter().map(str::to_owned).collect(),
        )
    }

    fn set(&self) -> Result<&BackupSet> {
        self.media.set(self.position).map_err(|e| self.error(&e, "", 0))
    }
}

impl Session {
    pub(super) async fn restore(&mut self, out: &mut Out<'_>, restore: &Restore) -> Run<Outcome> {
        let (statement, occasion) = match restore.kind {
            RestoreKind::Database => ("RESTORE DATABASE", "restore"),
            RestoreKind::Log => ("RESTORE LOG", "restore"),
            RestoreKind::HeaderOnly => ("RESTORE HEADERONLY", "headeronly"),
            RestoreKind::FileListOnly => ("RESTORE FILELIST", "filelistonly"),
            RestoreKind::LabelOnly => ("RESTORE LABELONLY", "labelonly"),
            RestoreKind::VerifyOnly => ("VERIFY DATABASE", "verify"),
        };
        match self.run_restore(out, restore, statement, occasion).await {
            Err(Stop::Sql(e)) if !e.is_cancelled() && !matches!(e.number(), 102 | 137 | 155 | 156 | 1049 | 3031) => {
                Err(e.then(err!(3013, statement)).into())
            }
            other => other,
        }
    }

    async fn run_restore(
        &mut self,
        out: &mut Out<'_>,
        restore: &Restore,
        statement: &'static str,
        occasion: &'static str,
    ) -> Run<Outcome> {
        if self.transaction.count > 0 && matches!(restore.kind, RestoreKind::Database | RestoreKind::Log) {
            return Err(err!(3021).into());
        }
        let with = self.with_options(&restore.options)?;
        with.check_sizes()?;
        with.exclusive(&[
            ("RECOVERY", "NORECOVERY"),
            ("RECOVERY", "STANDBY"),
            ("NORECOVERY", "STANDBY"),
        ])?;
        let devices = self.devices(&restore.devices)?;
        let name = match &restore.database {
            Some(name) => self.evaluate_text(name)?.unwrap_or_default(),
            None => String::new(),
        };
        self.fault(occasion, &name, &devices.join(";")).await?;
        if matches!(restore.kind, RestoreKind::Database | RestoreKind::Log) {
            return self
                .restore_database(out, restore, &name, devices, &with, statement)
                .await;
        }
        if !self.has_server("CREATE ANY DATABASE") {
            return Err(err!(262, "CREATE DATABASE", "master").into());
        }
        match restore.kind {
            RestoreKind::LabelOnly => self.label_only(out, &devices).await,
            RestoreKind::HeaderOnly => self.header_only(out, &devices, &with).await,
            RestoreKind::FileListOnly => self.file_list_only(out, devices, &with).await,
            _ => self.verify_only(out, restore, devices, &with).await,
        }
    }

    fn open_medium(&self, devices: Vec<String>, with: &With, database: &str) -> Result<Medium> {
        let first = devices.first().cloned().unwrap_or_default();
        let opened = MediaSet::open(&self.inst.drives(), &devices);
        let media = opened.map_err(|e| media_error(&e, database, 0, &first, true))?;
        let position = u16::try_from(with.int("FILE").unwrap_or(1))
            .map_err(|_| err!(3250, with.int("FILE").unwrap_or(0), "FILE"))?;
        let medium = Medium {
            media,
            devices,
            position,
        };
        if let Some(wanted) = with.text("MEDIANAME") {
            let foreign = medium
                .media
                .labels()
                .iter()
                .any(|l| l.media_name.as_deref() != Some(wanted.as_str()));
            if foreign {
                return Err(err!(3258, first));
            }
        }
        let set = medium.set()?;
        if with.has("CHECKSUM") && !set.header.has_backup_checksums {
            return Err(err!(3187));
        }
        Ok(medium)
    }

    async fn label_only(&self, out: &mut Out<'_>, devices: &[String]) -> Run<Outcome> {
        let device = devices.first().cloned().unwrap_or_default();
        let label = MediaSet::label(&self.inst.drives(), &device).map_err(|e| media_error(&e, "", 0, &device, true))?;
        let (columns, row) = columns::label(self, &label);
        out.rows(columns, vec![row]).await?;
        Ok(Outcome::Done(Some(1), command::RESTORE_HEADERONLY))
    }

    /// The result ends with two DONEs: one with the count, and one more.
    async fn header_only(&self, out: &mut Out<'_>, devices: &[String], with: &With) -> Run<Outcome> {
        let device = devices.first().cloned().unwrap_or_default();
        let told = |e: BackupError| media_error(&e, "", 0, &device, true);
        let sets = MediaSet::headers(&self.inst.drives(), &device).map_err(told)?;
        if sets.is_empty() {
            return Err(err!(3254, device).into());
        }
        let wanted = with.int("FILE");
        let listed: Vec<_> = sets
            .iter()
            .filter(|(s, _)| wanted.is_none_or(|w| w == i64::from(s.header.position)))
            .collect();
        if listed.is_empty() {
            return Err(err!(3287, wanted.unwrap_or(0), device).into());
        }
        let major = self.inst.config().version().0;
        let columns = columns::header_columns(major);
        let rows: Vec<_> = listed
            .iter()
            .map(|(s, complete)| columns::header_row(self, s, *complete, major))
            .collect();
        let count = out.rows(columns, rows).await?;
        out.done(false, Some(count), command::RESTORE_HEADERONLY).await?;
        out.starting().await?;
        Ok(Outcome::Done(None, command::RESTORE_END))
    }

    async fn file_list_only(&self, out: &mut Out<'_>, devices: Vec<String>, with: &With) -> Run<Outcome> {
        let medium = self.open_medium(devices, with, "")?;
        let major = self.inst.config().version().0;
        let rows: Vec<_> = medium
            .set()?
            .files
            .iter()
            .map(|f| columns::file_row(f, major))
            .collect();
        let count = out.rows(columns::file_columns(major), rows).await?;
        Ok(Outcome::Done(Some(count), command::RESTORE_FILELISTONLY))
    }

    async fn verify_only(
        &self,
        out: &mut Out<'_>,
        restore: &Restore,
        devices: Vec<String>,
        with: &With,
    ) -> Run<Outcome> {
        let medium = self.open_medium(devices, with, "")?;
        let name = medium.set()?.header.database_name.clone();
        if !restore.moves.is_empty() {
            let moves = self.moves(&restore.moves)?;
            let checked = RestoreJob::check_targets(&medium.media, medium.position, &self.inst.drives(), &moves);
            checked.map_err(|e| medium.error(&e, &name, 0))?;
        }
        let mut job = medium
            .media
            .verify(medium.position)
            .map_err(|e| medium.error(&e, &name, 0))?;
        let mut pace = Pace::new(self, with.stats(), command::RESTORE_DATABASE, "verify", &name);
        while let Some(progress) = job.step().map_err(|e| medium.error(&e, &name, 0))? {
            pace.step(self, out, progress).await?;
        }
        pace.finish(self, out).await?;
        out.info(msg!(3262, medium.position)).await?;
        Ok(Outcome::Done(None, command::RESTORE_DATABASE))
    }

    fn moves(&self, moves: &[(crate::engine::ast::Expr, crate::engine::ast::Expr)]) -> Result<Vec<(String, String)>> {
        let text = |e: &crate::engine::ast::Expr| Ok(self.evaluate_text(e)?.unwrap_or_default());
        moves
            .iter()
            .map(|(logical, physical)| Ok((text(logical)?, text(physical)?)))
            .collect()
    }
}
