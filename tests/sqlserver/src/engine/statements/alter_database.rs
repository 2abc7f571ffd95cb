//! ALTER DATABASE: options, state, name. What needs the database alone deals with the others as WITH says; every
//! failure ends with 5069.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::ast::{AlterDatabase, DatabaseAction, DatabaseOption, FileSpec, Termination};
use crate::engine::errors::{Result, SqlError, err, msg, raw_error};
use crate::engine::instance::{Handle, file_error};
use crate::engine::interpreter::{Outcome, Run, Stop};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::storage::{Database, DatabaseFile, DatabaseState, RecoveryModel, UserAccess};

const DONE: Outcome = Outcome::Done(None, command::OTHER);

impl Session {
    pub(super) async fn alter_database(&mut self, out: &mut Out<'_>, alter: &AlterDatabase) -> Run<Outcome> {
        self.outside_transaction("ALTER DATABASE")?;
        let name = match &alter.database {
            Some(name) => name.clone(),
            None => self.handle()?.name(),
        };
        match self.altered(out, &name, &alter.action).await {
            Err(Stop::Sql(e)) if !e.is_cancelled() => Err(e.then(err!(5069)).into()),
            other => other,
        }
    }

    async fn altered(&mut self, out: &mut Out<'_>, name: &str, action: &DatabaseAction) -> Run<Outcome> {
        let Some(handle) = self.inst.find(name) else {
            return Err(err!(5011, name).into());
        };
        let database = handle.database();
        if !self.may_alter(&database, handle.id) {
            return Err(err!(5011, name).into());
        }
        let occasion = if matches!(action, DatabaseAction::Rename(_)) {
            "rename"
        } else {
            "alter"
        };
        self.fault(occasion, name, "").await?;
        match action {
            DatabaseAction::Set(options, termination) => {
                for option in options {
                    self.set_database_option(out, &handle, option, *termination).await?;
                }
            }
            DatabaseAction::Rename(new) => self.rename(out, &handle, new).await?,
            DatabaseAction::Collate(collation) => {
                self.alone(out, &handle, Termination::Wait, 5030).await?;
                self.inst.change(&handle, |d| d.meta.collation.clone_from(collation))?;
            }
            DatabaseAction::ModifyFile(spec, new_name) => self.modify_file(&handle, spec, new_name.as_deref())?,
        }
        Ok(DONE)
    }

    async fn rename(&mut self, out: &mut Out<'_>, handle: &Arc<Handle>, new: &str) -> Run<()> {
        let old = handle.name();
        self.online(handle)?;
        if handle.id <= 4 {
            return Err(raw_error(
                5058,
                16,
                4,
                format!("Option 'MODIFY NAME' cannot be set in database '{old}'."),
            )
            .into());
        }
        if self.inst.find(new).is_some_and(|h| h.id != handle.id) {
            return Err(err!(1801, new).into());
        }
        self.alone(out, handle, Termination::Wait, 5030).await?;
        self.inst.change(handle, |d| new.clone_into(&mut d.meta.name))?;
        self.inst.effect("RENAME DATABASE", &old, new, self.login_name());
        out.info(crate::engine::errors::raw(
            5021,
            0,
            1,
            format!("The database name '{new}' has been set."),
        ))
        .await?;
        Ok(())
    }

    fn modify_file(&self, handle: &Handle, spec: &FileSpec, new_name: Option<&str>) -> Result<()> {
        let logical = spec.name.clone().unwrap_or_default();
        let database = handle.database();
        if !database.files.iter().any(|f| f.name.eq_ignore_ascii_case(&logical)) {
            return Err(raw_error(
                5041,
                16,
                1,
                format!("MODIFY FILE failed. File '{logical}' does not exist."),
            ));
        }
        if spec.path.is_some() {
            return Err(raw_error(40_003, 16, 1, "The stand-in does not move files.".to_owned()));
        }
        self.inst.change(handle, |d| {
            for file in d.files.iter_mut().filter(|f| f.name.eq_ignore_ascii_case(&logical)) {
                if let Some(new) = new_name {
                    new.clone_into(&mut file.name);
                }
                if let Some(size) = spec.size {
                    file.size_pages = file.size_pages.max(u32::try_from(size / 8192).unwrap_or(u32::MAX));
                }
            }
        })
    }

