//! Ready-made instances: LocalDB, Express, Standard, Developer of several versions.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use time::OffsetDateTime;

use super::{DriveSpec, InstanceConfig, InstanceSpec, Login, LoginKind, PermissionState, ServerPermission};

const GIB: u64 = 1 << 30;

/// Edition, `EditionID` and `EngineEdition`.
type Edition = (&'static str, i64, i32);

const STANDARD: Edition = ("Standard Edition (64-bit)", -1_534_726_760, 2);
const DEVELOPER: Edition = ("Developer Edition (64-bit)", -2_117_995_310, 3);
const EXPRESS: Edition = ("Express Edition (64-bit)", -1_592_396_055, 4);

/// `ProductVersion`, `ProductLevel` and `ProductUpdateLevel`.
type Version = (&'static str, &'static str, Option<&'static str>);

const V2012: Version = ("11.0.7001.0", "SP4", None);
const V2016: Version = ("13.0.6300.2", "SP3", None);
const V2019: Version = ("15.0.4430.1", "RTM", Some("CU32"));
const V2019_LOCALDB: Version = ("15.0.4382.1", "RTM", Some("CU27"));
const V2022: Version = ("16.0.4236.2", "RTM", Some("CU23"));
const V2022_LOCALDB: Version = ("16.0.4250.1", "RTM", Some("CU24"));
const V2025: Version = ("17.0.1000.7", "RTM", None);

impl InstanceSpec {
    /// SQL Server 2019 LocalDB of Connect 2.0.3 to 2.6.3: `SYNC01\LOCALDB#SH1A2B3C4`, running as `NT SERVICE\ADSync`.
    pub fn localdb_2019(machine: &str, at: OffsetDateTime) -> InstanceSpec {
        localdb(machine, "ADSync2019", V2019_LOCALDB, at)
    }
    /// SQL Server 2012 LocalDB, of Connect 1.x.
    pub fn localdb_2012(machine: &str, at: OffsetDateTime) -> InstanceSpec {
        localdb(machine, "ADSync", V2012, at)
    }
    /// SQL Server 2022 LocalDB, of Connect 2.6.84 and later.
    pub fn localdb_2022(machine: &str, at: OffsetDateTime) -> InstanceSpec {
        localdb(machine, "ADSync2022", V2022_LOCALDB, at)
    }
    /// SQL Server 2022 Standard (16.0.4236.2). `instance` None is the default instance; the same for those below.
    pub fn standard_2022(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        full(machine, instance, STANDARD, V2022, at)
    }
    /// SQL Server 2022 Express.
    pub fn express_2022(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        full(machine, instance, EXPRESS, V2022, at)
    }
    /// SQL Server 2022 Developer.
    pub fn developer_2022(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        full(machine, instance, DEVELOPER, V2022, at)
    }
    /// SQL Server 2016 Standard.
    pub fn standard_2016(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        full(machine, instance, STANDARD, V2016, at)
    }
    /// SQL Server 2019 Standard.
    pub fn standard_2019(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        full(machine, instance, STANDARD, V2019, at)
    }
    /// SQL Server 2025 Standard.
    pub fn standard_2025(machine: &str, instance: Option<&str>, at: OffsetDateTime) -> InstanceSpec {
        full(machine, instance, STANDARD, V2025, at)
    }
}

fn localdb(machine: &str, folder: &str, version: Version, at: OffsetDateTime) -> InstanceSpec {
    let instance = format!(
        "LOCALDB#SH{:07X}",
        crc32fast::hash(machine.to_uppercase().as_bytes()) >> 4
    );
    let profile = r"C:\Windows\ServiceProfiles\ADSync\";
    let system = format!(r"{profile}AppData\Local\Microsoft\Microsoft SQL Server Local DB\Instances\{folder}\");
    let config = InstanceConfig {
        service_account: r"NT SERVICE\ADSync".into(),
        max_server_memory_mb: 2_147_483_647,
        integrated_security_only: true,
        is_localdb: true,
        system_path: system.clone(),
        data_path: profile.into(),
        log_path: profile.into(),
        backup_path: system,
        drives: vec![drive("C:", 127), drive("D:", 64)],
        ..base(machine, Some(&instance), EXPRESS, version, at)
    };
    let spec = InstanceSpec {
        config,
        databases: Vec::new(),
        master_grants: Vec::new(),
        created: at,
    };
    // Who is sysadmin there: domain.md's "administrators, service account, ADSyncAdmins".
    spec.windows_login(r"BUILTIN\Administrators", &["sysadmin"])
        .windows_login(r"NT SERVICE\ADSync", &["sysadmin"])
        .windows_login(&format!(r"{machine}\ADSyncAdmins"), &["sysadmin"])
}

fn full(machine: &str, instance: Option<&str>, edition: Edition, version: Version, at: OffsetDateTime) -> InstanceSpec {
    let folder = instance.unwrap_or("MSSQLSERVER");
    let account = instance.map_or(r"NT SERVICE\MSSQLSERVER".to_string(), |i| {
        format!(r"NT SERVICE\MSSQL${i}")
    });
    let major = version.0.split('.').next().unwrap_or_default();
    let root = format!(r"C:\Program Files\Microsoft SQL Server\MSSQL{major}.{folder}\MSSQL\");
    let config = InstanceConfig {
        service_account: account.clone(),
        system_path: format!(r"{root}DATA\"),
        data_path: format!(r"{root}DATA\"),
        log_path: format!(r"{root}DATA\"),
        backup_path: format!(r"{root}Backup\"),
        drives: vec![drive("C:", 127), drive("D:", 256), drive("E:", 256), drive("F:", 128)],
        ..base(machine, instance, edition, version, at)
    };
    let spec = InstanceSpec {
        config,
        databases: Vec::new(),
        master_grants: Vec::new(),
        created: at,
    };
    spec.windows_login(r"NT AUTHORITY\SYSTEM", &[])
        .windows_login(&account, &["sysadmin"])
}

/// What all presets share; paths, drives and account are filled in by the caller.
fn base(
    machine: &str,
    instance: Option<&str>,
    (edition, edition_id, engine_edition): Edition,
    (version, level, update): Version,
    at: OffsetDateTime,
) -> InstanceConfig {
    InstanceConfig {
        server_name: instance.map_or(machine.to_string(), |i| format!(r"{machine}\{i}")),
        machine_name: machine.into(),
        instance_name: instance.map(Into::into),
        edition: edition.into(),
        edition_id,
        engine_edition,
        product_version: version.into(),
        product_level: level.into(),
        product_update_level: update.map(Into::into),
        is_localdb: false,
        collation: "SQL_Latin1_General_CP1_CI_AS".into(),
        service_account: String::new(),
        integrated_security_only: false,
        force_encryption: false,
        backup_compression_default: false,
        backup_checksum_default: false,
        system_path: String::new(),
        data_path: String::new(),
        log_path: String::new(),
        backup_path: String::new(),
        max_server_memory_mb: 8192,
        utc_offset_minutes: 0,
        drives: Vec::new(),
        logins: fixed_logins(at),
        windows_groups: Vec::new(),
    }
}

fn drive(name: &str, gib: u64) -> DriveSpec {
    let folder = name.trim_end_matches(':');
    DriveSpec {
        name: name.into(),
        root: PathBuf::from("drives").join(folder),
        total_bytes: Some(gib * GIB),
    }
}

/// sa, public and the fixed server roles.
fn fixed_logins(at: OffsetDateTime) -> Vec<Login> {
    let roles = [
        (2, "public"),
        (3, "sysadmin"),
        (4, "securityadmin"),
        (5, "serveradmin"),
        (6, "setupadmin"),
        (7, "processadmin"),
        (8, "diskadmin"),
        (9, "dbcreator"),
        (10, "bulkadmin"),
    ];
    let login = |principal_id: i32, name: &str, kind, sid: Vec<u8>| Login {
        principal_id,
        name: name.into(),
        sid,
        kind,
        password: None,
        disabled: false,
        default_database: "master".into(),
        default_language: "us_english".into(),
        roles: Vec::new(),
        permissions: Vec::new(),
        create_date: at,
    };
    let mut logins = vec![login(1, "sa", LoginKind::Sql, vec![1])];
    logins[0].roles = vec!["sysadmin".into()];
    // Without a password nobody can use it: see `InstanceSpec::sa_password`.
    logins[0].disabled = true;
    // The ids are below 256.
    logins.extend(roles.map(|(id, name)| login(id, name, LoginKind::ServerRole, vec![id as u8])));
    logins[1].permissions = vec![
        ServerPermission {
            permission: "VIEW ANY DATABASE".into(),
            state: PermissionState::Grant,
        },
        ServerPermission {
            permission: "CONNECT".into(),
            state: PermissionState::Grant,
        },
    ];
    logins
}

fn number(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|p| p.to_uppercase().hash(&mut hasher));
    hasher.finish()
}

/// A SID for a SQL login: 16 bytes, other ones on another server, so that restored users are orphans there.
pub(crate) fn sql_sid(server: &str, name: &str) -> Vec<u8> {
    [number(&[server, name]), number(&[name, server])]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect()
}

/// A Windows SID, the same on every machine: `S-1-5-80-…` for services, `S-1-5-21-…` otherwise.
pub(crate) fn windows_sid(name: &str) -> Vec<u8> {
    let fixed = match name.to_uppercase().as_str() {
        r"NT AUTHORITY\SYSTEM" => Some(vec![18]),
        r"BUILTIN\ADMINISTRATORS" => Some(vec![32, 544]),
        _ => None,
    };
    let (domain, account) = name.split_once('\\').unwrap_or(("", name));
    let low = |n: u64| (n & 0xffff_ffff) as u32;
    let authorities = fixed.unwrap_or_else(|| {
        let (a, b, c) = (number(&[domain]), number(&[domain, "2"]), number(&[domain, account]));
        if domain.eq_ignore_ascii_case("NT SERVICE") {
            vec![
                80,
                low(c),
                low(c >> 32),
                low(number(&[account])),
                low(number(&[account]) >> 32),
                low(a ^ c),
            ]
        } else {
            vec![21, low(a), low(a >> 32), low(b), 1000 + low(c) % 100_000]
        }
    });
    // At most six.
    let mut sid = vec![1, authorities.len() as u8, 0, 0, 0, 0, 0, 5];
    sid.extend(authorities.iter().flat_map(|a| a.to_le_bytes()));
    sid
}
