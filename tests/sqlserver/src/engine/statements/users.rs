//! Users, roles and permissions of a database.

use crate::engine::ast::{AlterRole, AlterUser, CreateUser, Permission, PermissionVerb, Securable};
use crate::engine::errors::{Result, err};
use crate::engine::instance::Handle;
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::locks::{Mode, Part, Resource};
use crate::engine::output::command;
use crate::engine::session::Session;
use crate::storage::{Database, DatabasePermission, DatabasePrincipal, LoginKind, PermissionState, PrincipalKind};
use std::sync::Arc;

const DONE: Outcome = Outcome::Done(None, command::OTHER);

/// Permissions on the server, not on a database.
const SERVER: &[&str] = &[
    "VIEW SERVER STATE",
    "VIEW SERVER PERFORMANCE STATE",
    "VIEW SERVER SECURITY STATE",
    "VIEW ANY DEFINITION",
    "VIEW ANY DATABASE",
    "ALTER ANY CONNECTION",
    "ALTER ANY DATABASE",
    "ALTER ANY LOGIN",
    "ALTER TRACE",
    "ALTER SETTINGS",
    "CREATE ANY DATABASE",
    "CONNECT ANY DATABASE",
    "CONNECT SQL",
    "CONTROL SERVER",
    "ADMINISTER BULK OPERATIONS",
    "UNSAFE ASSEMBLY",
    "SHUTDOWN",
];

impl Session {
    /// Locks the users and roles of the current database for a change.
    async fn lock_principals(&mut self, permission: &str) -> Run<(Arc<Handle>, Arc<Database>)> {
        let handle = self.handle()?;
        self.writable(&handle)?;
        let database = self.view(&handle);
        if !self.may(&database, handle.id, permission, None) {
            return Err(err!(15_247).into());
        }
        self.lock(Resource::Part(handle.id, Part::Principals), Mode::Exclusive)
            .await?;
        let database = self.view(&handle);
        Ok((handle, database))
    }

    pub(super) async fn create_user(&mut self, create: &CreateUser) -> Run<Outcome> {
        let (handle, database) = self.lock_principals("ALTER ANY USER").await?;
        if database.principal(&create.name).is_some() {
            return Err(err!(15_023, create.name).into());
        }
        let login = if create.without_login {
            None
        } else {
            let wanted = create.login.as_deref().unwrap_or(&create.name);
            let config = self.inst.config();
            let found = config
                .login(wanted)
                .filter(|l| l.kind != LoginKind::ServerRole)
                .cloned();
            Some(found.ok_or_else(|| err!(15_007, wanted))?)
        };
        if let Some(login) = &login {
            let taken = database
                .principals
                .iter()
                .any(|p| p.principal_id > 4 && p.sid.as_deref() == Some(&login.sid));
            if taken || login.sid == database.meta.owner_sid {
                return Err(err!(15_063).into());
            }
        }
        let kind = match login.as_ref().map(|l| l.kind) {
            Some(LoginKind::WindowsUser) => PrincipalKind::WindowsUser,
            Some(LoginKind::WindowsGroup) => PrincipalKind::WindowsGroup,
            _ => PrincipalKind::SqlUser,
        };
        let id = database.next_principal_id();
        let mut principals = database.principals.clone();
        principals.push(DatabasePrincipal {
            principal_id: id,
            name: create.name.clone(),
            kind,
            sid: Some(login.map_or_else(|| crate::engine::catalog::guid().to_bytes_le().to_vec(), |l| l.sid)),
            default_schema: Some(create.default_schema.clone().unwrap_or_else(|| "dbo".to_owned())),
            roles: Vec::new(),
            is_fixed_role: false,
            create_date: self.inst.now(),
        });
        let mut permissions = database.permissions.clone();
        permissions.push(DatabasePermission {
            grantee: id,
            permission: "CONNECT".to_owned(),
            state: PermissionState::Grant,
            object_id: None,
        });
        let work = self.transaction.work(handle.id);
        work.put_principals(principals);
        work.put_permissions(permissions);
        Ok(DONE)
    }

