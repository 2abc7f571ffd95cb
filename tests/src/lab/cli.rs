//! The lab's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use super::flavour::Flavour;
use super::fleet::{self, FleetArgs};
use super::plan_only::Planned;
use super::processes::Supervisor;
use super::random::{self, many::RandomArgs};
use super::roles;
use super::run::Lab;
use super::scenarios::{From, Goal};
use super::torture::{self, TortureArgs};
use super::wizard_tool;
use super::world::{NEW_SERVER, World, WorldOptions};

const EXIT_INTERRUPTED: u8 = 130;

/// All of Syncferry on one machine, on SQL Servers and Windows hosts that are stand-ins. Nothing outside the folder is
/// touched, and everything listens on 127.0.0.1 only
#[derive(Debug, Parser)]
#[command(name = "lab", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 something else failed; 2 the command line makes no sense; 3 refused by findings;\n\
                          6 the migration stopped; 7 it was cancelled; 130 interrupted (the same command goes on)";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Moves ADSync from LocalDB to full SQL Server and seats a new Connect server on it, from nothing to the report
    MoveToFullSql(MoveToFullSqlArgs),
    /// Replaces the Connect server of a database that stays where it is, in one of four flavours; then the old one comes back
    ReplaceServer(ReplaceArgs),
    /// Rehearses a recovery: a backup is restored under a scratch name on the other SQL Server, checked and dropped
    Drill(MoveArgs),
    /// Builds a staging server on the other SQL Server and compares it with the active one
    ProvisionStaging(MoveArgs),
    /// The same, and then the staging server becomes the active one
    SwitchActive(MoveArgs),
    /// The same, and then the old server is retired
    Decommission(MoveArgs),
    /// The old SQL Server dies: a backup is restored on the other one, and a new Connect server is seated on it
    RestoreFromBackup(RestoreArgs),
    /// Runs the main job again and again, each time disturbed at a random moment, and holds the end against a run that
    /// nothing disturbed
    Torture(TortureArgs),
    /// Runs the main job for many sites at once on several controllers and one PostgreSQL, while controllers and PostgreSQL are
    /// killed and wires are cut, and says how long it took others to take over
    Fleet(FleetArgs),
    /// Draws worlds, plans a scenario in each and holds what happens against what the plan says: without a blocker it runs to its
    /// end, with one nothing is touched
    Random(RandomArgs),
    /// Builds a world, plans one scenario in it and shows what speaks against it; nothing is applied
    Plan(PlanArgs),
    /// Works through the wizard on the new Connect server, as the person at the gate
    Wizard(Folder),
    /// Starts everything and leaves it running
    Up(UpArgs),
    /// Ends what `up` started
    Down(Folder),
    /// What runs, and where
    Status(Folder),
    /// Runs the operator's command line against the lab: `lab syncferry -- lease list`
    Syncferry(SyncferryArgs),
    /// Ends what runs and deletes the folder
    Clean(Folder),
}

#[derive(Debug, Args)]
struct Folder {
    /// The lab's folder
    #[arg(long, default_value = "syncferry-lab")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct MoveArgs {
    #[command(flatten)]
    folder: Folder,
    /// Wait at the gate for a person, who uses `lab wizard`
    #[arg(long)]
    attended: bool,
    /// A program that keeps the new Connect server instead of the lab: a Windows under Wine (`tests/windows/run migration`)
    #[arg(long, value_name = "PROGRAM", hide = true)]
    new_server: Option<PathBuf>,
    #[command(flatten)]
    world: WorldOptions,
}

#[derive(Debug, Args)]
struct MoveToFullSqlArgs {
    #[command(flatten)]
    run: MoveArgs,
    /// The old server goes on: Connect is uninstalled there and installed anew on the moved database
    #[arg(long)]
    in_place: bool,
    /// The agent on the SQL host may only look: a DBA runs the T-SQL that the gates show
    #[arg(long, conflicts_with = "in_place")]
    dba: bool,
    /// With --in-place: and is made active again at the end
    #[arg(long, requires = "in_place")]
    active: bool,
}

