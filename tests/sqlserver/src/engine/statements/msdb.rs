//! Backup and restore history in msdb. Its dates are the server's local time.

use time::OffsetDateTime;

use crate::engine::errors::{Result, err};
use crate::engine::eval::convert::moment_value;
use crate::engine::instance::Handle;
use crate::engine::session::Session;
use crate::storage::backup::{BackupSet, MediaLabel};
use crate::storage::{Database, Row, Table};
use crate::types::{SqlType, Value};

fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |v| Value::Str(v.into()))
}

fn int(value: impl Into<i64>) -> Value {
    Value::Int(value.into())
}

fn decimal(value: impl Into<i128>) -> Value {
    Value::Decimal(value.into(), 0)
}

/// Adds a row by column names; the others are NULL, the identity is the next. Gives the identity.
fn insert(database: &mut Database, table: &str, values: Vec<(&str, Value)>) -> Option<i64> {
    let table: &mut Table = database.table_mut("dbo", table)?;
    let mut row: Row = vec![Value::Null; table.columns.len()];
    let mut given = None;
    if let Some(identity) = &mut table.identity {
        let next = identity.next_value();
        row[identity.column] = Value::Int(next);
        given = Some(next);
    }
    for (name, value) in values {
        if let Some(at) = table.column(name) {
            row[at] = value;
        }
    }
    table.rows.push(row);
    given
}

impl Session {
    fn msdb(&self) -> Result<std::sync::Arc<Handle>> {
        self.inst.handle(4).ok_or_else(|| err!(911, "msdb"))
    }

    /// The rows of a backup.
    pub(super) fn record_backup(&self, set: &BackupSet, labels: &[MediaLabel], devices: &[String]) -> Result<()> {
        let msdb = self.msdb()?;
        self.inst.change(&msdb, |database| {
            self.add_set(database, set, labels, devices);
        })
    }

    /// The rows of a restore: also the set's own, which this server may never have seen.
    pub(super) fn record_restore(
        &self,
        set: &BackupSet,
        medium: &super::restore::Medium,
        name: &str,
        with: &super::media::With,
        log: bool,
    ) -> Result<()> {
        let (labels, devices) = medium.origin();
        let msdb = self.msdb()?;
        let now = self.inst.now();
        self.inst.change(&msdb, |database| {
            let known = set_id(database, set);
            let set_id = known.unwrap_or_else(|| self.add_set(database, set, &labels, &devices));
            let kind = if log { "L" } else { set.header.kind.code().2 };
            insert(
                database,
                "restorehistory",
                vec![
                    ("restore_date", self.local(now)),
                    ("destination_database_name", text(Some(name))),
                    ("user_name", text(Some(self.login_name()))),
                    ("backup_set_id", int(set_id)),
                    ("restore_type", text(Some(kind))),
                    ("replace", Value::Bit(with.has("REPLACE"))),
                    ("recovery", Value::Bit(!with.has("NORECOVERY"))),
                    ("restart", Value::Bit(with.has("RESTART"))),
                    ("device_count", int(i64::try_from(devices.len()).unwrap_or(1))),
                ],
            );
        })
    }

    fn local(&self, at: OffsetDateTime) -> Value {
        moment_value(at, self.inst.offset(), &SqlType::DateTime)
    }

