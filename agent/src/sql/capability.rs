//! What an edition and version of SQL Server can do, as a table. Pure; every row has its source in docs/sql.md.

use syncferry_shared::inventory::InstanceFacts;

/// The editions that behave differently here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edition {
    /// SQL Server Express LocalDB.
    LocalDb,
    /// Express, also with Advanced Services.
    Express,
    /// Web.
    Web,
    /// Standard and Business Intelligence.
    Standard,
    /// Enterprise, Evaluation, Developer.
    Enterprise,
    /// Azure SQL Managed Instance.
    ManagedInstance,
    /// Azure SQL Database and other services that take no native backup.
    AzureService,
    /// Azure SQL Edge.
    Edge,
    /// Something newer than this table.
    Unknown,
}

/// `EditionID` of Standard.
const STANDARD: i64 = -1_534_726_760;
/// `EditionID` of what is probably Standard Developer (2025); from Ola Hallengren's compression gate.
const STANDARD_DEVELOPER: i64 = -1_785_266_663;
/// `EditionID` of Web.
const WEB: i64 = 1_293_598_313;

/// What an instance can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The edition.
    pub edition: Edition,
    /// BACKUP … WITH COMPRESSION.
    pub backup_compression: bool,
    /// BACKUP … WITH ENCRYPTION.
    pub backup_encryption: bool,
    /// Native BACKUP TO DISK and RESTORE FROM DISK.
    pub native_backup: bool,
    /// The largest database in bytes that the edition takes: data files, without the log.
    pub max_database_bytes: Option<u64>,
    /// `sys.dm_os_enumerate_fixed_drives` and `sys.dm_os_file_exists`.
    pub drive_views: bool,
    /// `InstanceDefaultBackupPath`.
    pub default_backup_path: bool,
    /// The right that seeing sessions needs.
    pub state_right: &'static str,
    /// The internal database version, where the table knows it.
    pub internal_version: Option<i32>,
    /// The highest compatibility level.
    pub max_compatibility: i32,
}

/// The edition from `EngineEdition`, `EditionID` and `IsLocalDB`.
pub fn edition(engine_edition: i32, edition_id: i64, is_localdb: bool) -> Edition {
    match engine_edition {
        _ if is_localdb => Edition::LocalDb,
        2 if edition_id == WEB => Edition::Web,
        2 => Edition::Standard,
        3 => Edition::Enterprise,
        4 => Edition::Express,
        5 | 6 | 11 => Edition::AzureService,
        8 => Edition::ManagedInstance,
        9 => Edition::Edge,
        _ => Edition::Unknown,
    }
}

/// Whether BACKUP can compress: exactly the gate that Ola Hallengren's solution has used for years.
pub fn can_compress(engine_edition: i32, edition_id: i64) -> bool {
    matches!(engine_edition, 3 | 8) || matches!(edition_id, STANDARD | STANDARD_DEVELOPER)
}

/// The internal version of databases by the engine's major version.
pub fn internal_version(major: i32) -> Option<i32> {
    let known = [
        (11, 706),
        (12, 782),
        (13, 852),
        (14, 869),
        (15, 904),
        (16, 957),
        (17, 998),
    ];
    known.iter().find(|(m, _)| *m == major).map(|(_, version)| *version)
}

/// Whether a database of one version can be restored on another: upwards only, and there is no way back.
pub fn can_restore(source_major: i32, target_major: i32) -> bool {
    source_major <= target_major
}

/// What an instance can do.
pub fn capabilities(facts: &InstanceFacts) -> Capabilities {
    let edition = edition(facts.engine_edition, facts.edition_id, facts.is_localdb);
    let major = facts.major;
    const GIB: u64 = 1 << 30;
    Capabilities {
        edition,
        backup_compression: !facts.is_localdb && can_compress(facts.engine_edition, facts.edition_id),
        backup_encryption: major >= 12
            && matches!(
                edition,
                Edition::Standard | Edition::Enterprise | Edition::ManagedInstance
            ),
        native_backup: !matches!(edition, Edition::AzureService),
        max_database_bytes: match edition {
            Edition::LocalDb => Some(10 * GIB),
            // Announced for SQL Server 2025 Express.
            Edition::Express if major >= 17 => Some(50 * GIB),
            Edition::Express => Some(10 * GIB),
            _ => None,
        },
        drive_views: major >= 14,
        default_backup_path: major >= 15,
        state_right: if major >= 16 {
            "VIEW SERVER PERFORMANCE STATE"
        } else {
            "VIEW SERVER STATE"
        },
        internal_version: internal_version(major),
        max_compatibility: major * 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(major: i32, engine_edition: i32, edition_id: i64, is_localdb: bool) -> InstanceFacts {
        InstanceFacts {
            major,
            engine_edition,
            edition_id,
            is_localdb,
            ..InstanceFacts::default()
        }
    }

    #[test]
    fn compression_by_edition() {
        let table = [
            (4, -1_592_396_055, true, false),
            (4, -133_711_905, false, false),
            (2, WEB, false, false),
            (2, STANDARD, false, true),
            (3, 1_804_890_536, false, true),
            (3, -2_117_995_310, false, true),
            (8, 1_674_378_470, false, true),
            (9, 1_994_083_197, false, false),
        ];
        for (engine, id, localdb, compresses) in table {
            let c = capabilities(&facts(15, engine, id, localdb));
            assert_eq!(c.backup_compression, compresses, "{engine} {id}");
        }
    }

    #[test]
    fn limits_and_versions() {
        assert_eq!(capabilities(&facts(15, 4, 0, true)).max_database_bytes, Some(10 << 30));
        assert_eq!(capabilities(&facts(17, 4, 0, false)).max_database_bytes, Some(50 << 30));
        assert_eq!(capabilities(&facts(16, 2, STANDARD, false)).max_database_bytes, None);
        assert_eq!(capabilities(&facts(16, 3, 0, false)).internal_version, Some(957));
        assert_eq!(internal_version(99), None);
        assert_eq!(
            capabilities(&facts(16, 3, 0, false)).state_right,
            "VIEW SERVER PERFORMANCE STATE"
        );
        assert!(!capabilities(&facts(12, 5, 0, false)).native_backup);
        assert!(can_restore(15, 16) && can_restore(15, 15) && !can_restore(16, 15));
    }
}
