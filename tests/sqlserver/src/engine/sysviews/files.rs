//! `sys.master_files`, `sys.database_files` and their volumes.

use super::{LSN, NVARCHAR60, SYSNAME, Scan, View, bit, columns, int, lsn, text};
use crate::engine::errors::Result;
use crate::engine::instance::Handle;
use crate::storage::{DatabaseState, FileKind, FileMeta, Row};
use crate::types::SqlType::{BigInt, Bit, Guid, Int, NVarChar, TinyInt};
use crate::types::Value;

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "master_files",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            database_id: Int, file_id: Int, #[null] file_guid: Guid, type: TinyInt, #[null] type_desc: NVARCHAR60, data_space_id: Int, name: SYSNAME,
            physical_name: NVarChar(Some(260)), #[null] state: TinyInt, #[null] state_desc: NVARCHAR60, size: Int, max_size: Int, growth: Int,
            is_media_read_only: Bit, is_read_only: Bit, is_sparse: Bit, is_percent_growth: Bit, is_name_reserved: Bit, #[null] create_lsn: LSN,
            #[null] drop_lsn: LSN, #[null] read_only_lsn: LSN, #[null] read_write_lsn: LSN, #[null] differential_base_lsn: LSN, #[null] differential_base_guid: Guid,
            #[null] differential_base_time: crate::types::SqlType::DateTime, #[null] redo_start_lsn: LSN, #[null] redo_start_fork_guid: Guid,
            #[null] redo_target_lsn: LSN, #[null] redo_target_fork_guid: Guid, #[null] backup_lsn: LSN, #[null] credential_id: Int,
        ],
        rows: master_files,
    },
    View {
        schema: "sys",
        name: "database_files",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            file_id: Int, #[null] file_guid: Guid, type: TinyInt, #[null] type_desc: NVARCHAR60, data_space_id: Int, name: SYSNAME,
            physical_name: NVarChar(Some(260)), #[null] state: TinyInt, #[null] state_desc: NVARCHAR60, size: Int, max_size: Int, growth: Int,
            is_media_read_only: Bit, is_read_only: Bit, is_sparse: Bit, is_percent_growth: Bit, is_name_reserved: Bit, #[null] create_lsn: LSN,
            #[null] drop_lsn: LSN, #[null] read_only_lsn: LSN, #[null] read_write_lsn: LSN, #[null] differential_base_lsn: LSN, #[null] differential_base_guid: Guid,
            #[null] differential_base_time: crate::types::SqlType::DateTime, #[null] redo_start_lsn: LSN, #[null] redo_start_fork_guid: Guid,
            #[null] redo_target_lsn: LSN, #[null] redo_target_fork_guid: Guid, #[null] backup_lsn: LSN,
        ],
        rows: database_files,
    },
    View {
        schema: "sys",
        name: "filegroups",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, data_space_id: Int, type: crate::types::SqlType::Char(2), #[null] type_desc: NVARCHAR60, #[null] is_default: Bit, #[null] is_read_only: Bit],
        rows: filegroups,
    },
    View {
        schema: "sys",
        name: "dm_os_volume_stats",
        since: 0,
        function: true,
        arguments: 2,
        columns: columns![
            #[null] database_id: Int, #[null] file_id: Int, #[null] volume_mount_point: NVarChar(Some(256)), #[null] volume_id: NVarChar(Some(256)),
            #[null] logical_volume_name: NVarChar(Some(256)), #[null] file_system_type: NVarChar(Some(256)), total_bytes: BigInt, available_bytes: BigInt,
            #[null] supports_compression: TinyInt, #[null] supports_alternate_streams: TinyInt, #[null] supports_sparse_files: TinyInt, #[null] is_read_only: TinyInt,
            #[null] is_compressed: TinyInt,
        ],
        rows: volume_stats,
    },
    View {
        schema: "sys",
        name: "dm_io_virtual_file_stats",
        since: 0,
        function: true,
        arguments: 2,
        columns: columns![database_id: crate::types::SqlType::SmallInt, file_id: crate::types::SqlType::SmallInt, sample_ms: BigInt, num_of_reads: BigInt, num_of_bytes_read: BigInt, num_of_writes: BigInt, num_of_bytes_written: BigInt, size_on_disk_bytes: BigInt],
        rows: file_stats,
    },
];

