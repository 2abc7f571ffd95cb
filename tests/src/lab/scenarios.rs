//! `lab drill`, `provision-staging`, `switch-active`, `decommission` and `restore-from-backup`: the world of `move-to-full-sql`, and
//! one migration after the other in it. What a scenario needs beforehand is done first, once.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use indicatif::HumanDuration;
use syncferry_cli::Exit;
use syncferry_proto::v1;

use super::operator::{AtTheGate, Operator, Rest};
use super::run::{EXIT_CANCELLED, EXIT_REFUSED, EXIT_STOPPED, Lab, Phase};
use super::typed::{SOMEBODYS_FILE, Scenario};
use super::world::{INSTANCE, NEW_SERVER, OLD_SERVER, SQL_HOST};

/// Which scenario is run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// A recovery is rehearsed.
    Drill,
    /// A staging server is built.
    ProvisionStaging,
    /// The staging server becomes active.
    SwitchActive,
    /// The old server is retired.
    Decommission,
    /// The database moves, and a DBA runs what needs rights in SQL Server.
    MoveByDba,
    /// The old server goes on, on the moved database; and becomes active again.
    InPlace {
        /// Whether it becomes active again at the end.
        active: bool,
    },
    /// The old SQL Server is gone.
    RestoreFromBackup(From),
}

/// Where the backup comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    /// The catalogue: an artifact that a drill left.
    Artifact,
    /// A file that somebody copied to the SQL host; nothing is known of it.
    File,
}

/// How often the new server's first cycle is looked for, and how long between.
const FIRST_CYCLE_LOOKS: u32 = 60;
const FIRST_CYCLE_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
/// What the lab's operator says of every item.
const REMARK: &str = "looked at on the new server and in the Entra admin center";

impl Lab {
    /// What these commands do.
    pub(super) async fn reach(&mut self, goal: Goal, attended: bool) -> anyhow::Result<ExitCode> {
        let all = Instant::now();
        let mut phase = Phase::begin("Three machines, two SQL Servers, a controller, three agents");
        let mut operator = self.bring_up().await?;
        phase.next("The source");
        let database = self.world().options().database.clone();
        operator.add_database_named(&database).await?;
        let source = format!("{OLD_SERVER}/{INSTANCE}/{database}");
        let gate = self.gate(attended);
        let mut rest = Rest::Succeeded;
        let mut last = None;
        for scenario in Self::path(goal) {
            phase.next(scenario.name());
            match scenario {
                Scenario::RestoreArtifact | Scenario::RestoreFile => self.lose_the_source(scenario)?,
                Scenario::SwitchActive | Scenario::SwitchBack => self.close_the_checklist(&mut operator).await?,
                _ => {}
            }
            let (ended, id) = self.run_one(&mut operator, scenario, &source, &gate).await?;
            rest = ended;
            last = Some(id);
            if rest != Rest::Succeeded {
                break;
            }
        }
        phase.next("The evidence");
        if let Some(id) = &last {
            operator.report(id, self.world().dir()).await?;
        }
        operator.show_leases().await?;
        phase.end();
        println!("\nAll of it took {}.", HumanDuration(all.elapsed()));
        Ok(match rest {
            Rest::Succeeded => {
                println!("{}", said(goal));
                ExitCode::SUCCESS
            }
            Rest::Refused => {
                println!("\nThe plan is refused; nothing was touched.");
                ExitCode::from(EXIT_REFUSED)
            }
            Rest::Stopped => ExitCode::from(EXIT_STOPPED),
            Rest::Cancelled => ExitCode::from(EXIT_CANCELLED),
        })
    }

    /// The migrations on the way.
    fn path(goal: Goal) -> Vec<Scenario> {
        match goal {
            Goal::Drill => vec![Scenario::Drill { keep: false }],
            Goal::ProvisionStaging => vec![Scenario::ProvisionStaging],
            Goal::SwitchActive => vec![Scenario::ProvisionStaging, Scenario::SwitchActive],
            Goal::Decommission => vec![
                Scenario::ProvisionStaging,
                Scenario::SwitchActive,
                Scenario::Decommission,
            ],
            Goal::RestoreFromBackup(From::Artifact) => vec![Scenario::Drill { keep: true }, Scenario::RestoreArtifact],
            Goal::RestoreFromBackup(From::File) => vec![Scenario::Drill { keep: true }, Scenario::RestoreFile],
            Goal::MoveByDba => vec![Scenario::MoveByDba],
            Goal::InPlace { active: false } => vec![Scenario::MoveInPlace],
            Goal::InPlace { active: true } => vec![Scenario::MoveInPlace, Scenario::SwitchBack],
        }
    }

