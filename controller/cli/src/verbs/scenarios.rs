//! `plan restore-from-backup`, `provision-staging`, `drill`, `switch-active`, `decommission`: what is asked for.

use clap::ValueEnum;
use syncferry_proto::v1::CreatePlanRequest;
use syncferry_shared::plan::{HandoverWay, Scenario};

/// The SQL Server is gone: restore a backup elsewhere, put the old Connect server out for good, and seat a new one on the copy
///
/// The backup is an artifact of the catalogue, or any .bak file on the target host. No SQL Server of the source is reached.
/// Without a manifest the backup's identity comes from its header, and what only the copy can say is looked at before anything
/// is installed on it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry plan restore-from-backup --site contoso --source SYNC01/default/ADSync --artifact newest \\
    --target-host SQL01 --target-instance default --connect-host SYNC02 \\
    --installer 'C:\\Install\\AzureADConnect.msi' --service-account 'CONTOSO\\gmsa-sync02$'
  syncferry plan restore-from-backup … --file 'D:\\Backup\\ADSync.bak' --old-server SYNC01   (nothing was registered)

Exit code 0 when the plan can be applied, 3 when something blocks it.")]
pub(crate) struct RestoreFromBackup {
    /// The site, by name or id
    #[arg(long)]
    site: String,
    /// The database that is gone, by name or id, where it was registered
    #[arg(long, visible_alias = "database")]
    source: Option<String>,
    /// The Connect server that used it, by name or id, where it was not registered
    #[arg(long, value_name = "HOST", conflicts_with = "source")]
    old_server: Option<String>,
    /// An artifact of the catalogue, by id or the tail of it; `newest` for the newest one
    #[arg(long, value_name = "ID", required_unless_present = "file")]
    artifact: Option<String>,
    /// A backup file on the target host, as SQL Server there names it
    #[arg(long, value_name = "PATH", conflicts_with = "artifact")]
    file: Option<String>,
    /// The SQL host to restore on, by name or id
    #[arg(long, value_name = "HOST")]
    target_host: String,
    /// The instance there, by its name in the agent's configuration
    #[arg(long, value_name = "INSTANCE")]
    target_instance: String,
    /// The database's name there [default: the name it had]
    #[arg(long, value_name = "NAME")]
    target_database: Option<String>,
    /// The new Connect server, by name or id
    #[arg(long, value_name = "HOST")]
    connect_host: String,
    /// Where the installer is on the new Connect server
    #[arg(long, value_name = "PATH")]
    installer: String,
    /// The account that Connect will run as there: a gMSA (DOMAIN\name$) or a domain user
    #[arg(long, value_name = "ACCOUNT")]
    service_account: Option<String>,
    /// How the old server is proven out
    #[arg(long, value_enum, default_value_t = Proof::Host)]
    handover: Proof,
    /// The folder for data files on the target [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The folder for log files on the target [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    log_dir: Option<String>,
    /// Wait so long for the hosts' answers
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) timeout: u64,
}

/// How a server is proven out where no SQL Server can refuse it, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Proof {
    /// Its own agent sees it
    Host,
    /// An agent's probe says that the machine is off
    PowerOff,
    /// Two operators give their word
    Attested,
}

impl Proof {
    fn word(self) -> String {
        let way = match self {
            Proof::Host => HandoverWay::Host,
            Proof::PowerOff => HandoverWay::PowerOff,
            Proof::Attested => HandoverWay::Attested,
        };
        way.as_str().to_string()
    }
}

impl RestoreFromBackup {
    pub(super) fn request(self) -> CreatePlanRequest {
        CreatePlanRequest {
            scenario: Scenario::RestoreFromBackup.as_str().to_string(),
            site: self.site,
            source: self.source.unwrap_or_default(),
            old_server: self.old_server.unwrap_or_default(),
            artifact: self.artifact.unwrap_or_default(),
            backup_file: self.file.unwrap_or_default(),
            target_host: self.target_host,
            target_instance: self.target_instance,
            target_database: self.target_database.unwrap_or_default(),
            connect_host: self.connect_host,
            installer: self.installer,
            service_account: self.service_account.unwrap_or_default(),
            handover: self.handover.word(),
            data_dir: self.data_dir.unwrap_or_default(),
            log_dir: self.log_dir.unwrap_or_default(),
            ..CreatePlanRequest::default()
        }
    }
}

/// Build a staging server on another SQL Server from a copy of the active server's database, and compare the two
///
/// The active server stays as it was. The new one ends in staging mode.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  syncferry plan provision-staging --site contoso --source ADSync \\
    --target-host SQL02 --target-instance default \\
    --connect-host SYNC02 --installer 'C:\\Install\\AzureADConnect.msi' \\
    --service-account 'CONTOSO\\gmsa-sync02$'

Exit code 0 when the plan can be applied, 3 when something blocks it.")]
pub(crate) struct ProvisionStaging {
    /// The site, by name or id
    #[arg(long)]
    site: String,
    /// The active server's database, by name or id
    #[arg(long, visible_alias = "database")]
    source: String,
    /// The SQL host of the staging server, by name or id: another one than the active server's
    #[arg(long, value_name = "HOST")]
    target_host: String,
    /// The instance there, by its name in the agent's configuration
    #[arg(long, value_name = "INSTANCE")]
    target_instance: String,
    /// The database's name there [default: the source's name]
    #[arg(long, value_name = "NAME")]
    target_database: Option<String>,
    /// The staging server, by name or id
    #[arg(long, value_name = "HOST")]
    connect_host: String,
    /// Where the installer is on it
    #[arg(long, value_name = "PATH")]
    installer: String,
    /// The account that Connect will run as there: a gMSA (DOMAIN\name$) or a domain user
    #[arg(long, value_name = "ACCOUNT")]
    service_account: Option<String>,
    /// The folder for data files on the target [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The folder for log files on the target [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    log_dir: Option<String>,
    /// Keep the backup file on the source when all is done
    #[arg(long)]
    keep_backup: bool,
    /// Wait so long for the hosts' answers
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) timeout: u64,
}

