//! Entering a database: whether it exists, is open, lets this login in, and is not somebody else's single-user database.

use std::sync::Arc;

use crate::engine::ast::Name;
use crate::engine::errors::{Result, err};
use crate::engine::instance::{Handle, Inner};
use crate::engine::permissions;
use crate::engine::session::Session;
use crate::storage::{Table, UserAccess};

/// Whether SINGLE_USER or RESTRICTED_USER leaves room for a session of this login.
pub(crate) fn allowed(inst: &Inner, handle: &Handle, login: &str, spid: u16) -> bool {
    let database = handle.database();
    match database.meta.user_access {
        UserAccess::Multi => true,
        UserAccess::Single => inst.users_of(handle.id, spid).is_empty(),
        UserAccess::Restricted => {
            let config = inst.config();
            let Some(account) = crate::engine::account::effective(&config, login) else {
                return false;
            };
            let user = permissions::user(&config, &database, handle.id, login);
            permissions::has_server(&account, "ALTER ANY DATABASE")
                || user.is_some_and(|u| u.principal_id == 1 || permissions::in_role(&database, &u, "db_owner"))
        }
    }
}

impl Session {
    /// A database that a statement may enter: 911, 927, 942, 976, 916, 924.
    pub(in crate::engine) fn enter(&self, name: &str) -> Result<Arc<Handle>> {
        let handle = self.inst.usable(name)?;
        let database = self.view(&handle);
        if self.may_enter(&database, handle.id).is_none() {
            return Err(err!(916, self.login_name(), database.meta.name));
        }
        self.inst.readable(&handle)?;
        if handle.id != self.database_id && !allowed(&self.inst, &handle, self.login_name(), self.info.spid) {
            return Err(match database.meta.user_access {
                UserAccess::Single => err!(924, database.meta.name),
                _ => err!(916, self.login_name(), database.meta.name),
            });
        }
        Ok(handle)
    }

    /// The database that a name of up to three parts is in.
    pub(in crate::engine) fn database_of(&self, name: &Name) -> Result<Arc<Handle>> {
        match name.database() {
            Some(database) => self.enter(database).map_err(|e| {
                if e.number() == 911 {
                    err!(208, name)
                } else {
                    e.ends_batch()
                }
            }),
            None => self.handle(),
        }
    }

    /// A temporary table of this session.
    pub(in crate::engine) fn temp_table(&self, name: &str) -> Option<Arc<Table>> {
        self.temp.get(&name.to_lowercase()).cloned()
    }
}
