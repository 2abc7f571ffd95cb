//! The operator and the person at the wizard, who go on whatever happens: they look, do what is written there, and look
//! again. Where a run stops they take down what is said about it; a stop that says nothing, or an end that does not come, is
//! a failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use syncferry_proto::{schema, v1};
use syncferry_shared::outcome::Failure;
use tokio::sync::{Mutex, watch};

use super::disturb::say;
use super::verdict::Stop;
use crate::lab::host_client::HostClient;
use crate::lab::operator::Operator;
use crate::lab::run::Lab;

const LOOK_EVERY: Duration = Duration::from_millis(60);
/// The longest that a run may take, whatever was done to it.
const LIMIT: Duration = Duration::from_secs(120);
/// For how long nobody need answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long something unknown may become known by itself: an agent that was called silent says hello again.
const GRACE: Duration = Duration::from_secs(4);
/// More stops than one or two disturbances explain.
const MOST_STOPS: usize = 4;

/// Goes through the migration.
pub(super) struct Driver {
    pub(super) lab: Arc<Mutex<Lab>>,
    pub(super) operator: Operator,
    pub(super) host: HostClient,
    /// Nobody acts at the gate until it is closed.
    pub(super) leave_gate: bool,
    /// Whether something is being done to the run at this moment.
    pub(super) disturbed: watch::Receiver<bool>,
    pub(super) stops: Vec<Stop>,
}

