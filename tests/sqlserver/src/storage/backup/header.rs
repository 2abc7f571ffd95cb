//! What a medium says about itself: LABELONLY, HEADERONLY and FILELISTONLY with all their columns.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::storage::{FileKind, Lsn, RecoveryModel};

/// `BackupType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackupKind {
    /// 1.
    Database,
    /// 2.
    Log,
    /// 5.
    Differential,
}

impl BackupKind {
    /// `BackupType`, `BackupTypeDescription` and msdb's `backupset.type`.
    pub fn code(self) -> (u8, &'static str, &'static str) {
        match self {
            BackupKind::Database => (1, "Database", "D"),
            BackupKind::Log => (2, "Transaction Log", "L"),
            BackupKind::Differential => (5, "Database Differential", "I"),
        }
    }
}

/// RESTORE LABELONLY: one per stripe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaLabel {
    /// `MediaName`.
    pub media_name: Option<String>,
    /// `MediaSetId`.
    pub media_set_id: Uuid,
    /// `FamilyCount`.
    pub family_count: u16,
    /// `FamilySequenceNumber`, from 1.
    pub family_sequence_number: u16,
    /// `MediaFamilyId`.
    pub media_family_id: Uuid,
    /// `MediaSequenceNumber`, always 1 for disk.
    pub media_sequence_number: u16,
    /// `MediaDescription`.
    pub media_description: Option<String>,
    /// `SoftwareName`.
    pub software_name: String,
    /// `SoftwareVendorId`.
    pub software_vendor_id: i32,
    /// `MediaDate` with the server's offset.
    #[serde(with = "time::serde::rfc3339")]
    pub media_date: OffsetDateTime,
    /// `Mirror_Count`.
    pub mirror_count: u8,
    /// `IsCompressed`: all sets of a medium share this.
    pub is_compressed: bool,
}

