//! What agents find on their hosts. Every fact that may be unknown is an `Option`: unknown is an answer.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::{AccountFacts, AccountRequest};
use crate::artifact::Counts;
use crate::clock::Millis;
use crate::connect_version::ConnectVersion;
use crate::fence::{FencePreview, FencePreviewRequest};
use crate::power::{PowerRequest, PowerSight};
use crate::sync_config::{SyncConfig, Unknown};

/// What an agent is asked to look at. Looking never changes anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InspectionRequest {
    /// SQL instances, by the name they have in the agent's configuration.
    pub instances: Vec<String>,
    /// Databases: instance and name.
    pub databases: Vec<DatabaseAddress>,
    /// Whether to look at Connect (service, registry, PowerShell).
    pub connect: bool,
    /// An installer to read.
    pub installer: Option<String>,
    /// Names and ports that must be reachable from this host: `SQL01,1433`.
    pub reach: Vec<String>,
    /// What a run at SQL Server would say there; nothing of it is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<FencePreviewRequest>,
    /// A machine that the program configured there is asked about: whether it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerRequest>,
    /// A backup file that is read by an instance there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupRequest>,
    /// A service account, and whether this host may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRequest>,
    /// From when on the runs in the databases' history are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_since: Option<Millis>,
}

/// A backup file, and the instance that reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequest {
    /// The instance, by its name in the agent's configuration.
    pub instance: String,
    /// The file, as SQL Server there names it.
    pub path: String,
}

/// What RESTORE HEADERONLY, FILELISTONLY and the disk say of a backup file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFacts {
    /// Where it is.
    pub path: String,
    /// Bytes on the disk, where the agent may look.
    pub size: Option<u64>,
    /// The first set's header, with its files.
    pub header: crate::artifact::SetHeader,
    /// Sets on the medium.
    pub sets: usize,
    /// Files that the set was written to.
    pub stripes: i64,
    /// `BackupType`: 1 is a full database backup.
    pub backup_type: i64,
    /// `HasBackupChecksums`.
    pub has_checksums: bool,
    /// `IsDamaged`.
    pub is_damaged: bool,
    /// The thumbprint of the certificate that it is encrypted with, or that the database is.
    pub encryptor: Option<String>,
    /// `BackupFinishDate`, as the server wrote it: local time, with no zone.
    pub finished: Option<String>,
    /// The same as an instant, taken for UTC: it may be wrong by the server's zone.
    pub finished_at: Option<Millis>,
}

/// A database as the agent on its host finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseAddress {
    /// The instance's name in the agent's configuration.
    pub instance: String,
    /// The database's name.
    pub database: String,
}

/// What an agent found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// When, by the host's clock.
    pub taken_at: Millis,
    /// The machine.
    pub host: HostFacts,
    /// The instances asked for.
    pub instances: Vec<InstanceFacts>,
    /// The databases asked for, as far as they exist.
    pub databases: Vec<DatabaseFacts>,
    /// Connect, where asked for.
    pub connect: Option<ConnectFacts>,
    /// The installer, where asked for.
    pub installer: Option<InstallerFacts>,
    /// What could be reached.
    pub reach: Vec<ReachFacts>,
    /// What a run at SQL Server would say, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<FencePreview>,
    /// What the configured program said of a machine, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerSight>,
    /// The backup file, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupFacts>,
    /// The service account, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountFacts>,
    /// What could not be looked at, with the reason and the next step.
    pub problems: Vec<Problem>,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was looked at, for example `instance default` or `database ADSync on localdb`.
    pub subject: String,
    /// What went wrong.
    pub error: String,
    /// What to do next.
    pub next_step: String,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostFacts {
    /// The computer's own name.
    pub computer_name: String,
    /// Its full name, where it has one.
    pub fqdn: Option<String>,
    /// For example `Windows Server 2022 Standard`.
    pub os: String,
    /// For example `10.0.20348`.
    pub os_version: String,
    /// Whether it has the full graphical shell; Connect does not install on Server Core.
    pub desktop_experience: Option<bool>,
    /// The domain it is a member of.
    pub domain: Option<String>,
    /// Changes with every boot.
    pub boot_id: String,
    /// Changes when a virtual machine is reverted or copied.
    pub vm_generation: Option<String>,
    /// TLS 1.2 for .NET and Schannel.
    pub tls12: Option<bool>,
    /// The .NET Framework release number; 461808 is 4.7.2.
    pub dotnet_release: Option<i64>,
    /// Physical memory.
    pub memory_mb: Option<u64>,
    /// The agent's staging folder as SQL Server on the host names it.
    pub staging_dir: String,
    /// Free bytes there.
    pub staging_free: Option<u64>,
}

