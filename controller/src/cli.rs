//! `syncferry-controller`: its command line. Exit codes: 0 ended as asked, 1 failed, 2 wrong usage, 78 wrong configuration.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use syncferry_store_sqlite::SystemClock;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::{app, operators, storeops};

/// Wrong configuration (EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

#[derive(Debug, Parser)]
#[command(
    name = "syncferry-controller",
    version,
    about = "Plans migrations of ADSync databases, schedules their jobs and keeps the leases"
)]
struct Args {
    /// The configuration file.
    #[arg(
        long,
        env = "SYNCFERRY_CONTROLLER_CONFIG",
        default_value = "controller.toml",
        global = true
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the controller until Ctrl-C or SIGTERM.
    Run,
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Asks the store whether everything that must hold does. Stop the controller first, unless the store is PostgreSQL.
    Audit,
    /// Writes the store to a file, with what else a controller needs to live again. The controller may run meanwhile.
    Backup(storeops::cli::BackupArgs),
    /// Checks a backup, or the store itself. Changes nothing; the controller may run meanwhile.
    Verify(storeops::cli::VerifyArgs),
    /// Makes a backup the store, in a new incarnation. Stop every controller first.
    Restore(storeops::cli::RestoreArgs),
    /// Shows what waits since the store was restored, each lease with its next step. The controller may run meanwhile.
    Recover(storeops::cli::RecoverArgs),
    /// Moves the store to PostgreSQL, or back. Stop every controller first.
    MigrateStore(storeops::cli::MigrateArgs),
    /// Operators: who may command. Stop the controller first.
    #[command(subcommand)]
    Operator(OperatorCommand),
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Adds an operator, or gives one a new certificate, and writes the credentials for `syncferry --credentials`.
    Add {
        /// The name; it stands in histories.
        name: String,
        /// The file to write [default: <NAME>.credentials.toml]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Where the operator reaches the controller, host:port [default: as the first operator does]
        #[arg(long, value_name = "ADDRESS")]
        controller: Option<String>,
    },
    /// Shows who there is.
    List,
    /// Takes an operator's certificate back.
    Revoke {
        /// The name.
        name: String,
    },
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
    let file = args.config;
    let command = match args.command {
        // A backup is checked where it is kept, and no controller need be there.
        Command::Verify(verify) if verify.is_of_a_file() => {
            return ended(with_runtime(storeops::cli::verify(None, verify)));
        }
        command => command,
    };
    let config = match Config::load(&file, |k| std::env::var(k).ok()) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("syncferry-controller: {e}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let done = match command {
        Command::Config(ConfigCommand::Check) => {
            println!("{} is in order", file.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Run => with_runtime(run(config)),
        Command::Audit => with_runtime(audit(config)),
        Command::Backup(args) => with_runtime(storeops::cli::backup(&config, &file, args)),
        Command::Verify(args) => with_runtime(storeops::cli::verify(Some(&config), args)),
        Command::Restore(args) => with_runtime(storeops::cli::restore(&config, args)),
        Command::Recover(args) => with_runtime(storeops::cli::recover(&config, args)),
        Command::MigrateStore(args) => with_runtime(storeops::cli::migrate(&config, args)),
        Command::Operator(command) => with_runtime(operator(config, command)),
    };
    ended(done)
}

fn ended(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|e| {
        eprintln!("syncferry-controller: {e:#}");
        ExitCode::FAILURE
    })
}

fn with_runtime(future: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    init_logs(&config);
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            stop_signal().await;
            stop.cancel();
        }
    });
    app::run(config, stop).await?;
    Ok(ExitCode::SUCCESS)
}

async fn audit(config: Config) -> anyhow::Result<ExitCode> {
    let store = crate::store::open_any(&config, std::sync::Arc::new(SystemClock)).await?;
    let findings = store.read("audit").await?.audit().await?;
    for f in &findings {
        println!("{}: {}: {}", f.invariant, f.subject, f.found);
    }
    println!(
        "{} finding{}",
        findings.len(),
        if findings.len() == 1 { "" } else { "s" }
    );
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn operator(config: Config, command: OperatorCommand) -> anyhow::Result<ExitCode> {
    match command {
        OperatorCommand::Add { name, out, controller } => {
            let file = out.unwrap_or_else(|| operators::default_file(&name));
            operators::add(&config, &name, &file, controller.as_deref()).await?;
            println!(
                "{} holds the credentials of {name}; whoever has it commands as {name}",
                file.display()
            );
        }
        OperatorCommand::List => {
            for o in operators::list(&config).await? {
                let since = o.created_at.rfc3339();
                match o.revoked_at {
                    None => println!("{}  since {since}", o.name),
                    Some(at) => println!("{}  since {since}, revoked at {}", o.name, at.rfc3339()),
                }
            }
        }
        OperatorCommand::Revoke { name } => {
            operators::revoke(&config, &name).await?;
            println!("{name} is not let in any more");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn init_logs(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).unwrap_or_else(|_| "info".into());
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second initialisation, in tests, is not an error.
    let _ = if config.log_json {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
}

/// Ctrl-C, or SIGTERM where there is one.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
