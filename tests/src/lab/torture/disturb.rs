//! Does to a run what was drawn for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Mutex, watch};

use super::disturbance::{Disturbance, Kind, Moment};
use super::journal;
use crate::lab::operator::Operator;
use crate::lab::proxy::{Proxy, Wire};
use crate::lab::run::Lab;
use crate::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST, World};

const LOOK_EVERY: Duration = Duration::from_millis(15);
/// Which part of a torn record is left.
const TORN: f64 = 0.6;

/// What a disturbance has at hand.
pub(super) struct Hand {
    pub(super) lab: Arc<Mutex<Lab>>,
    pub(super) world: World,
    pub(super) operator: Operator,
    pub(super) wires: BTreeMap<String, Proxy>,
    /// Whether something is being done at this moment.
    pub(super) busy: watch::Sender<bool>,
}

/// Whether the moment came.
enum Came {
    Yes(String),
    /// The run was over before.
    Over,
}

impl Hand {
    /// Waits for each moment and does what is due. Answers with what happened, in words.
    pub(super) async fn disturb(&mut self, all: &[Disturbance]) -> anyhow::Result<Vec<String>> {
        let mut happened = Vec::new();
        for one in all {
            let Came::Yes(migration) = self.wait_for(&one.moment).await else {
                happened.push(format!("{}: the run was over before", one.kind.name()));
                continue;
            };
            tokio::time::sleep(one.after()).await;
            let at = self.place(&migration).await;
            say(&format!("now: {one} (at: {at})"));
            self.busy.send_replace(true);
            let what = self.act(one, &migration).await.with_context(|| one.to_string());
            self.busy.send_replace(false);
            let what = what?;
            say(&format!("done: {what}"));
            happened.push(format!("{what}; the run was at: {at}"));
        }
        Ok(happened)
    }

    async fn wait_for(&mut self, moment: &Moment) -> Came {
        loop {
            if let Ok(Some(m)) = self.operator.newest().await {
                let over = ["succeeded", "cancelled"].contains(&m.state.as_str());
                match self.reached(moment, &m.id).await {
                    Ok(true) => return Came::Yes(m.id),
                    _ if over => return Came::Over,
                    _ => {}
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn reached(&mut self, moment: &Moment, migration: &str) -> anyhow::Result<bool> {
        Ok(match moment {
            Moment::Event(n) => !self.operator.history("migration", migration, n - 1).await?.is_empty(),
            Moment::Gate => !self.operator.gates(migration).await?.is_empty(),
            Moment::Job(name) => {
                let m = self.operator.migration(migration).await?;
                let begun = |state: &str| !["waiting", "ready", "offered"].contains(&state);
                m.jobs.iter().any(|j| j.name == *name && begun(&j.state))
            }
        })
    }

    /// Where the run is, for people.
    async fn place(&mut self, migration: &str) -> String {
        let Ok(m) = self.operator.migration(migration).await else {
            return "nobody answers".into();
        };
        let at = m
            .jobs
            .iter()
            .filter(|j| !["waiting", "succeeded"].contains(&j.state.as_str()));
        let at: Vec<String> = at
            .map(|j| {
                let step = j.steps.last().map_or("-", |s| s.name.as_str());
                format!("{} {} ({step})", j.name, j.state)
            })
            .collect();
        if at.is_empty() { m.state } else { at.join(", ") }
    }

    async fn act(&mut self, one: &Disturbance, migration: &str) -> anyhow::Result<String> {
        let agent = |host: &str| format!("agent-{}", host.to_ascii_lowercase());
        match one.kind {
            Kind::Nothing => Ok("nothing".into()),
            Kind::KillController => self.kill("controller", one, |_| Ok(String::new())).await,
            Kind::StopController => self.stop("controller", one).await,
            Kind::KillSourceAgent => self.kill(&agent(OLD_SERVER), one, |_| Ok(String::new())).await,
            Kind::KillTargetAgent => self.kill(&agent(SQL_HOST), one, |_| Ok(String::new())).await,
            Kind::KillNewServerAgent => self.kill(&agent(NEW_SERVER), one, |_| Ok(String::new())).await,
            Kind::KillSourceSql => self.kill("sql-source", one, |_| Ok(String::new())).await,
            Kind::KillTargetSql => self.kill("sql-target", one, |_| Ok(String::new())).await,
            Kind::LoseRecord | Kind::TearRecord | Kind::LoseJournal => {
                let (kind, host) = (one.kind, one.host.clone());
                let damage = move |world: &World| damage(world, &host, kind);
                self.kill(&agent(&one.host), one, damage).await
            }
            Kind::ShortCut | Kind::LongCut => self.cut(one).await,
            Kind::CancelBackup
            | Kind::CancelRestore
            | Kind::CancelInstall
            | Kind::CancelAtGate
            | Kind::CancelVerify => self.cancel(migration).await,
        }
    }

    /// Kills a process, lets something happen to what it left, and starts it again.
    async fn kill(
        &mut self,
        process: &str,
        one: &Disturbance,
        meanwhile: impl FnOnce(&World) -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        let program = self.lab.lock().await.processes().kill(process)?;
        let more = meanwhile(&self.world)?;
        tokio::time::sleep(one.pause()).await;
        self.lab.lock().await.processes().start(program).await?;
        Ok(format!("{process} was killed{more} and started again"))
    }

    async fn stop(&mut self, process: &str, one: &Disturbance) -> anyhow::Result<String> {
        let program = self.lab.lock().await.processes().stop(process).await?;
        tokio::time::sleep(one.pause()).await;
        self.lab.lock().await.processes().start(program).await?;
        Ok(format!("{process} was ended with SIGTERM and started again"))
    }

    async fn cut(&mut self, one: &Disturbance) -> anyhow::Result<String> {
        let wire = self.wires.get(&one.host).context("there is no such wire")?;
        wire.set(if one.silent { Wire::Silent } else { Wire::Broken });
        tokio::time::sleep(one.pause()).await;
        wire.set(Wire::Whole);
        Ok(format!("the agent on {} was cut off for {} ms", one.host, one.pause_ms))
    }

    async fn cancel(&mut self, migration: &str) -> anyhow::Result<String> {
        match self.operator.cancel(migration, "torture").await {
            Ok(m) => Ok(format!("cancelled; the migration is {}", m.state)),
            // Too late is an answer, and it names its reason.
            Err(status) => Ok(format!("cancelling was refused: {}", status.message())),
        }
    }
}

fn damage(world: &World, host: &str, kind: Kind) -> anyhow::Result<String> {
    let data = world.agent_dir(host).join("data");
    let lost = match kind {
        Kind::LoseJournal => {
            std::fs::remove_file(data.join("journal"))?;
            return Ok(", lost its whole journal".into());
        }
        Kind::TearRecord => journal::cut(&data, Some(TORN))?,
        _ => journal::cut(&data, None)?,
    };
    let how = if kind == Kind::TearRecord { "torn" } else { "lost" };
    Ok(match lost {
        Some(record) => format!(", its journal's last record ({record}) was {how},"),
        None => ", its journal had no record,".into(),
    })
}

/// Into the run's output.
pub(super) fn say(line: &str) {
    println!("  [torture] {line}");
}