    pub(super) async fn alter_user(&mut self, name: &str, alter: &AlterUser) -> Run<Outcome> {
        let (handle, database) = self.lock_principals("ALTER ANY USER").await?;
        let found = database
            .principal(name)
            .filter(|p| p.kind != PrincipalKind::Role && p.principal_id > 4);
        let Some(user) = found else {
            return Err(err!(15_151, "alter", "user", name).into());
        };
        let mut user = user.clone();
        if let Some(wanted) = &alter.login {
            let config = self.inst.config();
            let login = config.login(wanted).ok_or_else(|| err!(15_007, wanted))?;
            let taken = database.principals.iter().any(|p| {
                p.principal_id != user.principal_id && p.principal_id > 4 && p.sid.as_deref() == Some(&login.sid)
            });
            if taken || login.sid == database.meta.owner_sid {
                return Err(err!(15_063).into());
            }
            user.sid = Some(login.sid.clone());
        }
        if let Some(new) = &alter.name {
            if database.principal(new).is_some() {
                return Err(err!(15_023, new).into());
            }
            user.name.clone_from(new);
        }
        if let Some(schema) = &alter.default_schema {
            user.default_schema = Some(schema.clone());
        }
        let mut principals = database.principals.clone();
        for principal in principals.iter_mut().filter(|p| p.principal_id == user.principal_id) {
            *principal = user.clone();
        }
        self.transaction.work(handle.id).put_principals(principals);
        Ok(DONE)
    }

    /// Drops a user or a role of one's own.
    pub(super) async fn drop_user(&mut self, exists: bool, name: &str) -> Run<Outcome> {
        let (handle, database) = self.lock_principals("ALTER ANY USER").await?;
        let found = database
            .principal(name)
            .filter(|p| p.principal_id > 4 && !p.is_fixed_role);
        let Some(user) = found else {
            return if exists {
                Ok(DONE)
            } else {
                Err(err!(15_151, "drop", "user", name).into())
            };
        };
        let id = user.principal_id;
        if user.kind == PrincipalKind::Role
            && database
                .principals
                .iter()
                .any(|p| p.roles.iter().any(|r| r.eq_ignore_ascii_case(name)))
        {
            let text = "The role has members. It must be empty before it can be dropped.";
            return Err(crate::engine::errors::raw_error(15_144, 16, 1, text.to_owned()).into());
        }
        let mut principals = database.principals.clone();
        principals.retain(|p| p.principal_id != id);
        let mut permissions = database.permissions.clone();
        permissions.retain(|p| p.grantee != id);
        let work = self.transaction.work(handle.id);
        work.put_principals(principals);
        work.put_permissions(permissions);
        Ok(DONE)
    }

    pub(super) async fn create_role(&mut self, name: &str) -> Run<Outcome> {
        let (handle, database) = self.lock_principals("ALTER ANY ROLE").await?;
        if database.principal(name).is_some() {
            return Err(err!(15_023, name).into());
        }
        let mut principals = database.principals.clone();
        principals.push(DatabasePrincipal {
            principal_id: database.next_principal_id(),
            name: name.to_owned(),
            kind: PrincipalKind::Role,
            sid: None,
            default_schema: None,
            roles: Vec::new(),
            is_fixed_role: false,
            create_date: self.inst.now(),
        });
        self.transaction.work(handle.id).put_principals(principals);
        Ok(DONE)
    }

    pub(super) async fn alter_role(&mut self, alter: &AlterRole) -> Run<Outcome> {
        if alter.server {
            return Ok(self.alter_server_role(alter)?);
        }
        let (handle, database) = self.lock_principals("ALTER ANY ROLE").await?;
        let role = database
            .principal(&alter.role)
            .filter(|p| p.kind == PrincipalKind::Role && p.principal_id != 0);
        let Some(role) = role.map(|r| r.name.clone()) else {
            return Err(err!(15_151, "alter", "role", alter.role).into());
        };
        // Only owners make owners.
        if role == "db_owner" && !self.may_alter(&database, handle.id) {
            return Err(err!(15_151, "alter", "role", alter.role).into());
        }
        let member = database.principal(&alter.member).filter(|p| p.principal_id > 4);
        let Some(member) = member.map(|m| m.principal_id) else {
            return Err(err!(15_151, "add", "principal", alter.member).into());
        };
        let mut principals = database.principals.clone();
        for principal in principals.iter_mut().filter(|p| p.principal_id == member) {
            principal.roles.retain(|r| !r.eq_ignore_ascii_case(&role));
            if alter.add {
                principal.roles.push(role.clone());
            }
        }
        self.transaction.work(handle.id).put_principals(principals);
        Ok(DONE)
    }

    // ---- GRANT, DENY, REVOKE ----

    pub(super) async fn permission(&mut self, permission: &Permission) -> Run<Outcome> {
        let state = match permission.verb {
            PermissionVerb::Grant if permission.grant_option => Some(PermissionState::GrantWithGrant),
            PermissionVerb::Grant => Some(PermissionState::Grant),
            PermissionVerb::Deny => Some(PermissionState::Deny),
            PermissionVerb::Revoke => None,
        };
        let scope = permission.securable == Securable::Scope;
        let server = scope && permission.permissions.iter().all(|p| SERVER.contains(&p.as_str()));
        if server {
            if self.database_id != 1 {
                let text = "Permissions at the server scope can only be granted when the current database is master.";
                return Err(crate::engine::errors::raw_error(4621, 16, 10, text.to_owned()).into());
            }
            for name in &permission.principals {
                for what in &permission.permissions {
                    self.change_server_permission(what, name, state)?;
                }
            }
            return Ok(DONE);
        }
        self.change_database_permission(permission, state).await
    }

