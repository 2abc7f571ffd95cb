//! A plan: the ordered stages and jobs of a migration, with every preflight finding. It is made once from the request and
//! the inventories, is stored as it is, and is what an operator applies: the dry run *is* the plan.

use serde::{Deserialize, Serialize};

use crate::artifact::{Counts, SetHeader};
use crate::clock::Millis;
use crate::connect_version::ConnectVersion;
use crate::fence::{FenceDatabaseTask, PreviewStatement, ProbeIdentityTask, ReadIdentityTask, RemoveMarksTask};
use crate::finding::Finding;
use crate::ids::{ArtifactId, DatabaseId, HostId, JobId, MigrationId, SiteId};
use crate::inventory::{DatabaseAddress, ServiceFacts};
use crate::lease::{LeaseState, ProofKind, Resource};
use crate::outcome::Level;
use crate::spec::{DatabaseIdentity, ExpectedConnect, JobKind, Task};
use crate::wizard_page::Page;

/// What can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// LocalDB is at its limit: the database moves to full SQL Server, and a new Connect server is seated on it.
    MoveToFullSql,
    /// The Connect server is gone or to be retired and its database is not: a new server is seated on that very database.
    ReplaceServer,
    /// The SQL Server is gone: a backup is restored elsewhere, and a new Connect server is seated on it.
    RestoreFromBackup,
    /// A staging server on another SQL Server, seated on a copy of the active one's database.
    ProvisionStaging,
    /// Recovery is rehearsed: a backup is restored under a scratch name, checked, and dropped.
    Drill,
    /// The active server goes into staging mode, and a staging server out of it.
    SwitchActive,
    /// A server that was replaced is retired.
    Decommission,
    /// A lease is being taken: its holder is denied the database at SQL Server.
    FenceDatabase,
    /// A database that was fenced is opened to the lease's holder.
    OpenDatabase,
    /// Every mark and denial of ours is removed from a database.
    RemoveMarks,
    /// Whether two ways lead to one database: what is written through one is read through the other.
    ProveIdentity,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: &'static [Scenario] = &[
        Scenario::MoveToFullSql,
        Scenario::ReplaceServer,
        Scenario::RestoreFromBackup,
        Scenario::ProvisionStaging,
        Scenario::Drill,
        Scenario::SwitchActive,
        Scenario::Decommission,
        Scenario::FenceDatabase,
        Scenario::OpenDatabase,
        Scenario::RemoveMarks,
        Scenario::ProveIdentity,
    ];
    /// Those that are planned with `syncferry plan`; the others belong to a lease.
    pub const PLANNED: &'static [Scenario] = &[
        Scenario::MoveToFullSql,
        Scenario::ReplaceServer,
        Scenario::RestoreFromBackup,
        Scenario::ProvisionStaging,
        Scenario::Drill,
        Scenario::SwitchActive,
        Scenario::Decommission,
    ];
    /// Whether a database comes into being, with a seat for the new Connect server.
    pub fn seats(self) -> bool {
        matches!(
            self,
            Scenario::MoveToFullSql | Scenario::RestoreFromBackup | Scenario::ProvisionStaging
        )
    }
    /// Its name in the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Scenario::MoveToFullSql => "move-to-full-sql",
            Scenario::ReplaceServer => "replace-server",
            Scenario::RestoreFromBackup => "restore-from-backup",
            Scenario::ProvisionStaging => "provision-staging",
            Scenario::Drill => "drill",
            Scenario::SwitchActive => "switch-active",
            Scenario::Decommission => "decommission",
            Scenario::FenceDatabase => "fence-database",
            Scenario::OpenDatabase => "open-database",
            Scenario::RemoveMarks => "remove-marks",
            Scenario::ProveIdentity => "prove-identity",
        }
    }
    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.as_str() == text)
    }
    /// The verification level below which it does not succeed; `None` where nothing is copied and nobody is seated. Whatever
    /// seats a server ends with Connect having opened the database; a rehearsal ends with the content being the source's.
    pub fn required_level(self) -> Option<Level> {
        match self.as_str() {
            "move-to-full-sql" | "replace-server" | "restore-from-backup" | "provision-staging" => Some(Level::L5),
            "drill" => Some(Level::L3),
            _ => None,
        }
    }
}

