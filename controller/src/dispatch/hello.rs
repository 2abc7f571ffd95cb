//! Hello: who is there, what it has open, and the orders for that.
//!
//! Three things are told apart here. An agent process that restarted has the same session and goes on. A machine that
//! rebooted or lost its journal has another session: its leases are adopted, because the holder is the Connect server
//! and not the agent, but its open attempts are unknown. A machine whose journal went back was reverted: it is not
//! believed any more.
//!
//! Agents are witnesses too: a store that is behind what one of them has seen was restored, and a new incarnation begins
//! (`recovery/`).

use std::collections::BTreeMap;

use syncferry_shared::inventory::HostFacts;
use syncferry_shared::lease::LeaseState;
use syncferry_shared::state::{AttemptState, JobState};
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, SessionId};
use syncferry_store::{AgentState, By, Heard, Host, Tx};

use super::{actor, known_agent};
use crate::core::{Core, agent_event};
use crate::problem::Problem;
use crate::recovery::witness::{self, OpenSight, Seen};
use crate::{progression, recovery};

/// What an agent says.
pub struct Greeting {
    /// Session, version, capabilities, address, journal.
    pub hello: syncferry_store::Hello,
    /// The highest incarnation it has seen.
    pub highest_incarnation: i64,
    /// The highest epoch it has seen, per resource.
    pub highest_epochs: BTreeMap<String, i64>,
    /// What it has open.
    pub open: Vec<OpenSight>,
    /// The machine.
    pub facts: Option<HostFacts>,
    /// Its own name.
    pub computer_name: String,
}

/// What it is told to do with an open attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Continue,
    /// Stop and undo.
    Cancel,
    /// Not yours any more.
    Abandon,
}

/// The answer.
pub struct Welcome {
    /// Its host.
    pub host: Host,
    /// What to do with each open attempt.
    pub orders: Vec<(AttemptToken, Order)>,
    /// The store's incarnation.
    pub incarnation: i64,
}

/// Greets an agent.
pub async fn hello(core: &Core, id: AgentId, greeting: Greeting) -> Result<Welcome, Problem> {
    let mut tx = core.store.begin("dispatch.hello").await?;
    let (agent, host) = known_agent(&mut *tx, id).await?;
    let seen = Seen {
        incarnation: greeting.highest_incarnation,
        epochs: &greeting.highest_epochs,
        open: &greeting.open,
    };
    let mut changed = Vec::new();
    if let Some(behind) = witness::behind(&mut *tx, &host, &agent, &seen).await? {
        changed.extend(recovery::begin(&mut *tx, &behind).await?.1);
    }
    witness::hear(&mut *tx, id, &host, &seen).await?;
    let session = greeting.hello.session;
    let heard = tx.agent_hello(id, &greeting.hello).await?;
    if let Some(was) = heard.journal_was {
        quarantine(&mut *tx, id, &host, was, greeting.hello.journal_seq).await?;
        tx.commit().await?;
        return Err(super::quarantined(&host));
    }
    if let Some(facts) = &greeting.facts {
        let json = serde_json::to_value(facts).map_err(|e| Problem::Internal(e.to_string()))?;
        tx.set_host_facts(host.id, Some(&greeting.computer_name), &json).await?;
    }
    note_arrival(&mut *tx, &host, &heard, session).await?;
    adopt_leases(core, &mut *tx, &host, session, heard.other_session.is_some()).await?;
    let mut orders = Vec::new();
    let open: Vec<AttemptToken> = greeting.open.iter().map(|o| o.token.clone()).collect();
    for token in &open {
        let order = order(&mut *tx, id, &host, token, &mut changed).await?;
        orders.push((token.clone(), order));
    }
    // An agent presents everything of which we have not acknowledged the end: what it does not present is not in its journal.
    forget_lost_attempts(&mut *tx, id, &host, &open, &mut changed).await?;
    let incarnation = tx.incarnation();
    tx.commit().await?;
    core.greeted.note(id);
    for migration in changed {
        core.migration_changed(migration);
    }
    core.wake.ring(crate::wake::Reason::Work);
    Ok(Welcome {
        host,
        orders,
        incarnation,
    })
}

