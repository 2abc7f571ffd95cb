//! The system databases and what every database has: fixed users, fixed roles, one data and one log file.

use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Database, DatabaseMeta, DatabasePermission, DatabasePrincipal, DatabaseState, FileKind, FileMeta, Login, LoginKind,
    Lsn, PermissionState, PrincipalKind, RecoveryModel, UserAccess,
};

/// SQL Server's default for a new file: 8 MB, growing by 64 MB.
const NEW_FILE_PAGES: u32 = 1024;
const GROWTH_PAGES: u32 = 8192;

/// A random GUID.
pub(crate) fn guid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// A stable negative id for one of the server's own objects.
pub(crate) fn object_id(name: &str) -> i32 {
    -i32::try_from(crc32fast::hash(name.as_bytes()) >> 2).unwrap_or(1).max(1)
}

/// Makes a user for a login and lets it execute one of the server's procedures. Nothing for a login that is not there.
pub(crate) fn grant_procedure(database: &mut Database, login: Option<&Login>, procedure: &str, at: OffsetDateTime) {
    let Some(login) = login else { return };
    let grantee = database.next_principal_id();
    database.principals.push(DatabasePrincipal {
        principal_id: grantee,
        name: login.name.clone(),
        kind: match login.kind {
            LoginKind::WindowsUser => PrincipalKind::WindowsUser,
            LoginKind::WindowsGroup => PrincipalKind::WindowsGroup,
            LoginKind::Sql | LoginKind::ServerRole => PrincipalKind::SqlUser,
        },
        sid: Some(login.sid.clone()),
        default_schema: Some("dbo".into()),
        roles: Vec::new(),
        is_fixed_role: false,
        create_date: at,
    });
    for (permission, object_id) in [("CONNECT", None), ("EXECUTE", Some(object_id(procedure)))] {
        database.permissions.push(DatabasePermission {
            grantee,
            permission: permission.into(),
            state: PermissionState::Grant,
            object_id,
        });
    }
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
    msdb.tables = super::msdb::tables(at).into_iter().map(Arc::new).collect();
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
