//! What a login is in a database: its user, whether it owns the database or the server, and by which Windows groups it gets
//! in. `sys.server_principals` is filtered, not refused, without VIEW ANY DEFINITION.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// One login; runs in the database.
pub fn login(login: &str) -> Statement {
    Statement::new(
        "principal-of-login",
        format!(
            "DECLARE @login nvarchar(256) = {}, @sid varbinary(85);
SET @sid = SUSER_SID(@login);
SELECT
 (SELECT sp.type_desc FROM sys.server_principals sp WHERE sp.sid = @sid AND sp.type IN ('S', 'U', 'G', 'E', 'X')) AS login_type,
 (SELECT dp.name FROM sys.database_principals dp WHERE dp.sid = @sid AND dp.principal_id > 4) AS user_name,
 (SELECT CASE WHEN d.owner_sid = @sid THEN 1 ELSE 0 END FROM sys.databases d WHERE d.database_id = DB_ID()) AS is_owner,
 IS_SRVROLEMEMBER(N'sysadmin', @login) AS is_sysadmin,
 (SELECT pe.state_desc FROM sys.database_permissions pe INNER JOIN sys.database_principals dp ON dp.principal_id = pe.grantee_principal_id
  WHERE pe.class = 0 AND pe.permission_name = N'CONNECT' AND dp.sid = @sid AND dp.principal_id > 4) AS connect_state;",
            text(login)
        ),
    )
}

/// The user of a name, for logins that the instance does not know; runs in the database.
pub fn user(name: &str) -> Statement {
    Statement::new(
        "principal-of-user",
        format!(
            "SELECT name FROM sys.database_principals WHERE name = {} AND principal_id > 4 AND type IN ('S', 'U', 'G', 'E', 'X');",
            text(name)
        ),
    )
}

/// Windows groups that have a user; runs in the database.
pub fn group_users() -> Statement {
    Statement::new(
        "principal-group-users",
        "SELECT name, COALESCE(SUSER_SNAME(sid), name) AS group_name FROM sys.database_principals WHERE type IN ('G', 'X') ORDER BY name;",
    )
}

/// Every way by which a Windows account gets into the server. sysadmin, or EXECUTE on it granted in master.
pub fn ways(account: &str) -> Statement {
    Statement::new(
        "principal-ways",
        format!("EXEC sys.xp_logininfo @acctname = {}, @option = 'all';", text(account)),
    )
}

/// Who is in a Windows group; the same right.
pub fn members(group: &str) -> Statement {
    Statement::new(
        "principal-group-members",
        format!(
            "EXEC sys.xp_logininfo @acctname = {}, @option = 'members';",
            text(group)
        ),
    )
}

/// What the agent's own login may do for a fence; runs in the database.
pub fn own_rights() -> Statement {
    Statement::new(
        "principal-own-rights",
        "SELECT
 CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(60)) AS updateability,
 HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'ALTER') AS can_mark,
 CASE WHEN HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CONTROL') = 1 OR IS_ROLEMEMBER(N'db_securityadmin') = 1 THEN 1 ELSE 0 END AS can_deny,
 HAS_PERMS_BY_NAME(NULL, NULL, N'ALTER ANY CONNECTION') AS can_kill,
 HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW ANY DEFINITION') AS can_view_definition,
 CASE WHEN HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') = 1 OR (HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER PERFORMANCE STATE') = 1 AND HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER SECURITY STATE') = 1) THEN 1 ELSE 0 END AS can_view_state;",
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![
        login(AWKWARD),
        user(AWKWARD),
        group_users(),
        ways(AWKWARD),
        members(AWKWARD),
        own_rights(),
    ]
}
