//! The instance's configuration: what `SERVERPROPERTY` says, its logins and its drives. Kept in `instance.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Database, InstanceStore, Login, LoginKind, PermissionState, ServerPermission, StoreError};

/// A drive or share of the instance's machine, and the real folder behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveSpec {
    /// `D:` or `\\files\share`.
    pub name: String,
    /// The real folder; relative to the instance's folder unless absolute.
    pub root: PathBuf,
    /// The size of the volume in bytes; None is 100 GiB. `.acl.json` in the root may override it.
    pub total_bytes: Option<u64>,
}

/// Everything about an instance that is not a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceConfig {
    /// `SQL01`, `SQL01\INST` or `SYNC01\LOCALDB#SH1A2B3C4`.
    pub server_name: String,
    /// `MachineName`.
    pub machine_name: String,
    /// None for the default instance.
    pub instance_name: Option<String>,
    /// For example `Standard Edition (64-bit)`.
    pub edition: String,
    /// For example -1534726760.
    pub edition_id: i64,
    /// 2 Standard, 3 Enterprise/Developer, 4 Express.
    pub engine_edition: i32,
    /// `16.0.4236.2`.
    pub product_version: String,
    /// `RTM`, `SP4`.
    pub product_level: String,
    /// `CU23`, None where SQL Server says NULL.
    pub product_update_level: Option<String>,
    /// `IsLocalDB`.
    pub is_localdb: bool,
    /// The server's collation.
    pub collation: String,
    /// Whom the engine runs as: this account reads and writes backups and database files.
    pub service_account: String,
    /// `IsIntegratedSecurityOnly`.
    pub integrated_security_only: bool,
    /// Refuses clients without encryption.
    pub force_encryption: bool,
    /// `backup compression default`.
    pub backup_compression_default: bool,
    /// `backup checksum default`.
    pub backup_checksum_default: bool,
    /// Where master, model, msdb and tempdb are.
    pub system_path: String,
    /// `InstanceDefaultDataPath`, with the trailing backslash.
    pub data_path: String,
    /// `InstanceDefaultLogPath`.
    pub log_path: String,
    /// Where BACKUP goes without a folder; `InstanceDefaultBackupPath` shows it from 2019 on.
    pub backup_path: String,
    /// `max server memory (MB)`.
    pub max_server_memory_mb: i64,
    /// The server's local time in minutes east of UTC.
    pub utc_offset_minutes: i16,
    /// Drives and shares.
    pub drives: Vec<DriveSpec>,
    /// Logins and server roles.
    pub logins: Vec<Login>,
    /// Who is in which Windows group: what a domain would say. SQL Server asks Windows and keeps nothing of it.
    #[serde(default)]
    pub windows_groups: Vec<WindowsGroup>,
}

/// A Windows group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsGroup {
    /// `CONTOSO\SyncAdmins`.
    pub name: String,
    /// Accounts and groups in it.
    pub members: Vec<String>,
}

impl InstanceConfig {
    /// Major, minor and build of the product version: `(16, 0, 4236)`.
    pub fn version(&self) -> (u8, u8, u16) {
        let mut parts = self.product_version.split('.');
        let mut part = || parts.next().and_then(|p| p.parse::<u16>().ok()).unwrap_or(0);
        let (major, minor, build) = (part(), part(), part());
        (
            u8::try_from(major).unwrap_or(0),
            u8::try_from(minor).unwrap_or(0),
            build,
        )
    }
    /// The internal database version this engine writes: 904 for 2019.
    pub fn internal_version(&self) -> u16 {
        internal_version(self.version().0)
    }
    /// The highest compatibility level: 150 for 2019.
    pub fn max_compatibility_level(&self) -> u8 {
        self.version().0.saturating_mul(10)
    }
    /// A login or server role by name, ignoring case.
    pub fn login(&self, name: &str) -> Option<&Login> {
        self.logins.iter().find(|l| super::table::same_name(&l.name, name))
    }
    /// A login by SID.
    pub fn login_by_sid(&self, sid: &[u8]) -> Option<&Login> {
        self.logins
            .iter()
            .find(|l| l.sid == sid && l.kind != LoginKind::ServerRole)
    }
    /// The next free `principal_id`.
    pub fn next_principal_id(&self) -> i32 {
        self.logins.iter().map(|l| l.principal_id).max().unwrap_or(0).max(255) + 1
    }
}

