//! What msdb remembers. Its times are the server's local ones, without an offset.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// The newest backups of a database.
pub fn backups(database: &str) -> Statement {
    Statement::new(
        "msdb-backups",
        format!(
            "DECLARE @db sysname = {};
SELECT TOP (20) bs.backup_set_id, bs.backup_set_uuid, bs.database_name, bs.type, bs.is_copy_only, bs.has_backup_checksums, bs.is_damaged,
 bs.backup_size, bs.backup_start_date, bs.backup_finish_date, bs.family_guid, bs.database_guid, mf.physical_device_name
FROM msdb.dbo.backupset bs JOIN msdb.dbo.backupmediafamily mf ON mf.media_set_id = bs.media_set_id
WHERE bs.database_name = @db
ORDER BY bs.backup_set_id DESC;",
            text(database)
        ),
    )
}

/// The newest restores to a database.
pub fn restores(database: &str) -> Statement {
    Statement::new(
        "msdb-restores",
        format!(
            "DECLARE @db sysname = {};
SELECT TOP (20) rh.restore_history_id, rh.restore_date, rh.destination_database_name, rh.restore_type, bs.backup_set_uuid
FROM msdb.dbo.restorehistory rh JOIN msdb.dbo.backupset bs ON bs.backup_set_id = rh.backup_set_id
WHERE rh.destination_database_name = @db
ORDER BY rh.restore_history_id DESC;",
            text(database)
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![backups(AWKWARD), restores(AWKWARD)]
}
