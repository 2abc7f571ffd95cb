//! The result sets of LABELONLY, HEADERONLY and FILELISTONLY: names, types and version-dependent columns.

use time::OffsetDateTime;

use crate::engine::eval::convert::moment_value;
use crate::engine::session::Session;
use crate::storage::backup::{BackupSet, FileListEntry, MediaLabel};
use crate::storage::{FileKind, Lsn, Row};
use crate::types::{Column, SqlType, Value};

const LSN: SqlType = SqlType::Numeric {
    precision: 25,
    scale: 0,
};

fn text(value: &str) -> Value {
    Value::Str(value.into())
}

fn maybe(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

fn int(value: impl Into<i64>) -> Value {
    Value::Int(value.into())
}

fn lsn(value: Lsn) -> Value {
    Value::Decimal(value.as_i128(), 0)
}

fn optional_lsn(value: Option<Lsn>) -> Value {
    value.map_or(Value::Null, lsn)
}

fn guid(value: Option<uuid::Uuid>) -> Value {
    value.map_or(Value::Null, Value::Guid)
}

/// Dates are the server's local time, without their offset.
fn date(session: &Session, at: OffsetDateTime) -> Value {
    moment_value(at, session.inst.offset(), &SqlType::DateTime)
}

fn column(name: &str, ty: SqlType, nullable: bool) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        nullable,
    }
}

fn nvarchar(n: u16) -> SqlType {
    SqlType::NVarChar(Some(n))
}

/// LABELONLY.
pub(super) fn label(session: &Session, l: &MediaLabel) -> (Vec<Column>, Row) {
    let columns = vec![
        column("MediaName", nvarchar(128), true),
        column("MediaSetId", SqlType::Guid, true),
        column("FamilyCount", SqlType::Int, true),
        column("FamilySequenceNumber", SqlType::Int, true),
        column("MediaFamilyId", SqlType::Guid, true),
        column("MediaSequenceNumber", SqlType::Int, true),
        column("MediaLabelPresent", SqlType::TinyInt, true),
        column("MediaDescription", nvarchar(255), true),
        column("SoftwareName", nvarchar(128), true),
        column("SoftwareVendorId", SqlType::Int, true),
        column("MediaDate", SqlType::DateTime, true),
        column("Mirror_Count", SqlType::Int, true),
        column("IsCompressed", SqlType::Bit, true),
    ];
    let row = vec![
        maybe(l.media_name.as_deref()),
        Value::Guid(l.media_set_id),
        int(l.family_count),
        int(l.family_sequence_number),
        Value::Guid(l.media_family_id),
        int(l.media_sequence_number),
        int(0),
        maybe(l.media_description.as_deref()),
        text(&l.software_name),
        int(l.software_vendor_id),
        date(session, l.media_date),
        int(l.mirror_count),
        Value::Bit(l.is_compressed),
    ];
    (columns, row)
}

/// How many columns HEADERONLY has: 53 on 2012, 56 to 2019, 59 from 2022.
fn header_width(major: u8) -> usize {
    match major {
        0..=11 => 53,
        12..=15 => 56,
        16.. => 59,
    }
}