/// How the old server's lease is to become free: by which proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandoverWay {
    /// The old server's own agent stops and disables its service: `holder_stopped`.
    #[default]
    Host,
    /// A hypervisor says that the machine is off: `power_off`.
    PowerOff,
    /// SQL Server refuses the old server's account: `sql_fenced`.
    Sql,
    /// Two operators give their word: `operator_attested`.
    Attested,
}

impl HandoverWay {
    /// Every way, in the order in which they are to be thought of.
    pub const ALL: &'static [HandoverWay] = &[
        HandoverWay::Host,
        HandoverWay::PowerOff,
        HandoverWay::Sql,
        HandoverWay::Attested,
    ];
    /// Its name in the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            HandoverWay::Host => "host",
            HandoverWay::PowerOff => "power-off",
            HandoverWay::Sql => "sql",
            HandoverWay::Attested => "attested",
        }
    }
    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|w| w.as_str() == text)
    }
    /// The proof that it ends in.
    pub fn proof(self) -> ProofKind {
        match self {
            HandoverWay::Host => ProofKind::HolderStopped,
            HandoverWay::PowerOff => ProofKind::PowerOff,
            HandoverWay::Sql => ProofKind::SqlFenced,
            HandoverWay::Attested => ProofKind::OperatorAttested,
        }
    }
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// The scenario.
    pub scenario: Scenario,
    /// The site.
    pub site: SiteId,
    /// The database to move.
    pub source: DatabaseId,
    /// The SQL host to move it to.
    pub target_host: HostId,
    /// The instance there, by its name in the agent's configuration.
    pub target_instance: String,
    /// The database's name there.
    pub target_database: String,
    /// The new Connect server.
    pub connect_host: HostId,
    /// Where the installer is on the new Connect server.
    pub installer: String,
    /// The account that Connect will run as there.
    pub service_account: Option<String>,
    /// The folder for data files on the target; `None` for the instance's default.
    #[serde(default)]
    pub data_dir: Option<String>,
    /// The folder for log files on the target; `None` for the instance's default.
    #[serde(default)]
    pub log_dir: Option<String>,
    /// Whether the backup file stays on the source when all is done.
    #[serde(default)]
    pub keep_backup: bool,
    /// How the old server's lease becomes free, where a server is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<HandoverWay>,
    /// The instance on which the backup is restored for a test, by its name in the agent's configuration; `None` for the
    /// database's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_instance: Option<String>,
    /// A backup file on the target host, as SQL Server there names it, where one is restored that somebody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_file: Option<String>,
    /// An artifact of ours, where one is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactId>,
    /// The Connect server that used the database, where no lease says it; or the one that is retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_server: Option<HostId>,
    /// The Connect server stays the same host: Connect is uninstalled there, and installed anew on the moved database.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
    /// A DBA runs what needs rights that agents do not get: each such step waits at a gate, and the agent only looks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dba: bool,
}

impl PlanRequest {
    /// Whether the database is one that is registered. A backup may be of one that never was.
    pub fn knows_source(&self) -> bool {
        !self.source.0.is_nil()
    }
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The migration that it is for.
    pub migration: MigrationId,
    /// What was asked for, where a database is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PlanRequest>,
    /// What is to be done, in order.
    pub stages: Vec<Stage>,
    /// Everything that the preflight found.
    pub findings: Vec<Finding>,
    /// How to go back, step by step, up to the point of no return.
    pub rollback: Vec<String>,
    /// The values that the jobs are made of. `None` when blockers left something open.
    pub values: Option<PlanValues>,
    /// The run at SQL Server, where that is what is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_run: Option<LeaseRun>,
    /// Where in it one server's lease becomes another one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<PlannedHandover>,
    /// What became of every rule of the scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<crate::verdict::Judged>,
    /// The database of the staging server that is to become active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging: Option<DatabaseIdentity>,
}