/// RESTORE HEADERONLY: one per set. Dates carry the server's offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupSetHeader {
    /// `BackupName`.
    pub backup_name: Option<String>,
    /// `BackupDescription`.
    pub backup_description: Option<String>,
    /// `BackupType`.
    pub kind: BackupKind,
    /// `ExpirationDate`.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expiration_date: Option<OffsetDateTime>,
    /// `Compressed`.
    pub compressed: bool,
    /// `Position`, from 1.
    pub position: u16,
    /// `DeviceType`: 2 disk.
    pub device_type: u8,
    /// `UserName`.
    pub user_name: String,
    /// `ServerName`.
    pub server_name: String,
    /// `DatabaseName`.
    pub database_name: String,
    /// `DatabaseVersion`.
    pub database_version: i32,
    /// `DatabaseCreationDate`.
    #[serde(with = "time::serde::rfc3339")]
    pub database_creation_date: OffsetDateTime,
    /// `BackupSize`.
    pub backup_size: i64,
    /// `CompressedBackupSize`.
    pub compressed_backup_size: i64,
    /// `FirstLSN`.
    pub first_lsn: Lsn,
    /// `LastLSN`.
    pub last_lsn: Lsn,
    /// `CheckpointLSN`.
    pub checkpoint_lsn: Lsn,
    /// `DatabaseBackupLSN`: the base's checkpoint, 0 for the first.
    pub database_backup_lsn: Lsn,
    /// `BackupStartDate`.
    #[serde(with = "time::serde::rfc3339")]
    pub backup_start_date: OffsetDateTime,
    /// `BackupFinishDate`.
    #[serde(with = "time::serde::rfc3339")]
    pub backup_finish_date: OffsetDateTime,
    /// `SortOrder`.
    pub sort_order: i16,
    /// `CodePage`.
    pub code_page: i16,
    /// `UnicodeLocaleId`.
    pub unicode_locale_id: i32,
    /// `UnicodeComparisonStyle`.
    pub unicode_comparison_style: i32,
    /// `CompatibilityLevel`.
    pub compatibility_level: u8,
    /// `SoftwareVendorId`.
    pub software_vendor_id: i32,
    /// `SoftwareVersionMajor`, `Minor`, `Build`.
    pub software_version: (i32, i32, i32),
    /// `MachineName`.
    pub machine_name: String,
    /// `Flags`.
    pub flags: i32,
    /// `BindingID`: the database's `database_guid`.
    pub binding_id: Uuid,
    /// `RecoveryForkID`.
    pub recovery_fork_id: Uuid,
    /// `Collation`.
    pub collation: String,
    /// `FamilyGUID`.
    pub family_guid: Uuid,
    /// `HasBulkLoggedData`.
    pub has_bulk_logged_data: bool,
    /// `IsSnapshot`.
    pub is_snapshot: bool,
    /// `IsReadOnly`.
    pub is_read_only: bool,
    /// `IsSingleUser`.
    pub is_single_user: bool,
    /// `HasBackupChecksums`.
    pub has_backup_checksums: bool,
    /// `IsDamaged`.
    pub is_damaged: bool,
    /// `BeginsLogChain`.
    pub begins_log_chain: bool,
    /// `HasIncompleteMetaData`.
    pub has_incomplete_meta_data: bool,
    /// `IsForceOffline`.
    pub is_force_offline: bool,
    /// `IsCopyOnly`.
    pub is_copy_only: bool,
    /// `FirstRecoveryForkID`.
    pub first_recovery_fork_id: Uuid,
    /// `ForkPointLSN`.
    pub fork_point_lsn: Option<Lsn>,
    /// `RecoveryModel`.
    pub recovery_model: RecoveryModel,
    /// `DifferentialBaseLSN`.
    pub differential_base_lsn: Option<Lsn>,
    /// `DifferentialBaseGUID`.
    pub differential_base_guid: Option<Uuid>,
    /// `BackupSetGUID`.
    pub backup_set_guid: Uuid,
    /// `Containment`.
    pub containment: u8,
    /// `TimeZone` (2022+): quarter hours east of UTC, 127 for unknown.
    pub time_zone: i16,
    /// `LastValidRestoreTime` (2022+), log backups only.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_valid_restore_time: Option<OffsetDateTime>,
    /// `CompressionAlgorithm` (2022+).
    pub compression_algorithm: Option<String>,
    /// Pages of the data file in the set, for message 4035.
    pub data_pages: u64,
    /// Pages of the log in the set, for message 4035.
    pub log_pages: u64,
}

/// RESTORE FILELISTONLY: one per file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileListEntry {
    /// `LogicalName`.
    pub logical_name: String,
    /// `PhysicalName`.
    pub physical_name: String,
    /// `Type`: D or L.
    pub kind: FileKind,
    /// `FileGroupName`: PRIMARY, NULL for the log.
    pub file_group_name: Option<String>,
    /// `Size` in bytes.
    pub size: i64,
    /// `MaxSize` in bytes.
    pub max_size: i64,
    /// `FileId`.
    pub file_id: i64,
    /// `CreateLSN`.
    pub create_lsn: Lsn,
    /// `DropLSN`.
    pub drop_lsn: Lsn,
    /// `UniqueId`.
    pub unique_id: Uuid,
    /// `ReadOnlyLSN`.
    pub read_only_lsn: Lsn,
    /// `ReadWriteLSN`.
    pub read_write_lsn: Lsn,
    /// `BackupSizeInBytes`.
    pub backup_size_in_bytes: i64,
    /// `SourceBlockSize`.
    pub source_block_size: i32,
    /// `FileGroupId`: 1, 0 for the log.
    pub file_group_id: i32,
    /// `LogGroupGUID`, always NULL.
    pub log_group_guid: Option<Uuid>,
    /// `DifferentialBaseLSN`.
    pub differential_base_lsn: Option<Lsn>,
    /// `DifferentialBaseGUID`.
    pub differential_base_guid: Option<Uuid>,
    /// `IsReadOnly`.
    pub is_read_only: bool,
    /// `IsPresent`.
    pub is_present: bool,
}

/// A set on a medium.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupSet {
    /// HEADERONLY.
    pub header: BackupSetHeader,
    /// FILELISTONLY.
    pub files: Vec<FileListEntry>,
}
