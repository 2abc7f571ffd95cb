//! Tables, columns, types, schemas, procedures, indexes, extended properties of a database.

use super::{NVARCHAR60, SYSNAME, Scan, View, bit, columns, int, maybe, text};
use crate::engine::catalog::{self, TYPES, schema_id, storage, type_row};
use crate::engine::errors::Result;
use crate::engine::eval::types::{Family, family};
use crate::storage::{Procedure, Row, Table};
use crate::types::SqlType::{BigInt, Bit, Char, DateTime, Int, NVarChar, SmallInt, TinyInt, Variant};
use crate::types::Value;

const CHAR2: crate::types::SqlType = Char(2);

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "objects",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, object_id: Int, #[null] principal_id: Int, schema_id: Int, parent_object_id: Int, #[null] type: CHAR2, #[null] type_desc: NVARCHAR60,
            create_date: DateTime, modify_date: DateTime, is_ms_shipped: Bit, is_published: Bit, is_schema_published: Bit,
        ],
        rows: objects,
    },
    View {
        schema: "sys",
        name: "all_objects",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, object_id: Int, #[null] principal_id: Int, schema_id: Int, parent_object_id: Int, #[null] type: CHAR2, #[null] type_desc: NVARCHAR60,
            create_date: DateTime, modify_date: DateTime, is_ms_shipped: Bit, is_published: Bit, is_schema_published: Bit,
        ],
        rows: all_objects,
    },
    View {
        schema: "sys",
        name: "tables",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, object_id: Int, #[null] principal_id: Int, schema_id: Int, parent_object_id: Int, #[null] type: CHAR2, #[null] type_desc: NVARCHAR60,
            create_date: DateTime, modify_date: DateTime, is_ms_shipped: Bit, is_published: Bit, is_schema_published: Bit, lob_data_space_id: Int,
            max_column_id_used: Int, lock_on_bulk_load: Bit, #[null] uses_ansi_nulls: Bit, #[null] is_replicated: Bit, #[null] is_tracked_by_cdc: Bit,
            #[null] lock_escalation: TinyInt, #[null] lock_escalation_desc: NVARCHAR60, #[null] is_filetable: Bit, #[null] is_memory_optimized: Bit; 12,
            #[null] temporal_type: TinyInt; 13, #[null] temporal_type_desc: NVARCHAR60; 13, #[null] is_external: Bit; 13,
        ],
        rows: tables,
    },
    View {
        schema: "sys",
        name: "procedures",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, object_id: Int, #[null] principal_id: Int, schema_id: Int, parent_object_id: Int, #[null] type: CHAR2, #[null] type_desc: NVARCHAR60,
            create_date: DateTime, modify_date: DateTime, is_ms_shipped: Bit, is_published: Bit, is_schema_published: Bit,
            is_auto_executed: Bit, #[null] is_execution_replicated: Bit,
        ],
        rows: procedures,
    },
    View {
        schema: "sys",
        name: "views",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, object_id: Int, #[null] principal_id: Int, schema_id: Int, parent_object_id: Int, #[null] type: CHAR2, #[null] type_desc: NVARCHAR60, create_date: DateTime, modify_date: DateTime],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "triggers",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, object_id: Int, parent_class: TinyInt, parent_id: Int, #[null] type: CHAR2, is_disabled: Bit],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "columns",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            object_id: Int, #[null] name: SYSNAME, column_id: Int, system_type_id: TinyInt, user_type_id: Int, max_length: SmallInt, precision: TinyInt,
            scale: TinyInt, #[null] collation_name: SYSNAME, #[null] is_nullable: Bit, is_ansi_padded: Bit, is_rowguidcol: Bit, is_identity: Bit, is_computed: Bit,
            is_filestream: Bit, #[null] is_replicated: Bit, #[null] is_non_sql_subscribed: Bit, #[null] is_merge_published: Bit, #[null] is_dts_replicated: Bit,
            is_xml_document: Bit, xml_collection_id: Int, default_object_id: Int, rule_object_id: Int, #[null] is_sparse: Bit, #[null] is_column_set: Bit,
        ],
        rows: table_columns,
    },
    View {
        schema: "sys",
        name: "identity_columns",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![object_id: Int, #[null] name: SYSNAME, column_id: Int, #[null] seed_value: Variant, #[null] increment_value: Variant, #[null] last_value: Variant],
        rows: identity_columns,
    },
    View {
        schema: "sys",
        name: "types",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            name: SYSNAME, system_type_id: TinyInt, user_type_id: Int, schema_id: Int, #[null] principal_id: Int, max_length: SmallInt, precision: TinyInt,
            scale: TinyInt, #[null] collation_name: SYSNAME, #[null] is_nullable: Bit, is_user_defined: Bit, is_assembly_type: Bit, default_object_id: Int,
            rule_object_id: Int, is_table_type: Bit,
        ],
        rows: types,
    },
    View {
        schema: "sys",
        name: "schemas",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, schema_id: Int, #[null] principal_id: Int],
        rows: schemas,
    },
    View {
        schema: "sys",
        name: "indexes",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            object_id: Int, #[null] name: SYSNAME, index_id: Int, type: TinyInt, #[null] type_desc: NVARCHAR60, #[null] is_unique: Bit, #[null] data_space_id: Int,
            #[null] ignore_dup_key: Bit, #[null] is_primary_key: Bit, #[null] is_unique_constraint: Bit, fill_factor: TinyInt, #[null] is_padded: Bit, #[null] is_disabled: Bit,
            #[null] is_hypothetical: Bit,
        ],
        rows: indexes,
    },
    View {
        schema: "sys",
        name: "index_columns",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![object_id: Int, index_id: Int, index_column_id: Int, column_id: Int, key_ordinal: TinyInt, partition_ordinal: TinyInt, #[null] is_descending_key: Bit, #[null] is_included_column: Bit],
        rows: index_columns,
    },
    View {
        schema: "sys",
        name: "partitions",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![partition_id: BigInt, object_id: Int, index_id: Int, partition_number: Int, hobt_id: BigInt, #[null] rows: BigInt, filestream_filegroup_id: SmallInt, data_compression: TinyInt, #[null] data_compression_desc: NVARCHAR60],
        rows: partitions,
    },
    View {
        schema: "sys",
        name: "dm_db_partition_stats",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            #[null] partition_id: BigInt, object_id: Int, index_id: Int, partition_number: Int, #[null] in_row_data_page_count: BigInt,
            #[null] in_row_used_page_count: BigInt, #[null] in_row_reserved_page_count: BigInt, #[null] lob_used_page_count: BigInt, #[null] lob_reserved_page_count: BigInt,
            #[null] row_overflow_used_page_count: BigInt, #[null] row_overflow_reserved_page_count: BigInt, #[null] used_page_count: BigInt,
            #[null] reserved_page_count: BigInt, #[null] row_count: BigInt,
        ],
        rows: partition_stats,
    },
    View {
        schema: "sys",
        name: "extended_properties",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![class: TinyInt, #[null] class_desc: NVARCHAR60, major_id: Int, minor_id: Int, name: SYSNAME, #[null] value: Variant],
        rows: extended_properties,
    },
    View {
        schema: "sys",
        name: "sql_modules",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![object_id: Int, #[null] definition: NVarChar(None), #[null] uses_ansi_nulls: Bit, #[null] uses_quoted_identifier: Bit, #[null] is_schema_bound: Bit, #[null] uses_database_collation: Bit, #[null] is_recompiled: Bit, #[null] null_on_null_input: Bit, #[null] execute_as_principal_id: Int],
        rows: sql_modules,
    },
    View {
        schema: "sys",
        name: "parameters",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![object_id: Int, #[null] name: SYSNAME, parameter_id: Int, system_type_id: TinyInt, user_type_id: Int, max_length: SmallInt, precision: TinyInt, scale: TinyInt, is_output: Bit, has_default_value: Bit],
        rows: parameters,
    },
    View {
        schema: "sys",
        name: "dm_db_persisted_sku_features",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![#[null] feature_name: SYSNAME, feature_id: Int],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "stats",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![object_id: Int, #[null] name: SYSNAME, stats_id: Int, #[null] auto_created: Bit],
        rows: nothing,
    },
];

fn nothing(_: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(Vec::new())
}

/// Metadata is shown to those who have some right on the object.
fn seen(scan: &Scan<'_>, object_id: i32) -> bool {
    let id = scan.handle.id;
    ["SELECT", "EXECUTE", "VIEW DEFINITION", "ALTER"]
        .iter()
        .any(|p| scan.session.may(scan.database, id, p, Some(object_id)))
}

fn tables_seen<'a>(scan: &'a Scan<'_>) -> impl Iterator<Item = &'a Table> {
    scan.database
        .tables
        .iter()
        .map(|t| &**t)
        .filter(|t| seen(scan, t.object_id))
}

fn procedures_seen<'a>(scan: &'a Scan<'_>) -> impl Iterator<Item = &'a Procedure> {
    scan.database.procedures.iter().filter(|p| seen(scan, p.object_id))
}

fn table_object(scan: &Scan<'_>, t: &Table) -> Row {
    vec![
        text(t.name.as_str()),
        int(t.object_id),
        Value::Null,
        int(schema_id(scan.database, &t.schema)),
        int(0),
        text("U "),
        text("USER_TABLE"),
        scan.moment(t.create_date),
        scan.moment(t.modify_date),
        bit(t.is_ms_shipped),
        bit(false),
        bit(false),
    ]
}

fn procedure_object(scan: &Scan<'_>, p: &Procedure) -> Row {
    vec![
        text(p.name.as_str()),
        int(p.object_id),
        Value::Null,
        int(schema_id(scan.database, &p.schema)),
        int(0),
        text("P "),
        text("SQL_STORED_PROCEDURE"),
        scan.moment(p.create_date),
        scan.moment(p.create_date),
        bit(false),
        bit(false),
        bit(false),
    ]
}

fn objects(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let tables = tables_seen(scan).map(|t| table_object(scan, t));
    let keys = tables_seen(scan)
        .filter_map(|t| t.primary_key.as_ref().map(|k| (t, k)))
        .map(|(t, k)| {
            let mut row = table_object(scan, t);
            row[0] = text(k.name.as_str());
            row[1] = int(t.object_id + 1);
            row[4] = int(t.object_id);
            row[5] = text("PK");
            row[6] = text("PRIMARY_KEY_CONSTRAINT");
            row
        });
    Ok(tables
        .chain(keys)
        .chain(procedures_seen(scan).map(|p| procedure_object(scan, p)))
        .collect())
}

fn all_objects(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let mut rows = objects(scan)?;
    for (schema, name) in super::names() {
        let Some(object) = catalog::find_object(scan.session, &format!("{schema}.{name}")) else {
            continue;
        };
        let at = scan.moment(scan.session.inst.started);
        let schema = int(if schema == "sys" { 4 } else { 3 });
        rows.push(vec![
            text(name),
            int(object.id),
            Value::Null,
            schema,
            int(0),
            text("V "),
            text("VIEW"),
            at.clone(),
            at,
            bit(true),
            bit(false),
            bit(false),
        ]);
    }
    Ok(rows)
}

fn tables(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |t: &Table| {
        let mut row = table_object(scan, t);
        row.extend([
            int(0),
            int(i64::try_from(t.columns.len()).unwrap_or(0)),
            bit(false),
            bit(true),
            bit(false),
            bit(false),
            int(0),
            text("TABLE"),
            bit(false),
            bit(false),
            int(0),
            text("NON_TEMPORAL_TABLE"),
            bit(false),
        ]);
        row
    };
    Ok(tables_seen(scan).map(row).collect())
}

fn procedures(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |p: &Procedure| {
        let mut row = procedure_object(scan, p);
        row.extend([bit(false), bit(false)]);
        row
    };
    Ok(procedures_seen(scan).map(row).collect())
}

fn number(n: usize) -> Value {
    int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn table_columns(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let collation = scan.database.meta.collation.as_str();
    let mut rows = Vec::new();
    for table in tables_seen(scan) {
        for (i, column) in table.columns.iter().enumerate() {
            let ty = type_row(&column.ty);
            let (length, precision, scale) = storage(&column.ty);
            let texts = family(&column.ty) == Family::Text && column.ty != crate::types::SqlType::Xml;
            let mut row = vec![
                int(table.object_id),
                text(column.name.as_str()),
                number(i + 1),
                int(ty.system_type_id),
                int(ty.user_type_id),
                int(length),
                int(precision),
                int(scale),
                if texts { text(collation) } else { Value::Null },
                bit(column.nullable),
                bit(texts),
                bit(false),
                bit(table.identity.as_ref().is_some_and(|id| id.column == i)),
            ];
            row.extend((0..7).map(|_| bit(false)));
            row.extend([int(0), int(0), int(0), bit(false), bit(false)]);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn identity_columns(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |t: &Table| {
        let identity = t.identity.as_ref()?;
        Some(vec![
            int(t.object_id),
            maybe(t.columns.get(identity.column).map(|c| c.name.as_str())),
            number(identity.column + 1),
            int(identity.seed),
            int(identity.increment),
            identity.last.map_or(Value::Null, int),
        ])
    };
    Ok(tables_seen(scan).filter_map(row).collect())
}

fn types(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let collation = scan.database.meta.collation.as_str();
    let row = |t: &catalog::TypeRow| {
        let texts = matches!(
            t.name,
            "text" | "ntext" | "varchar" | "char" | "nvarchar" | "nchar" | "sysname"
        );
        vec![
            text(t.name),
            int(t.system_type_id),
            int(t.user_type_id),
            int(4),
            Value::Null,
            int(t.max_length),
            int(t.precision),
            int(t.scale),
            if texts { text(collation) } else { Value::Null },
            bit(t.name != "sysname" && t.name != "timestamp"),
            bit(false),
            bit(false),
            int(0),
            int(0),
            bit(false),
        ]
    };
    Ok(TYPES.iter().map(row).collect())
}

fn schemas(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let owner = |id: i32| if id > 4 && id < 16_384 { 1 } else { id };
    Ok(catalog::schemas(scan.database)
        .into_iter()
        .map(|(id, name)| vec![text(name.as_str()), int(id), int(owner(id))])
        .collect())
}

fn indexes(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |t: &Table| {
        let key = t.primary_key.as_ref();
        vec![
            int(t.object_id),
            maybe(key.map(|k| k.name.as_str())),
            int(u8::from(key.is_some())),
            int(u8::from(key.is_some())),
            text(if key.is_some() { "CLUSTERED" } else { "HEAP" }),
            bit(key.is_some()),
            int(1),
            bit(false),
            bit(key.is_some()),
            bit(false),
            int(0),
            bit(false),
            bit(false),
            bit(false),
        ]
    };
    Ok(tables_seen(scan).map(row).collect())
}

fn index_columns(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for table in tables_seen(scan) {
        for (i, column) in table.primary_key.iter().flat_map(|k| k.columns.iter()).enumerate() {
            rows.push(vec![
                int(table.object_id),
                int(1),
                number(i + 1),
                number(column + 1),
                number(i + 1),
                int(0),
                bit(false),
                bit(false),
            ]);
        }
    }
    Ok(rows)
}

fn partition_id(t: &Table) -> Value {
    int(72_057_594_000_000_000 + i64::from(t.object_id))
}

fn partitions(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |t: &Table| {
        let index = u8::from(t.primary_key.is_some());
        vec![
            partition_id(t),
            int(t.object_id),
            int(index),
            int(1),
            partition_id(t),
            number(t.rows.len()),
            int(0),
            int(0),
            text("NONE"),
        ]
    };
    Ok(tables_seen(scan).map(row).collect())
}

fn partition_stats(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let file = scan.handle.file();
    let row = |t: &Table| {
        let pages = int(file.as_ref().map_or(0, |f| f.object_pages(t.object_id)));
        vec![
            partition_id(t),
            int(t.object_id),
            int(u8::from(t.primary_key.is_some())),
            int(1),
            pages.clone(),
            pages.clone(),
            pages.clone(),
            int(0),
            int(0),
            int(0),
            int(0),
            pages.clone(),
            pages,
            number(t.rows.len()),
        ]
    };
    Ok(tables_seen(scan).map(row).collect())
}

fn extended_properties(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |p: &crate::storage::ExtendedProperty| {
        let class = u8::from(p.object_id.is_some());
        vec![
            int(class),
            text(if class == 0 { "DATABASE" } else { "OBJECT_OR_COLUMN" }),
            int(p.object_id.unwrap_or(0)),
            int(0),
            text(p.name.as_str()),
            p.value.clone(),
        ]
    };
    Ok(scan.database.extended_properties.iter().map(row).collect())
}

fn sql_modules(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |p: &Procedure| {
        vec![
            int(p.object_id),
            text(p.definition.as_str()),
            bit(true),
            bit(true),
            bit(false),
            bit(false),
            bit(false),
            bit(false),
            Value::Null,
        ]
    };
    Ok(procedures_seen(scan).map(row).collect())
}

fn parameters(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for procedure in procedures_seen(scan) {
        let Ok(params) = crate::engine::statements::procedure::parameters(&procedure.definition) else {
            continue;
        };
        for (i, param) in params.iter().enumerate() {
            let ty = type_row(&param.ty);
            let (length, precision, scale) = storage(&param.ty);
            rows.push(vec![
                int(procedure.object_id),
                text(param.name.as_str()),
                number(i + 1),
                int(ty.system_type_id),
                int(ty.user_type_id),
                int(length),
                int(precision),
                int(scale),
                bit(param.output),
                bit(param.default.is_some()),
            ]);
        }
    }
    Ok(rows)
}
