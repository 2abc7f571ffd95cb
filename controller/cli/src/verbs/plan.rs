//! `plan <scenario>` and `plan show`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use syncferry_proto::v1::{CreatePlanRequest, GetMigrationRequest, Migration};
use syncferry_proto::{InvalidMessage, schema};
use syncferry_shared::plan::{Plan, Scenario};
use syncferry_shared::report::plan_digest;

use super::papers::Papers;
use super::replace_server::ReplaceServer;
use super::scenarios::{Decommission, Drill, ProvisionStaging, RestoreFromBackup, SwitchActive};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::{json, render};

/// How often the controller is asked whether the hosts have answered.
const POLL: Duration = Duration::from_millis(400);

/// Make a plan: asks every host, changes nothing
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    papers: Papers,
    /// A DBA runs what needs rights in SQL Server: each such step waits at a gate with the exact T-SQL, and the agent only looks
    #[arg(long, global = true)]
    dba: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    MoveToFullSql(Box<MoveToFullSql>),
    ReplaceServer(Box<ReplaceServer>),
    RestoreFromBackup(Box<RestoreFromBackup>),
    ProvisionStaging(Box<ProvisionStaging>),
    Drill(Box<Drill>),
    SwitchActive(SwitchActive),
    Decommission(Decommission),
    /// A plan that was made before
    Show {
        /// The migration, by id or the tail of it
        migration: String,
        /// What became of every rule, with what it looked at
        #[arg(long)]
        rules: bool,
    },
}

/// LocalDB is at its limit: move the database to a full SQL Server and seat a new Connect server on it
///
/// Asks every host concerned and makes a plan. Nothing is changed anywhere: the plan says what would be done, what would
/// be changed, how to go back, and everything that speaks against it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  syncferry plan move-to-full-sql --site contoso --source ADSync \\
    --target-host SQL01 --target-instance default \\
    --connect-host SYNC02 --installer 'C:\\Install\\AzureADConnect.msi' \\
    --service-account 'CONTOSO\\svc-adsync$'
  syncferry plan move-to-full-sql … --in-place      (no --connect-host: the server that uses the database goes on, on the
                                                     moved one; Connect is uninstalled there first)

Exit code 0 when the plan can be applied, 3 when something blocks it.")]
pub(crate) struct MoveToFullSql {
    /// The site, by name or id
    #[arg(long)]
    site: String,
    /// The database to move, by name or id
    #[arg(long, visible_alias = "database")]
    source: String,
    /// The SQL host to move it to, by name or id
    #[arg(long, value_name = "HOST")]
    target_host: String,
    /// The instance there, by its name in the agent's configuration
    #[arg(long, value_name = "INSTANCE")]
    target_instance: String,
    /// The database's name there [default: the source's name]
    #[arg(long, value_name = "NAME")]
    target_database: Option<String>,
    /// The new Connect server, by name or id
    #[arg(
        long,
        value_name = "HOST",
        required_unless_present = "in_place",
        conflicts_with = "in_place"
    )]
    connect_host: Option<String>,
    /// The server that uses the database goes on: Connect is uninstalled there, after the restore was verified on the SQL host,
    /// and installed anew on the moved database. There is no way back after the uninstallation, and nothing is synchronized
    /// until staging mode is left
    #[arg(long)]
    in_place: bool,
    /// Where the installer is on the new Connect server
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
    timeout: u64,
}

impl MoveToFullSql {
    fn request(self) -> CreatePlanRequest {
        CreatePlanRequest {
            scenario: Scenario::MoveToFullSql.as_str().to_string(),
            site: self.site,
            source: self.source,
            target_host: self.target_host,
            target_instance: self.target_instance,
            target_database: self.target_database.unwrap_or_default(),
            connect_host: self.connect_host.unwrap_or_default(),
            in_place: self.in_place,
            installer: self.installer,
            service_account: self.service_account.unwrap_or_default(),
            data_dir: self.data_dir.unwrap_or_default(),
            log_dir: self.log_dir.unwrap_or_default(),
            keep_backup: self.keep_backup,
            ..CreatePlanRequest::default()
        }
    }
}

pub(crate) async fn run_with(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    args.papers.check()?;
    cx.papers = args.papers;
    run(args.verb, args.dba, cx).await
}

