//! Logins and server roles.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::PermissionState;

/// `sys.server_principals.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginKind {
    /// `S`.
    Sql,
    /// `U`.
    WindowsUser,
    /// `G`.
    WindowsGroup,
    /// `R`.
    ServerRole,
}

impl LoginKind {
    /// `type` and `type_desc`.
    pub fn code(self) -> (&'static str, &'static str) {
        match self {
            LoginKind::Sql => ("S", "SQL_LOGIN"),
            LoginKind::WindowsUser => ("U", "WINDOWS_LOGIN"),
            LoginKind::WindowsGroup => ("G", "WINDOWS_GROUP"),
            LoginKind::ServerRole => ("R", "SERVER_ROLE"),
        }
    }
}

/// A permission on the server, for example `VIEW SERVER STATE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerPermission {
    /// The permission.
    pub permission: String,
    /// Granted or denied.
    pub state: PermissionState,
}

/// A login. The lab keeps passwords in clear: they are the lab's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Login {
    /// 1 is sa, 2 public, 3 to 10 the fixed roles, 256 and up are created.
    pub principal_id: i32,
    /// The name.
    pub name: String,
    /// The SID; `0x01` is sa.
    pub sid: Vec<u8>,
    /// What it is.
    pub kind: LoginKind,
    /// For SQL logins; None can never log in with a password.
    pub password: Option<String>,
    /// `is_disabled`.
    pub disabled: bool,
    /// `default_database_name`.
    pub default_database: String,
    /// `default_language_name`.
    pub default_language: String,
    /// The server roles it is in: `sysadmin`, `dbcreator` …
    pub roles: Vec<String>,
    /// Server permissions.
    pub permissions: Vec<ServerPermission>,
    /// UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub create_date: OffsetDateTime,
}