#[derive(Debug, Args)]
struct PlanArgs {
    #[command(flatten)]
    folder: Folder,
    /// What is planned
    #[arg(long, value_enum, default_value_t = Planned::MoveToFullSql)]
    scenario: Planned,
    #[command(flatten)]
    world: WorldOptions,
}

#[derive(Debug, Args)]
struct ReplaceArgs {
    #[command(flatten)]
    folder: Folder,
    /// How the old server is gone, and so how its lease changes hands
    #[arg(long, value_enum, default_value_t = Flavour::Reachable)]
    flavour: Flavour,
    /// Wait at the gate for a person, who uses `lab wizard`
    #[arg(long)]
    attended: bool,
    /// How long the operator thinks before acting at the hand-over, in milliseconds
    #[arg(long, hide = true, default_value_t = 0)]
    think_ms: u64,
    #[command(flatten)]
    world: WorldOptions,
}

#[derive(Debug, Args)]
struct RestoreArgs {
    #[command(flatten)]
    run: MoveArgs,
    /// Where the backup comes from
    #[arg(long, value_enum, default_value_t = From::Artifact)]
    from: From,
}

#[derive(Debug, Args)]
struct UpArgs {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    world: WorldOptions,
}

#[derive(Debug, Args)]
struct SyncferryArgs {
    #[command(flatten)]
    folder: Folder,
    /// What follows `syncferry`
    #[arg(last = true)]
    words: Vec<OsString>,
}

