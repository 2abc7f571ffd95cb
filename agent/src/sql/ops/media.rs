//! Reading a backup medium: verification, label, header, file list. Columns are read by name: their number, order and widths
//! differ between versions and from the documentation.

use std::collections::BTreeMap;

use syncferry_shared::artifact::{SetFile, SetHeader};
use syncferry_shared::progress::Progress;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::watch::{Watch, run_watched};
use super::{one_row, rows, unusable};
use crate::sql::errors::{SqlError, SqlErrorKind};
use crate::sql::rows::{MissingColumn, Row};
use crate::sql::session::SqlSession;
use crate::sql::statements::media as statements;

/// `The backup set on file 1 is valid.`
const SET_IS_VALID: i32 = 3262;

/// A row of RESTORE HEADERONLY.
#[derive(Debug, Clone, PartialEq)]
pub struct SetRecord {
    /// What we bind to. Its files come from [`file_list`].
    pub header: SetHeader,
    /// Sets on the medium.
    pub sets: usize,
    /// `Position`.
    pub position: i64,
    /// `BackupType`: 1 is a full database backup.
    pub backup_type: i64,
    /// `HasBackupChecksums`.
    pub has_checksums: bool,
    /// `IsDamaged`.
    pub is_damaged: bool,
    /// `HasIncompleteMetaData`.
    pub incomplete: bool,
    /// `IsCopyOnly`.
    pub is_copy_only: bool,
    /// `IsSnapshot`.
    pub is_snapshot: bool,
    /// `IsReadOnly`: the restored copy will be read-only as well.
    pub is_read_only: bool,
    /// `Compressed`.
    pub compressed: bool,
    /// `Containment`: not zero for a contained database.
    pub containment: i64,
    /// `EncryptorThumbprint`, when the backup is encrypted.
    pub encryptor: Option<String>,
    /// Every column that is not NULL, for the evidence.
    pub raw: BTreeMap<String, String>,
}

/// RESTORE LABELONLY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// `MediaName`.
    pub media_name: Option<String>,
    /// `MediaSetId`.
    pub media_set_id: Option<Uuid>,
    /// `FamilyCount`: files that the set was written to.
    pub family_count: i64,
    /// `FamilySequenceNumber`: which of them this is.
    pub family_sequence: i64,
    /// `MediaDescription`.
    pub media_description: Option<String>,
}

/// Reads the whole set and checks every checksum, with progress.
pub async fn verify_only(
    work: &mut SqlSession,
    watch: Watch<'_>,
    path: &str,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), SqlError> {
    let statement = statements::verify_only(path);
    let answer = run_watched(work, watch, &statement, "RESTORE VERIFYONLY", cancel, progress).await?;
    if answer.said(SET_IS_VALID) {
        return Ok(());
    }
    Err(SqlError::local(
        SqlErrorKind::Answer,
        work.instance(),
        statement.name,
        "the batch ended without an error and without message 3262 that the set is valid",
    ))
}

/// Reads the medium's label.
pub async fn label(session: &mut SqlSession, path: &str) -> Result<Label, SqlError> {
    let row = one_row(session, &statements::label_only(path)).await?;
    Ok(Label {
        media_name: row.text("MediaName"),
        media_set_id: row.guid("MediaSetId"),
        family_count: row.int("FamilyCount").unwrap_or(0),
        family_sequence: row.int("FamilySequenceNumber").unwrap_or(0),
        media_description: row.text("MediaDescription"),
    })
}

/// Reads the header of the first set, and how many there are.
pub async fn header(session: &mut SqlSession, path: &str) -> Result<SetRecord, SqlError> {
    let statement = statements::header_only(path);
    let found = rows(session.query(&statement).await?);
    let first = found.first().ok_or_else(|| {
        SqlError::local(
            SqlErrorKind::Answer,
            session.instance(),
            statement.name,
            "the medium has no set",
        )
    })?;
    read_header(first, found.len()).map_err(|missing| unusable(session, statement.name, &missing))
}

