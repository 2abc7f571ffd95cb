//! The system databases and what every database has: fixed users, fixed roles, one data and one log file.

use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    ColumnDef, Database, DatabaseMeta, DatabasePermission, DatabasePrincipal, DatabaseState, FileKind, FileMeta,
    Identity, Lsn, PermissionState, PrimaryKey, PrincipalKind, RecoveryModel, Table, UserAccess,
};
use crate::types::SqlType;

/// SQL Server's default for a new file: 8 MB, growing by 64 MB.
const NEW_FILE_PAGES: u32 = 1024;
const GROWTH_PAGES: u32 = 8192;

/// A random GUID.
pub(crate) fn guid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// See [`Database::new`].
pub(crate) fn empty_database(name: &str, collation: &str, internal_version: u16, at: OffsetDateTime) -> Database {
    let lsn = Lsn::new(34, 80, 1);
    let fork = guid();
    let meta = DatabaseMeta {
        name: name.into(),
        database_guid: guid(),
        family_guid: guid(),
        recovery_fork_guid: fork,
        first_recovery_fork_guid: fork,
        service_broker_guid: guid(),
        create_date: at,
        owner_sid: vec![1],
        recovery_model: RecoveryModel::Simple,
        compatibility_level: compatibility_level(internal_version),
        collation: collation.into(),
        state: DatabaseState::Online,
        user_access: UserAccess::Multi,
        is_read_only: false,
        is_trustworthy_on: false,
        is_db_chaining_on: false,
        is_broker_enabled: false,
        is_encrypted: false,
        is_auto_close_on: false,
        is_auto_shrink_on: false,
        is_auto_update_stats_async_on: false,
        is_read_committed_snapshot_on: false,
        allow_snapshot_isolation: false,
        is_query_store_on: false,
        page_verify: "CHECKSUM".into(),
        is_contained: false,
        internal_version,
        create_version: internal_version,
        lsn,
        last_log_backup_lsn: None,
        differential_base_lsn: None,
        differential_base_guid: None,
        last_good_checkdb: None,
    };
    Database {
        meta,
        files: vec![
            file(1, FileKind::Data, name, Lsn::default()),
            file(2, FileKind::Log, &format!("{name}_log"), Lsn::default()),
        ],
        tables: Vec::new(),
        procedures: Vec::new(),
        principals: fixed_principals(at),
        permissions: vec![DatabasePermission {
            grantee: 1,
            permission: "CONNECT".into(),
            state: PermissionState::Grant,
            object_id: None,
        }],
        extended_properties: Vec::new(),
    }
}

fn compatibility_level(internal_version: u16) -> u8 {
    match internal_version {
        0..=706 => 110,
        707..=782 => 120,
        783..=852 => 130,
        853..=869 => 140,
        870..=904 => 150,
        905..=957 => 160,
        958.. => 170,
    }
}

fn file(file_id: i32, kind: FileKind, name: &str, create_lsn: Lsn) -> FileMeta {
    FileMeta {
        file_id,
        file_guid: guid(),
        kind,
        name: name.into(),
        physical_name: String::new(),
        size_pages: NEW_FILE_PAGES,
        // A log may grow to 2 TB.
        max_size_pages: if kind == FileKind::Log { 268_435_456 } else { -1 },
        growth: GROWTH_PAGES,
        is_percent_growth: false,
        create_lsn,
    }
}

