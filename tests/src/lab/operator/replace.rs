//! Operators while a server is replaced: the plan, and what they type so that the lease changes hands.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use syncferry_cli::{Console, Exit};
use syncferry_proto::v1;

use super::Operator;
use super::watch::LOOK_EVERY;
use crate::lab::flavour::Flavour;
use crate::lab::world::{INSTALLER, INSTANCE, NEW_SERVER, OLD_SERVER, SITE, SQL_HOST, World};

/// Nobody waits longer for what was seen to become old.
const PATIENCE: Duration = Duration::from_secs(180);
const TICKET: &str = "INC-4711";

/// Who brings a hand-over about.
#[derive(Debug, Clone)]
pub struct Hands {
    /// In which way.
    pub flavour: Flavour,
    /// The second operator's credentials, where two people are needed.
    pub second: Option<PathBuf>,
    /// How long is thought about it first.
    pub think: Duration,
}

impl Operator {
    /// Makes a plan and shows it with every finding; answers with the migration.
    pub async fn plan_replacement(&mut self, world: &World, flavour: Flavour) -> anyhow::Result<v1::Migration> {
        let source = lease(&world.options().database);
        let words = [
            "plan",
            "replace-server",
            "--site",
            SITE,
            "--source",
            &source,
            "--connect-host",
            NEW_SERVER,
            "--installer",
            INSTALLER,
            "--service-account",
            &world.options().around.service_account,
            "--handover",
            flavour.way(),
        ];
        let exit = self.type_in(&words).await;
        anyhow::ensure!(
            matches!(exit, Exit::Ok | Exit::Refused),
            "the plan was not made (exit code {})",
            exit.code()
        );
        let newest = self.newest().await?.context("there is no migration")?.id;
        self.planned(&newest).await
    }

    /// Does what a hand-over waits for, if it waits.
    pub(super) async fn lend(&mut self, hands: &Hands, id: &str) -> anyhow::Result<()> {
        let Ok(migration) = self.migration(id).await else {
            // The controller is away for a moment.
            return Ok(());
        };
        let waits = &migration.waiting_for;
        if !waits.starts_with("an operator: ") {
            return Ok(());
        }
        if waits.contains("it is lost when it is not renewed") {
            println!("\n  Nothing can be done before that. The operators wait.");
            let before = waits.clone();
            while self.migration(id).await.is_ok_and(|m| m.waiting_for == before) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            return Ok(());
        }
        tokio::time::sleep(hands.think).await;
        let name = waits
            .split_once("lease of ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .map_or_else(|| lease(crate::lab::world::DATABASE), str::to_string);
        let exit = match hands.flavour {
            // What its agent saw was too old: it is looked again.
            Flavour::Reachable => {
                let to = ["lease", "handover", &name, "--to", NEW_SERVER, "--yes", "--reason"];
                self.type_in(&with(&to, "SYNC01 is retired")).await
            }
            Flavour::HostOff => {
                let fence = [
                    "lease",
                    "fence",
                    &name,
                    "--power-off",
                    "--via",
                    SQL_HOST,
                    "--yes",
                    "--reason",
                ];
                self.type_in(&with(&fence, "SYNC01 is switched off")).await
            }
            Flavour::SqlFence if waits.contains("`syncferry lease open") => {
                let open = ["lease", "open", &name, "--yes", "--reason"];
                self.type_in(&with(&open, "SYNC02 takes over")).await
            }
            Flavour::SqlFence => {
                let fence = ["lease", "fence", &name, "--sql", "--yes", "--reason"];
                self.type_in(&with(&fence, "SYNC01 does not come back")).await
            }
            Flavour::TwoPeople if waits.contains("gave a first word") => {
                let second = hands.second.clone().context("there is no second operator")?;
                let second = Operator::open(second)?;
                println!("\nThe second operator:");
                let attest = ["lease", "attest", &name, "--server", OLD_SERVER, "--yes", "--reason"];
                second.type_in(&with(&attest, "I stood before the rack")).await
            }
            Flavour::TwoPeople => {
                println!("\nThe first operator:");
                let word = [
                    "lease",
                    "break-glass",
                    &name,
                    "--server",
                    OLD_SERVER,
                    "--ticket",
                    TICKET,
                    "--reason",
                    "the rack burnt",
                ];
                self.until_not_contradicted(&word).await?;
                self.type_in(&with(&word, "--yes")).await
            }
        };
        if exit != Exit::Ok {
            // It was said why; what it waits for is looked at again, and a moment later it may be possible.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// Nobody's word is taken against what was just seen: waits until that is old enough.
    async fn until_not_contradicted(&self, words: &[&str]) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        let mut told = false;
        loop {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let dry = with(words, "--dry-run");
            self.run(&dry, &mut Console::plain(&mut out, &mut err)).await;
            let said = String::from_utf8_lossy(&out).into_owned() + &String::from_utf8_lossy(&err);
            if !said.contains("word-contradicted") {
                return Ok(());
            }
            if !told {
                println!(
                    "  {OLD_SERVER} was seen alive too lately; a word against that is refused. The operator waits."
                );
                told = true;
            }
            anyhow::ensure!(Instant::now() < until, "{OLD_SERVER} is seen alive:\n{said}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The alarms that are open.
    pub async fn alarms(&mut self) -> anyhow::Result<Vec<v1::Alarm>> {
        let answer = self.client.list_alarms(v1::ListAlarmsRequest::default()).await?;
        Ok(answer.into_inner().alarms)
    }

    /// The state of the agent on a host.
    pub async fn agent_state(&mut self, host: &str) -> anyhow::Result<String> {
        let hosts = self.hosts().await?;
        let found = hosts.into_iter().find(|h| h.name == host);
        Ok(found.map(|h| h.agent_state).unwrap_or_default())
    }
}

fn with<'a>(words: &[&'a str], last: &'a str) -> Vec<&'a str> {
    let mut words = words.to_vec();
    words.push(last);
    words
}

/// The name of the database's lease.
fn lease(database: &str) -> String {
    format!("{SQL_HOST}/{INSTANCE}/{database}")
}