fn read_header(row: &Row, sets: usize) -> Result<SetRecord, MissingColumn> {
    let flag = |column| row.flag(column).unwrap_or(false);
    let text = |column| row.text(column).unwrap_or_default();
    Ok(SetRecord {
        header: SetHeader {
            backup_set_guid: row.need("BackupSetGUID", Row::guid)?,
            family_guid: row.need("FamilyGUID", Row::guid)?,
            binding_id: row.need("BindingID", Row::guid)?,
            database_name: row.need("DatabaseName", Row::text)?,
            server_name: text("ServerName"),
            software_major: row.need("SoftwareVersionMajor", Row::int32)?,
            database_version: row.need("DatabaseVersion", Row::int32)?,
            description: text("BackupDescription"),
            first_lsn: text("FirstLSN"),
            last_lsn: text("LastLSN"),
            checkpoint_lsn: text("CheckpointLSN"),
            collation: text("Collation"),
            backup_size: row.need("BackupSize", Row::size)?,
            files: Vec::new(),
        },
        sets,
        position: row.need("Position", Row::int)?,
        backup_type: row.need("BackupType", Row::int)?,
        has_checksums: flag("HasBackupChecksums"),
        // What is not said to be sound is not taken for sound.
        is_damaged: row.flag("IsDamaged").unwrap_or(true),
        incomplete: row.flag("HasIncompleteMetaData").unwrap_or(true),
        is_copy_only: flag("IsCopyOnly"),
        is_snapshot: flag("IsSnapshot"),
        is_read_only: flag("IsReadOnly"),
        compressed: flag("Compressed"),
        containment: row.int("Containment").unwrap_or(0),
        encryptor: row.text("EncryptorThumbprint").filter(|t| t.len() > 2),
        raw: row.raw(),
    })
}

/// What FILELISTONLY says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// What we keep of it.
    pub file: SetFile,
    /// `IsPresent`.
    pub is_present: bool,
    /// `TDEThumbprint`.
    pub tde: Option<String>,
}

/// Reads the files of the first set.
pub async fn file_list(session: &mut SqlSession, path: &str) -> Result<Vec<ListedFile>, SqlError> {
    let statement = statements::file_list_only(path);
    let found = rows(session.query(&statement).await?);
    let files: Result<Vec<_>, MissingColumn> = found.iter().map(read_file).collect();
    files.map_err(|missing| unusable(session, statement.name, &missing))
}

fn read_file(row: &Row) -> Result<ListedFile, MissingColumn> {
    Ok(ListedFile {
        file: SetFile {
            logical_name: row.need("LogicalName", Row::text)?,
            physical_name: row.need("PhysicalName", Row::text)?,
            kind: row.need("Type", Row::text)?,
            size: row.need("Size", Row::size)?,
        },
        is_present: row.flag("IsPresent").unwrap_or(false),
        tde: row.text("TDEThumbprint").filter(|t| t.len() > 2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rows::ResultSet;
    use crate::sql::value::Value;

    #[test]
    fn a_header_that_does_not_say_that_it_is_sound_is_not() {
        let guid = Value::Guid(Uuid::from_u128(1));
        let columns = [
            "BackupSetGUID",
            "FamilyGUID",
            "BindingID",
            "DatabaseName",
            "SoftwareVersionMajor",
            "DatabaseVersion",
            "BackupSize",
            "Position",
            "BackupType",
            "FirstLSN",
        ];
        let values = vec![
            guid.clone(),
            guid.clone(),
            guid,
            Value::Text("ADSync".into()),
            Value::Int(15),
            Value::Int(904),
            Value::Decimal(4096, 0),
            Value::Int(1),
            Value::Int(1),
            Value::Decimal(37_000_000_012_300_001, 0),
        ];
        let set = ResultSet::new(columns, vec![values]);
        let record = read_header(&set.rows()[0], 1).unwrap();
        assert!(record.is_damaged && record.incomplete && !record.has_checksums);
        assert_eq!(record.header.first_lsn, "37000000012300001");
        let without = ResultSet::new(["DatabaseName"], vec![vec![Value::Text("x".into())]]);
        assert_eq!(read_header(&without.rows()[0], 1).unwrap_err().column, "BackupSetGUID");
    }
}
