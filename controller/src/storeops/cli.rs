//! The command line of the operations on the store: what is typed, and what is printed. Nothing is decided here.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use syncferry_shared::Clock as _;
use syncferry_store_sqlite::SystemClock;

use super::compare::Compared;
use super::{backup, migrate, restore, verify};
use crate::config::{Config, StoreUrl};
use crate::{recovery, store};

/// `backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The file to write, or a folder in which it gets a name. Never replaces a file.
    #[arg(long, value_name = "FILE|DIR")]
    to: PathBuf,
    /// Leaves the authority's keys out: keep a copy of the folder identity/ elsewhere.
    #[arg(long)]
    without_identity: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The backup; the store itself when none is named.
    #[arg(value_name = "BACKUP")]
    backup: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    /// Whether it needs no configuration.
    pub fn is_of_a_file(&self) -> bool {
        self.backup.is_some()
    }
}

/// `restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Puts a store that is there aside first.
    #[arg(long)]
    replace: bool,
    /// Leaves the folder identity/ as it is.
    #[arg(long)]
    without_identity: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// `recover`.
#[derive(Debug, clap::Args)]
pub struct RecoverArgs {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// `migrate-store`.
#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    /// Where to: as `store` in the configuration, sqlite:FILE or postgres://…
    #[arg(
        long,
        value_name = "URL",
        env = "SYNCFERRY_CONTROLLER_MIGRATE_TO",
        hide_env_values = true
    )]
    to: String,
    /// Gives a move up that was interrupted, while the other place is empty.
    #[arg(long)]
    abandon: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Writes a backup.