fn fixed_principals(at: OffsetDateTime) -> Vec<DatabasePrincipal> {
    let user = |principal_id, name: &str, kind, sid: Option<Vec<u8>>, schema: Option<&str>| DatabasePrincipal {
        principal_id,
        name: name.into(),
        kind,
        sid,
        default_schema: schema.map(Into::into),
        roles: if principal_id == 1 {
            vec!["db_owner".into()]
        } else {
            Vec::new()
        },
        is_fixed_role: false,
        create_date: at,
    };
    let mut all = vec![
        user(0, "public", PrincipalKind::Role, None, None),
        user(1, "dbo", PrincipalKind::SqlUser, Some(vec![1]), Some("dbo")),
        user(2, "guest", PrincipalKind::SqlUser, Some(vec![0]), Some("guest")),
        user(3, "INFORMATION_SCHEMA", PrincipalKind::SqlUser, None, None),
        user(4, "sys", PrincipalKind::SqlUser, None, None),
    ];
    let roles = [
        (16384, "db_owner"),
        (16385, "db_accessadmin"),
        (16386, "db_securityadmin"),
        (16387, "db_ddladmin"),
        (16389, "db_backupoperator"),
        (16390, "db_datareader"),
        (16391, "db_datawriter"),
        (16392, "db_denydatareader"),
        (16393, "db_denydatawriter"),
    ];
    all.extend(roles.map(|(id, name)| DatabasePrincipal {
        is_fixed_role: true,
        ..user(id, name, PrincipalKind::Role, None, None)
    }));
    all
}

/// See [`Database::fork`].
pub(crate) fn fork(database: &mut Database, name: &str, at: OffsetDateTime) {
    let meta = &mut database.meta;
    meta.name = name.into();
    meta.database_guid = guid();
    meta.recovery_fork_guid = guid();
    meta.service_broker_guid = guid();
    meta.create_date = at;
    meta.is_trustworthy_on = false;
    meta.is_db_chaining_on = false;
    meta.is_broker_enabled = false;
    meta.lsn = meta.lsn.after(32);
}

/// master, model, msdb and tempdb with their ids.
pub(crate) fn system_databases(collation: &str, version: u16, at: OffsetDateTime) -> Vec<(i32, Database)> {
    let named = |id, name: &str, data: &str, log: &str, model| {
        let mut database = empty_database(name, collation, version, at);
        database.meta.recovery_model = model;
        for (file, logical) in database.files.iter_mut().zip([data, log]) {
            file.name = logical.into();
            file.size_pages = 512;
        }
        (id, database)
    };
    let (id, mut msdb) = named(4, "msdb", "MSDBData", "MSDBLog", RecoveryModel::Simple);
    msdb.tables = msdb_tables(at).into_iter().map(Arc::new).collect();
    vec![
        named(1, "master", "master", "mastlog", RecoveryModel::Simple),
        named(2, "tempdb", "tempdev", "templog", RecoveryModel::Simple),
        named(3, "model", "modeldev", "modellog", RecoveryModel::Full),
        (id, msdb),
    ]
}

/// The file names of the system databases.
pub(crate) fn system_file_names(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "master" => ("master.mdf", "mastlog.ldf"),
        "tempdb" => ("tempdb.mdf", "templog.ldf"),
        "model" => ("model.mdf", "modellog.ldf"),
        "msdb" => ("MSDBData.mdf", "MSDBLog.ldf"),
        _ => return None,
    })
}