/// HEADERONLY's columns.
pub(super) fn header_columns(major: u8) -> Vec<Column> {
    let mut columns = vec![
        column("BackupName", nvarchar(128), true),
        column("BackupDescription", nvarchar(255), true),
        column("BackupType", SqlType::TinyInt, true),
        column("ExpirationDate", SqlType::DateTime, true),
        column("Compressed", SqlType::TinyInt, true),
        column("Position", SqlType::SmallInt, true),
        column("DeviceType", SqlType::TinyInt, true),
        column("UserName", nvarchar(128), true),
        column("ServerName", nvarchar(128), true),
        column("DatabaseName", nvarchar(128), true),
        column("DatabaseVersion", SqlType::Int, true),
        column("DatabaseCreationDate", SqlType::DateTime, true),
        column("BackupSize", SqlType::BigInt, true),
        column("FirstLSN", LSN, true),
        column("LastLSN", LSN, true),
        column("CheckpointLSN", LSN, true),
        column("DatabaseBackupLSN", LSN, true),
        column("BackupStartDate", SqlType::DateTime, true),
        column("BackupFinishDate", SqlType::DateTime, true),
        column("SortOrder", SqlType::SmallInt, true),
        column("CodePage", SqlType::SmallInt, true),
        column("UnicodeLocaleId", SqlType::Int, true),
        column("UnicodeComparisonStyle", SqlType::Int, true),
        column("CompatibilityLevel", SqlType::TinyInt, true),
        column("SoftwareVendorId", SqlType::Int, true),
        column("SoftwareVersionMajor", SqlType::Int, true),
        column("SoftwareVersionMinor", SqlType::Int, true),
        column("SoftwareVersionBuild", SqlType::Int, true),
        column("MachineName", nvarchar(128), true),
        column("Flags", SqlType::Int, true),
        column("BindingID", SqlType::Guid, true),
        column("RecoveryForkID", SqlType::Guid, true),
        column("Collation", nvarchar(128), true),
        column("FamilyGUID", SqlType::Guid, true),
        column("HasBulkLoggedData", SqlType::Bit, true),
        column("IsSnapshot", SqlType::Bit, true),
        column("IsReadOnly", SqlType::Bit, true),
        column("IsSingleUser", SqlType::Bit, true),
        column("HasBackupChecksums", SqlType::Bit, true),
        column("IsDamaged", SqlType::Bit, true),
        column("BeginsLogChain", SqlType::Bit, true),
        column("HasIncompleteMetaData", SqlType::Bit, true),
        column("IsForceOffline", SqlType::Bit, true),
        column("IsCopyOnly", SqlType::Bit, true),
        column("FirstRecoveryForkID", SqlType::Guid, true),
        column("ForkPointLSN", LSN, true),
        column("RecoveryModel", nvarchar(60), true),
        column("DifferentialBaseLSN", LSN, true),
        column("DifferentialBaseGUID", SqlType::Guid, true),
        column("BackupTypeDescription", nvarchar(60), true),
        column("BackupSetGUID", SqlType::Guid, true),
        column("CompressedBackupSize", SqlType::BigInt, true),
        column("Containment", SqlType::TinyInt, true),
        column("KeyAlgorithm", nvarchar(32), true),
        column("EncryptorThumbprint", SqlType::VarBinary(Some(20)), true),
        column("EncryptorType", nvarchar(32), true),
        column("LastValidRestoreTime", SqlType::DateTime, true),
        column("TimeZone", SqlType::SmallInt, true),
        column("CompressionAlgorithm", nvarchar(32), true),
    ];
    columns.truncate(header_width(major));
    columns
}

/// HEADERONLY's row of a set. One that has no end is damaged and has incomplete metadata.
pub(super) fn header_row(session: &Session, set: &BackupSet, complete: bool, major: u8) -> Row {
    let h = &set.header;
    let (kind, description, _) = h.kind.code();
    let mut row = vec![
        maybe(h.backup_name.as_deref()),
        maybe(h.backup_description.as_deref()),
        int(kind),
        h.expiration_date.map_or(Value::Null, |d| date(session, d)),
        int(u8::from(h.compressed)),
        int(h.position),
        int(h.device_type),
        text(&h.user_name),
        text(&h.server_name),
        if complete { text(&h.database_name) } else { Value::Null },
        int(h.database_version),
        date(session, h.database_creation_date),
        int(h.backup_size),
        lsn(h.first_lsn),
        lsn(h.last_lsn),
        lsn(h.checkpoint_lsn),
        lsn(h.database_backup_lsn),
        date(session, h.backup_start_date),
        date(session, h.backup_finish_date),
        int(h.sort_order),
        int(h.code_page),
        int(h.unicode_locale_id),
        int(h.unicode_comparison_style),
        int(h.compatibility_level),
        int(h.software_vendor_id),
        int(h.software_version.0),
        int(h.software_version.1),
        int(h.software_version.2),
        text(&h.machine_name),
        int(h.flags),
        Value::Guid(h.binding_id),
        Value::Guid(h.recovery_fork_id),
        text(&h.collation),
        Value::Guid(h.family_guid),
        Value::Bit(h.has_bulk_logged_data),
        Value::Bit(h.is_snapshot),
        Value::Bit(h.is_read_only),
        Value::Bit(h.is_single_user),
        Value::Bit(h.has_backup_checksums),
        Value::Bit(h.is_damaged || !complete),
        Value::Bit(h.begins_log_chain),
        Value::Bit(h.has_incomplete_meta_data || !complete),
        Value::Bit(h.is_force_offline),
        Value::Bit(h.is_copy_only),
        Value::Guid(h.first_recovery_fork_id),
        optional_lsn(h.fork_point_lsn),
        text(h.recovery_model.code().1),
        optional_lsn(h.differential_base_lsn),
        guid(h.differential_base_guid),
        text(description),
        Value::Guid(h.backup_set_guid),
        int(h.compressed_backup_size),
        int(h.containment),
        Value::Null,
        Value::Null,
        Value::Null,
        h.last_valid_restore_time.map_or(Value::Null, |d| date(session, d)),
        int(h.time_zone),
        maybe(h.compression_algorithm.as_deref()),
    ];
    row.truncate(header_width(major));
    row
}

