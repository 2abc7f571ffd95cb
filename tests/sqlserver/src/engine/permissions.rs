//! Who may do what: server roles and permissions, users of a database, database roles and permissions.

use super::account;
use super::session::Session;
use crate::storage::{Database, DatabasePrincipal, InstanceConfig, Login, PermissionState, PrincipalKind, windows_sid};

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

/// Who a login is in a database that it is in: `dbo`, its own user, or whom its Windows groups make it. The groups' users
/// count as roles. None when nothing there is for it.
pub(super) fn identity(
    config: &InstanceConfig,
    database: &Database,
    database_id: i32,
    login: &str,
) -> Option<DatabasePrincipal> {
    let login = account::effective(config, login)?;
    if is_sysadmin(&login) || database.meta.owner_sid == login.sid {
        return database.principal("dbo").cloned();
    }
    let of_sid = |sid: &[u8]| {
        let mut users = database.principals.iter();
        users.find(|p| p.principal_id > 4 && p.sid.as_deref() == Some(sid))
    };
    let groups: Vec<&DatabasePrincipal> = if account::is_windows(login.kind) {
        let names = account::groups_of(config, &login.name);
        names.iter().filter_map(|g| of_sid(&windows_sid(g))).collect()
    } else {
        Vec::new()
    };
    let mut user = match (of_sid(&login.sid), groups.first()) {
        (Some(own), _) => own.clone(),
        (None, Some(group)) => DatabasePrincipal {
            name: login.name.clone(),
            kind: PrincipalKind::WindowsUser,
            sid: Some(login.sid.clone()),
            roles: Vec::new(),
            ..(*group).clone()
        },
        (None, None) => {
            let guest = database.principal("guest")?;
            let open = matches!(database_id, 1 | 2 | 4)
                || applies(database, guest, &["CONNECT"], None, PermissionState::Grant)
                || has_server(&login, "CONNECT ANY DATABASE");
            return open.then(|| guest.clone());
        }
    };
    user.roles.extend(groups.iter().map(|g| g.name.clone()));
    Some(user)
}

/// The user a login is in a database; None when it may not enter. CONNECT is asked for on entering only: who is in a database
/// stays in it, whatever is denied meanwhile, until its session ends.
pub(super) fn user(
    config: &InstanceConfig,
    database: &Database,
    database_id: i32,
    login: &str,
) -> Option<DatabasePrincipal> {
    identity(config, database, database_id, login).filter(|u| may_connect(database, u))
}

/// CONNECT is granted with CREATE USER; REVOKE takes it away. A DENY wins, also one of a role or a group; only dbo is not
/// bound by it.
fn may_connect(database: &Database, user: &DatabasePrincipal) -> bool {
    let says = |state| applies(database, user, &["CONNECT"], None, state);
    // `identity` has judged a guest already.
    user.principal_id <= 4 || !says(PermissionState::Deny) && says(PermissionState::Grant)
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
    /// The login it acts as, with what it has through groups.
    pub(super) fn login(&self) -> Option<Login> {
        account::effective(&self.inst.config(), self.login_name())
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

    /// The user it is in a database: in the one it stands in without asking for CONNECT again.
    pub(super) fn user_in(&self, database: &Database, database_id: i32) -> Option<DatabasePrincipal> {
        if database_id == self.database_id {
            return identity(&self.inst.config(), database, database_id, self.login_name());
        }
        self.may_enter(database, database_id)
    }

    /// The user it is in a database that it enters now.
    pub(super) fn may_enter(&self, database: &Database, database_id: i32) -> Option<DatabasePrincipal> {
        user(&self.inst.config(), database, database_id, self.login_name())
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

    /// Whether it may change permissions on the database itself: owners, `db_securityadmin`, and who has CONTROL.
    pub(super) fn may_permit(&self, database: &Database, database_id: i32) -> bool {
        self.may_alter(database, database_id)
            || self.user_in(database, database_id).is_some_and(|u| {
                in_role(database, &u, "db_securityadmin")
                    || applies(database, &u, &["CONTROL"], None, PermissionState::Grant)
            })
    }
}
