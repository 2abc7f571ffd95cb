//! What an instance is. SERVERPROPERTY returns sql_variant, so every column is cast; an unknown property is NULL, so one
//! statement serves SQL Server 2012 to 2025.

use super::Statement;

/// Version, edition, paths, the agent's login and its rights, and the server's clock.
pub fn instance() -> Statement {
    Statement::new(
        "probe-instance",
        "SELECT
 CAST(SERVERPROPERTY('ServerName') AS nvarchar(256)) AS server_name,
 CAST(SERVERPROPERTY('MachineName') AS nvarchar(128)) AS machine_name,
 CAST(SERVERPROPERTY('InstanceName') AS nvarchar(128)) AS instance_name,
 CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS product_version,
 CAST(SERVERPROPERTY('ProductLevel') AS nvarchar(128)) AS product_level,
 CAST(SERVERPROPERTY('ProductUpdateLevel') AS nvarchar(128)) AS product_update_level,
 CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition,
 CAST(SERVERPROPERTY('EditionID') AS bigint) AS edition_id,
 CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition,
 CAST(SERVERPROPERTY('IsLocalDB') AS int) AS is_localdb,
 CAST(SERVERPROPERTY('Collation') AS nvarchar(128)) AS collation_name,
 CAST(SERVERPROPERTY('IsHadrEnabled') AS int) AS is_hadr_enabled,
 CAST(SERVERPROPERTY('IsIntegratedSecurityOnly') AS int) AS is_integrated_only,
 CAST(SERVERPROPERTY('FilestreamEffectiveLevel') AS int) AS filestream_level,
 CAST(SERVERPROPERTY('ProcessID') AS int) AS process_id,
 CAST(SERVERPROPERTY('InstanceDefaultDataPath') AS nvarchar(260)) AS data_path,
 CAST(SERVERPROPERTY('InstanceDefaultLogPath') AS nvarchar(260)) AS log_path,
 CAST(SERVERPROPERTY('InstanceDefaultBackupPath') AS nvarchar(260)) AS backup_path,
 CAST(DATABASEPROPERTYEX(N'master', 'Version') AS int) AS internal_version,
 SUSER_SNAME() AS login_name,
 IS_SRVROLEMEMBER('sysadmin') AS is_sysadmin,
 IS_SRVROLEMEMBER('dbcreator') AS is_dbcreator,
 HAS_PERMS_BY_NAME(NULL, NULL, 'CREATE ANY DATABASE') AS can_create_database,
 HAS_PERMS_BY_NAME(NULL, NULL, 'ALTER ANY LOGIN') AS can_alter_logins,
 HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') AS can_view_state,
 HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE') AS can_view_performance_state,
 HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER SECURITY STATE') AS can_view_security_state,
 SYSUTCDATETIME() AS server_utc,
 SYSDATETIMEOFFSET() AS server_now;",
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![instance()]
}