impl ProvisionStaging {
    pub(super) fn request(self) -> CreatePlanRequest {
        CreatePlanRequest {
            scenario: Scenario::ProvisionStaging.as_str().to_string(),
            site: self.site,
            source: self.source,
            target_host: self.target_host,
            target_instance: self.target_instance,
            target_database: self.target_database.unwrap_or_default(),
            connect_host: self.connect_host,
            installer: self.installer,
            service_account: self.service_account.unwrap_or_default(),
            data_dir: self.data_dir.unwrap_or_default(),
            log_dir: self.log_dir.unwrap_or_default(),
            keep_backup: self.keep_backup,
            ..CreatePlanRequest::default()
        }
    }
}

/// Rehearse a recovery: restore a backup under a scratch name on a drill instance, check it, drop it, and say what it took
///
/// Connect is never installed or started, and production is not touched: a backup made for it is online and COPY_ONLY. The
/// report has RTO and RPO.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry plan drill --site contoso --source ADSync --target-host SQL02 --target-instance drill
  syncferry plan drill … --artifact newest      (from the newest backup that is there, instead of a new one)

Exit code 0 when the plan can be applied, 3 when something blocks it.")]
pub(crate) struct Drill {
    /// The site, by name or id
    #[arg(long)]
    site: String,
    /// The database whose recovery is rehearsed, by name or id
    #[arg(long, visible_alias = "database")]
    source: String,
    /// Rehearse with this artifact, by id or the tail of it; `newest` for the newest one [default: a backup made now]
    #[arg(long, value_name = "ID")]
    artifact: Option<String>,
    /// Rehearse with this backup file on the drill host, as SQL Server there names it
    #[arg(long, value_name = "PATH", conflicts_with = "artifact")]
    file: Option<String>,
    /// The SQL host of the drill instance, by name or id
    #[arg(long, value_name = "HOST")]
    target_host: String,
    /// The drill instance, by its name in the agent's configuration
    #[arg(long, value_name = "INSTANCE")]
    target_instance: String,
    /// The folder for data files there [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The folder for log files there [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    log_dir: Option<String>,
    /// Keep the backup file that is made for it
    #[arg(long)]
    keep_backup: bool,
    /// Wait so long for the hosts' answers
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) timeout: u64,
}

impl Drill {
    pub(super) fn request(self) -> CreatePlanRequest {
        CreatePlanRequest {
            scenario: Scenario::Drill.as_str().to_string(),
            site: self.site,
            source: self.source,
            artifact: self.artifact.unwrap_or_default(),
            backup_file: self.file.unwrap_or_default(),
            target_host: self.target_host,
            target_instance: self.target_instance,
            data_dir: self.data_dir.unwrap_or_default(),
            log_dir: self.log_dir.unwrap_or_default(),
            keep_backup: self.keep_backup,
            ..CreatePlanRequest::default()
        }
    }
}

/// Make a staging server the active one: review what it will export, put the old server into staging mode, take it out
///
/// The export lease of the tenant changes hands in between, so that at no moment two servers may export.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry plan switch-active --site contoso --to SYNC02
  syncferry plan switch-active --site contoso --to SYNC02 --handover power-off   (the active server is gone)

Exit code 0 when the plan can be applied, 3 when something blocks it.")]
pub(crate) struct SwitchActive {
    /// The site, by name or id
    #[arg(long)]
    site: String,
    /// The staging server that is to become active, by name or id
    #[arg(long, value_name = "HOST")]
    to: String,
    /// The active server, by name or id [default: the one that holds the tenant's export]
    #[arg(long, value_name = "HOST")]
    from: Option<String>,
    /// How the old server is proven not to export any more
    #[arg(long, value_enum, default_value_t = Proof::Host)]
    handover: Proof,
    /// Wait so long for the hosts' answers
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) timeout: u64,
}

impl SwitchActive {
    pub(super) fn request(self) -> CreatePlanRequest {
        CreatePlanRequest {
            scenario: Scenario::SwitchActive.as_str().to_string(),
            site: self.site,
            connect_host: self.to,
            old_server: self.from.unwrap_or_default(),
            handover: self.handover.word(),
            ..CreatePlanRequest::default()
        }
    }
}

/// Retire a Connect server that is not active: stop and disable it, free its lease, have Connect uninstalled
///
/// What it leaves in Entra ID, in Active Directory and on its SQL Server is named, and stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  syncferry plan decommission --site contoso --server SYNC01

Exit code 0 when the plan can be applied, 3 when something blocks it.")]
pub(crate) struct Decommission {
    /// The site, by name or id
    #[arg(long)]
    site: String,
    /// The server to retire, by name or id
    #[arg(long, value_name = "HOST")]
    server: String,
    /// Wait so long for the hosts' answers
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) timeout: u64,
}

impl Decommission {
    pub(super) fn request(self) -> CreatePlanRequest {
        CreatePlanRequest {
            scenario: Scenario::Decommission.as_str().to_string(),
            site: self.site,
            old_server: self.server,
            ..CreatePlanRequest::default()
        }
    }
}