    /// 927, 942, 945 for a database that is not open.
    fn online(&self, handle: &Handle) -> Result<()> {
        self.inst.usable(&handle.name()).map(|_| ())
    }

    async fn set_database_option(
        &mut self,
        out: &mut Out<'_>,
        handle: &Arc<Handle>,
        option: &DatabaseOption,
        termination: Termination,
    ) -> Run<()> {
        let name = handle.name();
        let on = option.value == "ON";
        let changes_state = matches!(option.name.as_str(), "ONLINE" | "OFFLINE" | "EMERGENCY");
        if !changes_state {
            self.online(handle)?;
        }
        if is_refused_in_groups(&option.name) && self.inst.is_joined(handle) {
            return Err(err!(1468, name).into());
        }
        if handle.id <= 3 && is_refused_for_system(&option.name) {
            return Err(err!(5058, option.name, name).into());
        }
        match option.name.as_str() {
            "READ_ONLY" | "READ_WRITE" => {
                self.set_read_only(out, handle, option.name == "READ_ONLY", termination)
                    .await?
            }
            "MULTI_USER" | "SINGLE_USER" | "RESTRICTED_USER" => {
                self.set_access(out, handle, &option.name, termination).await?
            }
            "OFFLINE" => self.take_offline(out, handle, termination).await?,
            "ONLINE" => self.bring_online(handle)?,
            "EMERGENCY" => self.inst.change(handle, |d| d.meta.state = DatabaseState::Emergency)?,
            "RECOVERY" => self.inst.change(handle, |d| set_recovery(d, &option.value))?,
            "COMPATIBILITY_LEVEL" => self.set_compatibility(handle, &option.value)?,
            "READ_COMMITTED_SNAPSHOT" => {
                self.alone(out, handle, termination, 5070).await?;
                self.inst
                    .change(handle, |d| d.meta.is_read_committed_snapshot_on = on)?;
            }
            "ENCRYPTION" => return Err(err!(33_101, "certificate", "", "certificate").into()),
            other => {
                let other = other.to_owned();
                let value = option.value.clone();
                self.inst.change(handle, |d| set_flag(d, &other, &value))?;
            }
        }
        Ok(())
    }

    async fn set_read_only(
        &mut self,
        out: &mut Out<'_>,
        handle: &Arc<Handle>,
        read_only: bool,
        termination: Termination,
    ) -> Run<()> {
        if handle.database().meta.is_read_only == read_only {
            return Ok(());
        }
        self.alone(out, handle, termination, 5070).await?;
        self.inst.change(handle, |d| d.meta.is_read_only = read_only)?;
        self.inst.effect(
            if read_only { "SET READ_ONLY" } else { "SET READ_WRITE" },
            &handle.name(),
            "",
            self.login_name(),
        );
        Ok(())
    }

    async fn set_access(
        &mut self,
        out: &mut Out<'_>,
        handle: &Arc<Handle>,
        wanted: &str,
        termination: Termination,
    ) -> Run<()> {
        let current = handle.database().meta.user_access;
        let others = self.inst.users_of(handle.id, self.info.spid);
        if current == UserAccess::Single && !others.is_empty() && termination != Termination::RollbackImmediate {
            return Err(err!(5064, handle.name()).into());
        }
        let access = match wanted {
            "MULTI_USER" => UserAccess::Multi,
            "SINGLE_USER" => UserAccess::Single,
            _ => UserAccess::Restricted,
        };
        match access {
            UserAccess::Multi => {}
            UserAccess::Single => self.alone(out, handle, termination, 5070).await?,
            // RESTRICTED_USER throws out only those it does not let in.
            UserAccess::Restricted => self.without_strangers(out, handle, termination).await?,
        }
        Ok(self.inst.change(handle, |d| d.meta.user_access = access)?)
    }