fn msdb_tables(at: OffsetDateTime) -> Vec<Table> {
    let text = |n| SqlType::NVarChar(Some(n));
    let lsn = || SqlType::Numeric {
        precision: 25,
        scale: 0,
    };
    let (int, guid, bit, date) = (SqlType::Int, SqlType::Guid, SqlType::Bit, SqlType::DateTime);
    vec![
        history(
            "backupmediaset",
            "media_set_id",
            at,
            vec![
                ColumnDef::not_null("media_set_id", int.clone()),
                ColumnDef::null("media_uuid", guid.clone()),
                ColumnDef::null("media_family_count", SqlType::TinyInt),
                ColumnDef::null("name", text(128)),
                ColumnDef::null("description", text(255)),
                ColumnDef::null("software_name", text(128)),
                ColumnDef::null("software_vendor_id", int.clone()),
                ColumnDef::null("MTF_major_version", SqlType::TinyInt),
                ColumnDef::null("mirror_count", SqlType::TinyInt),
                ColumnDef::null("is_password_protected", bit.clone()),
                ColumnDef::null("is_compressed", bit.clone()),
                ColumnDef::null("is_encrypted", bit.clone()),
            ],
        ),
        history(
            "backupmediafamily",
            "",
            at,
            vec![
                ColumnDef::not_null("media_set_id", int.clone()),
                ColumnDef::not_null("family_sequence_number", SqlType::TinyInt),
                ColumnDef::null("media_family_id", guid.clone()),
                ColumnDef::null("media_count", int.clone()),
                ColumnDef::null("logical_device_name", text(128)),
                ColumnDef::null("physical_device_name", text(260)),
                ColumnDef::null("device_type", SqlType::TinyInt),
                ColumnDef::null("physical_block_size", int.clone()),
                ColumnDef::not_null("mirror", SqlType::TinyInt),
            ],
        ),
        history("backupset", "backup_set_id", at, backupset_columns()),
        history(
            "backupfile",
            "",
            at,
            vec![
                ColumnDef::not_null("backup_set_id", int.clone()),
                ColumnDef::null("first_family_number", SqlType::TinyInt),
                ColumnDef::null("first_media_number", SqlType::SmallInt),
                ColumnDef::null("filegroup_name", text(128)),
                ColumnDef::null("page_size", int.clone()),
                ColumnDef::not_null(
                    "file_number",
                    SqlType::Numeric {
                        precision: 10,
                        scale: 0,
                    },
                ),
                ColumnDef::null(
                    "backed_up_page_count",
                    SqlType::Numeric {
                        precision: 10,
                        scale: 0,
                    },
                ),
                ColumnDef::null("file_type", SqlType::Char(1)),
                ColumnDef::null(
                    "source_file_block_size",
                    SqlType::Numeric {
                        precision: 10,
                        scale: 0,
                    },
                ),
                ColumnDef::null(
                    "file_size",
                    SqlType::Numeric {
                        precision: 20,
                        scale: 0,
                    },
                ),
                ColumnDef::null("logical_name", text(128)),
                ColumnDef::null("physical_drive", text(260)),
                ColumnDef::null("physical_name", text(260)),
                ColumnDef::null("state", SqlType::TinyInt),
                ColumnDef::null("state_desc", text(64)),
                ColumnDef::null("create_lsn", lsn()),
                ColumnDef::null(
                    "backup_size",
                    SqlType::Numeric {
                        precision: 20,
                        scale: 0,
                    },
                ),
                ColumnDef::null("filegroup_guid", guid.clone()),
                ColumnDef::null("is_readonly", bit.clone()),
                ColumnDef::null("is_present", bit.clone()),
            ],
        ),
        history(
            "restorehistory",
            "restore_history_id",
            at,
            vec![
                ColumnDef::not_null("restore_history_id", int.clone()),
                ColumnDef::null("restore_date", date),
                ColumnDef::null("destination_database_name", text(128)),
                ColumnDef::null("user_name", text(128)),
                ColumnDef::not_null("backup_set_id", int.clone()),
                ColumnDef::null("restore_type", SqlType::Char(1)),
                ColumnDef::null("replace", bit.clone()),
                ColumnDef::null("recovery", bit.clone()),
                ColumnDef::null("restart", bit),
                ColumnDef::null("stop_at", SqlType::DateTime),
                ColumnDef::null("device_count", SqlType::TinyInt),
                ColumnDef::null("stop_at_mark_name", text(128)),
                ColumnDef::null("stop_before", SqlType::Bit),
            ],
        ),
        history(
            "restorefile",
            "",
            at,
            vec![
                ColumnDef::not_null("restore_history_id", int),
                ColumnDef::null(
                    "file_number",
                    SqlType::Numeric {
                        precision: 10,
                        scale: 0,
                    },
                ),
                ColumnDef::null("destination_phys_drive", text(260)),
                ColumnDef::null("destination_phys_name", text(260)),
            ],
        ),
    ]
}