impl Driver {
    /// From the plan to the end of the migration, which is returned.
    pub(super) async fn go(&mut self) -> anyhow::Result<v1::Migration> {
        let began = Instant::now();
        let mut stuck_since: Option<Instant> = None;
        let mut silent_since: Option<Instant> = None;
        loop {
            anyhow::ensure!(
                began.elapsed() < LIMIT,
                "it does not come to an end within {} s: {}",
                LIMIT.as_secs(),
                self.where_it_hangs().await
            );
            let newest = match self.operator.newest().await {
                Ok(newest) => newest,
                Err(error) => {
                    let since = *silent_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(error).context("the controller does not answer");
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
            };
            silent_since = None;
            let Some(row) = newest else {
                self.plan().await;
                continue;
            };
            if row.state != "stuck" {
                stuck_since = None;
            }
            match row.state.as_str() {
                "succeeded" | "cancelled" => {
                    // The controller may be away at this very moment.
                    if let Ok(m) = self.operator.migration(&row.id).await {
                        return Ok(m);
                    }
                }
                "planned" => self.apply(&row.id).await,
                "blocked" => self.plan_again(&row.id).await?,
                "stopped" => self.after_a_stop(&row.id).await?,
                "stuck" => {
                    let since = *stuck_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > GRACE && !*self.disturbed.borrow() {
                        stuck_since = None;
                        self.after_a_stop(&row.id).await?;
                    }
                }
                _ => {
                    self.believe_again(&row).await?;
                    self.gate(&row.id).await;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks for a plan. The controller may be away meanwhile: then it is looked at again, and asked again.
    async fn plan(&mut self) {
        let world = self.lab.lock().await.world().clone();
        if let Err(error) = self.operator.plan(&world).await {
            say(&format!("plan: {error:#}"));
        }
    }

    async fn apply(&mut self, id: &str) {
        let done = match self.operator.migration(id).await {
            Ok(m) => self.operator.apply(&m).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            say(&format!("apply: {error:#}"));
        }
    }

    /// A plan was refused because of what was done to the run: its findings say so.
    async fn plan_again(&mut self, id: &str) -> anyhow::Result<()> {
        let Ok(m) = self.operator.migration(id).await else {
            return Ok(());
        };
        let plan: syncferry_shared::plan::Plan = m
            .plan
            .as_ref()
            .context("a blocked plan that is not there")?
            .read(schema::PLAN)?;
        let blockers = plan
            .findings
            .iter()
            .filter(|f| f.severity == syncferry_shared::Severity::Blocker);
        let said: Vec<String> = blockers
            .map(|f| format!("{}: {} {}", f.rule, f.title, f.next_step))
            .collect();
        self.note("blocked", said, "planned again")?;
        self.disturbed.wait_for(|d| !d).await.context("the disturbance")?;
        self.plan().await;
        Ok(())
    }

    /// Takes down what is said about a stop, and does what it says.
    async fn after_a_stop(&mut self, id: &str) -> anyhow::Result<()> {
        let Ok(m) = self.operator.migration(id).await else {
            return Ok(());
        };
        if !["stopped", "stuck"].contains(&m.state.as_str()) {
            return Ok(());
        }
        let said = self.said(&m).await?;
        if let Some(host) = self.quarantined().await.unwrap_or_default() {
            self.note(&m.state, said, &format!("enrolled the agent on {host} again"))?;
            return self.enrol_again(&host).await;
        }
        let going_back = m
            .jobs
            .iter()
            .any(|j| ["cancelled", "cancelling", "undo-ready", "undoing", "undone"].contains(&j.state.as_str()));
        if going_back {
            self.note(&m.state, said, "cancelled again")?;
            if let Err(status) = self.operator.cancel(id, "goes on undoing").await {
                say(&format!("cancel: {}", status.message()));
            }
        } else {
            self.note(&m.state, said, "applied again")?;
            self.apply(id).await;
        }
        Ok(())
    }

    /// What the operator reads about a migration that stopped. Nothing to read, or no next step, is a failure.
    async fn said(&mut self, m: &v1::Migration) -> anyhow::Result<Vec<String>> {
        let mut said = Vec::new();
        for job in m
            .jobs
            .iter()
            .filter(|j| ["failed", "unknown"].contains(&j.state.as_str()))
        {
            let Some(result) = &job.result else { continue };
            let failure: Failure = result.read(schema::FAILURE)?;
            for f in &failure.findings {
                anyhow::ensure!(
                    !f.title.is_empty() && !f.next_step.is_empty(),
                    "{}: a finding says too little",
                    f.rule
                );
                said.push(format!(
                    "{} ({}): {}: {} {}",
                    job.name, failure.step, f.rule, f.title, f.next_step
                ));
            }
        }
        if m.state == "stuck" {
            anyhow::ensure!(!m.waiting_for.is_empty(), "it is stuck, and nothing says what for");
            said.push(format!("waits for {}", m.waiting_for));
        }
        anyhow::ensure!(!said.is_empty(), "the migration is {} and nothing says why", m.state);
        Ok(said)
    }

    /// While nothing is unknown a migration goes on waiting for an agent that is not believed any more, and says so.
    async fn believe_again(&mut self, row: &v1::Migration) -> anyhow::Result<()> {
        let Ok(Some(host)) = self.quarantined().await else {
            return Ok(());
        };
        if !row.waiting_for.contains(&host) {
            // It is not needed at this moment.
            return Ok(());
        }
        let says = row.waiting_for.contains("quarantined") && row.waiting_for.contains("host token");
        anyhow::ensure!(
            says,
            "it waits for {host}, which is quarantined, and says only: {}",
            row.waiting_for
        );
        let said = vec![format!("waits for {}", row.waiting_for)];
        self.note(&row.state, said, &format!("enrolled the agent on {host} again"))?;
        self.enrol_again(&host).await
    }

    fn note(&mut self, state: &str, said: Vec<String>, did: &str) -> anyhow::Result<()> {
        say(&format!("it is {state}: {}", said.join(" | ")));
        say(&format!("so the operator {did}"));
        self.stops.push(Stop {
            state: state.to_string(),
            said,
            did: did.to_string(),
        });
        if self.stops.len() > MOST_STOPS {
            bail!("it stops again and again");
        }
        Ok(())
    }

    async fn quarantined(&mut self) -> anyhow::Result<Option<String>> {
        let hosts = self.operator.hosts().await?;
        Ok(hosts
            .into_iter()
            .find(|h| h.agent_state == "quarantined")
            .map(|h| h.name))
    }

    async fn enrol_again(&mut self, host: &str) -> anyhow::Result<()> {
        let token = self.operator.token(host).await?;
        let mut lab = self.lab.lock().await;
        let name = format!("agent-{}", host.to_ascii_lowercase());
        let program = lab.processes().stop(&name).await?;
        lab.enrol_again(host, &token).await?;
        lab.processes().start(program).await?;
        Ok(())
    }

    /// A person goes through the wizard, as often as it takes.
    async fn gate(&mut self, id: &str) {
        if self.leave_gate {
            return;
        }
        let gates = self.operator.gates(id).await.unwrap_or_default();
        if let Some(open) = gates.iter().find(|g| g.state == "open")
            && let Err(error) = self.operator.act(open, &self.host, Duration::ZERO).await
        {
            say(&format!("at the gate: {error:#}"));
        }
    }

    async fn where_it_hangs(&mut self) -> String {
        let Ok(Some(row)) = self.operator.newest().await else {
            return "nobody answers".into();
        };
        let Ok(m) = self.operator.migration(&row.id).await else {
            return row.state;
        };
        let jobs: Vec<String> = m
            .jobs
            .iter()
            .filter(|j| !["waiting", "succeeded"].contains(&j.state.as_str()))
            .map(|j| format!("{} {}", j.name, j.state))
            .collect();
        format!("{}; {}; waits for: {}", m.state, jobs.join(", "), m.waiting_for)
    }
}