    async fn without_strangers(
        &mut self,
        out: &mut Out<'_>,
        handle: &Arc<Handle>,
        termination: Termination,
    ) -> Run<()> {
        let database = handle.database();
        let stranger = |s: &Arc<crate::engine::instance::SessionInfo>| {
            let login = s.activity().login_name.clone();
            let config = self.inst.config();
            let user = crate::engine::permissions::user(&config, &database, handle.id, &login);
            !user.is_some_and(|u| u.principal_id == 1 || crate::engine::permissions::in_role(&database, &u, "db_owner"))
        };
        let strangers: Vec<_> = self
            .inst
            .users_of(handle.id, self.info.spid)
            .into_iter()
            .filter(stranger)
            .collect();
        if strangers.is_empty() {
            return Ok(());
        }
        if termination == Termination::RollbackImmediate {
            return self.end_sessions(out, handle, &strangers).await;
        }
        self.alone(out, handle, termination, 5070).await
    }

    async fn take_offline(&mut self, out: &mut Out<'_>, handle: &Arc<Handle>, termination: Termination) -> Run<()> {
        if handle.id <= 4 {
            return Err(err!(5058, "OFFLINE", handle.name()).into());
        }
        if handle.database().meta.state == DatabaseState::Offline {
            return Ok(());
        }
        if self.database_id == handle.id {
            // Its own session leaves to master, as SQL Server does with ROLLBACK IMMEDIATE.
            self.database_id = 1;
            self.publish();
        }
        self.alone(out, handle, termination, 5061).await?;
        *handle.file() = None;
        self.inst.change(handle, |d| d.meta.state = DatabaseState::Offline)?;
        self.inst.effect("SET OFFLINE", &handle.name(), "", self.login_name());
        Ok(())
    }

    fn bring_online(&mut self, handle: &Arc<Handle>) -> Result<()> {
        let database = handle.database();
        match database.meta.state {
            DatabaseState::Online => return Ok(()),
            DatabaseState::Restoring => {
                return Err(raw_error(
                    5052,
                    16,
                    1,
                    "ALTER DATABASE is not permitted while a database is in the Restoring state.".to_owned(),
                ));
            }
            _ => {}
        }
        let path = database
            .data_file()
            .map(|f| f.physical_name.clone())
            .unwrap_or_default();
        let opened = DatabaseFile::open(&self.inst.drives(), &path);
        let (mut opened, mut file) =
            opened.map_err(|e| file_error(&e, handle.id).then(err!(945, database.meta.name)))?;
        opened.meta.state = DatabaseState::Online;
        opened.meta.name.clone_from(&database.meta.name);
        file.save(&mut opened).map_err(|e| file_error(&e, handle.id))?;
        self.inst.replace(handle, opened, Some(file))?;
        self.inst.effect("SET ONLINE", &handle.name(), "", self.login_name());
        Ok(())
    }

    fn set_compatibility(&self, handle: &Handle, value: &str) -> Result<()> {
        let highest = self.inst.config().max_compatibility_level();
        let level: u8 = value.parse().unwrap_or(0);
        if level < 100 || level > highest || !level.is_multiple_of(10) {
            let levels: Vec<String> = (10..=highest / 10).map(|l| (l * 10).to_string()).collect();
            let text = format!(
                "Valid values of the database compatibility level are {}.",
                levels.join(", ")
            );
            return Err(raw_error(15_048, 16, 1, text));
        }
        self.inst.change(handle, |d| d.meta.compatibility_level = level)
    }

