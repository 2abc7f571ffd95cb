//! The hidden roles: the lab's program starts itself again as controller, agent, SQL Server or host. The first argument
//! says which; the rest belongs to the role.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use syncferry_agent::host::Host as _;
use syncferry_sqlserver::cli::{ServeArgs, run_instance};
use syncferry_sqlserver::engine::Instance;
use tokio_util::sync::CancellationToken;

use super::host;
use super::host_client::LabHost;
use super::{random, torture, visitor};

/// `syncferry-controller`.
pub const CONTROLLER: &str = "__controller";
/// `syncferry-agent` on a machine of the lab.
pub const AGENT: &str = "__agent";
/// The SQL Server stand-in.
pub const SQLSERVER: &str = "__sqlserver";
/// The Windows/Connect host stand-in.
pub const HOST: &str = "__host";
/// Whether a machine of the lab is off: what a site would have its hypervisor asked by.
pub const POWER: &str = "__power";
/// The agent of a machine that is kept by another program: that program takes this process over.
pub const ELSEWHERE: &str = "__elsewhere";
/// A program of somebody else's with a session on a database.
pub const VISITOR: &str = "__visitor";
/// One case of `lab random`.
pub const CASE: &str = "__case";
/// One run of `lab torture`.
pub const TORTURE: &str = "__torture";

/// Runs the role that the arguments name; `None` when they name none.
pub fn run(args: &[OsString]) -> Option<ExitCode> {
    let role = args.get(1)?.to_str()?;
    let rest = || args.iter().skip(2).cloned();
    Some(match role {
        CONTROLLER => {
            syncferry_controller::cli::main_with(std::iter::once("syncferry-controller".into()).chain(rest()))
        }
        AGENT => agent(rest().collect()),
        SQLSERVER => sqlserver(rest().collect()),
        HOST => host(rest().collect()),
        ELSEWHERE => elsewhere(&rest().collect::<Vec<_>>()),
        POWER => super::power::main(&rest().collect::<Vec<_>>()),
        TORTURE => torture::role(rest().collect()),
        VISITOR => visitor::role(rest().collect()),
        CASE => random::role(rest().collect()),
        _ => return None,
    })
}

fn elsewhere(args: &[OsString]) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    let Some((program, rest)) = args.split_first() else {
        eprintln!("error: no program was named");
        return ExitCode::FAILURE;
    };
    // Comes back only when it failed.
    let error = std::process::Command::new(program).args(rest).exec();
    eprintln!("error: {}: {error}", program.display());
    ExitCode::FAILURE
}

/// The SQL client tells of every row.
const LOG: &str = "info,mssql_tds=warn";

#[derive(Debug, Parser)]
#[command(name = HOST)]
struct HostArgs {
    /// The host's folder.
    #[arg(long)]
    dir: PathBuf,
}

fn host(args: Vec<OsString>) -> ExitCode {
    let args = HostArgs::parse_from(std::iter::once(HOST.into()).chain(args));
    in_runtime(async move {
        let stopping = stopping();
        host::server::run(&args.dir, stopping).await
    })
}

#[derive(Debug, Parser)]
#[command(name = SQLSERVER)]
struct SqlServerArgs {
    #[command(flatten)]
    serve: ServeArgs,
}

fn sqlserver(args: Vec<OsString>) -> ExitCode {
    let args = SqlServerArgs::parse_from(std::iter::once(SQLSERVER.into()).chain(args)).serve;
    in_runtime(async move {
        let instance = Instance::open(&args.dir)?;
        run_instance(instance, &args).await
    })
}

#[derive(Debug, Parser)]
#[command(name = AGENT)]
struct AgentArgs {
    /// The folder of the machine that it runs on.
    #[arg(long)]
    host_dir: PathBuf,
    /// Its configuration.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    verb: AgentVerb,
}

#[derive(Debug, Subcommand)]
enum AgentVerb {
    /// Runs it.
    Run,
    /// Enrols it.
    Enrol {
        /// The token.
        #[arg(long)]
        token: String,
    },
}

/// The agent as its own program runs it, but on a machine of the lab.
fn agent(args: Vec<OsString>) -> ExitCode {
    let args = AgentArgs::parse_from(std::iter::once(AGENT.into()).chain(args));
    in_runtime(async move {
        let config = syncferry_agent::config::Config::load(&args.config, |_| None)?;
        let host = Arc::new(LabHost::open(&args.host_dir, &config.staging_dir)?);
        match args.verb {
            AgentVerb::Run => {
                let stopping = stopping();
                syncferry_agent::app::run(config, host, stopping).await?;
            }
            AgentVerb::Enrol { token } => {
                let name = host.facts().await?.computer_name;
                syncferry_agent::identity::enrol(&config.controller, &token, &config.data_dir, &name).await?;
            }
        }
        Ok(())
    })
}

/// Cancelled by Ctrl-C or SIGTERM.
fn stopping() -> CancellationToken {
    let stopping = CancellationToken::new();
    let signal = stopping.clone();
    tokio::spawn(async move {
        stop_signal().await;
        signal.cancel();
    });
    stopping
}

pub(super) fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| LOG.into());
    // The controller and the agent set up their own logs; here nobody has.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|r| r.block_on(work));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C or SIGTERM.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler for it SIGTERM ends the process anyway.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
