//! More about an instance: the account it runs as, its settings, its volumes. Each may be refused or missing; then it is unknown.

use super::Statement;

/// The accounts of the engine's services. LocalDB has no service and gives no row.
pub fn services() -> Statement {
    Statement::new(
        "instance-services",
        "SELECT servicename, service_account FROM sys.dm_server_services;",
    )
}

/// Settings that touch backups and restores.
pub fn configurations() -> Statement {
    Statement::new(
        "instance-configurations",
        "SELECT name, CAST(value_in_use AS int) AS value_in_use FROM sys.configurations
WHERE name IN (N'backup compression default', N'backup checksum default', N'contained database authentication', N'max server memory (MB)');",
    )
}

/// Free space of every fixed drive; SQL Server 2017 and newer.
pub fn fixed_drives() -> Statement {
    Statement::new(
        "instance-fixed-drives",
        "SELECT fixed_drive_path, drive_type_desc, free_space_in_bytes FROM sys.dm_os_enumerate_fixed_drives;",
    )
}

/// Free space of the volumes that hold database files; every version.
pub fn database_volumes() -> Statement {
    Statement::new(
        "instance-database-volumes",
        "SELECT DISTINCT vs.volume_mount_point, vs.total_bytes, vs.available_bytes
FROM sys.master_files f CROSS APPLY sys.dm_os_volume_stats(f.database_id, f.file_id) vs;",
    )
}

/// Certificates that an encrypted backup or database may need.
pub fn certificates() -> Statement {
    Statement::new(
        "instance-certificates",
        "SELECT name, thumbprint, expiry_date FROM master.sys.certificates;",
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![
        services(),
        configurations(),
        fixed_drives(),
        database_volumes(),
        certificates(),
    ]
}