pub async fn backup(config: &Config, file: &Path, args: BackupArgs) -> anyhow::Result<ExitCode> {
    let ask = backup::Ask {
        to: &args.to,
        config_file: Some(file),
        identity: !args.without_identity,
        quiet: args.json,
    };
    let written = backup::backup(config, ask, SystemClock.now()).await?;
    if args.json {
        return print(&written);
    }
    println!(
        "{}: {} rows of {} tables, {} chains of events, store {} in incarnation {}",
        written.file.display(),
        written.rows.values().sum::<i64>(),
        written.rows.len(),
        written.chains,
        written.store,
        written.incarnation
    );
    println!("blake3 {}", written.blake3);
    match written.files.iter().any(|f| f.ends_with("ca.key")) {
        true => println!(
            "With the authority's keys: whoever has this file can be anybody. Encrypt it, and keep it elsewhere."
        ),
        false => println!(
            "Without the authority's keys: without a copy of {} every agent must enrol anew. Save that folder too.",
            config.data_dir.join(super::secrets::IDENTITY).display()
        ),
    }
    println!(
        "Check it where it is kept: syncferry-controller verify {}",
        written.file.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Checks a backup, or the store itself.
pub async fn verify(config: Option<&Config>, args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let (verdict, what) = match (&args.backup, config) {
        (Some(file), _) => (verify::backup(file, args.json).await?, file.display().to_string()),
        (None, Some(config)) => (verify::live(config).await?, config.store.to_string()),
        (None, None) => anyhow::bail!("name a backup"),
    };
    let good = verdict.findings.is_empty();
    if args.json {
        print(&verdict)?;
    } else {
        println!(
            "{what}: store {} in incarnation {}, schema {}, {} rows of {} tables",
            verdict.store,
            verdict.incarnation,
            verdict.schema,
            verdict.rows.values().sum::<i64>(),
            verdict.rows.len()
        );
        if let Some(at) = &verdict.written_at {
            println!("written at {at}, with {}", said(&verdict.files));
        }
        for (invariant, subject, found) in &verdict.findings {
            println!("{invariant}: {subject}: {found}");
        }
        match (good, &args.backup) {
            (true, Some(_)) => println!("It is whole, and everything in it that must hold does."),
            (true, None) => println!("Everything that must hold does."),
            (false, Some(_)) => println!(
                "It must not be restored. Use an older backup, and look at the store: syncferry-controller verify"
            ),
            (false, None) => println!(
                "Stop the controller. What is named above was changed by somebody or something other than Syncferry: restore a \
                 backup from before that."
            ),
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn said(files: &[String]) -> String {
    match files.is_empty() {
        true => "no files besides".to_string(),
        false => files.join(", "),
    }
}

/// Restores a backup.
pub async fn restore(config: &Config, args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let ask = restore::Ask {
        from: &args.from,
        replace: args.replace,
        identity: !args.without_identity,
        quiet: args.json,
    };
    let restored = restore::restore(config, ask, SystemClock.now()).await?;
    if args.json {
        return print(&restored);
    }
    println!(
        "store {} as of {}, at {}: incarnation {} follows {}",
        restored.store, restored.written_at, config.store, restored.incarnation, restored.incarnation_was
    );
    if let Some(aside) = &restored.put_aside {
        println!("The store that was there is now {}", aside.display());
    }
    for file in &restored.files {
        println!("written: {}", file.display());
    }
    println!(
        "Every lease is in quarantine ({} to release), and nothing that was given out after the backup counts any more. Next:\n  \
         1. Revoke again what was revoked since: syncferry-controller operator list\n  \
         2. Start the controller, and wait until the agents are online: syncferry host list\n  \
         3. syncferry-controller recover shows each lease with its next step",
        restored.leases
    );
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Release {
    lease: String,
    state: String,
    epoch: i64,
    in_the_backup: String,
    holder: Option<String>,
    highest_seen: Option<(i64, String)>,
    unheard: Vec<String>,
    next: String,
}

#[derive(Serialize)]
struct Recovering {
    incarnation: i64,
    since: String,
    over: Option<String>,
    found: Vec<String>,
    unheard: Vec<String>,
    leases: Vec<Release>,
    open: Vec<String>,
}

/// Shows where a recovery stands. Exit code 0 when it is over or there was none, 1 while leases wait.
pub async fn recover(config: &Config, args: RecoverArgs) -> anyhow::Result<ExitCode> {
    let store = store::look(config).await?;
    let status = recovery::status::look(&mut *store.read("store.recovery").await?).await?;
    store.shut_down().await;
    let Some(status) = status else {
        match args.json {
            true => drop(print(&serde_json::Value::Null)?),
            false => println!("This store was never restored."),
        }
        return Ok(ExitCode::SUCCESS);
    };
    let waits = !status.leases.is_empty();
    let shown = Recovering {
        incarnation: status.recovery.incarnation,
        since: status.recovery.begun_at.rfc3339(),
        over: status.recovery.ended_at.map(|t| t.rfc3339()),
        found: recovery::sentences(&status.recovery.found),
        unheard: status.unheard,
        open: status.open,
        leases: status
            .leases
            .into_iter()
            .map(|p| Release {
                lease: p.name,
                state: p.lease.state.to_string(),
                epoch: p.lease.epoch,
                in_the_backup: format!("{}, epoch {}", p.was.state, p.was.epoch),
                holder: p.holder,
                highest_seen: p.seen,
                unheard: p.unheard,
                next: p.next,
            })
            .collect(),
    };
    match args.json {
        true => drop(print(&shown)?),
        false => show(&shown),
    }
    Ok(if waits { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(r: &Recovering) {
    println!(
        "incarnation {} began at {}: the store went back",
        r.incarnation, r.since
    );
    r.found.iter().for_each(|f| println!("  {f}"));
    if !r.unheard.is_empty() {
        println!("not heard since: the agents on {}", r.unheard.join(", "));
    }
    if !r.open.is_empty() {
        println!("open in agents' journals at their first hello since:");
        r.open.iter().for_each(|o| println!("  {o}"));
    }
    for l in &r.leases {
        println!("lease {}: {} at epoch {}", l.lease, l.state, l.epoch);
        println!(
            "  in the backup: {}, holder {}",
            l.in_the_backup,
            l.holder.as_deref().unwrap_or("nobody")
        );
        if let Some((epoch, host)) = &l.highest_seen {
            println!("  the highest epoch from before that an agent remembers: {epoch}, on {host}");
        }
        println!("  next: {}", l.next);
    }
    match (&r.over, r.leases.is_empty()) {
        (Some(at), _) => println!("Every lease was released; it is over since {at}."),
        (None, true) => {
            println!("Every lease was released. Migrations that are stuck go on with `syncferry apply --reason`.")
        }
        (None, false) => println!(
            "{} leases wait. Nothing is granted and no job goes on with them before that.",
            r.leases.len()
        ),
    }
}

/// Moves the store.
pub async fn migrate(config: &Config, args: MigrateArgs) -> anyhow::Result<ExitCode> {
    let to = Config {
        store: StoreUrl::from(args.to.as_str()),
        ..config.clone()
    };
    to.store.engine()?;
    if args.abandon {
        migrate::abandon(config, &to).await?;
        println!(
            "The move was given up; the store at {} may be used again.",
            config.store
        );
        return Ok(ExitCode::SUCCESS);
    }
    let moved = migrate::migrate(config, &to, args.json).await?;
    if args.json {
        return print(&moved);
    }
    println!(
        "store {} from {} to {}, incarnation {} as before",
        moved.store, moved.from, moved.to, moved.incarnation
    );
    table(&moved.tables);
    println!(
        "Every row was read back and is the same. Next: set store to the new place in the configuration, and start the controller.\n\
         The old store is marked as moved; no controller starts on it again."
    );
    Ok(ExitCode::SUCCESS)
}

fn table(tables: &[Compared]) {
    let wide = tables.iter().map(|t| t.table.len()).max().unwrap_or(0);
    for t in tables {
        let hash = t.blake3.get(..16).unwrap_or_default();
        println!("  {:wide$}  {:>9} rows  {:>9} there  {hash}", t.table, t.here, t.there);
    }
}

fn print(value: &impl Serialize) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(ExitCode::SUCCESS)
}
