//! Who may do what: server roles and permissions, users of a database, database roles and permissions.

use super::session::Session;
use crate::storage::{Database, DatabasePrincipal, InstanceConfig, Login, PermissionState};

/// Whether a login is in a server role. Everybody is in public; sysadmin is in none but itself.
pub(super) fn in_server_role(login: &Login, role: &str) -> bool {
    role.eq_ignore_ascii_case("public")
        || login.sid == [1] && role.eq_ignore_ascii_case("sysadmin")
        || login.roles.iter().any(|r| r.eq_ignore_ascii_case(role))
}

/// Whether a login is sysadmin.
pub(super) fn is_sysadmin(login: &Login) -> bool {
    in_server_role(login, "sysadmin")
}

/// The permissions that give a permission too.
fn covering(permission: &str) -> &'static [&'static str] {
    match permission {
        "VIEW SERVER PERFORMANCE STATE" | "VIEW SERVER SECURITY STATE" => &["VIEW SERVER STATE", "CONTROL SERVER"],
        "VIEW SERVER STATE" => &["ALTER SERVER STATE", "CONTROL SERVER"],
        "CREATE ANY DATABASE" => &["ALTER ANY DATABASE", "CONTROL SERVER"],
        "CREATE DATABASE" => &["CREATE ANY DATABASE", "ALTER ANY DATABASE", "CONTROL SERVER"],
        _ => &["CONTROL SERVER"],
    }
}

fn role_permissions(role: &str) -> &'static [&'static str] {
    match role {
        "dbcreator" => &["CREATE ANY DATABASE", "ALTER ANY DATABASE", "CREATE DATABASE"],
        "processadmin" => &[
            "ALTER ANY CONNECTION",
            "ALTER SERVER STATE",
            "VIEW SERVER STATE",
            "VIEW SERVER PERFORMANCE STATE",
            "VIEW SERVER SECURITY STATE",
        ],
        "securityadmin" => &["ALTER ANY LOGIN"],
        "serveradmin" => &[
            "ALTER SETTINGS",
            "VIEW SERVER STATE",
            "VIEW SERVER PERFORMANCE STATE",
            "VIEW SERVER SECURITY STATE",
            "ALTER SERVER STATE",
        ],
        "public" => &["VIEW ANY DATABASE", "CONNECT SQL"],
        "##MS_ServerStateReader##" => &[
            "VIEW SERVER STATE",
            "VIEW SERVER PERFORMANCE STATE",
            "VIEW SERVER SECURITY STATE",
        ],
        "##MS_DatabaseConnector##" => &["CONNECT ANY DATABASE"],
        _ => &[],
    }
}

/// Whether a login has a server permission.
pub(super) fn has_server(login: &Login, permission: &str) -> bool {
    let permission = permission.to_uppercase();
    if is_sysadmin(login) {
        return true;
    }
    let explicit = |name: &str, denied: bool| {
        login
            .permissions
            .iter()
            .any(|p| p.permission.eq_ignore_ascii_case(name) && (p.state == PermissionState::Deny) == denied)
    };
    if explicit(&permission, true) {
        return false;
    }
    let granted = explicit(&permission, false) || covering(&permission).iter().any(|c| explicit(c, false));
    granted
        || login
            .roles
            .iter()
            .map(String::as_str)
            .chain(["public"])
            .any(|r| role_permissions(r).contains(&permission.as_str()))
}

/// The user a login is in a database; None when it may not enter.
pub(super) fn user<'a>(
    config: &InstanceConfig,
    database: &'a Database,
    database_id: i32,
    login: &str,
) -> Option<&'a DatabasePrincipal> {
    let login = config.login(login)?;
    if is_sysadmin(login) || database.meta.owner_sid == login.sid {
        return database.principal("dbo");
    }
    let own = database
        .principals
        .iter()
        .find(|p| p.sid.as_deref() == Some(&login.sid) && p.principal_id > 4);
    if let Some(own) = own {
        return can_connect(database, own).then_some(own);
    }
    let guest = database.principal("guest")?;
    let open = matches!(database_id, 1 | 2 | 4)
        || granted(database, guest.principal_id, "CONNECT", PermissionState::Grant)
        || has_server(login, "CONNECT ANY DATABASE");
    open.then_some(guest)
}

fn granted(database: &Database, principal_id: i32, permission: &str, state: PermissionState) -> bool {
    let same =
        |s: PermissionState| s == state || state == PermissionState::Grant && s == PermissionState::GrantWithGrant;
    database.permissions.iter().any(|p| {
        p.grantee == principal_id
            && p.object_id.is_none()
            && p.permission.eq_ignore_ascii_case(permission)
            && same(p.state)
    })
}

/// CONNECT is granted with CREATE USER; DENY and REVOKE take it away.
fn can_connect(database: &Database, user: &DatabasePrincipal) -> bool {
    !granted(database, user.principal_id, "CONNECT", PermissionState::Deny)
        && granted(database, user.principal_id, "CONNECT", PermissionState::Grant)
}