    fn add_set(&self, database: &mut Database, set: &BackupSet, labels: &[MediaLabel], devices: &[String]) -> i64 {
        let media = match labels.first() {
            Some(label) => media_id(database, label).unwrap_or_else(|| add_media(database, labels, devices)),
            None => 0,
        };
        let h = &set.header;
        let byte = |n: i32| int(n & 0xff);
        let values = vec![
            ("backup_set_uuid", Value::Guid(h.backup_set_guid)),
            ("media_set_id", int(media)),
            ("first_family_number", int(1)),
            ("first_media_number", int(1)),
            ("last_family_number", int(i64::try_from(labels.len()).unwrap_or(1))),
            ("last_media_number", int(1)),
            ("catalog_family_number", int(1)),
            ("catalog_media_number", int(1)),
            ("position", int(h.position)),
            (
                "expiration_date",
                h.expiration_date.map_or(Value::Null, |d| self.local(d)),
            ),
            ("software_vendor_id", int(h.software_vendor_id)),
            ("name", text(h.backup_name.as_deref())),
            ("description", text(h.backup_description.as_deref())),
            ("user_name", text(Some(&h.user_name))),
            ("software_major_version", byte(h.software_version.0)),
            ("software_minor_version", byte(h.software_version.1)),
            ("software_build_version", int(h.software_version.2)),
            ("time_zone", int(h.time_zone)),
            ("mtf_minor_version", int(0)),
            ("first_lsn", decimal(h.first_lsn.as_i128())),
            ("last_lsn", decimal(h.last_lsn.as_i128())),
            ("checkpoint_lsn", decimal(h.checkpoint_lsn.as_i128())),
            ("database_backup_lsn", decimal(h.database_backup_lsn.as_i128())),
            ("database_creation_date", self.local(h.database_creation_date)),
            ("backup_start_date", self.local(h.backup_start_date)),
            ("backup_finish_date", self.local(h.backup_finish_date)),
            ("type", text(Some(h.kind.code().2))),
            ("sort_order", int(h.sort_order)),
            ("code_page", int(h.code_page)),
            ("compatibility_level", int(h.compatibility_level)),
            ("database_version", int(h.database_version)),
            ("backup_size", decimal(h.backup_size)),
            ("database_name", text(Some(&h.database_name))),
            ("server_name", text(Some(&h.server_name))),
            ("machine_name", text(Some(&h.machine_name))),
            ("flags", int(h.flags)),
            ("unicode_locale", int(h.unicode_locale_id)),
            ("unicode_compare_style", int(h.unicode_comparison_style)),
            ("collation_name", text(Some(&h.collation))),
            ("is_password_protected", Value::Bit(false)),
            ("recovery_model", text(Some(h.recovery_model.code().1))),
            ("has_bulk_logged_data", Value::Bit(h.has_bulk_logged_data)),
            ("is_snapshot", Value::Bit(h.is_snapshot)),
            ("is_readonly", Value::Bit(h.is_read_only)),
            ("is_single_user", Value::Bit(h.is_single_user)),
            ("has_backup_checksums", Value::Bit(h.has_backup_checksums)),
            ("is_damaged", Value::Bit(h.is_damaged)),
            ("begins_log_chain", Value::Bit(h.begins_log_chain)),
            ("has_incomplete_metadata", Value::Bit(h.has_incomplete_meta_data)),
            ("is_force_offline", Value::Bit(h.is_force_offline)),
            ("is_copy_only", Value::Bit(h.is_copy_only)),
            ("first_recovery_fork_guid", Value::Guid(h.first_recovery_fork_id)),
            ("last_recovery_fork_guid", Value::Guid(h.recovery_fork_id)),
            (
                "fork_point_lsn",
                h.fork_point_lsn.map_or(Value::Null, |l| decimal(l.as_i128())),
            ),
            ("database_guid", Value::Guid(h.binding_id)),
            ("family_guid", Value::Guid(h.family_guid)),
            (
                "differential_base_lsn",
                h.differential_base_lsn.map_or(Value::Null, |l| decimal(l.as_i128())),
            ),
            (
                "differential_base_guid",
                h.differential_base_guid.map_or(Value::Null, Value::Guid),
            ),
            ("compressed_backup_size", decimal(h.compressed_backup_size)),
        ];
        insert(database, "backupset", values).unwrap_or(0)
    }
}

fn find_id(database: &Database, table: &str, column: &str, guid: uuid::Uuid) -> Option<i64> {
    let table = database.table("dbo", table)?;
    let at = table.column(column)?;
    let id = table.identity.as_ref()?.column;
    let row = table.rows.iter().rev().find(|r| r[at] == Value::Guid(guid))?;
    match row[id] {
        Value::Int(i) => Some(i),
        _ => None,
    }
}

fn set_id(database: &Database, set: &BackupSet) -> Option<i64> {
    find_id(database, "backupset", "backup_set_uuid", set.header.backup_set_guid)
}

fn media_id(database: &Database, label: &MediaLabel) -> Option<i64> {
    find_id(database, "backupmediaset", "media_uuid", label.media_set_id)
}

fn add_media(database: &mut Database, labels: &[MediaLabel], devices: &[String]) -> i64 {
    let Some(first) = labels.first() else { return 0 };
    let values = vec![
        ("media_uuid", Value::Guid(first.media_set_id)),
        ("media_family_count", int(first.family_count)),
        ("name", text(first.media_name.as_deref())),
        ("description", text(first.media_description.as_deref())),
        ("software_name", text(Some(&first.software_name))),
        ("software_vendor_id", int(first.software_vendor_id)),
        ("MTF_major_version", int(1)),
        ("mirror_count", int(first.mirror_count)),
        ("is_password_protected", Value::Bit(false)),
        ("is_compressed", Value::Bit(first.is_compressed)),
        ("is_encrypted", Value::Bit(false)),
    ];
    let media = insert(database, "backupmediaset", values).unwrap_or(0);
    for (label, device) in labels.iter().zip(devices) {
        insert(
            database,
            "backupmediafamily",
            vec![
                ("media_set_id", int(media)),
                ("family_sequence_number", int(label.family_sequence_number)),
                ("media_family_id", Value::Guid(label.media_family_id)),
                ("media_count", int(1)),
                ("physical_device_name", text(Some(device))),
                ("device_type", int(2)),
                ("physical_block_size", int(512)),
                ("mirror", int(0)),
            ],
        );
    }
    media
}
