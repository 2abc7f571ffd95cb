//! CREATE DATABASE, DROP DATABASE, ALTER AUTHORIZATION ON DATABASE.

use crate::engine::ast::CreateDatabase;
use crate::engine::errors::{Result, err};
use crate::engine::instance::{Handle, store_error};
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::output::command;
use crate::engine::session::Session;
use crate::storage::{Database, FileError, LoginKind, StoreError};

const DONE: Outcome = Outcome::Done(None, command::OTHER);

impl Session {
    /// 226 inside a transaction.
    pub(super) fn outside_transaction(&self, statement: &str) -> Result<()> {
        if self.transaction.count == 0 {
            return Ok(());
        }
        let text = format!("{statement} statement not allowed within multi-statement transaction.");
        Err(crate::engine::errors::raw_error(226, 16, 6, text))
    }

    pub(super) async fn create_database(&mut self, create: &CreateDatabase) -> Run<Outcome> {
        self.outside_transaction("CREATE DATABASE")?;
        if !self.has_server("CREATE ANY DATABASE") {
            return Err(err!(262, "CREATE DATABASE", "master").into());
        }
        self.fault("create", &create.name, "").await?;
        if self.inst.find(&create.name).is_some() {
            return Err(err!(1801, create.name).into());
        }
        if create.attach {
            return Err(crate::engine::errors::raw_error(
                40_002,
                16,
                1,
                "The stand-in cannot attach files: restore a backup.".to_owned(),
            )
            .into());
        }
        let config = self.inst.config();
        let collation = create.collation.clone().unwrap_or_else(|| config.collation.clone());
        let mut database = Database::new(&create.name, &collation, config.internal_version(), self.inst.now());
        if let Some(login) = self.login() {
            database.meta.owner_sid = login.sid;
        }
        for (spec, at) in [(&create.data, 0), (&create.log, 1)] {
            let (Some(spec), Some(file)) = (spec, database.files.get_mut(at)) else {
                continue;
            };
            if let Some(name) = &spec.name {
                file.name.clone_from(name);
            }
            if let Some(path) = &spec.path {
                file.physical_name.clone_from(path);
            }
            if let Some(size) = spec.size {
                file.size_pages = u32::try_from(size / 8192).unwrap_or(u32::MAX).max(64);
            }
        }
        self.inst.store().place_files(&mut database);
        for file in &database.files {
            if self.inst.drives().info(&file.physical_name).is_file {
                return Err(err!(5170, file.physical_name).then(err!(1802)).into());
            }
        }
        let created = self.inst.store().create_database(database);
        let opened = created.map_err(|e| match &e {
            StoreError::File(FileError::Os { path, error }) => match error.code().0 {
                2 | 3 => err!(5133, path, error).then(err!(1802)),
                _ => err!(5123, error, path).then(err!(1802)),
            },
            other => store_error(other, 0),
        })?;
        self.inst.attach(opened.database_id, opened.database, opened.file);
        self.inst.effect("CREATE DATABASE", &create.name, "", self.login_name());
        Ok(DONE)
    }

    pub(super) async fn drop_databases(&mut self, exists: bool, names: &[String]) -> Run<Outcome> {
        self.outside_transaction("DROP DATABASE")?;
        for name in names {
            match self.inst.find(name) {
                Some(handle) => self.drop_database(&handle, name).await?,
                None if exists => {}
                None => return Err(err!(3701, "database", name).into()),
            }
        }
        Ok(DONE)
    }

    async fn drop_database(&mut self, handle: &Handle, name: &str) -> Run<()> {
        let database = handle.database();
        if handle.id <= 4 {
            return Err(err!(3708, "database", name, "database").into());
        }
        let owner = self.login().is_some_and(|l| l.sid == database.meta.owner_sid);
        if !owner && !self.may_alter(&database, handle.id) {
            return Err(err!(3701, "database", name).into());
        }
        if self.inst.is_joined(handle) {
            return Err(err!(3752, name).into());
        }
        self.fault("drop", name, "").await?;
        let busy = self.database_id == handle.id
            || !self.inst.users_of(handle.id, self.info.spid).is_empty()
            || handle.backing_up.load(std::sync::atomic::Ordering::SeqCst);
        if busy {
            return Err(err!(3702, name).into());
        }
        *handle.file() = None;
        let dropped = self.inst.store().drop_database(handle.id);
        dropped.map_err(|e| store_error(&e, handle.id))?;
        self.inst.detach(handle.id);
        self.inst.effect("DROP DATABASE", name, "", self.login_name());
        Ok(())
    }

    pub(super) fn alter_authorization(&mut self, database: &str, to: &str) -> Result<Outcome> {
        self.change_owner(database, to)?;
        Ok(DONE)
    }

    /// Makes a login the owner: 15151, 15110, 3906.
    pub(in crate::engine) fn change_owner(&mut self, database: &str, to: &str) -> Result<()> {
        let handle = self
            .inst
            .find(database)
            .ok_or_else(|| err!(15_151, "find", "database", database))?;
        self.inst.usable(database)?;
        let state = handle.database();
        if !self.has_server("ALTER ANY DATABASE") && self.login().is_none_or(|l| l.sid != state.meta.owner_sid) {
            return Err(err!(15_151, "find", "database", database));
        }
        self.writable(&handle)?;
        let config = self.inst.config();
        let login = config
            .login(to)
            .filter(|l| matches!(l.kind, LoginKind::Sql | LoginKind::WindowsUser));
        let login = login.ok_or_else(|| err!(15_151, "find", "principal", to))?;
        if !self.is_sysadmin() && !login.name.eq_ignore_ascii_case(self.login_name()) {
            return Err(err!(15_151, "find", "principal", to));
        }
        if state
            .principals
            .iter()
            .any(|p| p.principal_id > 4 && p.sid.as_deref() == Some(&login.sid))
        {
            return Err(err!(15_110));
        }
        let sid = login.sid.clone();
        self.inst.change(&handle, |d| {
            d.meta.owner_sid.clone_from(&sid);
            if let Some(dbo) = d.principals.iter_mut().find(|p| p.principal_id == 1) {
                dbo.sid = Some(sid);
            }
        })?;
        self.inst.effect("ALTER AUTHORIZATION", database, to, self.login_name());
        Ok(())
    }

    /// 3906 for procedures outside this folder.
    pub(in crate::engine) fn writable_or_fail(&self, handle: &Handle) -> Result<()> {
        self.writable(handle)
    }
}
