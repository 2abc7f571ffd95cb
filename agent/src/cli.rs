//! `syncferry-agent`: its command line.
//!
//! Exit codes: 0 ended as asked; 1 failed; 2 wrong usage; 3 not enrolled, or the identity cannot be used; 4 the journal cannot be
//! used; 5 enrolment was refused; 78 wrong configuration.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::app::{self, AppError};
use crate::config::Config;
use crate::doctor;
use crate::host::Host;
use crate::identity;
use crate::os::{Native, stop_signal};
use crate::selftest;
use crate::service::{self, ServiceError};
use crate::setup::{self, SetupError};

/// The identity cannot be used.
const EXIT_NOT_ENROLLED: u8 = 3;
/// The journal cannot be used.
const EXIT_JOURNAL: u8 = 4;
/// Enrolment was refused.
const EXIT_ENROL: u8 = 5;
/// Wrong configuration (EX_CONFIG).
pub(crate) const EXIT_CONFIG: u8 = 78;

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
    /// Writes a configuration and enrols, where either is missing; for unattended installations. Changes nothing that is there.
    Setup {
        /// The controller, host:port.
        #[arg(long)]
        controller: Option<String>,
        /// The token.
        #[arg(long, env = "SYNCFERRY_AGENT_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// Start the service, where there is one and the agent is enrolled.
        #[arg(long)]
        start: bool,
    },
    /// Makes the agent a service of this machine, and starts it.
    Install {
        /// The account that it runs as, DOMAIN\name; by default the system's own.
        #[arg(long)]
        account: Option<String>,
        /// A file with the account's password. A group managed service account (DOMAIN\name$) has none.
        #[arg(long, requires = "account")]
        password_file: Option<PathBuf>,
        /// Do not start it yet.
        #[arg(long)]
        no_start: bool,
    },
    /// Stops the service and takes it away. Data, identity and configuration stay.
    Uninstall,
    /// Says whether the service is there and runs. Exit code 0 when it runs, 1 when it does not.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Looks at everything that an operator would ring about, changes nothing, and says what to do.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Does on this machine what no build machine can prove, and writes a report to send back. Looks only, unless --write.
    Selftest {
        /// Where the report is written; standard output by default.
        #[arg(long)]
        out: Option<PathBuf>,
        /// An installer of Connect to read and to ask Windows about.
        #[arg(long)]
        installer: Option<String>,
        /// Also try a folder and a secret of its own in the temporary folder. Nothing else is ever written.
        #[arg(long)]
        write: bool,
    },
    /// Serves the service manager of Windows.
    #[command(hide = true)]
    Service,
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
    run_command(args).unwrap_or_else(|code| code)
}