fn backupset_columns() -> Vec<ColumnDef> {
    let text = |n| SqlType::NVarChar(Some(n));
    let lsn = || SqlType::Numeric {
        precision: 25,
        scale: 0,
    };
    let size = || SqlType::Numeric {
        precision: 20,
        scale: 0,
    };
    let nullable = [
        ("expiration_date", SqlType::DateTime),
        ("software_vendor_id", SqlType::Int),
        ("name", text(128)),
        ("description", text(255)),
        ("user_name", text(128)),
        ("software_major_version", SqlType::TinyInt),
        ("software_minor_version", SqlType::TinyInt),
        ("software_build_version", SqlType::SmallInt),
        ("time_zone", SqlType::SmallInt),
        ("mtf_minor_version", SqlType::TinyInt),
        ("first_lsn", lsn()),
        ("last_lsn", lsn()),
        ("checkpoint_lsn", lsn()),
        ("database_backup_lsn", lsn()),
        ("database_creation_date", SqlType::DateTime),
        ("backup_start_date", SqlType::DateTime),
        ("backup_finish_date", SqlType::DateTime),
        ("type", SqlType::Char(1)),
        ("sort_order", SqlType::SmallInt),
        ("code_page", SqlType::SmallInt),
        ("compatibility_level", SqlType::TinyInt),
        ("database_version", SqlType::Int),
        ("backup_size", size()),
        ("database_name", text(128)),
        ("server_name", text(128)),
        ("machine_name", text(128)),
        ("flags", SqlType::Int),
        ("unicode_locale", SqlType::Int),
        ("unicode_compare_style", SqlType::Int),
        ("collation_name", text(128)),
        ("is_password_protected", SqlType::Bit),
        ("recovery_model", text(60)),
        ("has_bulk_logged_data", SqlType::Bit),
        ("is_snapshot", SqlType::Bit),
        ("is_readonly", SqlType::Bit),
        ("is_single_user", SqlType::Bit),
        ("has_backup_checksums", SqlType::Bit),
        ("is_damaged", SqlType::Bit),
        ("begins_log_chain", SqlType::Bit),
        ("has_incomplete_metadata", SqlType::Bit),
        ("is_force_offline", SqlType::Bit),
        ("is_copy_only", SqlType::Bit),
        ("first_recovery_fork_guid", SqlType::Guid),
        ("last_recovery_fork_guid", SqlType::Guid),
        ("fork_point_lsn", lsn()),
        ("database_guid", SqlType::Guid),
        ("family_guid", SqlType::Guid),
        ("differential_base_lsn", lsn()),
        ("differential_base_guid", SqlType::Guid),
        ("compressed_backup_size", size()),
        ("key_algorithm", text(32)),
        ("encryptor_thumbprint", SqlType::VarBinary(Some(20))),
        ("encryptor_type", text(32)),
    ];
    let mut columns = vec![
        ColumnDef::not_null("backup_set_id", SqlType::Int),
        ColumnDef::not_null("backup_set_uuid", SqlType::Guid),
        ColumnDef::not_null("media_set_id", SqlType::Int),
        ColumnDef::null("first_family_number", SqlType::TinyInt),
        ColumnDef::null("first_media_number", SqlType::SmallInt),
        ColumnDef::null("last_family_number", SqlType::TinyInt),
        ColumnDef::null("last_media_number", SqlType::SmallInt),
        ColumnDef::null("catalog_family_number", SqlType::TinyInt),
        ColumnDef::null("catalog_media_number", SqlType::SmallInt),
        ColumnDef::null("position", SqlType::Int),
    ];
    columns.extend(nullable.map(|(name, ty)| ColumnDef::null(name, ty)));
    columns
}

/// A table of msdb; a named column is its identity and primary key.
fn history(name: &str, identity: &str, at: OffsetDateTime, columns: Vec<ColumnDef>) -> Table {
    // Any number will do as long as it differs from table to table and stays.
    let object_id = (crc32fast::hash(name.as_bytes()) >> 2).cast_signed();
    let mut table = Table::new(object_id, "dbo", name, columns, at);
    table.is_ms_shipped = true;
    if let Some(column) = table.column(identity) {
        table.identity = Some(Identity {
            column,
            seed: 1,
            increment: 1,
            last: None,
        });
        table.primary_key = Some(PrimaryKey {
            name: format!("PK__{name}"),
            columns: vec![column],
        });
    }
    table
}
