//! What a job is to do: the part of a plan that travels to an agent, as opaque bytes with a digest.
//! Everything that a job needs is in it; an agent never asks for more than leases, permits and tickets.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::artifact::{Counts, SetHeader};
use crate::card::Card;
use crate::clock::Millis;
use crate::connect_version::ConnectVersion;
use crate::exports::ExportList;
pub use crate::fence::{FenceDatabaseTask, ProbeIdentityTask, ReadIdentityTask, RemoveMarksTask};
use crate::ids::{AgentId, ArtifactId, DatabaseId, HostId, JobId, MigrationId};
use crate::inventory::{AdsyncFacts, DatabaseAddress, ServiceFacts};
use crate::lease::LeaseRef;

/// The kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Backs a database up.
    Backup,
    /// Brings a backup over and restores it.
    Restore,
    /// Installs Connect and waits at the wizard.
    Install,
    /// Looks, and changes nothing.
    Verify,
    /// Writes or removes our marks and denials in a database: only on an operator's approval of the very run.
    Fence,
    /// Stops Connect on a server and disables it.
    Stop,
}

impl JobKind {
    /// The word in the store, on the wire and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Backup => "backup",
            JobKind::Restore => "restore",
            JobKind::Install => "install",
            JobKind::Verify => "verify",
            JobKind::Fence => "fence",
            JobKind::Stop => "stop",
        }
    }
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Backup,
            Self::Restore,
            Self::Install,
            Self::Verify,
            Self::Fence,
            Self::Stop,
        ]
        .into_iter()
        .find(|k| k.as_str() == text)
    }
}

/// A job's specification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The shape of this document.
    pub schema_version: i32,
    /// The migration.
    pub migration: MigrationId,
    /// The job.
    pub job: JobId,
    /// The host that does it.
    pub host: HostId,
    /// The lease under which it works.
    pub lease: LeaseRef,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Task {
    /// Back a database up.
    Backup(BackupTask),
    /// Restore a backup.
    Restore(Box<RestoreTask>),
    /// Install Connect.
    Install(InstallTask),
    /// Look at the source before anything is done.
    VerifySource(VerifySourceTask),
    /// Look at the restored database when Connect runs on it.
    VerifyTarget(VerifyTargetTask),
    /// Look at the new Connect server.
    VerifyServer(VerifyServerTask),
    /// Look at the old server, which must be as it was.
    VerifyOldServer(VerifyOldServerTask),
    /// Deny a database to Connect servers, or open it to one; in one transaction with the epoch.
    FenceDatabase(FenceDatabaseTask),
    /// Remove every mark and denial of ours from a database, and prove it clean.
    RemoveMarks(RemoveMarksTask),
    /// Write a nonce into a database, so that another way to it can be told from a copy.
    ProbeIdentity(ProbeIdentityTask),
    /// Restore a backup under a temporary name, check it, and drop it again.
    TestRestore(Box<TestRestoreTask>),
    /// Stop Connect's service on a server and disable it.
    StopServer(StopServerTask),
    /// Look whether any synchronisation service is on a database.
    VerifyUnused(VerifyUnusedTask),
    /// Look whether Connect's service on a server is stopped and disabled.
    VerifyStopped(VerifyStoppedTask),
    /// Read what a database says of itself, nonces included.
    ReadIdentity(ReadIdentityTask),
    /// Remove that nonce, and prove it removed.
    RemoveNonce(ProbeIdentityTask),
    /// Look at what a restored database is, of which nothing was known but its backup.
    VerifyRestored(VerifyRestoredTask),
    /// Restore a backup under a scratch name, check it, drop it, and say how long that took.
    Drill(Box<DrillTask>),
    /// Read what a database says of itself, for a comparison.
    ReadAdsync(ReadAdsyncTask),
    /// Compare a staging server's database with the active one's.
    CompareStaging(Box<CompareStagingTask>),
    /// List the pending exports by attribute.
    ListExports(ListExportsTask),
    /// A person reads the pending exports and approves them by name.
    ReviewExports(Box<ReviewExportsTask>),
    /// A person attests that tasks are done which no agent can see.
    CloseTasks(CloseTasksTask),
    /// A person turns staging mode on or off in the wizard; the agent sees it.
    StagingMode(StagingModeTask),
    /// A person uninstalls Connect; the agent sees it gone.
    Uninstall(UninstallTask),
    /// Look once more at the kept copy of a backup and at what was restored from it, before the original is given up.
    VerifyWayBack(Box<RestoreTask>),
}

