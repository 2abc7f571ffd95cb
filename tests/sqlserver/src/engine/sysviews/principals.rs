//! Logins, users, roles and permissions.

use super::{NVARCHAR60, SID, SYSNAME, Scan, View, bit, bytes, columns, int, maybe, text};
use crate::engine::errors::Result;
use crate::engine::permissions;
use crate::storage::{Login, LoginKind, PermissionState, PrincipalKind, Row};
use crate::types::SqlType::{Bit, Char, DateTime, Int, NVarChar, TinyInt, VarBinary};
use crate::types::Value;

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "server_principals",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, principal_id: Int, #[null] sid: SID, type: Char(1), #[null] type_desc: NVARCHAR60, #[null] is_disabled: Bit, create_date: DateTime,
            modify_date: DateTime, #[null] default_database_name: SYSNAME, #[null] default_language_name: SYSNAME, #[null] credential_id: Int,
            #[null] owning_principal_id: Int, is_fixed_role: Bit,
        ],
        rows: server_principals,
    },
    View {
        schema: "sys",
        name: "sql_logins",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, principal_id: Int, #[null] sid: SID, type: Char(1), #[null] type_desc: NVARCHAR60, #[null] is_disabled: Bit, create_date: DateTime,
            modify_date: DateTime, #[null] default_database_name: SYSNAME, #[null] default_language_name: SYSNAME, #[null] credential_id: Int,
            #[null] is_policy_checked: Bit, #[null] is_expiration_checked: Bit, #[null] password_hash: VarBinary(Some(256)),
        ],
        rows: sql_logins,
    },
    View {
        schema: "sys",
        name: "server_role_members",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![role_principal_id: Int, member_principal_id: Int],
        rows: server_role_members,
    },
    View {
        schema: "sys",
        name: "server_permissions",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            class: TinyInt, #[null] class_desc: NVARCHAR60, major_id: Int, minor_id: Int, grantee_principal_id: Int, grantor_principal_id: Int,
            type: Char(4), #[null] permission_name: NVarChar(Some(128)), state: Char(1), #[null] state_desc: NVARCHAR60,
        ],
        rows: server_permissions,
    },
    View {
        schema: "sys",
        name: "database_principals",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, principal_id: Int, type: Char(1), #[null] type_desc: NVARCHAR60, #[null] default_schema_name: SYSNAME, create_date: DateTime,
            modify_date: DateTime, #[null] owning_principal_id: Int, #[null] sid: SID, is_fixed_role: Bit, authentication_type: Int,
            #[null] authentication_type_desc: NVARCHAR60, #[null] default_language_name: SYSNAME, #[null] default_language_lcid: Int,
            allow_encrypted_value_modifications: Bit; 13,
        ],
        rows: database_principals,
    },
    View {
        schema: "sys",
        name: "database_role_members",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![role_principal_id: Int, member_principal_id: Int],
        rows: database_role_members,
    },
    View {
        schema: "sys",
        name: "database_permissions",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            class: TinyInt, #[null] class_desc: NVARCHAR60, major_id: Int, minor_id: Int, grantee_principal_id: Int, grantor_principal_id: Int,
            type: Char(4), #[null] permission_name: NVarChar(Some(128)), state: Char(1), #[null] state_desc: NVARCHAR60,
        ],
        rows: database_permissions,
    },
    View {
        schema: "sys",
        name: "certificates",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, certificate_id: Int, #[null] principal_id: Int, pvt_key_encryption_type: Char(2), #[null] pvt_key_encryption_type_desc: NVARCHAR60,
            #[null] is_active_for_begin_dialog: Bit, #[null] issuer_name: NVarChar(Some(442)), #[null] cert_serial_number: NVarChar(Some(64)), #[null] sid: SID,
            #[null] string_sid: NVarChar(Some(128)), #[null] subject: NVarChar(Some(4000)), #[null] expiry_date: DateTime, #[null] start_date: DateTime,
            thumbprint: VarBinary(Some(32)), #[null] attested_by: NVarChar(Some(260)), #[null] pvt_key_last_backup_date: DateTime, #[null] key_length: Int,
        ],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "asymmetric_keys",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, #[null] principal_id: Int, asymmetric_key_id: Int, thumbprint: VarBinary(Some(32))],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "credentials",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![credential_id: Int, name: SYSNAME, #[null] credential_identity: NVarChar(Some(4000)), create_date: DateTime, modify_date: DateTime],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "syslogins",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![#[null] sid: SID, name: SYSNAME, #[null] dbname: SYSNAME, #[null] loginname: SYSNAME, #[null] hasaccess: Int, #[null] isntname: Int, #[null] sysadmin: Int, #[null] dbcreator: Int],
        rows: syslogins,
    },
];