    /// Waits until no other session uses the database, or makes it so. `refused` is the number without a wait.
    async fn alone(
        &mut self,
        out: &mut Out<'_>,
        handle: &Arc<Handle>,
        termination: Termination,
        refused: i32,
    ) -> Run<()> {
        let others = || self.inst.users_of(handle.id, self.info.spid);
        if others().is_empty() {
            return Ok(());
        }
        let name = handle.name();
        let backing_up = || handle.backing_up.load(std::sync::atomic::Ordering::SeqCst);
        let deadline = match termination {
            Termination::NoWait => {
                let error: SqlError = if refused == 5061 || refused == 5030 {
                    err!(5061, name)
                } else {
                    err!(5070, name)
                };
                return Err(error.into());
            }
            Termination::RollbackImmediate => {
                let sessions = others();
                return self.end_sessions(out, handle, &sessions).await;
            }
            Termination::RollbackAfter(seconds) => Some(Instant::now() + Duration::from_secs(seconds.into())),
            Termination::Wait => u64::try_from(self.options.lock_timeout)
                .ok()
                .map(|ms| Instant::now() + Duration::from_millis(ms)),
        };
        while !others().is_empty() || backing_up() {
            if self.stopped() {
                return Err(SqlError::cancelled().into());
            }
            if deadline.is_some_and(|d| d <= Instant::now()) {
                if let Termination::RollbackAfter(_) = termination {
                    let sessions = others();
                    return self.end_sessions(out, handle, &sessions).await;
                }
                return Err(err!(1222).then(err!(5061, name)).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// ROLLBACK IMMEDIATE: the other sessions are killed, and with them their transactions.
    async fn end_sessions(
        &self,
        out: &mut Out<'_>,
        handle: &Arc<Handle>,
        sessions: &[Arc<crate::engine::instance::SessionInfo>],
    ) -> Run<()> {
        for session in sessions {
            session.cancel.cancel();
            session.killed.cancel();
        }
        out.info(msg!(5060, 0)).await?;
        out.info(msg!(5060, 100)).await?;
        // A killed BACKUP still holds the pages for a moment.
        while handle.backing_up.load(std::sync::atomic::Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

/// What a database of an availability group does not let anybody set.
fn is_refused_in_groups(option: &str) -> bool {
    matches!(
        option,
        "OFFLINE" | "READ_ONLY" | "SINGLE_USER" | "RESTRICTED_USER" | "AUTO_CLOSE" | "RECOVERY"
    )
}

fn is_refused_for_system(option: &str) -> bool {
    matches!(
        option,
        "READ_ONLY" | "OFFLINE" | "SINGLE_USER" | "RESTRICTED_USER" | "EMERGENCY"
    )
}

fn set_recovery(database: &mut Database, value: &str) {
    database.meta.recovery_model = match value {
        "FULL" => RecoveryModel::Full,
        "BULK_LOGGED" => RecoveryModel::BulkLogged,
        _ => RecoveryModel::Simple,
    };
    if value == "SIMPLE" {
        database.meta.last_log_backup_lsn = None;
    }
}

fn set_flag(database: &mut Database, name: &str, value: &str) {
    let meta = &mut database.meta;
    let on = value == "ON";
    match name {
        "PAGE_VERIFY" => value.clone_into(&mut meta.page_verify),
        "AUTO_CLOSE" => meta.is_auto_close_on = on,
        "AUTO_SHRINK" => meta.is_auto_shrink_on = on,
        "AUTO_UPDATE_STATISTICS_ASYNC" => meta.is_auto_update_stats_async_on = on,
        "TRUSTWORTHY" => meta.is_trustworthy_on = on,
        "DB_CHAINING" => meta.is_db_chaining_on = on,
        "ALLOW_SNAPSHOT_ISOLATION" => meta.allow_snapshot_isolation = on,
        "QUERY_STORE" => meta.is_query_store_on = on,
        "CONTAINMENT" => meta.is_contained = value == "PARTIAL",
        "ENABLE_BROKER" => meta.is_broker_enabled = true,
        "DISABLE_BROKER" => meta.is_broker_enabled = false,
        "NEW_BROKER" => {
            meta.is_broker_enabled = true;
            meta.service_broker_guid = crate::engine::catalog::guid();
        }
        // Options without effect on what the stand-in shows.
        _ => {}
    }
}