async fn quarantine(tx: &mut dyn Tx, id: AgentId, host: &Host, was: i64, now: i64) -> Result<(), Problem> {
    tracing::error!(host = %host.name, was, now, "an agent's journal went back: its machine was reverted");
    tx.quarantine_agent(id).await?;
    let payload = serde_json::json!({"journal_was": was, "journal_is": now});
    tx.append_event(agent_event(host.id, "agent.quarantined", "controller", payload))
        .await?;
    Ok(())
}

async fn note_arrival(tx: &mut dyn Tx, host: &Host, heard: &Heard, session: SessionId) -> Result<(), Problem> {
    if heard.was == AgentState::Online && heard.other_session.is_none() {
        return Ok(());
    }
    let payload = serde_json::json!({
        "was": heard.was.as_str(), "session": session, "other_session": heard.other_session,
        "version": heard.agent.version,
    });
    tx.append_event(agent_event(host.id, "agent.online", &actor(host), payload))
        .await?;
    Ok(())
}

/// The leases that this host's agent renews go to its present session. While nobody has begun to fence, they are still the
/// holder's, and the agent is only the one who says that it lives.
async fn adopt_leases(
    core: &Core,
    tx: &mut dyn Tx,
    host: &Host,
    session: SessionId,
    other: bool,
) -> Result<(), Problem> {
    for lease in tx.leases().await? {
        let alive = matches!(lease.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost);
        if !alive || lease.renewer != Some(host.id) || lease.holder_session == Some(session) {
            continue;
        }
        let reason = if other {
            "the agent has a new session: reboot or new journal"
        } else {
            "the agent is back"
        };
        let by = By::new(actor(host)).detail(serde_json::json!({"reason": reason}));
        tx.adopt_lease(
            &lease.resource,
            lease.epoch,
            session,
            host.id,
            core.config.leases.ttl_ms(),
            &by,
        )
        .await?;
    }
    Ok(())
}

async fn order(
    tx: &mut dyn Tx,
    id: AgentId,
    host: &Host,
    token: &AttemptToken,
    changed: &mut Vec<syncferry_shared::MigrationId>,
) -> Result<Order, Problem> {
    // An attempt of another agent is none of its business, whatever token it presents.
    let Some(attempt) = tx.attempt_of(token).await?.filter(|a| a.agent == id) else {
        return Ok(Order::Abandon);
    };
    let Some(job) = tx.job(token.job).await? else {
        return Ok(Order::Abandon);
    };
    match attempt.state {
        AttemptState::Superseded => return Ok(Order::Abandon),
        // Its end is known and only the acknowledgement was lost: it says so again and gets it.
        s if s.is_final() => return Ok(Order::Continue),
        AttemptState::Unknown => {
            progression::resume(tx, &attempt, &job, &actor(host)).await?;
            changed.push(job.migration);
        }
        _ => {}
    }
    Ok(match tx.job(token.job).await?.map(|j| j.state) {
        Some(JobState::Cancelling) => Order::Cancel,
        _ => Order::Continue,
    })
}

/// Attempts that the agent accepted and does not know any more: its journal is gone, and so is the knowledge of what was
/// done. They are unknown, and a person must look.
async fn forget_lost_attempts(
    tx: &mut dyn Tx,
    id: AgentId,
    host: &Host,
    open: &[AttemptToken],
    changed: &mut Vec<syncferry_shared::MigrationId>,
) -> Result<(), Problem> {
    for attempt in tx.open_attempts(id).await? {
        if attempt.state != AttemptState::Accepted || open.contains(&attempt.token()) {
            continue;
        }
        if let Some(m) = progression::lose_sight(
            tx,
            &attempt,
            &actor(host),
            "the agent does not know the job any more: its journal, or a part of it, was lost",
        )
        .await?
        {
            changed.push(m);
        }
    }
    Ok(())
}