/// Runs what was asked for. An error is an exit code; what was wrong is said already.
fn run_command(args: Args) -> Result<ExitCode, ExitCode> {
    let path = args.config;
    // Only some commands need a configuration.
    let load = || Config::load(&path, |k| std::env::var(k).ok()).map_err(|e| failed(&e, EXIT_CONFIG));
    Ok(match args.command {
        Command::Version => {
            println!("syncferry-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Command::Run => with_runtime(run(load()?))?,
        Command::Service => service::run(path),
        Command::Install {
            account,
            password_file,
            no_start,
        } => install(&path, &load()?, account, password_file, !no_start),
        Command::Uninstall => told(service::uninstall()),
        Command::Status { json } => status(json),
        Command::Setup {
            controller,
            token,
            start,
        } => with_runtime(set_up(&path, controller.as_deref(), token.as_deref(), start))?,
        Command::Enrol {
            controller,
            token_file,
            token,
        } => with_runtime(enrol(load()?, controller, token_file, token))?,
        Command::Doctor { json } => doctor_says(with_runtime(doctor::look(&path))?, json),
        Command::Selftest { out, installer, write } => {
            let config = path.clone();
            let ask = selftest::Ask {
                config,
                installer,
                write,
            };
            selftest_says(with_runtime(selftest::run(&ask))?, out.as_deref())
        }
        Command::Config(ConfigCommand::Check) => check(&path, &load()?),
    })
}

fn failed(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("syncferry-agent: {error}");
    ExitCode::from(code)
}

fn with_runtime<T>(future: impl Future<Output = T>) -> Result<T, ExitCode> {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => Ok(runtime.block_on(future)),
        Err(e) => Err(failed(&e, 1)),
    }
}

fn told(done: Result<Vec<String>, ServiceError>) -> ExitCode {
    match done {
        Ok(lines) => said(&lines),
        Err(e) => failed(&e, 1),
    }
}

fn said(lines: &[String]) -> ExitCode {
    for line in lines {
        println!("{line}");
    }
    ExitCode::SUCCESS
}

async fn set_up(path: &std::path::Path, controller: Option<&str>, token: Option<&str>, start: bool) -> ExitCode {
    let name = Native.facts().await.map(|f| f.computer_name).unwrap_or_default();
    match setup::setup(path, controller, token, &name).await {
        Ok(ready) if start && ready.enrolled => {
            said(&ready.done);
            told(service::start(&ready.config))
        }
        Ok(ready) => said(&ready.done),
        Err(e @ SetupError::Enrol(_)) => failed(&e, EXIT_ENROL),
        Err(e @ (SetupError::Config(_) | SetupError::NoController { .. })) => failed(&e, EXIT_CONFIG),
        Err(e) => failed(&e, 1),
    }
}

fn install(
    path: &std::path::Path,
    config: &Config,
    account: Option<String>,
    password_file: Option<PathBuf>,
    start: bool,
) -> ExitCode {
    // The service starts in a folder of its own.
    let config_path = match std::path::absolute(path) {
        Ok(path) => path,
        Err(e) => return failed(&format!("{}: {e}", path.display()), 2),
    };
    let password = match password_file.map(|file| (std::fs::read_to_string(&file), file)) {
        Some((Ok(text), _)) => Some(text.trim_end_matches(['\r', '\n']).to_string()),
        Some((Err(e), file)) => return failed(&format!("{} cannot be read: {e}", file.display()), 2),
        None => None,
    };
    let options = service::Options {
        config: config_path,
        account,
        password,
        start,
    };
    told(service::install(&options, config))
}

fn status(json: bool) -> ExitCode {
    match service::status() {
        Ok(status) => {
            if json {
                println!("{}", serde_json::json!(status));
            } else if status.installed {
                println!("{}; starts: {}; runs as {}", status.state, status.start, status.account);
            } else {
                println!("not installed; 'syncferry-agent install' makes the agent a service");
            }
            ExitCode::from(u8::from(!status.runs()))
        }
        Err(e) => failed(&e, 1),
    }
}

fn doctor_says(report: doctor::Report, json: bool) -> ExitCode {
    if json {
        println!("{}", serde_json::json!(report));
    } else {
        print!("{report}");
    }
    ExitCode::from(u8::from(report.has_bad()))
}

fn selftest_says(report: selftest::Report, out: Option<&std::path::Path>) -> ExitCode {
    let text = format!("{:#}\n", serde_json::json!(report));
    match out {
        Some(path) => match std::fs::write(path, text) {
            Ok(()) => println!(
                "{} written; it holds names of hosts, accounts and versions, and no secrets",
                path.display()
            ),
            Err(e) => return failed(&format!("{} cannot be written: {e}", path.display()), 1),
        },
        None => print!("{text}"),
    }
    ExitCode::from(u8::from(report.has_failed()))
}

/// Runs the agent until `stop`. The error comes with its exit code.
#[cfg_attr(not(windows), expect(dead_code, reason = "Windows' service calls it"))]
pub(crate) fn run_until(config: Config, stop: CancellationToken) -> Result<(), (String, u8)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| (e.to_string(), 1))?;
    let ran = runtime.block_on(app::run(config, Arc::new(Native), stop));
    ran.map_err(|e| (e.to_string(), exit_code(&e)))
}

async fn run(config: Config) -> ExitCode {
    init_logs(&config, std::io::stderr);
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

/// Logs go to standard error, so that standard output stays for answers; a service's go to a file.
pub(crate) fn init_logs<W>(config: &Config, writer: W)
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info,mssql_tds=warn"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(cfg!(unix) && std::io::stderr().is_terminal())
        .with_writer(writer);
    // Fails only when the embedding process has set up logging already.
    let _ = if config.log_json {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
}
