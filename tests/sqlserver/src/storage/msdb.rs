//! The tables of msdb: backup and restore history. Dates in them are the server's local time.

use time::OffsetDateTime;

use super::{ColumnDef, Identity, PrimaryKey, Table};
use crate::types::SqlType;

/// The tables of backup and restore history.
pub(crate) fn tables(at: OffsetDateTime) -> Vec<Table> {
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