/// Whether a user is in a database role, also through other roles.
pub(super) fn in_role(database: &Database, user: &DatabasePrincipal, role: &str) -> bool {
    if role.eq_ignore_ascii_case("public") {
        return true;
    }
    let mut open: Vec<String> = user.roles.clone();
    let mut seen = Vec::new();
    while let Some(next) = open.pop() {
        if next.eq_ignore_ascii_case(role) {
            return true;
        }
        if !seen.contains(&next) {
            open.extend(database.principal(&next).into_iter().flat_map(|p| p.roles.clone()));
            seen.push(next);
        }
    }
    false
}

/// Whether a user has a permission in a database, on an object if one is given.
pub(super) fn has_database(
    database: &Database,
    user: &DatabasePrincipal,
    permission: &str,
    object: Option<i32>,
) -> bool {
    let permission = permission.to_uppercase();
    if user.principal_id == 1 || in_role(database, user, "db_owner") && !denied(database, user, &permission, object) {
        return true;
    }
    if denied(database, user, &permission, object) {
        return false;
    }
    let role = match permission.as_str() {
        "SELECT" => "db_datareader",
        "INSERT" | "UPDATE" | "DELETE" => "db_datawriter",
        "BACKUP DATABASE" | "BACKUP LOG" | "CHECKPOINT" => "db_backupoperator",
        "CREATE TABLE" | "CREATE PROCEDURE" | "CREATE SCHEMA" | "CREATE VIEW" | "ALTER ANY SCHEMA" => "db_ddladmin",
        "ALTER ANY USER" => "db_accessadmin",
        "ALTER ANY ROLE" => "db_securityadmin",
        _ => "",
    };
    let by_role = !role.is_empty() && in_role(database, user, role);
    by_role
        || applies(
            database,
            user,
            &[&permission, "CONTROL"],
            object,
            PermissionState::Grant,
        )
}

fn denied(database: &Database, user: &DatabasePrincipal, permission: &str, object: Option<i32>) -> bool {
    let reading = permission == "SELECT" && in_role(database, user, "db_denydatareader");
    let writing = matches!(permission, "INSERT" | "UPDATE" | "DELETE") && in_role(database, user, "db_denydatawriter");
    reading || writing || applies(database, user, &[permission], object, PermissionState::Deny)
}

fn applies(
    database: &Database,
    user: &DatabasePrincipal,
    names: &[&str],
    object: Option<i32>,
    state: PermissionState,
) -> bool {
    database.permissions.iter().any(|p| {
        let who = p.grantee == user.principal_id
            || p.grantee == 0
            || database
                .principals
                .iter()
                .any(|r| r.principal_id == p.grantee && in_role(database, user, &r.name));
        let what = names.iter().any(|n| p.permission.eq_ignore_ascii_case(n));
        let wherever = p.object_id.is_none() || p.object_id == object;
        let how = (p.state == PermissionState::Deny) == (state == PermissionState::Deny);
        who && what && wherever && how
    })
}

impl Session {
    /// The login it acts as.
    pub(super) fn login(&self) -> Option<Login> {
        self.inst.config().login(self.login_name()).cloned()
    }

    /// Whether it acts as sysadmin.
    pub(super) fn is_sysadmin(&self) -> bool {
        self.login().is_some_and(|l| is_sysadmin(&l))
    }

    /// Whether it has a server permission.
    pub(super) fn has_server(&self, permission: &str) -> bool {
        self.login().is_some_and(|l| has_server(&l, permission))
    }

    /// The name of the right that DMVs need in this version.
    pub(super) fn state_permission(&self) -> &'static str {
        if self.inst.config().version().0 >= 16 {
            "VIEW SERVER PERFORMANCE STATE"
        } else {
            "VIEW SERVER STATE"
        }
    }

    /// The name of the right that connections need in this version.
    pub(super) fn security_permission(&self) -> &'static str {
        if self.inst.config().version().0 >= 16 {
            "VIEW SERVER SECURITY STATE"
        } else {
            "VIEW SERVER STATE"
        }
    }

    /// Whether it may see other people's connections.
    pub(super) fn can_view_security_state(&self) -> bool {
        self.has_server(self.security_permission())
    }

    /// Whether it may see other sessions.
    pub(super) fn can_view_state(&self) -> bool {
        self.has_server(self.state_permission())
    }

    /// The user it is in a database.
    pub(super) fn user_in(&self, database: &Database, database_id: i32) -> Option<DatabasePrincipal> {
        user(&self.inst.config(), database, database_id, self.login_name()).cloned()
    }

    /// Whether it has a permission in a database.
    pub(super) fn may(&self, database: &Database, database_id: i32, permission: &str, object: Option<i32>) -> bool {
        self.user_in(database, database_id)
            .is_some_and(|u| has_database(database, &u, permission, object))
    }

    /// Whether it may do what needs the owner or a role that covers the whole server.
    pub(super) fn may_alter(&self, database: &Database, database_id: i32) -> bool {
        self.has_server("ALTER ANY DATABASE")
            || self
                .user_in(database, database_id)
                .is_some_and(|u| u.principal_id == 1 || in_role(database, &u, "db_owner"))
    }
}
