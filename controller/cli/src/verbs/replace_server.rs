//! `plan replace-server`: what is asked for.

use clap::ValueEnum;
use syncferry_proto::v1::CreatePlanRequest;
use syncferry_shared::plan::{HandoverWay, Scenario};

/// The Connect server is gone, or to be retired: seat a new one on its database, which stays where it is
///
/// Asks every host concerned and makes a plan. Nothing is changed anywhere: the plan says what would be done, how the lease
/// changes hands and what that proves, how to go back, and everything that speaks against it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncferry plan replace-server --site contoso --source ADSync --connect-host SYNC02 \\
    --installer 'C:\\Install\\AzureADConnect.msi' --service-account 'CONTOSO\\gmsa-sync02$'
  syncferry plan replace-server … --handover sql      (the old server is dead; SQL Server is to refuse it)

Exit code 0 when the plan can be applied, 3 when something blocks it.")]
pub(crate) struct ReplaceServer {
    /// The site, by name or id
    #[arg(long)]
    site: String,
    /// The database, by name or id
    #[arg(long, visible_alias = "database")]
    source: String,
    /// The new Connect server, by name or id
    #[arg(long, value_name = "HOST")]
    connect_host: String,
    /// Where the installer is on the new Connect server
    #[arg(long, value_name = "PATH")]
    installer: String,
    /// The account that Connect will run as there: a gMSA (DOMAIN\name$) or a domain user, with db_owner on the database
    #[arg(long, value_name = "ACCOUNT")]
    service_account: Option<String>,
    /// How the old server's lease becomes free
    #[arg(long, value_enum, default_value_t = Way::Host)]
    handover: Way,
    /// The instance on which the backup is restored for a test, by its name in the agent's configuration [default: the
    /// database's own]
    #[arg(long, value_name = "INSTANCE")]
    test_instance: Option<String>,
    /// The folder for the test copy's data files [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The folder for the test copy's log files [default: the instance's]
    #[arg(long, value_name = "FOLDER")]
    log_dir: Option<String>,
    /// Wait so long for the hosts' answers
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) timeout: u64,
}

/// A way to hand over, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// The old server's own agent stops and disables its service, and nobody is on the database
    Host,
    /// An agent's probe says that the old machine is off
    PowerOff,
    /// SQL Server refuses the old server's account
    Sql,
    /// Two operators give their word
    Attested,
}

impl Way {
    fn meant(self) -> HandoverWay {
        match self {
            Way::Host => HandoverWay::Host,
            Way::PowerOff => HandoverWay::PowerOff,
            Way::Sql => HandoverWay::Sql,
            Way::Attested => HandoverWay::Attested,
        }
    }
}

impl ReplaceServer {
    pub(super) fn request(self) -> CreatePlanRequest {
        CreatePlanRequest {
            scenario: Scenario::ReplaceServer.as_str().to_string(),
            site: self.site,
            source: self.source,
            connect_host: self.connect_host,
            installer: self.installer,
            service_account: self.service_account.unwrap_or_default(),
            data_dir: self.data_dir.unwrap_or_default(),
            log_dir: self.log_dir.unwrap_or_default(),
            keep_backup: true,
            handover: self.handover.meant().as_str().to_string(),
            test_instance: self.test_instance.unwrap_or_default(),
            ..CreatePlanRequest::default()
        }
    }
}