    /// One migration: planned, applied, watched. One that ended well before is not run again.
    async fn run_one(
        &mut self,
        operator: &mut Operator,
        scenario: Scenario,
        source: &str,
        gate: &AtTheGate,
    ) -> anyhow::Result<(Rest, String)> {
        let all = operator.migrations().await?;
        let of = |m: &&v1::Migration| m.scenario == scenario.name();
        if let Some(done) = all.iter().filter(of).find(|m| m.state == "succeeded") {
            println!("  done before: migration {}", done.id);
            return Ok((Rest::Succeeded, done.id.clone()));
        }
        let ended = ["cancelled", "blocked"];
        let id = match all.iter().filter(of).find(|m| !ended.contains(&m.state.as_str())) {
            Some(begun) => {
                println!("  going on with migration {} ({})", begun.id, begun.state);
                begun.id.clone()
            }
            None => {
                let words = scenario.plan(self.world(), source);
                let typed: Vec<&str> = words.iter().map(String::as_str).collect();
                let exit = operator.type_in(&typed).await;
                anyhow::ensure!(
                    matches!(exit, Exit::Ok | Exit::Refused),
                    "the plan was not made (exit code {})",
                    exit.code()
                );
                operator.newest().await?.context("there is no migration")?.id
            }
        };
        let migration = operator.planned(&id).await?;
        if migration.state == "blocked" {
            return Ok((Rest::Refused, id));
        }
        if ["planned", "stopped", "stuck"].contains(&migration.state.as_str()) {
            operator.apply(&migration).await?;
        }
        let mut rest = self.watch(operator, &id, gate).await?;
        if rest == Rest::Stopped && migration.state == "running" {
            // It was interrupted, and a job found that what it talked to had gone. An operator would look and apply again.
            let stopped = operator.migration(&id).await?;
            operator.apply(&stopped).await?;
            rest = self.watch(operator, &id, gate).await?;
        }
        Ok((rest, id))
    }

    /// What is left to do on the new server, before it may become active: a person does it, and says so.
    async fn close_the_checklist(&self, operator: &mut Operator) -> anyhow::Result<()> {
        let all = operator.migrations().await?;
        let switched = all
            .iter()
            .any(|m| m.scenario == Scenario::SwitchActive.name() && m.state != "blocked" && m.state != "cancelled");
        let seats = [Scenario::ProvisionStaging.name(), Scenario::MoveInPlace.name()];
        let seated = all
            .iter()
            .find(|m| seats.contains(&m.scenario.as_str()) && m.state == "succeeded");
        let Some(seated) = seated.filter(|_| !switched) else {
            return Ok(());
        };
        self.wait_for_the_first_cycle(operator, &seated.id).await?;
        for item in operator.left_to_do(&seated.id).await? {
            let typed = ["checklist", "attest", &seated.id, &item, "--reason", REMARK];
            // Its exit code says whether something is open still.
            operator.type_in(&typed).await;
        }
        let open = operator.left_to_do(&seated.id).await?;
        anyhow::ensure!(open.is_empty(), "still left to do: {}", open.join(", "));
        Ok(())
    }

    /// Agents look until they have seen the first cycle of the new server, which decides what the checklist says of it.
    async fn wait_for_the_first_cycle(&self, operator: &mut Operator, id: &str) -> anyhow::Result<()> {
        for _ in 0..FIRST_CYCLE_LOOKS {
            if operator.sees_done(id, &["first-cycle", "initial-sync"]).await? {
                operator.type_in(&["checklist", "show", id]).await;
                return Ok(());
            }
            tokio::time::sleep(FIRST_CYCLE_PAUSE).await;
        }
        anyhow::bail!("no first cycle was seen on the new server")
    }

    /// The old server's SQL Server is gone for good; before that, somebody may have copied the backup.
    pub(super) fn lose_the_source(&mut self, scenario: Scenario) -> anyhow::Result<()> {
        if scenario == Scenario::RestoreFile {
            self.copy_the_backup()?;
        }
        if self.world().source_is_lost() {
            return Ok(());
        }
        println!("  the disks under the database on {OLD_SERVER} die: its SQL Server is gone, and never comes back.");
        self.world().lose_source()?;
        self.processes().kill("sql-source")?;
        Ok(())
    }

    /// The newest backup file on the old server, copied to where the SQL Server of the other host can read it.
    fn copy_the_backup(&self) -> anyhow::Result<()> {
        let to = self.world().on_drive(SQL_HOST, SOMEBODYS_FILE)?;
        if to.exists() {
            return Ok(());
        }
        let from =
            backup_under(&self.world().host_dir(OLD_SERVER).join("drives")).context("there is no backup file")?;
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(&from, &to)?;
        println!("  somebody has a copy of an old backup: {SOMEBODYS_FILE} on {SQL_HOST}");
        Ok(())
    }
}

fn said(goal: Goal) -> String {
    match goal {
        Goal::Drill => format!(
            "The recovery was rehearsed on {SQL_HOST}; nothing of it is left there. RTO and RPO stand in the report."
        ),
        Goal::ProvisionStaging => {
            format!("{NEW_SERVER} is a staging server on {SQL_HOST}; {OLD_SERVER} is active as it was.")
        }
        Goal::SwitchActive => format!("{NEW_SERVER} is active and holds the export; {OLD_SERVER} is in staging mode."),
        Goal::Decommission => format!("{NEW_SERVER} is active; {OLD_SERVER} is retired, and Connect is gone from it."),
        Goal::MoveByDba => format!(
            "{SQL_HOST} has the database, {NEW_SERVER} runs on it in staging mode, {OLD_SERVER} is as it was; a DBA ran what needs rights."
        ),
        Goal::InPlace { active: false } => format!(
            "{SQL_HOST} has the database, {OLD_SERVER} runs on it in staging mode; nobody exports until it is switched active."
        ),
        Goal::InPlace { active: true } => {
            format!("{SQL_HOST} has the database, {OLD_SERVER} runs on it and is active again.")
        }
        Goal::RestoreFromBackup(_) => {
            format!("{NEW_SERVER} runs on the restored database in staging mode; {OLD_SERVER} is out for good.")
        }
    }
}

/// A `.bak` file below a folder.
fn backup_under(folder: &Path) -> Option<std::path::PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "bak") {
                return Some(path);
            }
        }
    }
    None
}
