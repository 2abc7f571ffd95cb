//! Stored procedures, users and grants of the sample.

use time::OffsetDateTime;

use super::AdSync;
use super::build::Tables;
use crate::storage::preset::{sql_sid, windows_sid};
use crate::storage::{Database, DatabasePermission, DatabasePrincipal, PermissionState, PrincipalKind, Procedure};

const PROCEDURES: [(&str, &str); 4] = [
    (
        "mms_get_globalsettings",
        "CREATE PROCEDURE [dbo].[mms_get_globalsettings]\nAS\nBEGIN\n    SET NOCOUNT ON;\n    \
         SELECT [name] AS [Name], [value] AS [Value] FROM [dbo].[mms_global_settings] ORDER BY [name];\nEND",
    ),
    (
        "mms_get_connectors",
        "CREATE PROCEDURE [dbo].[mms_get_connectors]\nAS\nBEGIN\n    SET NOCOUNT ON;\n    \
         SELECT [ma_id], [ma_name], [ma_type], [subtype], [private_configuration_xml] \
         FROM [dbo].[mms_management_agent] ORDER BY [ma_name];\nEND",
    ),
    (
        "mms_CheckSynchronizationRuleHasUniquePrecedence",
        "CREATE PROCEDURE [dbo].[mms_CheckSynchronizationRuleHasUniquePrecedence] @precedence int\nAS\nBEGIN\n    \
         SET NOCOUNT ON;\n    SELECT COUNT(*) AS [rules] FROM [dbo].[mms_synchronization_rule] \
         WHERE [precedence] = @precedence;\nEND",
    ),
    (
        "mms_UpdateSyncRulePrecedence",
        "CREATE PROCEDURE [dbo].[mms_UpdateSyncRulePrecedence] @sync_rule_id uniqueidentifier, @precedence int\nAS\n\
         BEGIN\n    UPDATE [dbo].[mms_synchronization_rule] SET [precedence] = @precedence \
         WHERE [sync_rule_id] = @sync_rule_id;\nEND",
    ),
];

/// Defender for Identity's sensor account, which Microsoft asks to be granted EXECUTE.
const SENSOR: &str = r"CONTOSO\svc-mdi$";

/// Somebody whose account is gone.
const LEFT_LONG_AGO: &str = r"OLDDOMAIN\dba-who-left";

pub(crate) fn procedures(tables: &mut Tables, at: OffsetDateTime) -> Vec<Procedure> {
    let make = |(name, definition): (&str, &str)| Procedure {
        object_id: tables.object_id(),
        schema: "dbo".into(),
        name: name.into(),
        definition: definition.into(),
        create_date: at,
    };
    PROCEDURES.map(make).into()
}

/// The service account owns the database (it "does not function with any other permission") and is a user besides;
/// a sensor and a SQL user of the old server, which a restore makes an orphan.
pub(crate) fn users(database: &mut Database, spec: &AdSync, at: OffsetDateTime) {
    let owner = if spec.owner_unknown {
        windows_sid(LEFT_LONG_AGO)
    } else {
        windows_sid(&spec.service_account)
    };
    database.meta.owner_sid.clone_from(&owner);
    for dbo in database.principals.iter_mut().filter(|p| p.principal_id == 1) {
        dbo.sid = Some(owner.clone());
    }
    let mut users = vec![
        (SENSOR, PrincipalKind::WindowsUser, windows_sid(SENSOR), "db_datareader"),
        (
            "adsync_report",
            PrincipalKind::SqlUser,
            sql_sid(&spec.owner_host, "adsync_report"),
            "db_datareader",
        ),
    ];
    if spec.owner_unknown {
        let account = spec.service_account.as_str();
        users.push((account, PrincipalKind::WindowsUser, windows_sid(account), "db_owner"));
    }
    for (name, kind, sid, role) in users {
        let principal_id = database.next_principal_id();
        database.principals.push(DatabasePrincipal {
            principal_id,
            name: name.into(),
            kind,
            sid: Some(sid),
            default_schema: Some("dbo".into()),
            roles: vec![role.into()],
            is_fixed_role: false,
            create_date: at,
        });
        grant(database, principal_id, "CONNECT", None);
    }
    let sensor = database.principal(SENSOR).map(|p| p.principal_id);
    let procedures: Vec<i32> = database.procedures.iter().take(2).map(|p| p.object_id).collect();
    for object_id in procedures {
        sensor
            .into_iter()
            .for_each(|id| grant(database, id, "EXECUTE", Some(object_id)));
    }
}

fn grant(database: &mut Database, grantee: i32, permission: &str, object_id: Option<i32>) {
    let state = PermissionState::Grant;
    database.permissions.push(DatabasePermission {
        grantee,
        permission: permission.into(),
        state,
        object_id,
    });
}
