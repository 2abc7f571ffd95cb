//! Agents as witnesses: their journals remember the highest incarnation and epochs, and what they have open. A store that is
//! behind one of them was restored.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use syncferry_shared::lease::Resource;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, Millis};
use syncferry_store::meta::EPOCH_JUMP;
use syncferry_store::{Agent, AgentState, Attempt, Highest, Host, NewWitness, Tx, Way, Witness};

use super::Behind;
use crate::core::{agent_event, migration_event};
use crate::problem::Problem;

/// Nobody restores a store this often without its agents: what claims more was not given by any store of ours.
const MOST_INCARNATIONS: i64 = 1_000;

/// An attempt in an agent's journal, as it sees it now.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenSight {
    /// Its token.
    pub token: AttemptToken,
    /// The step in which it stands.
    pub step: String,
    /// What a look found.
    pub probe: String,
    /// More about it.
    pub detail: String,
}

impl OpenSight {
    fn json(&self) -> Value {
        json!({
            "job": self.token.job, "attempt": self.token.attempt, "incarnation": self.token.incarnation,
            "step": self.step, "probe": self.probe, "detail": self.detail,
        })
    }
}

/// What an agent has seen.
pub struct Seen<'a> {
    /// The highest incarnation.
    pub incarnation: i64,
    /// The highest epochs, by resource.
    pub epochs: &'a BTreeMap<String, i64>,
    /// What it has open.
    pub open: &'a [OpenSight],
}

/// Whether the store is behind an agent. What no store can have given is refused, and nothing follows from it.
pub async fn behind(tx: &mut dyn Tx, host: &Host, agent: &Agent, seen: &Seen<'_>) -> Result<Option<Behind>, Problem> {
    let now = tx.incarnation();
    if seen.incarnation > now.saturating_add(MOST_INCARNATIONS) {
        return Err(nonsense(host, format!("incarnation {}", seen.incarnation)));
    }
    let witness = tx.witness(host.id).await?;
    let mut found = Vec::new();
    if seen.incarnation > now {
        found.push(format!("incarnation {} where the store has {now}", seen.incarnation));
    } else if seen.incarnation == now {
        let begun_at = tx.recovery().await?.map(|r| r.begun_at);
        if another_life(now, witness.as_ref(), agent, begun_at) {
            found.push(format!(
                "incarnation {now} of a store that was restored from the same backup before: this one has never spoken to it"
            ));
        }
        found.extend(epochs_ahead(tx, host, agent, witness.as_ref(), seen).await?);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut highest = Highest::default();
    let epochs = seen.epochs.iter().map(|(r, e)| (Resource(r.clone()), *e));
    highest.see(seen.incarnation, epochs);
    Ok(Some(Behind {
        way: Way::Agent,
        highest,
        found: found
            .into_iter()
            .map(|f| format!("the agent on {} has seen {f}", host.name))
            .collect(),
    }))
}

/// Two stores that were restored from one backup have the same incarnation. An agent learns one only from a hello, and a hello
/// leaves a witness here.
fn another_life(now: i64, witness: Option<&Witness>, agent: &Agent, begun_at: Option<Millis>) -> bool {
    let spoke_here = witness.is_some_and(|w| w.heard_in == now);
    // One that was enrolled since brings its journal along from elsewhere.
    let enrolled_before = begun_at.is_some_and(|at| agent.enrolled_at < at);
    now > 1 && !spoke_here && enrolled_before
}

async fn epochs_ahead(
    tx: &mut dyn Tx,
    host: &Host,
    agent: &Agent,
    witness: Option<&Witness>,
    seen: &Seen<'_>,
) -> Result<Vec<String>, Problem> {
    let mut ahead = Vec::new();
    // What it said at its first hello in this incarnation is about the time before: that was reckoned with.
    let said = witness.filter(|w| w.heard_in == tx.incarnation() && tx.incarnation() > 1);
    for (resource, epoch) in seen.epochs {
        // An empty name stands for a specification that the agent could not read.
        if resource.is_empty() {
            continue;
        }
        let lease = tx.lease(&Resource(resource.clone())).await?;
        let known = lease.as_ref().map(|l| l.epoch);
        if *epoch > known.unwrap_or(0).saturating_add(EPOCH_JUMP.saturating_mul(1_000)) {
            return Err(nonsense(host, format!("epoch {epoch} of {resource}")));
        }
        let before = said.and_then(|w| w.epochs.get(resource)).copied();
        if known.max(before).is_some_and(|k| k >= *epoch) {
            continue;
        }
        // Leases are never deleted: one that is not here was made after the backup that this store comes from. But a machine
        // that was never heard of here may bring the journal of another store along.
        if known.is_none() && agent.state == AgentState::Enrolled {
            continue;
        }
        let known = known.map_or("no such lease".to_string(), |k| k.to_string());
        ahead.push(format!("epoch {epoch} of {resource} where the store has {known}"));
    }
    Ok(ahead)
}

fn nonsense(host: &Host, what: String) -> Problem {
    tracing::error!(host = %host.name, what, "an agent says what no store of ours can have told it; it is not believed");
    Problem::NotNow(format!(
        "the agent on {0} says that it has seen {what}, which no store can have told it: look at its journal, and enrol it anew          with `syncferry host token {0}`",
        host.name
    ))
}

/// Keeps what an agent says at its first hello in this incarnation. In a restored store that is the reconciliation: what the
/// journal says of each attempt goes into the histories, and only from here on is the agent offered anything.
pub async fn hear(tx: &mut dyn Tx, id: AgentId, host: &Host, seen: &Seen<'_>) -> Result<(), Problem> {
    let first = tx
        .hear_witness(&NewWitness {
            host: host.id,
            incarnation: seen.incarnation,
            epochs: seen.epochs.clone(),
            open: seen.open.iter().map(OpenSight::json).collect(),
        })
        .await?;
    let now = tx.incarnation();
    if !first || now <= 1 {
        return Ok(());
    }
    let actor = format!("agent:{}", host.name);
    let ours: Vec<Attempt> = tx.open_attempts(id).await?;
    for attempt in ours.iter().filter(|a| a.incarnation < now) {
        let Some(job) = tx.job(attempt.job).await? else {
            continue;
        };
        let journal = seen.open.iter().find(|o| o.token.job == attempt.job);
        let payload = json!({
            "job": job.name, "attempt": attempt.attempt, "journal": journal.map(OpenSight::json),
            "says": match journal {
                Some(o) => format!("attempt {} stands in {} ({})", o.token.attempt, o.step, o.probe),
                None => "its journal has nothing open of it".to_string(),
            },
        });
        tx.append_event(migration_event(job.migration, "job.reconciled", &actor, payload))
            .await?;
    }
    for open in seen.open.iter().filter(|o| o.token.incarnation < now) {
        if ours.iter().any(|a| a.job == open.token.job) {
            continue;
        }
        // Begun after the backup: the store has the job without the attempt, or does not know it at all.
        let job = tx.job(open.token.job).await?;
        let payload = json!({"job": job.as_ref().map(|j| &j.name), "journal": open.json()});
        let event = match &job {
            Some(job) => migration_event(job.migration, "job.reconciled", &actor, payload),
            None => agent_event(host.id, "attempt.not-known-here", &actor, payload),
        };
        tx.append_event(event).await?;
    }
    Ok(())
}