    async fn change_database_permission(
        &mut self,
        permission: &Permission,
        state: Option<PermissionState>,
    ) -> Run<Outcome> {
        let before = self.database_id;
        let object_id = match &permission.securable {
            Securable::Scope => None,
            Securable::Database(name) => {
                // Only the current database can be named.
                let current = self.handle()?.name();
                if !name.eq_ignore_ascii_case(&current) {
                    return Err(err!(15_151, "find", "database", name).into());
                }
                None
            }
            Securable::Object(name) => {
                let quoted: Vec<String> = name
                    .parts
                    .iter()
                    .map(|p| crate::engine::eval::text::quote_name(p))
                    .collect();
                // The server's own procedures are granted in master.
                let ours = |o: &crate::engine::catalog::Object| {
                    o.id > 0 || self.database_id == 1 && matches!(o.kind, "X" | "P")
                };
                let found = crate::engine::catalog::find_object(self, &quoted.join(".")).filter(ours);
                Some(found.ok_or_else(|| err!(15_151, "find", "object", name.object()))?.id)
            }
            Securable::Login(name) => {
                if self.inst.config().login(name).is_none() {
                    return Err(err!(15_151, "find", "login", name).into());
                }
                return self.grant_impersonation(permission, state);
            }
            Securable::Schema(_) => None,
        };
        debug_assert_eq!(before, self.database_id);
        let handle = self.handle()?;
        self.writable(&handle)?;
        let database = self.view(&handle);
        let may = match object_id {
            None => self.may_permit(&database, handle.id),
            Some(_) => self.may_alter(&database, handle.id),
        };
        if !may {
            let denied = "Grantor does not have GRANT permission.";
            return Err(crate::engine::errors::raw_error(4613, 16, 1, denied.to_owned()).into());
        }
        self.lock(Resource::Part(handle.id, Part::Principals), Mode::Exclusive)
            .await?;
        let database = self.view(&handle);
        let mut permissions = database.permissions.clone();
        for name in &permission.principals {
            let principal = database
                .principal(name)
                .ok_or_else(|| err!(15_151, "find", "user", name))?;
            let id = principal.principal_id;
            if id == 1 {
                let text = "Cannot grant, deny, or revoke permissions to sa, dbo, entity owner, information_schema, sys, or yourself.";
                return Err(crate::engine::errors::raw_error(4617, 16, 1, text.to_owned()).into());
            }
            for what in &permission.permissions {
                permissions.retain(|p| {
                    !(p.grantee == id && p.object_id == object_id && p.permission.eq_ignore_ascii_case(what))
                });
                if let Some(state) = state {
                    permissions.push(DatabasePermission {
                        grantee: id,
                        permission: what.clone(),
                        state,
                        object_id,
                    });
                }
            }
        }
        self.transaction.work(handle.id).put_permissions(permissions);
        let verb = match permission.verb {
            PermissionVerb::Grant => "GRANT",
            PermissionVerb::Deny => "DENY",
            PermissionVerb::Revoke => "REVOKE",
        };
        let what = format!("{verb} {}", permission.permissions.join(", "));
        self.inst.effect(
            &what,
            &database.meta.name,
            &permission.principals.join(", "),
            self.login_name(),
        );
        Ok(DONE)
    }

    /// IMPERSONATE on a login is kept as the right to impersonate any: the stand-in has no finer grain.
    fn grant_impersonation(&mut self, permission: &Permission, state: Option<PermissionState>) -> Run<Outcome> {
        for name in &permission.principals {
            self.change_server_permission("IMPERSONATE ANY LOGIN", name, state)?;
        }
        Ok(DONE)
    }

    /// Binds a query given as text, for procedures that are queries.
    pub(in crate::engine) fn bind_text(
        &self,
        text: &str,
    ) -> Result<(crate::engine::query::Plan, Vec<crate::engine::query::bind::Used>)> {
        let context = crate::engine::parser::Context {
            quoted_identifiers: true,
            ..Default::default()
        };
        for statement in crate::engine::parser::parse_batch(text, &context)? {
            if let crate::engine::ast::Kind::Select(query) = &statement.kind {
                return self.bind_query(query);
            }
        }
        Err(err!(102, "SELECT"))
    }
}
