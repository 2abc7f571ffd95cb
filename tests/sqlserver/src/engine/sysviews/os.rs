//! Drives and files of the server's machine, from 2017 on.

use super::{Scan, View, bit, columns, int, text};
use crate::engine::errors::Result;
use crate::storage::Row;
use crate::types::SqlType::{BigInt, Bit, Int, NVarChar};
use crate::types::Value;

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "dm_os_enumerate_fixed_drives",
        since: 14,
        function: false,
        arguments: 0,
        columns: columns![fixed_drive_path: NVarChar(Some(256)), drive_type: Int, drive_type_desc: NVarChar(Some(256)), free_space_in_bytes: BigInt],
        rows: fixed_drives,
    },
    View {
        schema: "sys",
        name: "dm_os_file_exists",
        since: 14,
        function: true,
        arguments: 1,
        columns: columns![file_exists: Bit, file_is_a_directory: Bit, parent_directory_exists: Bit],
        rows: file_exists,
    },
    View {
        schema: "sys",
        name: "dm_os_enumerate_filesystem",
        since: 14,
        function: true,
        arguments: 2,
        columns: columns![full_filesystem_path: NVarChar(Some(256)), parent_directory: NVarChar(Some(256)), file_or_directory_name: NVarChar(Some(256)), level: Int, is_directory: Bit],
        rows: enumerate,
    },
];

fn fixed_drives(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let volumes = scan.session.inst.drives().volumes();
    // Shares are no drives.
    let fixed = volumes.into_iter().filter(|v| !v.mount_point.starts_with("\\\\"));
    let row = |v: crate::storage::Volume| {
        vec![
            text(v.mount_point.as_str()),
            int(3),
            text("DRIVE_FIXED"),
            int(i64::try_from(v.free_bytes).unwrap_or(i64::MAX)),
        ]
    };
    Ok(fixed.map(row).collect())
}

fn path<'a>(scan: &'a Scan<'_>) -> &'a str {
    match scan.args.first() {
        Some(Value::Str(s)) => s,
        _ => "",
    }
}

fn file_exists(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let info = scan.session.inst.drives().info(path(scan));
    Ok(vec![vec![
        bit(info.is_file),
        bit(info.is_directory),
        bit(info.parent_exists),
    ]])
}

fn enumerate(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let folder = path(scan).trim_end_matches('\\').to_owned();
    let names = scan.session.inst.drives().list(&folder).unwrap_or_default();
    let row = |(name, is_file): (String, bool)| {
        vec![
            text(format!("{folder}\\{name}")),
            text(folder.as_str()),
            text(name.as_str()),
            int(0),
            bit(!is_file),
        ]
    };
    Ok(names.into_iter().map(row).collect())
}
