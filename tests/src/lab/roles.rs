//! The hidden roles: the lab's program starts itself again as controller, agent, SQL Server or host. The first argument
//! says which; the rest belongs to the role.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::host;

/// `syncferry-controller`.
pub const CONTROLLER: &str = "__controller";
/// `syncferry-agent` on a machine of the lab.
pub const AGENT: &str = "__agent";
/// The SQL Server stand-in.
pub const SQLSERVER: &str = "__sqlserver";
/// The Windows/Connect host stand-in.
pub const HOST: &str = "__host";

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
        _ => return None,
    })
}

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
        let stopping = CancellationToken::new();
        let signal = stopping.clone();
        tokio::spawn(async move {
            stop_signal().await;
            signal.cancel();
        });
        host::server::run(&args.dir, stopping).await
    })
}

fn sqlserver(_args: Vec<OsString>) -> ExitCode {
    in_runtime(async move { anyhow::bail!("not yet") })
}

fn agent(_args: Vec<OsString>) -> ExitCode {
    in_runtime(async move { anyhow::bail!("not yet") })
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
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