impl Task {
    /// Its kind.
    pub fn kind(&self) -> JobKind {
        match self {
            Task::Backup(_) => JobKind::Backup,
            Task::Restore(_) | Task::TestRestore(_) | Task::Drill(_) => JobKind::Restore,
            Task::StopServer(_) => JobKind::Stop,
            Task::Install(_) => JobKind::Install,
            Task::VerifySource(_)
            | Task::VerifyTarget(_)
            | Task::VerifyServer(_)
            | Task::VerifyOldServer(_)
            | Task::VerifyUnused(_)
            | Task::VerifyRestored(_)
            | Task::ReadAdsync(_)
            | Task::CompareStaging(_)
            | Task::ListExports(_)
            | Task::ReviewExports(_)
            | Task::CloseTasks(_)
            | Task::StagingMode(_)
            | Task::Uninstall(_)
            | Task::VerifyWayBack(_)
            | Task::VerifyStopped(_) => JobKind::Verify,
            Task::FenceDatabase(_)
            | Task::RemoveMarks(_)
            | Task::ProbeIdentity(_)
            | Task::ReadIdentity(_)
            | Task::RemoveNonce(_) => JobKind::Fence,
        }
    }
}

/// By what a database is known: never by its name alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseIdentity {
    /// Our id for it.
    pub id: DatabaseId,
    /// Where the agent finds it.
    pub address: DatabaseAddress,
    /// `ServerName` as the server itself reported it.
    pub server_name: String,
    /// `database_guid`.
    pub database_guid: Uuid,
    /// `family_guid`.
    pub family_guid: Uuid,
}

/// Backs a database up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTask {
    /// The database.
    pub database: DatabaseIdentity,
    /// The artifact to make.
    pub artifact: ArtifactId,
    /// Whether the instance can compress backups.
    pub compression: bool,
    /// Whether Connect runs on this very host, so that its scheduler can be held while the backup runs.
    pub hold_scheduler: bool,
    /// Whether that scheduler was on when the plan was made, where that is known.
    #[serde(default)]
    pub scheduler_enabled: Option<bool>,
    /// How long to wait for a running synchronisation cycle.
    pub idle_timeout_s: u64,
    /// Bytes that the backup will need at most.
    pub expected_bytes: u64,
    /// Whether a DBA runs the backup.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dba: bool,
}

/// Restores a backup under a temporary name, verifies it and renames it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreTask {
    /// The artifact.
    pub artifact: ArtifactId,
    /// Its size.
    pub size: u64,
    /// Its root hash.
    pub root: String,
    /// Digest of its manifest.
    pub manifest_digest: String,
    /// What its header must say.
    pub header: SetHeader,
    /// The agent that has it.
    pub source_agent: AgentId,
    /// Where that agent answers, `host:port`.
    pub source_address: String,
    /// The instance to restore on, by its name in the agent's configuration.
    pub instance: String,
    /// `ServerName` of that instance.
    pub server_name: String,
    /// Our id for the restored database.
    pub database: DatabaseId,
    /// The name while it is not verified.
    pub temporary_name: String,
    /// The name at the end.
    pub final_name: String,
    /// The folder for data files; `None` for the instance's default.
    pub data_dir: Option<String>,
    /// The folder for log files; `None` for the instance's default.
    pub log_dir: Option<String>,
    /// The account that Connect will use; gets a login and db_owner.
    pub service_account: Option<String>,
    /// What was counted in the source right before the backup.
    pub counts: Counts,
    /// The file, where it is on this host and needs no copy. It is somebody's: it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<String>,
    /// Whether nobody counted the source: then the copy is counted, and there is nothing to compare it with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
    /// Whether the set has no page checksums: it is accepted without, and CHECKDB is all that speaks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_checksums: bool,
    /// Whether the copy that was fetched stays: it is the backup on another host than the source's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_copy: bool,
    /// Whether a DBA takes the steps that change something in SQL Server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dba: bool,
}

/// Installs Connect and waits at the wizard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallTask {
    /// Where the installer is on the host.
    pub installer: String,
    /// BLAKE3 of the installer.
    pub installer_hash: String,
    /// Its product code.
    pub product_code: String,
    /// Its version.
    pub version: ConnectVersion,
    /// What Connect must end up on.
    pub expect: ExpectedConnect,
    /// The pages of the wizard.
    pub cards: Vec<Card>,
}

/// What a Connect server must look like when the wizard is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedConnect {
    /// The SQL host's name as the card says it.
    pub server: String,
    /// `INSTANCE`, `INSTANCE,port`, `,port` or empty, as the card says it.
    pub instance: String,
    /// The database's name.
    pub database: String,
    /// The service account.
    pub service_account: Option<String>,
    /// The version installed.
    pub version: ConnectVersion,
}

/// Looks at the source before anything is done, and counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifySourceTask {
    /// The database.
    pub database: DatabaseIdentity,
    /// The Connect version that the plan was made for.
    pub connect_version: Option<ConnectVersion>,
    /// The Connect server that holds the database, by its computer name.
    pub holder_name: Option<String>,
}

/// Looks at the restored database when Connect runs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyTargetTask {
    /// The database.
    pub database: DatabaseIdentity,
    /// The new Connect server's computer name: the only one that may have sessions.
    pub server_name: String,
    /// Its service account.
    pub service_account: Option<String>,
    /// What was counted in the source.
    pub counts: Counts,
    /// Whether the installer is newer than the database, so that default rules may differ.
    pub version_changed: bool,
    /// What was read of the source before the backup, or of the copy before the installation; `None` where nobody read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<AdsyncFacts>>,
}