/// The internal database version of a product's major version.
pub(crate) fn internal_version(major: u8) -> u16 {
    match major {
        0..=11 => 706,
        12 => 782,
        13 => 852,
        14 => 869,
        15 => 904,
        16 => 957,
        17.. => 998,
    }
}

/// An instance to be created: configuration plus user databases. See the presets (`standard_2022` …).
#[derive(Debug, Clone)]
pub struct InstanceSpec {
    /// The configuration.
    pub config: InstanceConfig,
    /// User databases besides master, model, msdb and tempdb. An empty `physical_name` goes to the default folder.
    pub databases: Vec<Database>,
    /// Logins with a user in master that may execute a procedure of the server: see [`InstanceSpec::master_grant`].
    pub(crate) master_grants: Vec<(String, String)>,
    /// The clock for create dates, UTC.
    pub created: OffsetDateTime,
}

impl InstanceSpec {
    /// Adds a user database.
    #[must_use]
    pub fn database(mut self, database: Database) -> InstanceSpec {
        self.databases.push(database);
        self
    }
    /// Adds a SQL login with server roles and granted server permissions.
    #[must_use]
    pub fn login(mut self, name: &str, password: &str, roles: &[&str], permissions: &[&str]) -> InstanceSpec {
        let principal_id = self.config.next_principal_id();
        self.config.logins.push(Login {
            principal_id,
            name: name.into(),
            sid: super::preset::sql_sid(&self.config.server_name, name),
            kind: LoginKind::Sql,
            password: Some(password.into()),
            disabled: false,
            default_database: "master".into(),
            default_language: "us_english".into(),
            roles: roles.iter().map(|r| (*r).into()).collect(),
            permissions: permissions
                .iter()
                .map(|p| ServerPermission {
                    permission: (*p).into(),
                    state: PermissionState::Grant,
                })
                .collect(),
            create_date: self.created,
        });
        self
    }
    /// Adds a Windows login, for example `CONTOSO\svc-adsync$`. Nobody can log in with it over the wire.
    #[must_use]
    pub fn windows_login(mut self, name: &str, roles: &[&str]) -> InstanceSpec {
        self = self.login(name, "", roles, &[]);
        if let Some(login) = self.config.logins.last_mut() {
            login.kind = LoginKind::WindowsUser;
            login.password = None;
            login.sid = super::preset::windows_sid(name);
        }
        self
    }
    /// Gives a login a user in master, and EXECUTE on one of the server's own procedures, for example `xp_logininfo`.
    #[must_use]
    pub fn master_grant(mut self, login: &str, procedure: &str) -> InstanceSpec {
        self.master_grants.push((login.into(), procedure.into()));
        self
    }
    /// Adds a Windows group with its members. Only a login makes it one that lets them in.
    #[must_use]
    pub fn windows_group(mut self, name: &str, members: &[&str]) -> InstanceSpec {
        self.config.windows_groups.push(WindowsGroup {
            name: name.into(),
            members: members.iter().map(|m| (*m).into()).collect(),
        });
        self
    }
    /// Gives a Windows group a login.
    #[must_use]
    pub fn windows_group_login(mut self, name: &str, roles: &[&str]) -> InstanceSpec {
        self = self.windows_login(name, roles);
        if let Some(login) = self.config.logins.last_mut() {
            login.kind = LoginKind::WindowsGroup;
        }
        self
    }
    /// Gives `sa` a password, so that it can log in.
    #[must_use]
    pub fn sa_password(mut self, password: &str) -> InstanceSpec {
        for sa in self.config.logins.iter_mut().filter(|l| l.sid == [1]) {
            sa.password = Some(password.into());
            sa.disabled = false;
        }
        self
    }
    /// Replaces a drive (or adds one), so that several processes share its folder.
    #[must_use]
    pub fn drive(mut self, name: &str, root: &Path, total_bytes: Option<u64>) -> InstanceSpec {
        self.config.drives.retain(|d| !d.name.eq_ignore_ascii_case(name));
        self.config.drives.push(DriveSpec {
            name: name.into(),
            root: root.into(),
            total_bytes,
        });
        self
    }
    /// Writes `instance.json`, the drives, the system databases and the user databases into an empty folder.
    pub fn create(self, dir: &Path) -> Result<InstanceStore, StoreError> {
        InstanceStore::create(dir, self)
    }
}
