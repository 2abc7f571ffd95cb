//! CREATE, ALTER and DROP LOGIN, and membership of server roles.

use crate::engine::ast::{AlterLogin, AlterRole, CreateLogin};
use crate::engine::errors::{Result, err};
use crate::engine::interpreter::Outcome;
use crate::engine::output::command;
use crate::engine::session::Session;
use crate::storage::{Login, LoginKind, PermissionState, ServerPermission, windows_sid};

const DONE: Outcome = Outcome::Done(None, command::OTHER);

impl Session {
    fn may_alter_logins(&self, verb: &str, name: &str) -> Result<()> {
        if self.has_server("ALTER ANY LOGIN") {
            Ok(())
        } else {
            Err(err!(15_151, verb, "login", name))
        }
    }

    pub(super) fn create_login(&mut self, create: &CreateLogin) -> Result<Outcome> {
        if !self.has_server("ALTER ANY LOGIN") {
            return Err(err!(15_247));
        }
        let config = self.inst.config();
        if config.login(&create.name).is_some() {
            return Err(err!(15_025, create.name));
        }
        let looks_windows = create.name.contains('\\');
        if create.windows && !looks_windows {
            let text = format!(
                "'{}' is not a valid Windows NT name. Give the complete name: <domain\\username>.",
                create.name
            );
            return Err(crate::engine::errors::raw_error(15_407, 11, 1, text));
        }
        if let Some(database) = create.default_database.as_ref().filter(|d| self.inst.find(d).is_none()) {
            return Err(err!(15_010, database));
        }
        let is_group = config
            .windows_groups
            .iter()
            .any(|g| g.name.eq_ignore_ascii_case(&create.name));
        let kind = match (create.windows, is_group) {
            (true, true) => LoginKind::WindowsGroup,
            (true, false) => LoginKind::WindowsUser,
            (false, _) => LoginKind::Sql,
        };
        let sid = create
            .sid
            .clone()
            .unwrap_or_else(|| derived_sid(&create.name, create.windows));
        if config.login_by_sid(&sid).is_some() {
            let text = "Supplied parameter sid is in use.";
            return Err(crate::engine::errors::raw_error(15_433, 16, 1, text.to_owned()));
        }
        let login = Login {
            principal_id: config.next_principal_id(),
            name: create.name.clone(),
            sid,
            kind,
            password: create.password.clone(),
            disabled: false,
            default_database: create.default_database.clone().unwrap_or_else(|| "master".to_owned()),
            default_language: create
                .default_language
                .clone()
                .unwrap_or_else(|| "us_english".to_owned()),
            roles: Vec::new(),
            permissions: vec![ServerPermission {
                permission: "CONNECT SQL".to_owned(),
                state: PermissionState::Grant,
            }],
            create_date: self.inst.now(),
        };
        self.inst.update_config(|c| c.logins.push(login))?;
        self.inst.effect("CREATE LOGIN", "", &create.name, self.login_name());
        Ok(DONE)
    }

    fn known_login(&self, verb: &str, name: &str) -> Result<Login> {
        let config = self.inst.config();
        let found = config.login(name).filter(|l| l.kind != LoginKind::ServerRole);
        found.cloned().ok_or_else(|| err!(15_151, verb, "login", name))
    }

    fn change_login(&self, name: &str, change: impl FnOnce(&mut Login)) -> Result<()> {
        self.inst.update_config(|c| {
            if let Some(login) = c
                .logins
                .iter_mut()
                .find(|l| l.name.to_lowercase() == name.to_lowercase())
            {
                change(login);
            }
        })
    }