fn nothing(_: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(Vec::new())
}

/// Logins that one may know of: oneself, sa and the roles; all with VIEW ANY DEFINITION or ALTER ANY LOGIN.
fn logins(scan: &Scan<'_>) -> Vec<Login> {
    let all = scan.session.has_server("VIEW ANY DEFINITION") || scan.session.has_server("ALTER ANY LOGIN");
    let own = scan.session.login_name().to_lowercase();
    let config = scan.session.inst.config();
    let seen = |l: &&Login| all || l.kind == LoginKind::ServerRole || l.sid == [1] || l.name.to_lowercase() == own;
    config.logins.iter().filter(seen).cloned().collect()
}

fn login_row(scan: &Scan<'_>, l: &Login) -> Row {
    let (kind, kind_desc) = l.kind.code();
    let role = l.kind == LoginKind::ServerRole;
    let created = scan.moment(l.create_date);
    vec![
        text(l.name.as_str()),
        int(l.principal_id),
        bytes(&l.sid),
        text(kind),
        text(kind_desc),
        bit(l.disabled),
        created.clone(),
        created,
        if role {
            Value::Null
        } else {
            text(l.default_database.as_str())
        },
        if role {
            Value::Null
        } else {
            text(l.default_language.as_str())
        },
        Value::Null,
    ]
}

fn server_principals(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |l: &Login| {
        let mut row = login_row(scan, l);
        let role = l.kind == LoginKind::ServerRole;
        row.push(if role { int(1) } else { Value::Null });
        row.push(bit(role && (3..=10).contains(&l.principal_id)));
        row
    };
    Ok(logins(scan).iter().map(row).collect())
}

fn sql_logins(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |l: &Login| {
        let mut row = login_row(scan, l);
        row.extend([bit(true), bit(false), Value::Null]);
        row
    };
    Ok(logins(scan)
        .iter()
        .filter(|l| l.kind == LoginKind::Sql)
        .map(row)
        .collect())
}

fn server_role_members(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let config = scan.session.inst.config();
    let mut rows = Vec::new();
    for login in logins(scan) {
        let sa = login.sid == [1] && !login.roles.iter().any(|r| r == "sysadmin");
        for role in login.roles.iter().map(String::as_str).chain(sa.then_some("sysadmin")) {
            if let Some(role) = config.login(role) {
                rows.push(vec![int(role.principal_id), int(login.principal_id)]);
            }
        }
    }
    Ok(rows)
}

/// `type` and `permission_name` share a table in SQL Server; the code is its initials, padded.
fn permission_code(name: &str) -> &'static str {
    match name {
        "CONNECT" => "CO  ",
        "CONNECT SQL" => "COSQ",
        "SELECT" => "SL  ",
        "INSERT" => "IN  ",
        "UPDATE" => "UP  ",
        "DELETE" => "DL  ",
        "EXECUTE" => "EX  ",
        "ALTER" => "AL  ",
        "CONTROL" => "CL  ",
        "CONTROL SERVER" => "CL  ",
        "VIEW SERVER STATE" => "VWSS",
        "VIEW SERVER PERFORMANCE STATE" => "VSPS",
        "VIEW SERVER SECURITY STATE" => "VSSS",
        "VIEW ANY DATABASE" => "VWDB",
        "VIEW ANY DEFINITION" => "VWAD",
        "VIEW DEFINITION" => "VW  ",
        "ALTER ANY CONNECTION" => "ALCO",
        "ALTER ANY DATABASE" => "ALDB",
        "ALTER ANY LOGIN" => "ALLG",
        "CREATE ANY DATABASE" => "CRDB",
        "BACKUP DATABASE" => "BADB",
        "BACKUP LOG" => "BALO",
        "IMPERSONATE" => "IM  ",
        "REFERENCES" => "RF  ",
        _ => "XX  ",
    }
}

