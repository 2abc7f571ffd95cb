//! What SQL Server knows about a database besides its contents: the columns of `sys.databases`,
//! `sys.database_recovery_status` and `sys.master_files`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Lsn;

/// `sys.databases.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatabaseState {
    /// 0, usable.
    Online,
    /// 1, in the middle of a RESTORE or left by NORECOVERY.
    Restoring,
    /// 3, files could not be read at start.
    RecoveryPending,
    /// 4, damaged.
    Suspect,
    /// 5, set by a DBA.
    Emergency,
    /// 6, `SET OFFLINE`.
    Offline,
}

impl DatabaseState {
    /// The number and `state_desc`.
    pub fn code(self) -> (u8, &'static str) {
        match self {
            DatabaseState::Online => (0, "ONLINE"),
            DatabaseState::Restoring => (1, "RESTORING"),
            DatabaseState::RecoveryPending => (3, "RECOVERY_PENDING"),
            DatabaseState::Suspect => (4, "SUSPECT"),
            DatabaseState::Emergency => (5, "EMERGENCY"),
            DatabaseState::Offline => (6, "OFFLINE"),
        }
    }
}

/// `sys.databases.user_access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserAccess {
    /// 0.
    Multi,
    /// 1.
    Single,
    /// 2.
    Restricted,
}

impl UserAccess {
    /// The number and `user_access_desc`.
    pub fn code(self) -> (u8, &'static str) {
        match self {
            UserAccess::Multi => (0, "MULTI_USER"),
            UserAccess::Single => (1, "SINGLE_USER"),
            UserAccess::Restricted => (2, "RESTRICTED_USER"),
        }
    }
}

/// `sys.databases.recovery_model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecoveryModel {
    /// 1.
    Full,
    /// 2.
    BulkLogged,
    /// 3.
    Simple,
}

impl RecoveryModel {
    /// The number and `recovery_model_desc`.
    pub fn code(self) -> (u8, &'static str) {
        match self {
            RecoveryModel::Full => (1, "FULL"),
            RecoveryModel::BulkLogged => (2, "BULK_LOGGED"),
            RecoveryModel::Simple => (3, "SIMPLE"),
        }
    }
}

/// The properties of a database. Times are UTC; the engine shows them in the server's local time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseMeta {
    /// The name.
    pub name: String,
    /// `BindingID` of a backup: new for every restored copy.
    pub database_guid: Uuid,
    /// `FamilyGUID`: survives backup and restore.
    pub family_guid: Uuid,
    /// Changes when a restore forks the history.
    pub recovery_fork_guid: Uuid,
    /// The fork before that, `FirstRecoveryForkID`.
    pub first_recovery_fork_guid: Uuid,
    /// `sys.databases.service_broker_guid`.
    pub service_broker_guid: Uuid,
    /// When it was created here (a restore counts as creation), UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub create_date: OffsetDateTime,
    /// The owner's SID; `0x01` is sa.
    pub owner_sid: Vec<u8>,
    /// Recovery model.
    pub recovery_model: RecoveryModel,
    /// 150 for SQL Server 2019.
    pub compatibility_level: u8,
    /// For example `SQL_Latin1_General_CP1_CI_AS`.
    pub collation: String,
    /// State.
    pub state: DatabaseState,
    /// Who may use it.
    pub user_access: UserAccess,
    /// `SET READ_ONLY`.
    pub is_read_only: bool,
    /// `is_trustworthy_on`.
    pub is_trustworthy_on: bool,
    /// `is_db_chaining_on`.
    pub is_db_chaining_on: bool,
    /// `is_broker_enabled`.
    pub is_broker_enabled: bool,
    /// `is_encrypted`, always false here.
    pub is_encrypted: bool,
    /// `is_auto_close_on`: LocalDB's default is on.
    pub is_auto_close_on: bool,
    /// `is_auto_shrink_on`.
    pub is_auto_shrink_on: bool,
    /// `is_auto_update_stats_async_on`.
    pub is_auto_update_stats_async_on: bool,
    /// `is_read_committed_snapshot_on`.
    pub is_read_committed_snapshot_on: bool,
    /// `snapshot_isolation_state_desc` is ON.
    pub allow_snapshot_isolation: bool,
    /// `is_query_store_on`.
    pub is_query_store_on: bool,
    /// `page_verify_option_desc`: CHECKSUM, TORN_PAGE_DETECTION or NONE.
    pub page_verify: String,
    /// `containment_desc` is PARTIAL.
    pub is_contained: bool,
    /// `DATABASEPROPERTYEX('Version')`: 904 for 2019, 957 for 2022.
    pub internal_version: u16,
    /// The version it was created with, `CreateVersion`.
    pub create_version: u16,
    /// The end of the log: the next LSN to give out.
    pub lsn: Lsn,
    /// `last_log_backup_lsn`, None for SIMPLE or before the first.
    pub last_log_backup_lsn: Option<Lsn>,
    /// The last full, not copy-only backup: the base of a differential.
    pub differential_base_lsn: Option<Lsn>,
    /// Its `BackupSetGUID`.
    pub differential_base_guid: Option<Uuid>,
    /// `LastGoodCheckDbTime`.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_good_checkdb: Option<OffsetDateTime>,
}

/// Data or log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// `D` in FILELISTONLY, `ROWS`.
    Data,
    /// `L`, `LOG`.
    Log,
}

/// One row of `sys.master_files`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileMeta {
    /// 1 for the primary data file, 2 for the log.
    pub file_id: i32,
    /// `file_guid`, `UniqueId`.
    pub file_guid: Uuid,
    /// Data or log.
    pub kind: FileKind,
    /// The logical name.
    pub name: String,
    /// The Windows path.
    pub physical_name: String,
    /// The size in 8 KiB pages.
    pub size_pages: u32,
    /// In pages, -1 for unlimited.
    pub max_size_pages: i32,
    /// In pages, or per cent.
    pub growth: u32,
    /// What `growth` counts.
    pub is_percent_growth: bool,
    /// `create_lsn`.
    pub create_lsn: Lsn,
}
