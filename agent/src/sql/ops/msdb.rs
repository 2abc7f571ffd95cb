//! What the server itself remembers of backups and restores.

use syncferry_shared::Millis;
use uuid::Uuid;

use super::rows;
use crate::sql::errors::SqlError;
use crate::sql::session::SqlSession;
use crate::sql::statements::msdb as statements;

/// A backup in msdb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupEntry {
    /// `backup_set_uuid`, the header's `BackupSetGUID`.
    pub backup_set_guid: Uuid,
    /// `D` full, `I` differential, `L` log.
    pub kind: String,
    /// Whether it was a copy.
    pub is_copy_only: bool,
    /// When it ended, in UTC: msdb has local times, so the instance's offset is needed.
    pub finished: Option<Millis>,
    /// The file.
    pub path: Option<String>,
    /// `family_guid`.
    pub family_guid: Option<Uuid>,
}

/// The newest backups of a database, newest first.
pub async fn backups(
    session: &mut SqlSession,
    database: &str,
    utc_offset_minutes: i32,
) -> Result<Vec<BackupEntry>, SqlError> {
    let found = rows(session.query(&statements::backups(database)).await?);
    let entries = found.iter().filter_map(|row| {
        Some(BackupEntry {
            backup_set_guid: row.guid("backup_set_uuid")?,
            kind: row.text("type").unwrap_or_default(),
            is_copy_only: row.flag("is_copy_only").unwrap_or(false),
            // Read as if it were UTC, then moved.
            finished: row
                .utc("backup_finish_date")
                .map(|t| t.plus(-i64::from(utc_offset_minutes) * 60_000)),
            path: row.text("physical_device_name"),
            family_guid: row.guid("family_guid"),
        })
    });
    Ok(entries.collect())
}

/// The sets that were restored to a database, newest first.
pub async fn restored_sets(session: &mut SqlSession, database: &str) -> Result<Vec<Uuid>, SqlError> {
    let found = rows(session.query(&statements::restores(database)).await?);
    Ok(found.iter().filter_map(|row| row.guid("backup_set_uuid")).collect())
}