/// A SQL Server instance, from SERVERPROPERTY and friends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InstanceFacts {
    /// The name in the agent's configuration.
    pub name: String,
    /// How a Connect server reaches it: host name, without instance and port.
    pub connect_host: Option<String>,
    /// The TCP port that a Connect server uses.
    pub connect_port: Option<u16>,
    /// `ServerName`.
    pub server_name: String,
    /// `MachineName`.
    pub machine_name: String,
    /// `InstanceName`, `None` for the default instance.
    pub instance_name: Option<String>,
    /// `ProductVersion`.
    pub product_version: String,
    /// The first number of it.
    pub major: i32,
    /// `Edition`.
    pub edition: String,
    /// `EditionID`.
    pub edition_id: i64,
    /// `EngineEdition`.
    pub engine_edition: i32,
    /// `IsLocalDB`.
    pub is_localdb: bool,
    /// `Collation`.
    pub collation: String,
    /// `IsHadrEnabled`.
    pub hadr_enabled: Option<bool>,
    /// Whether only Windows logins are accepted.
    pub integrated_only: Option<bool>,
    /// The login that the agent has there.
    pub login: String,
    /// Whether that login is sysadmin.
    pub is_sysadmin: bool,
    /// Whether it may create databases.
    pub can_create_database: bool,
    /// Whether it sees other people's sessions. Where it does not, "nobody is connected" means nothing.
    pub can_view_state: bool,
    /// Whether it may create logins.
    pub can_alter_logins: Option<bool>,
    /// `InstanceDefaultDataPath`.
    pub data_path: Option<String>,
    /// `InstanceDefaultLogPath`.
    pub log_path: Option<String>,
    /// The account that the engine runs as.
    pub service_account: Option<String>,
    /// The server's time minus the agent's, in milliseconds.
    pub clock_offset_ms: i64,
    /// The server's offset from UTC in minutes, for msdb's local times.
    pub utc_offset_minutes: i32,
    /// Free bytes per volume, by its mount point.
    pub volumes: std::collections::BTreeMap<String, u64>,
    /// Names of all databases.
    pub databases: Vec<DatabaseName>,
}

/// A database of an instance, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseName {
    /// Its name.
    pub name: String,
    /// `state_desc`.
    pub state: String,
    /// `family_guid`.
    pub family_guid: Option<Uuid>,
}

/// A database, from the catalogue views.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// The instance's name in the agent's configuration.
    pub instance: String,
    /// `ServerName` of the instance.
    pub server_name: String,
    /// Its name.
    pub name: String,
    /// `state_desc`.
    pub state: String,
    /// `database_guid`.
    pub database_guid: Option<Uuid>,
    /// `family_guid`.
    pub family_guid: Option<Uuid>,
    /// `recovery_fork_guid`.
    pub recovery_fork_guid: Option<Uuid>,
    /// `service_broker_guid`.
    pub service_broker_guid: Option<Uuid>,
    /// The availability group's id of the database.
    pub group_database_id: Option<Uuid>,
    /// `collation_name`.
    pub collation: Option<String>,
    /// `recovery_model_desc`.
    pub recovery_model: String,
    /// `compatibility_level`.
    pub compatibility_level: i32,
    /// The internal version, 904 for SQL Server 2019.
    pub internal_version: Option<i32>,
    /// The owner's login, `None` when its SID is unknown to the instance.
    pub owner: Option<String>,
    /// Whether it is read-only.
    pub is_read_only: bool,
    /// Whether it is encrypted by TDE.
    pub is_encrypted: bool,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes in use, which is about the size of an uncompressed backup.
    pub used_bytes: Option<u64>,
    /// The files.
    pub files: Vec<FileFacts>,
    /// Whether the agent's login may back it up.
    pub can_backup: bool,
    /// Users whose login does not exist.
    pub orphaned_users: Vec<String>,
    /// Sessions of others; `None` when they cannot be seen.
    pub sessions: Option<Vec<SessionFacts>>,
    /// The availability group's own id, where the database is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Uuid>,
    /// `DATABASEPROPERTYEX(name, 'Updateability')`: `READ_WRITE`, or it is no place to prove anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updateability: Option<String>,
    /// `CREATE_DATE`, as the server says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Our marks on it.
    pub marks: std::collections::BTreeMap<String, String>,
    /// What is in it; `None` when it is no ADSync database.
    pub adsync: Option<AdsyncFacts>,
}

/// A file of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The logical name.
    pub name: String,
    /// `ROWS`, `LOG`, …
    pub kind: String,
    /// Where it is.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// A session on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// `session_id`.
    pub id: i32,
    /// `login_name`.
    pub login: String,
    /// `host_name`, as the client says it: a hint, never proof.
    pub host: Option<String>,
    /// `program_name`.
    pub program: Option<String>,
    /// `host_process_id`.
    pub process_id: Option<i32>,
    /// `client_net_address`.
    pub address: Option<String>,
}

