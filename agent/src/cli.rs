//! `syncferry-agent`: its command line.
//!
//! Exit codes: 0 ended as asked; 1 failed; 2 wrong usage; 3 not enrolled, or the identity cannot be used; 4 the journal cannot be
//! used; 5 enrolment was refused; 78 wrong configuration.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::app::{self, AppError};
use crate::config::Config;
use crate::host::Host;
use crate::identity;
use crate::os::{Native, stop_signal};

/// The identity cannot be used.
const EXIT_NOT_ENROLLED: u8 = 3;
/// The journal cannot be used.
const EXIT_JOURNAL: u8 = 4;
/// Enrolment was refused.
const EXIT_ENROL: u8 = 5;
/// Wrong configuration (EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

#[derive(Debug, Parser)]
#[command(
    name = "syncferry-agent",
    version,
    about = "Runs Syncferry's jobs on a SQL host or a Connect server",
    after_help = "Exit codes: 0 ended as asked, 1 failed, 2 wrong usage, 3 not enrolled, 4 journal unusable, 5 enrolment refused, 78 wrong configuration."
)]
struct Args {
    /// The configuration file.
    #[arg(long, env = "SYNCFERRY_AGENT_CONFIG", default_value = "agent.toml", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the agent until Ctrl-C or SIGTERM.
    Run,
    /// Makes this host known to a controller, with a one-time token.
    Enrol {
        /// The controller, host:port; by default the one of the configuration.
        #[arg(long)]
        controller: Option<String>,
        /// A file with the token.
        #[arg(long, conflicts_with = "token", required_unless_present = "token")]
        token_file: Option<PathBuf>,
        /// The token. Other users of the machine may see it; a file is better.
        #[arg(long, env = "SYNCFERRY_AGENT_TOKEN", hide_env_values = true)]
        token: Option<String>,
    },
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints the version.
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Reads the configuration and says what is wrong with it.
    Check,
}

/// Runs the command line.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(e) => {
            // Printing may fail when nobody reads; the exit code says it all the same.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    if matches!(args.command, Command::Version) {
        println!("syncferry-agent {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let config = match Config::load(&args.config, |k| std::env::var(k).ok()) {
        Ok(config) => config,
        Err(e) => return failed(&e, EXIT_CONFIG),
    };
    let done = match args.command {
        Command::Run => with_runtime(run(config)),
        Command::Enrol {
            controller,
            token_file,
            token,
        } => with_runtime(enrol(config, controller, token_file, token)),
        Command::Config(ConfigCommand::Check) => Ok(check(&args.config, &config)),
        Command::Version => Ok(ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|e| failed(&e, 1))
}

fn failed(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("syncferry-agent: {error}");
    ExitCode::from(code)
}

fn with_runtime(future: impl Future<Output = ExitCode>) -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

async fn run(config: Config) -> ExitCode {
    init_logs(&config);
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            stop_signal().await;
            stop.cancel();
        }
    });
    match app::run(config, Arc::new(Native), stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(&e, exit_code(&e)),
    }
}

/// The exit code for an error.
pub fn exit_code(error: &AppError) -> u8 {
    match error {
        AppError::Config(_) | AppError::Dial(_) => EXIT_CONFIG,
        AppError::NotEnrolled(_) => EXIT_NOT_ENROLLED,
        AppError::Journal(_) => EXIT_JOURNAL,
        AppError::Host(_) | AppError::Listen { .. } => 1,
    }
}

async fn enrol(
    config: Config,
    controller: Option<String>,
    token_file: Option<PathBuf>,
    token: Option<String>,
) -> ExitCode {
    let token = match (token, token_file) {
        (Some(token), _) => token,
        (None, Some(file)) => match std::fs::read_to_string(&file) {
            Ok(token) => token,
            Err(e) => return failed(&format!("{} cannot be read: {e}", file.display()), 2),
        },
        // The command line demands one of them.
        (None, None) => return failed(&"no token was given", 2),
    };
    let name = Native.facts().await.map(|f| f.computer_name).unwrap_or_default();
    let controller = controller.unwrap_or(config.controller);
    match identity::enrol(&controller, &token, &config.data_dir, &name).await {
        Ok(enrolment) => {
            println!("enrolled as {} (agent {})", enrolment.host_name, enrolment.agent_id);
            ExitCode::SUCCESS
        }
        Err(e) => failed(&e, EXIT_ENROL),
    }
}

fn check(path: &std::path::Path, config: &Config) -> ExitCode {
    match crate::instances::Instances::new(&config.sql) {
        Ok(_) => {
            println!("{} is in order", path.display());
            ExitCode::SUCCESS
        }
        Err(e) => failed(&e, EXIT_CONFIG),
    }
}

/// Logs go to standard error, so that standard output stays for answers.
fn init_logs(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info,mssql_tds=warn"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Fails only when the embedding process has set up logging already.
    let _ = if config.log_json {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
}