impl Plan {
    /// A plan that does nothing.
    pub fn nothing(migration: MigrationId) -> Self {
        Self {
            migration,
            request: None,
            stages: vec![],
            findings: vec![],
            rollback: vec![],
            values: None,
            lease_run: None,
            handover: None,
            verdicts: vec![],
            staging: None,
        }
    }
    /// Whether something blocks it.
    pub fn blocked(&self) -> bool {
        (self.values.is_none() && self.lease_run.is_none()) || self.findings.iter().any(Finding::blocks)
    }
    /// Every job, in order.
    pub fn jobs(&self) -> impl Iterator<Item = &PlannedJob> {
        self.stages.iter().flat_map(|s| &s.jobs)
    }
}

/// A run at SQL Server for a lease, as it was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaseRun {
    /// The lease.
    pub resource: Resource,
    /// Where the lease stood when the run was planned; it must stand there still when it is applied.
    pub seen_state: LeaseState,
    /// Its epoch then.
    pub seen_epoch: i64,
    /// Why.
    pub reason: String,
    /// What the job is told.
    pub task: LeaseTask,
    /// The statements, with their values, as the agent said that it would run them.
    pub statements: Vec<PreviewStatement>,
}

/// What a run's job is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "kebab-case")]
pub enum LeaseTask {
    /// Nobody may connect any more.
    Fence(FenceDatabaseTask),
    /// The holder may connect, and nobody else.
    Open(FenceDatabaseTask),
    /// Marks and denials go.
    RemoveMarks(RemoveMarksTask),
    /// A nonce is written one way, read another way, and removed.
    Prove(ProveTask),
}

/// Whether another way leads to a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProveTask {
    /// What is written, and removed afterwards.
    pub write: ProbeIdentityTask,
    /// The other way.
    pub read: ReadIdentityTask,
    /// The host whose agent goes it.
    pub reader: HostId,
    /// That host's name.
    pub reader_name: String,
}

impl ProveTask {
    /// The job that writes. Undoing it removes what was written.
    pub const WRITE: &'static str = "write-nonce";
    /// The job that reads.
    pub const READ: &'static str = "read-nonce";
    /// The job that removes what was written.
    pub const REMOVE: &'static str = "remove-nonce";

    /// The other way's name: `SQL02/default/ADSync`.
    pub fn other(&self) -> String {
        format!(
            "{}/{}/{}",
            self.reader_name, self.read.database.instance, self.read.database.database
        )
    }
}

impl LeaseTask {
    /// The specification's task of one of its jobs.
    pub fn task(&self, job: &str) -> Task {
        match self {
            LeaseTask::Prove(t) if job == ProveTask::WRITE => Task::ProbeIdentity(t.write.clone()),
            LeaseTask::Prove(t) if job == ProveTask::READ => Task::ReadIdentity(t.read.clone()),
            LeaseTask::Prove(t) => Task::RemoveNonce(t.write.clone()),
            LeaseTask::Fence(t) | LeaseTask::Open(t) => Task::FenceDatabase(t.clone()),
            LeaseTask::RemoveMarks(t) => Task::RemoveMarks(t.clone()),
        }
    }
}

/// The point of a plan at which a lease changes hands. It is passed when the new server holds the lease under an epoch of its
/// own, whichever command brought that about; and nothing but a proof brings it about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedHandover {
    /// The stage at whose end it is, counted from 0. Its own jobs, if it has any, come first.
    pub stage: usize,
    /// The lease.
    pub resource: Resource,
    /// Its name for commands.
    pub lease_name: String,
    /// The server that held it when the plan was made.
    pub from: Option<HostId>,
    /// That server's name.
    pub from_name: String,
    /// The server that is to hold it.
    pub to: HostId,
    /// That server's name.
    pub to_name: String,
    /// How it becomes free.
    pub way: HandoverWay,
    /// What that proves, and what it does not.
    pub proves: String,
    /// What happens, and what an operator types.
    pub steps: Vec<String>,
    /// The lease is only to be freed: nobody takes it, because its database is gone or no longer needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frees: bool,
    /// Another database's lease, which the server takes in the moment in which this one is freed: there is none in which it
    /// may use both, or neither is anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<Resource>,
}

/// What a job needs of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseUse {
    /// That it is held, by the server that the job is about.
    #[default]
    Held,
    /// Only that it is not in doubt: the job looks at the database or copies it, whoever holds it and whether or not that
    /// server was heard of.
    Beside,
}

impl LeaseUse {
    fn is_held(&self) -> bool {
        *self == LeaseUse::Held
    }
}