async fn run(verb: Verb, dba: bool, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    let (timeout, request) = match verb {
        Verb::MoveToFullSql(args) => (args.timeout, args.request()),
        Verb::ReplaceServer(args) => (args.timeout, args.request()),
        Verb::RestoreFromBackup(args) => (args.timeout, args.request()),
        Verb::ProvisionStaging(args) => (args.timeout, args.request()),
        Verb::Drill(args) => (args.timeout, args.request()),
        Verb::SwitchActive(args) => (args.timeout, args.request()),
        Verb::Decommission(args) => (args.timeout, args.request()),
        Verb::Show { migration, rules } => {
            let m = session
                .call(session.service().get_migration(GetMigrationRequest { migration }))
                .await?;
            if rules && !cx.json() {
                let plan = read(&m)?;
                cx.print(&render::verdicts(&plan, &cx.look()))?;
            } else {
                give(&session, &m, cx).await?;
            }
            return Ok(Exit::Ok);
        }
    };
    let request = CreatePlanRequest { dba, ..request };
    make(&session, request, Duration::from_secs(timeout), cx).await
}

/// Has a plan made, and shows it.
async fn make(
    session: &Session,
    request: CreatePlanRequest,
    patience: Duration,
    cx: &mut Context<'_, '_>,
) -> Result<Exit, CliError> {
    let created = session.call(session.service().create_plan(request)).await?;
    let m = wait(session, created, patience, cx).await?;
    give(session, &m, cx).await?;
    Ok(if m.state == "blocked" { Exit::Refused } else { Exit::Ok })
}

/// Gives the papers that were asked for, or shows the plan.
async fn give(session: &Session, m: &Migration, cx: &mut Context<'_, '_>) -> Result<(), CliError> {
    let papers = cx.papers.clone();
    if papers.give(session, &m.id, cx).await? {
        return Ok(());
    }
    show(m, cx)
}

/// Waits until every host has answered.
async fn wait(
    session: &Session,
    created: Migration,
    patience: Duration,
    cx: &mut Context<'_, '_>,
) -> Result<Migration, CliError> {
    let (id, mut m, mut said) = (created.id.clone(), created, String::new());
    let spinner = cx.live().then(spinner);
    let waiting = async {
        while m.state == "inspecting" {
            let waits_for = if m.waiting_for.is_empty() {
                "the hosts' answers"
            } else {
                &m.waiting_for
            };
            let line = render::clean(&format!("migration {}: waiting for {waits_for}", render::short(&id)));
            match &spinner {
                Some(spinner) => spinner.set_message(line),
                None if line != said => {
                    cx.say(&format!("{line}\n"));
                    said = line;
                }
                None => {}
            }
            tokio::time::sleep(POLL).await;
            m = session
                .call(
                    session
                        .service()
                        .get_migration(GetMigrationRequest { migration: id.clone() }),
                )
                .await?;
        }
        Ok(m)
    };
    let result = tokio::time::timeout(patience, waiting).await;
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    result.unwrap_or_else(|_| {
        let id = render::short(&id);
        Err(CliError::Controller {
            code: tonic::Code::DeadlineExceeded,
            message: format!("the hosts have not all answered yet; the plan will be in `syncferry plan show {id}`"),
        })
    })
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// The plan of a migration.
pub(super) fn read(m: &Migration) -> Result<Plan, CliError> {
    let Some(document) = &m.plan else {
        return Err(CliError::Controller {
            code: tonic::Code::FailedPrecondition,
            message: format!(
                "migration {} is {} and has no plan yet",
                render::short(&m.id),
                render::clean(&m.state)
            ),
        });
    };
    let value: Value = document.read(schema::PLAN)?;
    let digest = plan_digest(&value);
    if digest != m.plan_digest {
        // What is shown must be what is applied.
        return Err(CliError::Controller {
            code: tonic::Code::DataLoss,
            message: format!(
                "the plan of {} has the digest {digest}, but the controller names {}",
                m.id, m.plan_digest
            ),
        });
    }
    let plan: Result<Plan, InvalidMessage> = document.read(schema::PLAN);
    Ok(plan?)
}

/// Shows a plan.
pub(super) fn show(m: &Migration, cx: &mut Context<'_, '_>) -> Result<(), CliError> {
    let plan = read(m)?;
    let apply = (m.state == "planned").then(|| render::apply_command(m, &plan));
    let value = json::Planned::of(m, apply);
    cx.answer(&value, |look| render::plan(m, &plan, look))
}