/// FILELISTONLY has a column less before 2016.
fn file_width(major: u8) -> usize {
    if major < 13 { 21 } else { 22 }
}

/// FILELISTONLY's columns.
pub(super) fn file_columns(major: u8) -> Vec<Column> {
    let mut columns = vec![
        column("LogicalName", nvarchar(128), true),
        column("PhysicalName", nvarchar(260), true),
        column("Type", SqlType::NChar(1), true),
        column("FileGroupName", nvarchar(128), true),
        column(
            "Size",
            SqlType::Numeric {
                precision: 20,
                scale: 0,
            },
            true,
        ),
        column(
            "MaxSize",
            SqlType::Numeric {
                precision: 20,
                scale: 0,
            },
            true,
        ),
        column("FileId", SqlType::BigInt, true),
        column("CreateLSN", LSN, true),
        column("DropLSN", LSN, true),
        column("UniqueId", SqlType::Guid, true),
        column("ReadOnlyLSN", LSN, true),
        column("ReadWriteLSN", LSN, true),
        column("BackupSizeInBytes", SqlType::BigInt, true),
        column("SourceBlockSize", SqlType::Int, true),
        column("FileGroupId", SqlType::Int, true),
        column("LogGroupGUID", SqlType::Guid, true),
        column("DifferentialBaseLSN", LSN, true),
        column("DifferentialBaseGUID", SqlType::Guid, true),
        column("IsReadOnly", SqlType::Bit, true),
        column("IsPresent", SqlType::Bit, true),
        column("TDEThumbprint", SqlType::VarBinary(Some(32)), true),
        column("SnapshotUrl", nvarchar(360), true),
    ];
    columns.truncate(file_width(major));
    columns
}

/// FILELISTONLY's row of a file.
pub(super) fn file_row(f: &FileListEntry, major: u8) -> Row {
    let mut row = vec![
        text(&f.logical_name),
        text(&f.physical_name),
        text(if f.kind == FileKind::Data { "D" } else { "L" }),
        maybe(f.file_group_name.as_deref()),
        Value::Decimal(f.size.into(), 0),
        Value::Decimal(f.max_size.into(), 0),
        int(f.file_id),
        lsn(f.create_lsn),
        lsn(f.drop_lsn),
        Value::Guid(f.unique_id),
        lsn(f.read_only_lsn),
        lsn(f.read_write_lsn),
        int(f.backup_size_in_bytes),
        int(f.source_block_size),
        int(f.file_group_id),
        guid(f.log_group_guid),
        optional_lsn(f.differential_base_lsn),
        guid(f.differential_base_guid),
        Value::Bit(f.is_read_only),
        Value::Bit(f.is_present),
        Value::Null,
        Value::Null,
    ];
    row.truncate(file_width(major));
    row
}
