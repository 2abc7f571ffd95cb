//! `INFORMATION_SCHEMA.TABLES`, `COLUMNS`, `ROUTINES`, `SCHEMATA`.

use super::{SYSNAME, Scan, View, columns, int, text};
use crate::engine::catalog::storage;
use crate::engine::errors::Result;
use crate::engine::eval::types::{Family, family, is_national, length, type_name};
use crate::storage::{Row, Table};
use crate::types::SqlType::{Int, NVarChar, SmallInt, TinyInt, VarChar};
use crate::types::Value;

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "INFORMATION_SCHEMA",
        name: "TABLES",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![#[null] TABLE_CATALOG: SYSNAME, #[null] TABLE_SCHEMA: SYSNAME, TABLE_NAME: SYSNAME, #[null] TABLE_TYPE: VarChar(Some(10))],
        rows: tables,
    },
    View {
        schema: "INFORMATION_SCHEMA",
        name: "COLUMNS",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            #[null] TABLE_CATALOG: SYSNAME, #[null] TABLE_SCHEMA: SYSNAME, TABLE_NAME: SYSNAME, #[null] COLUMN_NAME: SYSNAME,
            #[null] ORDINAL_POSITION: Int, #[null] COLUMN_DEFAULT: NVarChar(Some(4000)), #[null] IS_NULLABLE: VarChar(Some(3)),
            #[null] DATA_TYPE: SYSNAME, #[null] CHARACTER_MAXIMUM_LENGTH: Int, #[null] CHARACTER_OCTET_LENGTH: Int, #[null] NUMERIC_PRECISION: TinyInt,
            #[null] NUMERIC_PRECISION_RADIX: SmallInt, #[null] NUMERIC_SCALE: Int, #[null] DATETIME_PRECISION: SmallInt,
            #[null] CHARACTER_SET_NAME: SYSNAME, #[null] COLLATION_NAME: SYSNAME,
        ],
        rows: table_columns,
    },
    View {
        schema: "INFORMATION_SCHEMA",
        name: "ROUTINES",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![#[null] ROUTINE_CATALOG: SYSNAME, #[null] ROUTINE_SCHEMA: SYSNAME, ROUTINE_NAME: SYSNAME, #[null] ROUTINE_TYPE: NVarChar(Some(20)), #[null] ROUTINE_DEFINITION: NVarChar(Some(4000))],
        rows: routines,
    },
    View {
        schema: "INFORMATION_SCHEMA",
        name: "SCHEMATA",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![#[null] CATALOG_NAME: SYSNAME, SCHEMA_NAME: SYSNAME, #[null] SCHEMA_OWNER: SYSNAME],
        rows: schemata,
    },
];

fn seen<'a>(scan: &'a Scan<'_>) -> impl Iterator<Item = &'a Table> {
    scan.database.tables.iter().map(|t| &**t).filter(|t| {
        scan.session
            .may(scan.database, scan.handle.id, "SELECT", Some(t.object_id))
    })
}

fn catalog(scan: &Scan<'_>) -> Value {
    text(scan.database.meta.name.as_str())
}

fn tables(scan: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(seen(scan)
        .map(|t| {
            vec![
                catalog(scan),
                text(t.schema.as_str()),
                text(t.name.as_str()),
                text("BASE TABLE"),
            ]
        })
        .collect())
}

fn table_columns(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let collation = text(scan.database.meta.collation.as_str());
    let mut rows = Vec::new();
    for table in seen(scan) {
        for (i, column) in table.columns.iter().enumerate() {
            let kind = family(&column.ty);
            let texts = kind == Family::Text;
            let national = is_national(&column.ty);
            let (_, precision, scale) = storage(&column.ty);
            let characters = if texts || kind == Family::Binary {
                length(&column.ty).map_or(-1, i64::from)
            } else {
                0
            };
            let octets = if national && characters > 0 {
                characters * 2
            } else {
                characters
            };
            let when = |on: bool, value: Value| if on { value } else { Value::Null };
            let number = crate::engine::eval::types::is_numeric(&column.ty) && column.ty != crate::types::SqlType::Bit;
            rows.push(vec![
                catalog(scan),
                text(table.schema.as_str()),
                text(table.name.as_str()),
                text(column.name.as_str()),
                int(i64::try_from(i + 1).unwrap_or(0)),
                column.default.as_deref().map_or(Value::Null, text),
                text(if column.nullable { "YES" } else { "NO" }),
                text(type_name(&column.ty).trim_end_matches("(max)")),
                when(texts || kind == Family::Binary, int(characters)),
                when(texts || kind == Family::Binary, int(octets)),
                when(number, int(precision)),
                when(number, int(10)),
                when(number && kind != Family::Approximate, int(scale)),
                when(matches!(kind, Family::Date | Family::Time), int(scale)),
                when(texts, text(if national { "UNICODE" } else { "iso_1" })),
                when(texts, collation.clone()),
            ]);
        }
    }
    Ok(rows)
}

fn routines(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |p: &crate::storage::Procedure| {
        vec![
            catalog(scan),
            text(p.schema.as_str()),
            text(p.name.as_str()),
            text("PROCEDURE"),
            text(p.definition.as_str()),
        ]
    };
    Ok(scan.database.procedures.iter().map(row).collect())
}

fn schemata(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let all = crate::engine::catalog::schemas(scan.database);
    Ok(all
        .into_iter()
        .map(|(_, name)| vec![catalog(scan), text(name), text("dbo")])
        .collect())
}