/// Jobs that may run side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name, for example `backup`.
    pub name: String,
    /// Its jobs.
    pub jobs: Vec<PlannedJob>,
}

/// A job as it is planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedJob {
    /// Its id.
    pub id: JobId,
    /// Its name within the plan, for example `verify-source`.
    pub name: String,
    /// Its kind.
    pub kind: JobKind,
    /// The host that does it.
    pub host: HostId,
    /// The host's name, for people.
    pub host_name: String,
    /// The lease under which it works.
    pub resource: Resource,
    /// What it needs of that lease.
    #[serde(default, skip_serializing_if = "LeaseUse::is_held")]
    pub lease: LeaseUse,
    /// What it does, step by step, for people.
    pub steps: Vec<String>,
    /// What it changes on the host; empty when it only looks.
    pub changes: Vec<String>,
}

/// The values that jobs are made of, fixed when the plan is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanValues {
    /// The source database.
    pub source: DatabaseIdentity,
    /// The host whose agent reaches the source.
    pub source_host: HostId,
    /// The Connect server that holds the source.
    pub source_holder: Option<HostId>,
    /// That server's computer name.
    pub source_holder_name: Option<String>,
    /// Whether Connect runs on the source's host.
    pub connect_on_source: bool,
    /// Its staging mode.
    pub source_staging: Option<bool>,
    /// Whether its scheduler is on.
    pub source_scheduler: Option<bool>,
    /// The Connect version last used.
    pub connect_version: Option<ConnectVersion>,
    /// Whether the source's instance can compress.
    pub compression: bool,
    /// Bytes that the backup will need at most.
    pub expected_bytes: u64,
    /// The artifact to make.
    pub artifact: ArtifactId,
    /// Our id for the restored database.
    pub target: DatabaseId,
    /// Where the restored database will be.
    pub target_address: DatabaseAddress,
    /// `ServerName` of the target instance.
    pub target_server_name: String,
    /// The name while it is not verified.
    pub temporary_name: String,
    /// The new server's computer name.
    pub connect_name: String,
    /// BLAKE3 of the installer.
    pub installer_hash: String,
    /// Its product code.
    pub product_code: String,
    /// What Connect must look like at the end.
    pub expect: ExpectedConnect,
    /// Forests that need credentials in the wizard.
    pub forests: Vec<String>,
    /// Where the backup is restored for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestInstance>,
    /// Connect's service on the old server as it was seen, where it is to be stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_service: Option<ServiceFacts>,
    /// The backup that is restored, where it was there before the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Box<KnownBackup>>,
    /// The pages that the installer's wizard shows, as the catalogue had them when the plan was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<Page>,
    /// What stays behind of the old installation, where Connect is installed anew on the same host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<Box<InPlace>>,
}

/// What is known of an installation that makes room for another one on the same host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlace {
    /// The products that are uninstalled, `name version`.
    pub products: Vec<String>,
    /// The database's files, as its SQL Server names them: they stay.
    pub files: Vec<String>,
    /// The lease's name of the database that is left.
    pub left: String,
    /// The name of the lease that the server takes.
    pub taken: String,
}

/// A backup that was there before the plan: an artifact of ours, or a file that somebody has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownBackup {
    /// Where the file is, as SQL Server on that host names it.
    pub path: String,
    /// The host that has it.
    pub host: HostId,
    /// Whether that is the host on which it is restored, so that nothing is fetched.
    pub here: bool,
    /// The artifact; a name of its own for a file that has no manifest.
    pub artifact: ArtifactId,
    /// Its size.
    pub size: u64,
    /// Its root hash; empty where no manifest says it: then it is taken before the restore, for the record.
    pub root: String,
    /// Digest of its manifest; empty where there is none.
    pub manifest_digest: String,
    /// What its header must say.
    pub header: SetHeader,
    /// Whether its pages carry checksums.
    pub checksums: bool,
    /// When it was taken, as far as that is known.
    pub taken_at: Option<Millis>,
    /// What was counted when it was made; `None` where nobody wrote it down.
    pub counts: Option<Counts>,
}

/// The instance on which a backup is restored for a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestInstance {
    /// Its name in the agent's configuration.
    pub instance: String,
    /// Its `ServerName`.
    pub server_name: String,
}