/// The whole process.
pub fn main(args: Vec<OsString>) -> ExitCode {
    if let Some(exit) = roles::run(&args) {
        return exit;
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let result = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(run(cli.verb));
            // A thread that waits for a line of input would wait for ever.
            runtime.shutdown_background();
            result
        });
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::MoveToFullSql(args) if args.in_place => {
            let goal = Goal::InPlace { active: args.active };
            reach(args.run, goal).await
        }
        Verb::MoveToFullSql(args) if args.dba => {
            let mut run = args.run;
            run.world.dba = true;
            reach(run, Goal::MoveByDba).await
        }
        Verb::MoveToFullSql(MoveToFullSqlArgs { run: args, .. }) => {
            let world = args.world;
            let mut lab = open(&args.folder.dir, &world)?.new_server_elsewhere(args.new_server);
            let exit = tokio::select! {
                // The command line inside hears the same signal; what we say of it counts.
                biased;
                () = roles::stop_signal() => {
                    println!("\nInterrupted. The same command goes on from here.");
                    Ok(ExitCode::from(EXIT_INTERRUPTED))
                }
                exit = lab.move_to_full_sql(args.attended) => exit,
            };
            lab.processes().stop_all().await;
            exit
        }
        Verb::ReplaceServer(args) => {
            let world = WorldOptions {
                replaces: Some(args.flavour),
                ..args.world
            };
            let mut lab = open(&args.folder.dir, &world)?;
            let think = Duration::from_millis(args.think_ms);
            let exit = tokio::select! {
                biased;
                () = roles::stop_signal() => {
                    println!("\nInterrupted. The same command goes on from here.");
                    Ok(ExitCode::from(EXIT_INTERRUPTED))
                }
                exit = lab.replace_server(args.attended, think) => exit,
            };
            lab.processes().stop_all().await;
            exit
        }
        Verb::Plan(args) => {
            let mut lab = open(&args.folder.dir, &args.scenario.world(args.world))?;
            let exit = tokio::select! {
                biased;
                () = roles::stop_signal() => Ok(ExitCode::from(EXIT_INTERRUPTED)),
                exit = lab.plan_only(args.scenario) => exit,
            };
            lab.processes().stop_all().await;
            exit
        }
        Verb::Drill(args) => reach(args, Goal::Drill).await,
        Verb::ProvisionStaging(args) => reach(args, Goal::ProvisionStaging).await,
        Verb::SwitchActive(args) => reach(args, Goal::SwitchActive).await,
        Verb::Decommission(args) => reach(args, Goal::Decommission).await,
        Verb::RestoreFromBackup(args) => {
            let goal = Goal::RestoreFromBackup(args.from);
            reach(args.run, goal).await
        }
        Verb::Torture(args) => torture::run(&args).await,
        Verb::Random(args) => random::many::run(&args).await,
        Verb::Fleet(args) => fleet::run(&args).await,
        Verb::Wizard(folder) => wizard_tool::run(&World::look(&folder.dir)?.host_dir(NEW_SERVER)).await,
        Verb::Up(args) => {
            let mut lab = open(&args.folder.dir, &args.world)?;
            let up = lab.bring_up().await;
            up.context("the lab did not come up")?;
            lab.detach();
            status(&args.folder.dir)?;
            println!("\nIt goes on running. lab syncferry -- host list   lab down");
            Ok(ExitCode::SUCCESS)
        }
        Verb::Down(folder) => {
            for ended in Supervisor::end_leftovers(&folder.dir) {
                println!("ended {} ({})", ended.name, ended.pid);
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Status(folder) => {
            status(&folder.dir)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Syncferry(args) => {
            let credentials = World::look(&args.folder.dir)?.credentials();
            let words = ["syncferry".into(), "--credentials".into(), credentials.into_os_string()];
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            let mut console = syncferry_cli::Console::of_process(&mut out, &mut err);
            let exit = syncferry_cli::run(words.into_iter().chain(args.words), &mut console).await;
            Ok(exit.into())
        }
        Verb::Clean(folder) => clean(&folder.dir),
    }
}

/// Runs scenarios up to the one that is meant.
async fn reach(args: MoveArgs, goal: Goal) -> anyhow::Result<ExitCode> {
    let mut lab = open(&args.folder.dir, &args.world)?;
    let exit = tokio::select! {
        biased;
        () = roles::stop_signal() => {
            println!("\nInterrupted. The same command goes on from here.");
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
        exit = lab.reach(goal, args.attended) => exit,
    };
    lab.processes().stop_all().await;
    exit
}

fn open(dir: &Path, options: &WorldOptions) -> anyhow::Result<Lab> {
    if let Some(other) = Supervisor::owner(dir) {
        anyhow::bail!(
            "another lab (process {}) works in {}; let it end, or use another folder with --dir",
            other.pid,
            dir.display()
        );
    }
    for ended in Supervisor::end_leftovers(dir) {
        println!(
            "ended {} ({}), left over from an earlier lab in this folder",
            ended.name, ended.pid
        );
    }
    let exe = std::env::current_exe().context("where this program is")?;
    if World::exists(dir) {
        let world = World::look(dir)?;
        if world.options() != options {
            println!("The lab in {} is there already; its own options hold.", dir.display());
        }
    } else {
        println!("== A new world in {}", dir.display());
    }
    Lab::open(&exe, dir, options)
}

fn status(dir: &Path) -> anyhow::Result<()> {
    let world = World::look(dir)?;
    let running = Supervisor::leftovers(dir);
    println!("{}", world.dir().display());
    for process in &running {
        println!("  {:<16} {}", process.name, process.pid);
    }
    if running.is_empty() {
        println!("  nothing runs");
    } else {
        println!("  controller at 127.0.0.1:{}", world.ports().controller);
        println!("  credentials in {}", world.credentials().display());
    }
    Ok(())
}

fn clean(dir: &Path) -> anyhow::Result<ExitCode> {
    if !dir.exists() {
        println!("there is nothing in {}", dir.display());
        return Ok(ExitCode::SUCCESS);
    }
    // Only a folder that the lab made is deleted, whatever somebody typed.
    let ours = World::exists(dir) || (dir.join("hosts").is_dir() && dir.join("sql").is_dir());
    anyhow::ensure!(ours, "{} is not the folder of a lab; it stays", dir.display());
    for ended in Supervisor::end_leftovers(dir) {
        println!("ended {} ({})", ended.name, ended.pid);
    }
    std::fs::remove_dir_all(dir).with_context(|| format!("{} cannot be deleted", dir.display()))?;
    println!("deleted {}", dir.display());
    Ok(ExitCode::SUCCESS)
}