fn file_row(handle: &Handle, file: &FileMeta) -> Row {
    let database = handle.database();
    let m = &database.meta;
    let data = file.kind == FileKind::Data;
    let (state, state_desc) = match m.state {
        DatabaseState::Online | DatabaseState::Emergency => (0, "ONLINE"),
        other => (other.code().0, other.code().1),
    };
    vec![
        int(file.file_id),
        Value::Guid(file.file_guid),
        int(u8::from(!data)),
        text(if data { "ROWS" } else { "LOG" }),
        int(u8::from(data)),
        text(file.name.as_str()),
        text(file.physical_name.as_str()),
        int(state),
        text(state_desc),
        int(file.size_pages),
        int(file.max_size_pages),
        int(file.growth),
        bit(false),
        bit(false),
        bit(false),
        bit(file.is_percent_growth),
        bit(false),
        lsn(Some(file.create_lsn)),
        Value::Null,
        Value::Null,
        Value::Null,
        if data {
            lsn(m.differential_base_lsn)
        } else {
            Value::Null
        },
        if data {
            m.differential_base_guid.map_or(Value::Null, Value::Guid)
        } else {
            Value::Null
        },
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

fn master_files(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    // Without VIEW ANY DEFINITION only files of databases that one may alter are shown.
    for handle in scan.session.inst.handles() {
        let database = handle.database();
        if !scan.session.has_server("VIEW ANY DEFINITION") && !scan.session.may_alter(&database, handle.id) {
            continue;
        }
        for file in &database.files {
            let mut row = vec![int(handle.id)];
            row.extend(file_row(&handle, file));
            row.push(Value::Null);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn database_files(scan: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(scan.database.files.iter().map(|f| file_row(scan.handle, f)).collect())
}

fn filegroups(_: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(vec![vec![
        text("PRIMARY"),
        int(1),
        text("FG"),
        text("ROWS_FILEGROUP"),
        bit(true),
        bit(false),
    ]])
}

fn arg(scan: &Scan<'_>, n: usize) -> Option<i64> {
    match scan.args.get(n) {
        Some(Value::Int(i)) => Some(*i),
        _ => None,
    }
}

fn files_of<'a>(scan: &'a Scan<'_>) -> Vec<(i32, FileMeta)> {
    let wanted = (arg(scan, 0), arg(scan, 1));
    let mut found = Vec::new();
    for handle in scan.session.inst.handles() {
        if wanted.0.is_some_and(|d| d != i64::from(handle.id)) {
            continue;
        }
        let database = handle.database();
        found.extend(
            database
                .files
                .iter()
                .filter(|f| wanted.1.is_none_or(|w| w == i64::from(f.file_id)))
                .map(|f| (handle.id, f.clone())),
        );
    }
    found
}

fn volume_stats(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    if arg(scan, 0).is_none() || arg(scan, 1).is_none() {
        return Ok(Vec::new());
    }
    let drives = scan.session.inst.drives();
    let mut rows = Vec::new();
    for (database_id, file) in files_of(scan) {
        let Ok(volume) = drives.volume(&file.physical_name) else {
            continue;
        };
        let big = |n: u64| int(i64::try_from(n).unwrap_or(i64::MAX));
        rows.push(vec![
            int(database_id),
            int(file.file_id),
            text(volume.mount_point.as_str()),
            Value::Null,
            text(""),
            text("NTFS"),
            big(volume.total_bytes),
            big(volume.free_bytes),
            int(1),
            int(1),
            int(1),
            int(0),
            int(0),
        ]);
    }
    Ok(rows)
}

fn file_stats(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let row = |(id, file): (i32, FileMeta)| {
        let size = i64::from(file.size_pages) * 8192;
        vec![
            int(id),
            int(file.file_id),
            int(0),
            int(0),
            int(0),
            int(0),
            int(0),
            int(size),
        ]
    };
    Ok(files_of(scan).into_iter().map(row).collect())
}
