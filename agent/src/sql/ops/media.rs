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
    verify(work, watch, statements::verify_only(path), cancel, progress).await
}

/// Reads the whole set, where its pages have no checksums: the stream is read, and no more is said of it.
pub async fn verify_without_checksums(
    work: &mut SqlSession,
    watch: Watch<'_>,
    path: &str,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), SqlError> {
    verify(
        work,
        watch,
        statements::verify_without_checksums(path),
        cancel,
        progress,
    )
    .await
}

async fn verify(
    work: &mut SqlSession,
    watch: Watch<'_>,
    statement: crate::sql::Statement,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), SqlError> {
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
    Ok(Label::read(&one_row(session, &statements::label_only(path)).await?))
}

impl Label {
    /// Reads the row. What it does not say is unknown, and a count of 0 is no medium that we take.
    pub fn read(row: &Row) -> Self {
        Self {
            media_name: row.text("MediaName"),
            media_set_id: row.guid("MediaSetId"),
            family_count: row.int("FamilyCount").unwrap_or(0),
            family_sequence: row.int("FamilySequenceNumber").unwrap_or(0),
            media_description: row.text("MediaDescription"),
        }
    }
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
    SetRecord::read(first, found.len()).map_err(|missing| unusable(session, statement.name, &missing))
}

impl SetRecord {
    /// Reads a row of RESTORE HEADERONLY; `sets` is how many there are. Without what identifies a set it is refused.
    pub fn read(row: &Row, sets: usize) -> Result<Self, MissingColumn> {
        let flag = |column| row.flag(column).unwrap_or(false);
        let text = |column| row.text(column).unwrap_or_default();
        Ok(Self {
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
    let files: Result<Vec<_>, MissingColumn> = found.iter().map(ListedFile::read).collect();
    files.map_err(|missing| unusable(session, statement.name, &missing))
}

impl ListedFile {
    /// Reads a row of RESTORE FILELISTONLY.
    pub fn read(row: &Row) -> Result<Self, MissingColumn> {
        Ok(Self {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rows::ResultSet;
    use crate::sql::value::Value;
    use proptest::prelude::*;

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
        let record = SetRecord::read(&set.rows()[0], 1).unwrap();
        assert!(record.is_damaged && record.incomplete && !record.has_checksums);
        assert_eq!(record.header.first_lsn, "37000000012300001");
        let without = ResultSet::new(["DatabaseName"], vec![vec![Value::Text("x".into())]]);
        assert_eq!(
            SetRecord::read(&without.rows()[0], 1).unwrap_err().column,
            "BackupSetGUID"
        );
    }

    /// Columns that the three answers have, and some that they have not.
    const COLUMNS: &[&str] = &[
        "BackupSetGUID",
        "FamilyGUID",
        "BindingID",
        "DatabaseName",
        "SoftwareVersionMajor",
        "DatabaseVersion",
        "BackupSize",
        "Position",
        "BackupType",
        "IsDamaged",
        "HasIncompleteMetaData",
        "EncryptorThumbprint",
        "MediaSetId",
        "FamilyCount",
        "LogicalName",
        "PhysicalName",
        "Type",
        "Size",
        "Unheard of",
    ];

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            (any::<i128>(), any::<u8>()).prop_map(|(n, scale)| Value::Decimal(n, scale)),
            ".{0,12}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
            any::<u128>().prop_map(|id| Value::Guid(Uuid::from_u128(id))),
        ]
    }

    proptest! {
        #[test]
        fn any_row_is_read_or_the_missing_column_is_named(
            cells in prop::collection::vec((prop::sample::select(COLUMNS), value()), 0..24),
            short in 0..3_usize,
        ) {
            let (columns, mut values): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
            values.truncate(values.len().saturating_sub(short));
            let set = ResultSet::new(columns, vec![values]);
            let row = &set.rows()[0];
            match SetRecord::read(row, 1) {
                // Nothing is invented: what identifies the set stands in the answer.
                Ok(record) => {
                    prop_assert_eq!(row.guid("BackupSetGUID"), Some(record.header.backup_set_guid));
                    prop_assert_eq!(row.size("BackupSize"), Some(record.header.backup_size));
                    prop_assert!(record.is_damaged || row.flag("IsDamaged") == Some(false));
                }
                Err(missing) => prop_assert!(COLUMNS.contains(&missing.column.as_str())),
            }
            if let Ok(file) = ListedFile::read(row) {
                prop_assert_eq!(row.text("LogicalName"), Some(file.file.logical_name));
            }
            prop_assert_eq!(Label::read(row).media_set_id, row.guid("MediaSetId"));
        }
    }
}
