//! One database: catalogue, files, features, principals. Columns that only newer versions have are not asked for.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// The catalogue's row, with identity, owner and the agent's right to back it up.
pub fn facts(name: &str) -> Statement {
    Statement::new(
        "database-facts",
        format!(
            "DECLARE @db sysname = {};
SELECT d.database_id, d.name, d.state_desc, d.user_access_desc, d.is_read_only, d.is_in_standby, d.recovery_model_desc,
 d.compatibility_level, d.collation_name, d.create_date, SUSER_SNAME(d.owner_sid) AS owner_name, d.is_encrypted,
 d.is_broker_enabled, d.is_trustworthy_on, d.containment_desc, d.page_verify_option_desc, d.is_auto_close_on,
 d.source_database_id, d.service_broker_guid, d.group_database_id,
 rs.database_guid, rs.family_guid, rs.recovery_fork_guid,
 CAST(DATABASEPROPERTYEX(d.name, 'Version') AS int) AS internal_version,
 COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(d.name), 'DATABASE', 'BACKUP DATABASE'), HAS_PERMS_BY_NAME(d.name, 'DATABASE', 'BACKUP DATABASE')) AS can_backup
FROM sys.databases d LEFT JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
WHERE d.name = @db;",
            text(name)
        ),
    )
}

/// The files as the instance knows them.
pub fn files(name: &str) -> Statement {
    Statement::new(
        "database-files",
        format!(
            "DECLARE @db sysname = {};
SELECT file_id, type_desc, name, physical_name, state_desc, CAST(size AS bigint) * 8192 AS bytes
FROM sys.master_files WHERE database_id = DB_ID(@db)
ORDER BY file_id;",
            text(name)
        ),
    )
}

/// Whether DBCC CHECKDB ended without errors since the database came into being here; NULL where the version does not tell. The
/// time travels with a backup, so one from before says nothing of the copy.
pub fn checked(name: &str) -> Statement {
    Statement::new(
        "database-checked",
        format!(
            "DECLARE @db sysname = {};
SELECT CASE WHEN DATABASEPROPERTYEX(d.name, 'LastGoodCheckDbTime') IS NULL THEN NULL
 WHEN CAST(DATABASEPROPERTYEX(d.name, 'LastGoodCheckDbTime') AS datetime) >= d.create_date THEN 1 ELSE 0 END AS checked
FROM sys.databases d WHERE d.name = @db;",
            text(name)
        ),
    )
}

/// Bytes in use per data file; runs in the database.
pub fn used_bytes() -> Statement {
    Statement::new(
        "database-used-bytes",
        "SELECT name, CAST(FILEPROPERTY(name, 'SpaceUsed') AS bigint) * 8192 AS used_bytes FROM sys.database_files WHERE type = 0;",
    )
}

/// Features that bind the database to an edition; runs in the database.
pub fn sku_features() -> Statement {
    Statement::new(
        "database-sku-features",
        "SELECT feature_name FROM sys.dm_db_persisted_sku_features;",
    )
}

/// Users and the logins behind them; runs in the database.
pub fn principals() -> Statement {
    Statement::new(
        "database-principals",
        "SELECT dp.name, dp.type_desc, dp.authentication_type_desc, dp.sid, sp.name AS login_name
FROM sys.database_principals dp LEFT JOIN sys.server_principals sp ON sp.sid = dp.sid
WHERE dp.type IN ('S', 'U', 'G', 'E', 'X') AND dp.principal_id > 4
ORDER BY dp.name;",
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![
        facts(AWKWARD),
        files(AWKWARD),
        checked(AWKWARD),
        used_bytes(),
        sku_features(),
        principals(),
    ]
}
