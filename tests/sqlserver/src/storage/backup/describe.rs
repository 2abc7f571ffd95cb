//! Fills in a set's header and file list from a database and its instance.

use uuid::Uuid;

use super::{BackupKind, BackupRequest, BackupSet, BackupSetHeader, FileListEntry};
use crate::storage::system::guid;
use crate::storage::{Database, FileKind, FileMeta, InstanceConfig, Lsn, PAGE_SIZE, UserAccess};

/// `SoftwareVendorId` of SQL Server.
pub(crate) const VENDOR: i32 = 4608;
/// What SQL Server says for files without limit, in bytes: 2^32 pages less an extent, and 2 TB for logs.
const MAX_DATA_FILE: i64 = 35_184_372_080_640;
const MAX_LOG_FILE: i64 = 2_199_023_255_552;
/// Pages of log in a backup of an idle database, for message 4035.
const LOG_PAGES: u64 = 2;

pub(crate) fn set(
    database: &Database,
    config: &InstanceConfig,
    request: &BackupRequest,
    position: u16,
    pages: u64,
) -> BackupSet {
    let files = database
        .files
        .iter()
        .map(|f| file(f, database, request, pages))
        .collect();
    BackupSet {
        header: header(database, config, request, position, pages),
        files,
    }
}

fn header(
    database: &Database,
    config: &InstanceConfig,
    request: &BackupRequest,
    position: u16,
    pages: u64,
) -> BackupSetHeader {
    let meta = &database.meta;
    let (major, minor, build) = config.version();
    let is_log = request.kind == BackupKind::Log;
    let (sort_order, locale, style) = collation(&meta.collation);
    let (base_lsn, base_guid) = base(database, request);
    let size = i64::try_from((pages + LOG_PAGES) * PAGE_SIZE as u64).unwrap_or(i64::MAX);
    BackupSetHeader {
        backup_name: request.name.clone(),
        backup_description: request.description.clone(),
        kind: request.kind,
        expiration_date: request.expiration_date,
        compressed: request.compression,
        position,
        device_type: 2,
        user_name: request.user_name.clone(),
        server_name: config.server_name.clone(),
        database_name: meta.name.clone(),
        database_version: i32::from(meta.internal_version),
        database_creation_date: meta.create_date.to_offset(request.started.offset()),
        backup_size: size,
        compressed_backup_size: size,
        first_lsn: if is_log {
            meta.last_log_backup_lsn.unwrap_or(meta.lsn)
        } else {
            meta.lsn
        },
        last_lsn: meta.lsn.after(8),
        checkpoint_lsn: meta.lsn,
        database_backup_lsn: meta.differential_base_lsn.unwrap_or_default(),
        backup_start_date: request.started,
        backup_finish_date: request.started,
        sort_order,
        code_page: 0,
        unicode_locale_id: locale,
        unicode_comparison_style: style,
        compatibility_level: meta.compatibility_level,
        software_vendor_id: VENDOR,
        software_version: (i32::from(major), i32::from(minor), i32::from(build)),
        machine_name: config.machine_name.clone(),
        flags: flags(database, request),
        binding_id: meta.database_guid,
        recovery_fork_id: meta.recovery_fork_guid,
        collation: meta.collation.clone(),
        family_guid: meta.family_guid,
        has_bulk_logged_data: false,
        is_snapshot: false,
        is_read_only: meta.is_read_only,
        is_single_user: meta.user_access == UserAccess::Single,
        has_backup_checksums: request.checksum,
        is_damaged: false,
        begins_log_chain: false,
        has_incomplete_meta_data: false,
        is_force_offline: false,
        is_copy_only: request.copy_only,
        first_recovery_fork_id: meta.first_recovery_fork_guid,
        fork_point_lsn: None,
        recovery_model: meta.recovery_model,
        differential_base_lsn: base_lsn,
        differential_base_guid: base_guid,
        backup_set_guid: guid(),
        containment: u8::from(meta.is_contained),
        time_zone: request.started.offset().whole_minutes() / 15,
        last_valid_restore_time: is_log.then_some(request.started),
        compression_algorithm: request.compression.then(|| "MS_XPRESS".to_string()),
        data_pages: pages,
        log_pages: LOG_PAGES,
    }
}

fn file(file: &FileMeta, database: &Database, request: &BackupRequest, pages: u64) -> FileListEntry {
    let is_data = file.kind == FileKind::Data;
    let bytes = |pages: u64| i64::try_from(pages * PAGE_SIZE as u64).unwrap_or(i64::MAX);
    let unlimited = if is_data { MAX_DATA_FILE } else { MAX_LOG_FILE };
    let (base_lsn, base_guid) = base(database, request);
    FileListEntry {
        logical_name: file.name.clone(),
        physical_name: file.physical_name.clone(),
        kind: file.kind,
        file_group_name: is_data.then(|| "PRIMARY".to_string()),
        size: bytes(u64::from(file.size_pages)),
        max_size: u64::try_from(file.max_size_pages).map_or(unlimited, bytes),
        file_id: i64::from(file.file_id),
        create_lsn: file.create_lsn,
        drop_lsn: Lsn::default(),
        unique_id: file.file_guid,
        read_only_lsn: Lsn::default(),
        read_write_lsn: Lsn::default(),
        // SQL Server backs up extents of 8 pages.
        backup_size_in_bytes: if is_data { bytes(pages.div_ceil(8) * 8) } else { 0 },
        source_block_size: 4096,
        file_group_id: i32::from(is_data),
        log_group_guid: None,
        differential_base_lsn: base_lsn.filter(|_| is_data),
        differential_base_guid: base_guid.filter(|_| is_data),
        is_read_only: false,
        is_present: true,
    }
}

/// The base of a differential backup.
fn base(database: &Database, request: &BackupRequest) -> (Option<Lsn>, Option<Uuid>) {
    match request.kind {
        BackupKind::Differential => (
            database.meta.differential_base_lsn,
            database.meta.differential_base_guid,
        ),
        BackupKind::Database | BackupKind::Log => (None, None),
    }
}

/// `Flags`: see sql.md for the bits; 512 is always set, 1024 is COPY_ONLY.
fn flags(database: &Database, request: &BackupRequest) -> i32 {
    let bits = [
        (database.meta.is_read_only, 4),
        (database.meta.user_access == UserAccess::Single, 8),
        (request.checksum, 16),
        (request.copy_only, 1024),
    ];
    512 + bits.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum::<i32>()
}

/// `SortOrder`, `UnicodeLocaleId` and `UnicodeComparisonStyle`.
fn collation(name: &str) -> (i16, i32, i32) {
    let sort_order = if name.starts_with("SQL_Latin1_General_CP1_CI_AS") {
        52
    } else {
        0
    };
    let style = if name.contains("_CI_") { 196_609 } else { 196_608 };
    let locale = if name.starts_with("German_") { 1031 } else { 1033 };
    (sort_order, locale, style)
}