fn state(state: PermissionState) -> (Value, Value) {
    let (code, desc) = match state {
        PermissionState::Grant => ("G", "GRANT"),
        PermissionState::Deny => ("D", "DENY"),
        PermissionState::GrantWithGrant => ("W", "GRANT_WITH_GRANT_OPTION"),
    };
    (text(code), text(desc))
}

fn server_permissions(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for login in logins(scan) {
        for permission in &login.permissions {
            let (code, desc) = state(permission.state);
            rows.push(vec![
                int(100),
                text("SERVER"),
                int(0),
                int(0),
                int(login.principal_id),
                int(1),
                text(permission_code(&permission.permission)),
                text(permission.permission.as_str()),
                code,
                desc,
            ]);
        }
    }
    Ok(rows)
}

fn database_principals(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |p: &crate::storage::DatabasePrincipal| {
        let (kind, kind_desc) = p.kind.code();
        let (auth, auth_desc) = match p.kind {
            PrincipalKind::Role => (0, "NONE"),
            PrincipalKind::WindowsUser | PrincipalKind::WindowsGroup => (3, "WINDOWS"),
            PrincipalKind::SqlUser if p.principal_id == 1 => (1, "INSTANCE"),
            PrincipalKind::SqlUser if p.principal_id <= 4 || p.sid.is_none() => (0, "NONE"),
            PrincipalKind::SqlUser => (1, "INSTANCE"),
        };
        // dbo's SID is the owner's.
        let sid = if p.principal_id == 1 {
            Some(&scan.database.meta.owner_sid)
        } else {
            p.sid.as_ref()
        };
        let role = p.kind == PrincipalKind::Role;
        vec![
            text(p.name.as_str()),
            int(p.principal_id),
            text(kind),
            text(kind_desc),
            maybe(p.default_schema.as_deref()),
            scan.moment(p.create_date),
            scan.moment(p.create_date),
            if role { int(1) } else { Value::Null },
            sid.map_or(Value::Null, |s| bytes(s)),
            bit(p.is_fixed_role),
            int(auth),
            text(auth_desc),
            Value::Null,
            Value::Null,
            bit(false),
        ]
    };
    Ok(scan.database.principals.iter().map(row).collect())
}

fn database_role_members(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for member in &scan.database.principals {
        for role in member.roles.iter().filter_map(|r| scan.database.principal(r)) {
            rows.push(vec![int(role.principal_id), int(member.principal_id)]);
        }
    }
    Ok(rows)
}

fn database_permissions(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |p: &crate::storage::DatabasePermission| {
        let (code, desc) = state(p.state);
        vec![
            int(u8::from(p.object_id.is_some())),
            text(if p.object_id.is_some() {
                "OBJECT_OR_COLUMN"
            } else {
                "DATABASE"
            }),
            int(p.object_id.unwrap_or(0)),
            int(0),
            int(p.grantee),
            int(1),
            text(permission_code(&p.permission)),
            text(p.permission.as_str()),
            code,
            desc,
        ]
    };
    Ok(scan.database.permissions.iter().map(row).collect())
}

fn syslogins(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |l: &Login| {
        let flag = |role: &str| int(u8::from(permissions::in_server_role(l, role)));
        vec![
            bytes(&l.sid),
            text(l.name.as_str()),
            text(l.default_database.as_str()),
            text(l.name.as_str()),
            int(u8::from(!l.disabled)),
            int(u8::from(l.kind != LoginKind::Sql)),
            flag("sysadmin"),
            flag("dbcreator"),
        ]
    };
    Ok(logins(scan)
        .iter()
        .filter(|l| l.kind != LoginKind::ServerRole)
        .map(row)
        .collect())
}
