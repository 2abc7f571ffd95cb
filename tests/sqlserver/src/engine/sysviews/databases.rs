//! `sys.databases`, `sys.database_recovery_status`, and views about encryption and mirroring.

use super::{LSN, NVARCHAR60, SID, SYSNAME, Scan, View, bit, bytes, columns, int, lsn, maybe, text};
use crate::engine::errors::Result;
use crate::engine::instance::Handle;
use crate::storage::{DatabaseState, RecoveryModel, Row};
use crate::types::SqlType::{BigInt, Bit, DateTime, Guid, Int, NVarChar, SmallInt, TinyInt};
use crate::types::Value;

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "databases",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, database_id: Int, #[null] source_database_id: Int, #[null] owner_sid: SID, create_date: DateTime,
            compatibility_level: TinyInt, #[null] collation_name: SYSNAME, #[null] user_access: TinyInt, #[null] user_access_desc: NVARCHAR60,
            #[null] is_read_only: Bit, is_auto_close_on: Bit, #[null] is_auto_shrink_on: Bit, #[null] state: TinyInt, #[null] state_desc: NVARCHAR60,
            #[null] is_in_standby: Bit, #[null] is_cleanly_shutdown: Bit, #[null] is_supplemental_logging_enabled: Bit,
            #[null] snapshot_isolation_state: TinyInt, #[null] snapshot_isolation_state_desc: NVARCHAR60, #[null] is_read_committed_snapshot_on: Bit,
            #[null] recovery_model: TinyInt, #[null] recovery_model_desc: NVARCHAR60, #[null] page_verify_option: TinyInt, #[null] page_verify_option_desc: NVARCHAR60,
            #[null] is_auto_create_stats_on: Bit, #[null] is_auto_create_stats_incremental_on: Bit; 12, #[null] is_auto_update_stats_on: Bit,
            #[null] is_auto_update_stats_async_on: Bit, #[null] is_ansi_null_default_on: Bit, #[null] is_ansi_nulls_on: Bit, #[null] is_ansi_padding_on: Bit,
            #[null] is_ansi_warnings_on: Bit, #[null] is_arithabort_on: Bit, #[null] is_concat_null_yields_null_on: Bit, #[null] is_numeric_roundabort_on: Bit,
            #[null] is_quoted_identifier_on: Bit, #[null] is_recursive_triggers_on: Bit, #[null] is_cursor_close_on_commit_on: Bit,
            #[null] is_local_cursor_default: Bit, #[null] is_fulltext_enabled: Bit, #[null] is_trustworthy_on: Bit, #[null] is_db_chaining_on: Bit,
            #[null] is_parameterization_forced: Bit, is_master_key_encrypted_by_server: Bit, #[null] is_query_store_on: Bit; 13, is_published: Bit,
            is_subscribed: Bit, is_merge_published: Bit, is_distributor: Bit, is_sync_with_backup: Bit, service_broker_guid: Guid,
            is_broker_enabled: Bit, #[null] log_reuse_wait: TinyInt, #[null] log_reuse_wait_desc: NVARCHAR60, is_date_correlation_on: Bit,
            is_cdc_enabled: Bit, #[null] is_encrypted: Bit, #[null] is_honor_broker_priority_on: Bit, #[null] replica_id: Guid, #[null] group_database_id: Guid,
            #[null] resource_pool_id: Int; 12, #[null] default_language_lcid: SmallInt, #[null] default_language_name: SYSNAME, #[null] default_fulltext_language_lcid: Int,
            #[null] default_fulltext_language_name: SYSNAME, #[null] is_nested_triggers_on: Bit, #[null] is_transform_noise_words_on: Bit,
            #[null] two_digit_year_cutoff: SmallInt, #[null] containment: TinyInt, #[null] containment_desc: NVARCHAR60, #[null] target_recovery_time_in_seconds: Int,
            #[null] delayed_durability: Int; 12, #[null] delayed_durability_desc: NVARCHAR60; 12, #[null] is_memory_optimized_elevate_to_snapshot_on: Bit; 12,
            #[null] is_federation_member: Bit; 13, #[null] is_remote_data_archive_enabled: Bit; 13, #[null] is_mixed_page_allocation_on: Bit; 13,
            #[null] is_temporal_history_retention_enabled: Bit; 14, #[null] catalog_collation_type: Int; 15, #[null] catalog_collation_type_desc: NVARCHAR60; 15,
            #[null] physical_database_name: SYSNAME; 15, #[null] is_result_set_caching_on: Bit; 15, #[null] is_accelerated_database_recovery_on: Bit; 15,
            #[null] is_tempdb_spill_to_remote_store: Bit; 15, #[null] is_stale_page_detection_on: Bit; 15, #[null] is_memory_optimized_enabled: Bit; 15,
            #[null] is_data_retention_enabled: Bit; 16, #[null] is_ledger_on: Bit; 16, #[null] is_change_feed_enabled: Bit; 16,
        ],
        rows: databases,
    },
    View {
        schema: "sys",
        name: "database_recovery_status",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            database_id: Int, #[null] database_guid: Guid, #[null] family_guid: Guid, #[null] last_log_backup_lsn: LSN, #[null] recovery_fork_guid: Guid,
            #[null] first_recovery_fork_guid: Guid, #[null] fork_point_lsn: LSN,
        ],
        rows: recovery_status,
    },
    View {
        schema: "sys",
        name: "sysdatabases",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, #[null] dbid: SmallInt, #[null] sid: SID, crdate: DateTime, cmptlevel: TinyInt, #[null] filename: NVarChar(Some(260)), #[null] version: SmallInt],
        rows: sysdatabases,
    },
    View {
        schema: "sys",
        name: "dm_database_encryption_keys",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![database_id: Int, encryption_state: Int, encryptor_thumbprint: super::SID, percent_complete: crate::types::SqlType::Real],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "database_mirroring",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![database_id: Int, #[null] mirroring_guid: Guid, #[null] mirroring_state: TinyInt, #[null] mirroring_state_desc: NVARCHAR60, #[null] mirroring_role: TinyInt],
        rows: mirroring,
    },
    View {
        schema: "sys",
        name: "dm_tran_database_transactions",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![transaction_id: BigInt, database_id: Int, #[null] database_transaction_begin_time: DateTime, database_transaction_type: Int, database_transaction_state: Int],
        rows: nothing,
    },
];

fn nothing(_: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(Vec::new())
}

/// Databases that the session may know of: its own, the public system ones, and all with VIEW ANY DATABASE.
fn seen(scan: &Scan<'_>) -> Vec<std::sync::Arc<Handle>> {
    let any = scan.session.has_server("VIEW ANY DATABASE");
    scan.session
        .inst
        .handles()
        .into_iter()
        .filter(|h| any || h.id < 3 || h.id == scan.session.database_id)
        .collect()
}

fn databases(scan: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(seen(scan).iter().map(|h| database_row(scan, h)).collect())
}

fn database_row(scan: &Scan<'_>, handle: &Handle) -> Row {
    let database = handle.database();
    let m = &database.meta;
    let online = matches!(m.state, DatabaseState::Online | DatabaseState::Emergency);
    let when_open = |v: Value| if online { v } else { Value::Null };
    let system = handle.id <= 4;
    let page_verify = match m.page_verify.as_str() {
        "CHECKSUM" => 2,
        "TORN_PAGE_DETECTION" => 1,
        _ => 0,
    };
    let waits_for_log = m.recovery_model != RecoveryModel::Simple
        && m.last_log_backup_lsn.is_none()
        && m.differential_base_lsn.is_some();
    let (wait, wait_desc) = if waits_for_log {
        (2, "LOG_BACKUP")
    } else {
        (0, "NOTHING")
    };
    let snapshot = m.allow_snapshot_isolation || handle.id == 1 || handle.id == 4;
    let off = || bit(false);
    let groups = scan.session.inst.availability().unwrap_or_default();
    let (replica_id, group_database_id) = groups
        .of(&m.name)
        .map_or((Value::Null, Value::Null), |(group, member)| {
            (Value::Guid(group.replica_id), Value::Guid(member.group_database_id))
        });
    vec![
        text(m.name.as_str()),
        int(handle.id),
        Value::Null,
        bytes(&m.owner_sid),
        scan.moment(m.create_date),
        int(m.compatibility_level),
        when_open(text(m.collation.as_str())),
        int(m.user_access.code().0),
        text(m.user_access.code().1),
        bit(m.is_read_only),
        bit(m.is_auto_close_on),
        bit(m.is_auto_shrink_on),
        int(m.state.code().0),
        text(m.state.code().1),
        off(),
        off(),
        off(),
        int(u8::from(snapshot)),
        text(if snapshot { "ON" } else { "OFF" }),
        bit(m.is_read_committed_snapshot_on),
        int(m.recovery_model.code().0),
        text(m.recovery_model.code().1),
        int(page_verify),
        text(m.page_verify.as_str()),
        bit(true),
        off(),
        bit(true),
        bit(m.is_auto_update_stats_async_on),
        off(),
        off(),
        off(),
        off(),
        off(),
        off(),
        off(),
        off(),
        off(),
        off(),
        off(),
        bit(!system && !scan.session.inst.config().is_localdb),
        bit(m.is_trustworthy_on),
        bit(m.is_db_chaining_on),
        off(),
        off(),
        bit(m.is_query_store_on),
        off(),
        off(),
        off(),
        off(),
        off(),
        Value::Guid(m.service_broker_guid),
        bit(m.is_broker_enabled),
        int(wait),
        text(wait_desc),
        off(),
        off(),
        bit(m.is_encrypted),
        off(),
        replica_id,
        group_database_id,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        int(u8::from(m.is_contained)),
        text(if m.is_contained { "PARTIAL" } else { "NONE" }),
        int(if m.compatibility_level >= 130 { 60 } else { 0 }),
        int(0),
        text("DISABLED"),
        off(),
        off(),
        off(),
        off(),
        bit(true),
        int(0),
        text("DATABASE_DEFAULT"),
        text(m.name.as_str()),
        off(),
        off(),
        off(),
        off(),
        bit(true),
        off(),
        off(),
        off(),
    ]
}

fn recovery_status(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |handle: &std::sync::Arc<Handle>| {
        let database = handle.database();
        let m = &database.meta;
        let open = handle.file().is_some();
        let guid = |g| if open { Value::Guid(g) } else { Value::Null };
        vec![
            int(handle.id),
            guid(m.database_guid),
            guid(m.family_guid),
            lsn(m.last_log_backup_lsn),
            guid(m.recovery_fork_guid),
            guid(m.first_recovery_fork_guid),
            Value::Null,
        ]
    };
    Ok(seen(scan).iter().map(row).collect())
}

fn sysdatabases(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |handle: &std::sync::Arc<Handle>| {
        let database = handle.database();
        let m = &database.meta;
        vec![
            text(m.name.as_str()),
            int(handle.id),
            bytes(&m.owner_sid),
            scan.moment(m.create_date),
            int(m.compatibility_level),
            maybe(database.data_file().map(|f| f.physical_name.as_str())),
            int(m.internal_version),
        ]
    };
    Ok(seen(scan).iter().map(row).collect())
}

fn mirroring(scan: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(seen(scan)
        .iter()
        .map(|h| vec![int(h.id), Value::Null, Value::Null, Value::Null, Value::Null])
        .collect())
}
