//! Users, roles, permissions and extended properties of a database.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::types::Value;

/// `sys.database_principals.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// `S`, a SQL user.
    SqlUser,
    /// `U`, a Windows user.
    WindowsUser,
    /// `G`, a Windows group.
    WindowsGroup,
    /// `R`, a database role.
    Role,
}

impl PrincipalKind {
    /// `type` and `type_desc`.
    pub fn code(self) -> (&'static str, &'static str) {
        match self {
            PrincipalKind::SqlUser => ("S", "SQL_USER"),
            PrincipalKind::WindowsUser => ("U", "WINDOWS_USER"),
            PrincipalKind::WindowsGroup => ("G", "WINDOWS_GROUP"),
            PrincipalKind::Role => ("R", "DATABASE_ROLE"),
        }
    }
}

/// A user or role of a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabasePrincipal {
    /// 0 public, 1 dbo, 2 guest, 3 INFORMATION_SCHEMA, 4 sys; 16384 and up are fixed roles.
    pub principal_id: i32,
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: PrincipalKind,
    /// Matches a login's SID; None for roles and users without login.
    pub sid: Option<Vec<u8>>,
    /// `default_schema_name`.
    pub default_schema: Option<String>,
    /// The roles it is a member of, by name.
    pub roles: Vec<String>,
    /// `is_fixed_role`.
    pub is_fixed_role: bool,
    /// UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub create_date: OffsetDateTime,
}

/// `sys.database_permissions.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionState {
    /// `G`.
    Grant,
    /// `D`.
    Deny,
    /// `W`.
    GrantWithGrant,
}

/// A granted or denied permission in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabasePermission {
    /// Who has it.
    pub grantee: i32,
    /// `CONNECT`, `EXECUTE`, `SELECT` …
    pub permission: String,
    /// Granted or denied.
    pub state: PermissionState,
    /// The object, None for the database.
    pub object_id: Option<i32>,
}

/// An extended property of the database (class 0) or of an object (class 1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtendedProperty {
    /// The object, None for the database itself.
    pub object_id: Option<i32>,
    /// The name, unique per object ignoring case.
    pub name: String,
    /// A sql_variant.
    #[serde(with = "super::codec::value_hex")]
    pub value: Value,
}