/// Looks at the new Connect server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyServerTask {
    /// What it must look like.
    pub expect: ExpectedConnect,
    /// The connectors it must have.
    pub connectors: Vec<String>,
}

/// Looks at the old server, which must be as it was, and removes what the migration left there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyOldServerTask {
    /// Its database.
    pub database: DatabaseIdentity,
    /// Whether Connect runs on this very host.
    pub connect_here: bool,
    /// The staging mode it had before; it must have the same now.
    pub staging_mode: Option<bool>,
    /// Whether its scheduler was on.
    pub scheduler_enabled: Option<bool>,
    /// The backup file to delete, unless it is to be kept.
    pub delete_artifact: Option<String>,
}

/// Restores a backup under a temporary name, checks it, compares it and drops it again. The backup's file is on the same host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestRestoreTask {
    /// Where the file is, as SQL Server on the host names it.
    pub file: String,
    /// The database that was backed up. It may be on the same instance, and nothing is done to it.
    pub original: DatabaseIdentity,
    /// Whether a synchronisation service was on the database when it was backed up: then rows may have been added between
    /// counting them and the backup.
    pub live: bool,
    /// What to restore. The name at the end is the original's, and nothing gets it.
    pub restore: RestoreTask,
}

/// Stops Connect's service on a server, once no cycle runs, and disables it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopServerTask {
    /// The database that the server must be using: another one is none of this migration's business.
    pub database: String,
    /// How long to wait for a running synchronisation cycle.
    pub idle_timeout_s: u64,
    /// The service as it was when the plan was made: what a cancellation puts back, should the agent's journal be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ServiceFacts>,
    /// The SQL Server of its database is gone: a cancellation gives the service its start type back, and cannot expect it to start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sql_is_gone: bool,
    /// Connect is uninstalled after it: when a cancellation does not find the service any more, that must be told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub then_uninstalled: bool,
}

/// Looks whether any synchronisation service is on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyUnusedTask {
    /// The database.
    pub database: DatabaseIdentity,
}

/// Looks whether Connect's service on a server is stopped and disabled, or not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyStoppedTask {
    /// The server's name, for people.
    pub server: String,
}

/// Looks at what a restored database is: the rules that a plan could not look at, because nothing but the backup was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRestoredTask {
    /// The database.
    pub database: DatabaseIdentity,
    /// The installer's version: it must not be older than the database.
    pub version: ConnectVersion,
    /// Days after which a full import is needed.
    pub fresh_days: i64,
}

/// Restores a backup under a scratch name, checks it, drops it again and reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillTask {
    /// What to restore. The name at the end is the original's, and nothing gets it.
    pub restore: RestoreTask,
    /// When the backup was taken, as far as that is known.
    pub taken_at: Option<Millis>,
    /// How long making the backup took: not part of a recovery, but worth knowing.
    pub backup_ms: Option<i64>,
}

/// Reads what a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAdsyncTask {
    /// The database.
    pub database: DatabaseIdentity,
}

/// Compares a staging server's database with the active one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareStagingTask {
    /// The staging server's database.
    pub database: DatabaseIdentity,
    /// What the active one said of itself.
    pub active: AdsyncFacts,
}

/// A person reads the pending exports of the server that is to become active, and approves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewExportsTask {
    /// Its database.
    pub database: DatabaseIdentity,
    /// Its name.
    pub server: String,
    /// What the active one said of itself; `None` where it is gone.
    pub active: Option<AdsyncFacts>,
    /// The pending exports by attribute, as the server's own tool listed them; `None` where nobody asked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports: Option<ExportList>,
}

/// Lists the pending exports of the server that is to become active, attribute by attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListExportsTask {
    /// The server's name, for people.
    pub server: String,
}

/// A person attests that tasks are done which no agent can see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseTasksTask {
    /// The gate's title.
    pub title: String,
    /// The tasks, each as a card.
    pub cards: Vec<Card>,
}

/// A person turns staging mode on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagingModeTask {
    /// The server, for people.
    pub server: String,
    /// The database that it must be using.
    pub database: String,
    /// On or off.
    pub on: bool,
}

/// A person uninstalls Connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UninstallTask {
    /// The server, for people.
    pub server: String,
    /// What is left over elsewhere when it is gone, for the card.
    pub leftovers: Vec<String>,
    /// Where Connect is installed anew on the same host afterwards: what must stay there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<Box<StaysBehind>>,
}

/// What stays on a host from which Connect is uninstalled to be installed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaysBehind {
    /// The old database's files.
    pub files: Vec<String>,
    /// The database that the next installation will use, as people name it.
    pub next: String,
    /// How to go back when nothing else helps.
    pub way_back: String,
}