    pub(super) fn alter_login(&mut self, name: &str, alter: &AlterLogin) -> Result<Outcome> {
        let login = self.known_login("alter", name)?;
        let own_password = matches!(
            alter,
            AlterLogin::With {
                name: None,
                default_database: None,
                ..
            }
        ) && login.name.eq_ignore_ascii_case(self.login_name());
        if !own_password {
            self.may_alter_logins("alter", name)?;
        }
        match alter {
            AlterLogin::Enable => self.change_login(name, |l| l.disabled = false)?,
            AlterLogin::Disable => self.change_login(name, |l| l.disabled = true)?,
            AlterLogin::With {
                password,
                default_database,
                name: new_name,
            } => {
                if let Some(database) = default_database.as_ref().filter(|d| self.inst.find(d).is_none()) {
                    return Err(err!(15_010, database));
                }
                if let Some(new) = new_name.as_ref().filter(|n| self.inst.config().login(n).is_some()) {
                    return Err(err!(15_025, new));
                }
                self.change_login(name, |l| {
                    if let Some(password) = password {
                        l.password = Some(password.clone());
                    }
                    if let Some(database) = default_database {
                        l.default_database.clone_from(database);
                    }
                    if let Some(new) = new_name {
                        l.name.clone_from(new);
                    }
                })?;
            }
        }
        self.inst.effect("ALTER LOGIN", "", name, self.login_name());
        Ok(DONE)
    }

    pub(super) fn drop_login(&mut self, name: &str) -> Result<Outcome> {
        let login = self.known_login("drop", name)?;
        self.may_alter_logins("drop", name)?;
        if login.sid == [1] {
            return Err(err!(15_151, "drop", "login", name));
        }
        let logged_in = self
            .inst
            .sessions()
            .iter()
            .any(|s| s.activity().original_login.eq_ignore_ascii_case(&login.name));
        if logged_in {
            return Err(err!(15_434, name));
        }
        if self
            .inst
            .handles()
            .iter()
            .any(|h| h.database().meta.owner_sid == login.sid)
        {
            return Err(err!(15_174, name));
        }
        self.inst.update_config(|c| c.logins.retain(|l| l.sid != login.sid))?;
        self.inst.effect("DROP LOGIN", "", name, self.login_name());
        Ok(DONE)
    }

    pub(super) fn alter_server_role(&mut self, alter: &AlterRole) -> Result<Outcome> {
        let config = self.inst.config();
        let role = config
            .login(&alter.role)
            .filter(|r| r.kind == LoginKind::ServerRole)
            .map(|r| r.name.clone());
        let role = role.ok_or_else(|| err!(15_151, "alter", "server role", alter.role))?;
        if !self.is_sysadmin() {
            return Err(err!(15_151, "alter", "server role", alter.role));
        }
        let login = self
            .known_login("add", &alter.member)
            .map_err(|_| err!(15_151, "add", "principal", alter.member))?;
        self.change_login(&login.name, |l| {
            l.roles.retain(|r| !r.eq_ignore_ascii_case(&role));
            if alter.add {
                l.roles.push(role.clone());
            }
        })?;
        Ok(DONE)
    }

    /// GRANT, DENY and REVOKE of server permissions.
    pub(super) fn change_server_permission(
        &mut self,
        permission: &str,
        name: &str,
        state: Option<PermissionState>,
    ) -> Result<()> {
        if !self.is_sysadmin() {
            return Err(err!(4613));
        }
        let config = self.inst.config();
        let login = config
            .login(name)
            .cloned()
            .ok_or_else(|| err!(15_151, "find", "login", name))?;
        self.change_login(&login.name, |l| {
            l.permissions.retain(|p| !p.permission.eq_ignore_ascii_case(permission));
            if let Some(state) = state {
                l.permissions.push(ServerPermission {
                    permission: permission.to_owned(),
                    state,
                });
            }
        })
    }
}

/// A SID of its own for a login that is created: random for SQL, always the same for a Windows account.
fn derived_sid(name: &str, windows: bool) -> Vec<u8> {
    if windows {
        windows_sid(name)
    } else {
        crate::engine::catalog::guid().to_bytes_le().to_vec()
    }
}