impl SessionFacts {
    /// Whether this is the synchronisation service of a Connect server, as far as a session can say.
    pub fn is_sync_service(&self) -> bool {
        self.program.as_deref().is_some_and(|p| {
            let p = p.to_ascii_lowercase();
            p.contains("miiserver") || p.contains("adsync") || p.contains("azure ad sync")
        })
    }
}

/// What an ADSync database says of itself. Columns are discovered; what is missing is unknown. Columns that hold secrets
/// are never read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AdsyncFacts {
    /// Whether the tables exist and hold nothing: then `/UseExistingDatabase` must not be used.
    pub empty: bool,
    /// `instance_id` of mms_server_configuration: the lineage, shared by copies.
    pub instance_id: Option<Uuid>,
    /// The Connect version last used with it.
    pub connect_version: Option<ConnectVersion>,
    /// Whether its server is in staging mode.
    pub staging_mode: Option<bool>,
    /// The newest evidence of a synchronisation, in UTC.
    pub last_sync: Option<Millis>,
    /// Where that evidence was found.
    pub last_sync_source: Option<String>,
    /// Whether a run is in progress.
    pub run_in_progress: Option<bool>,
    /// Forests that its connectors name.
    pub forests: Vec<String>,
    /// The server that used it last, by the Entra connector's account.
    pub last_owner: Option<String>,
    /// How people sign in, for example `PasswordHashSync`.
    pub sign_on_method: Option<String>,
    /// Optional features by name.
    pub features: std::collections::BTreeMap<String, String>,
    /// Connectors that are flagged for a full import or a full synchronisation.
    pub full_run_required: Vec<String>,
    /// Custom rules.
    pub custom_rules: Option<i64>,
    /// What was counted.
    pub counts: Counts,
    /// The configuration, part by part.
    #[serde(default)]
    pub config: SyncConfig,
    /// The runs since a moment, by connector and profile, where they were asked for and could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Vec<RunFacts>>,
    /// Facts that could not be read, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown>,
}

/// Runs of one profile of one connector since a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// The connector's name.
    pub connector: String,
    /// The profile's name, for example `Delta Import`.
    pub profile: String,
    /// When the first of them began, in UTC.
    pub first: Millis,
    /// How many began.
    pub runs: i64,
}

/// Connect on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectFacts {
    /// The installed products by name and version.
    pub products: Vec<ProductFacts>,
    /// The synchronisation service.
    pub service: Option<ServiceFacts>,
    /// `ADSync\Parameters`: server, instance, database.
    pub parameters: Option<ConnectParameters>,
    /// The scheduler, where PowerShell answers.
    pub scheduler: Option<SchedulerFacts>,
    /// The version that the engine reports.
    pub version: Option<ConnectVersion>,
    /// `ServiceAccountType`.
    pub service_account_type: Option<String>,
    /// `Get-ADSyncAutoUpgrade`, where PowerShell answers: `Enabled`, `Disabled` or `Suspended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_upgrade: Option<String>,
}

/// An installed product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its product code.
    pub product_code: String,
}

/// A Windows service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceFacts {
    /// Its state, for example `running` or `stopped`.
    pub state: String,
    /// How it starts: `automatic`, `manual`, `disabled`.
    pub start: String,
    /// The account it runs as.
    pub account: String,
}

/// `HKLM\SYSTEM\CurrentControlSet\Services\ADSync\Parameters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectParameters {
    /// `Server`: `(localdb)` or a host name.
    pub server: String,
    /// `SQLInstance`.
    pub instance: String,
    /// `DBName`.
    pub database: String,
}

/// `Get-ADSyncScheduler`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerFacts {
    /// `SyncCycleEnabled`.
    pub sync_cycle_enabled: bool,
    /// `StagingModeEnabled`.
    pub staging_mode: bool,
    /// `SchedulerSuspended`.
    pub suspended: bool,
    /// `SyncCycleInProgress`.
    pub cycle_in_progress: bool,
    /// `NextSyncCyclePolicyType`.
    pub next_policy: String,
}

/// An installer file, read without running it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallerFacts {
    /// Where it is.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the file.
    pub hash: String,
    /// `ProductName`.
    pub product_name: String,
    /// `ProductVersion`.
    pub product_version: String,
    /// `ProductCode`.
    pub product_code: String,
    /// `UpgradeCode`.
    pub upgrade_code: Option<String>,
    /// `Manufacturer`.
    pub manufacturer: Option<String>,
    /// Whether the file carries a signature.
    pub has_signature: bool,
    /// Whether Windows trusts the signature; `None` where that cannot be asked.
    pub signature_trusted: Option<bool>,
}

/// Whether a name and port can be reached from a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachFacts {
    /// What was tried.
    pub target: String,
    /// Whether it answered.
    pub reached: bool,
    /// Why not.
    pub error: Option<String>,
}
