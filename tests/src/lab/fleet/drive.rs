//! Leads a site's migration to its end: plans, applies, acts at the gate, and does what is written where it stops. A stop that says
//! nothing, or too many of them, is a failure.

use std::time::{Duration, Instant};

use anyhow::Context;
use syncferry_proto::{schema, v1};
use syncferry_shared::card::Card;
use syncferry_shared::outcome::Failure;
use syncferry_shared::plan::Plan;

use super::operator::Operator;
use super::say;
use super::site::Wires;
use crate::lab::host_client::HostClient;
use crate::lab::person;

const LOOK_EVERY: Duration = Duration::from_millis(400);
/// For how long something unknown may become known by itself once its agents can be reached.
const GRACE: Duration = Duration::from_secs(20);
/// More stops of one migration than faults explain.
const MOST_STOPS: usize = 15;

/// A stop, what was said of it, and what the operator did.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Stop {
    pub(super) state: String,
    pub(super) said: Vec<String>,
}

/// How it ended.
pub(super) struct Led {
    pub(super) migration: v1::Migration,
    /// Plans that were made for it.
    pub(super) migrations: usize,
    pub(super) stops: Vec<Stop>,
}

/// From the plan to the end.
pub(super) async fn lead(operator: &mut Operator, host: &HostClient, wires: &Wires) -> anyhow::Result<Led> {
    let mut stops = Vec::new();
    let mut stuck_since: Option<Instant> = None;
    loop {
        let all = operator.migrations().await?;
        let Some(row) = all.first() else {
            tried(wires, "plan", operator.plan().await);
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        };
        if row.state != "stuck" || wires.disturbed() {
            stuck_since = None;
        }
        match row.state.as_str() {
            "succeeded" | "cancelled" => {
                return Ok(Led {
                    migration: operator.migration(&row.id).await?,
                    migrations: all.len(),
                    stops,
                });
            }
            "planned" => {
                let m = operator.migration(&row.id).await?;
                tried(wires, "apply", operator.apply(&m).await);
            }
            "blocked" => {
                note(operator, &row.id, wires, &mut stops).await?;
                // It is planned again when those who were away may be back.
                while wires.disturbed() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                tried(wires, "plan", operator.plan().await);
            }
            "stopped" => go_on(operator, &row.id, wires, &mut stops).await?,
            "stuck" if !wires.disturbed() => {
                let since = *stuck_since.get_or_insert_with(Instant::now);
                if since.elapsed() > GRACE {
                    stuck_since = None;
                    go_on(operator, &row.id, wires, &mut stops).await?;
                }
            }
            _ => at_the_gate(operator, &row.id, host).await?,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whoever was asked may be away. It is looked at again, and asked again.
fn tried(wires: &Wires, what: &str, done: anyhow::Result<()>) {
    if let Err(error) = done {
        say(&format!("{}: {what}: {error:#}", wires.names.site()));
    }
}

async fn go_on(operator: &mut Operator, id: &str, wires: &Wires, stops: &mut Vec<Stop>) -> anyhow::Result<()> {
    if let Some(m) = note(operator, id, wires, stops).await? {
        tried(wires, "apply", operator.apply(&m).await);
    }
    Ok(())
}

/// Takes down what is said about a stop; nothing where it has gone on meanwhile.
async fn note(
    operator: &mut Operator,
    id: &str,
    wires: &Wires,
    stops: &mut Vec<Stop>,
) -> anyhow::Result<Option<v1::Migration>> {
    let m = operator.migration(id).await?;
    if !["stopped", "stuck", "blocked"].contains(&m.state.as_str()) {
        return Ok(None);
    }
    let said = said(&m)?;
    say(&format!("{}: {}: {}", wires.names.site(), m.state, said.join(" | ")));
    stops.push(Stop {
        state: m.state.clone(),
        said,
    });
    anyhow::ensure!(stops.len() <= MOST_STOPS, "it stops again and again");
    Ok(Some(m))
}

/// What the operator reads. Nothing to read, or no next step, is a failure.
fn said(m: &v1::Migration) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    if m.state == "blocked" {
        let plan: Plan = m
            .plan
            .as_ref()
            .context("a blocked plan that is not there")?
            .read(schema::PLAN)?;
        let blocks = |f: &syncferry_shared::Finding| f.severity == syncferry_shared::Severity::Blocker;
        findings.extend(plan.findings.into_iter().filter(blocks));
    }
    for job in m
        .jobs
        .iter()
        .filter(|j| ["failed", "unknown"].contains(&j.state.as_str()))
    {
        if let Some(result) = &job.result {
            let failure: Failure = result.read(schema::FAILURE)?;
            findings.extend(failure.findings);
        }
    }
    let mut said = Vec::new();
    for f in &findings {
        anyhow::ensure!(
            !f.title.is_empty() && !f.next_step.is_empty(),
            "{}: a finding says too little",
            f.rule
        );
        said.push(format!("{}: {} {}", f.rule, f.title, f.next_step));
    }
    if m.state == "stuck" {
        anyhow::ensure!(!m.waiting_for.is_empty(), "it is stuck, and nothing says what for");
        said.push(format!("waits for {}", m.waiting_for));
    }
    anyhow::ensure!(!said.is_empty(), "the migration is {} and nothing says why", m.state);
    Ok(said)
}

/// A person goes through the wizard, as often as it takes.
async fn at_the_gate(operator: &mut Operator, id: &str, host: &HostClient) -> anyhow::Result<()> {
    for gate in operator.gates(id).await?.into_iter().filter(|g| g.state == "open") {
        let cards = gate.cards.as_ref().context("the gate has no cards")?;
        let cards: Vec<Card> = cards.read(schema::CARDS)?;
        person::work_through(host, &cards, Duration::ZERO, |_| {}).await?;
        if let Err(status) = operator.complete(&gate.id).await {
            say(&format!("at the gate: {}", status.message()));
        }
    }
    Ok(())
}
