//! `lease adopt`: another agent, or another session of one, renews for the same holder. Nothing is taken from anybody.

use syncferry_shared::Finding;
use syncferry_shared::lease::LeaseState;
use syncferry_store::{AgentState, By};

use super::words::{self, wrong_state};
use super::{Answer, Ask, OURS, detail, go_on, seen};
use crate::core::Core;
use crate::find;
use crate::problem::Problem;
use crate::recovery::release;
use crate::wake::HostReason;

/// Lets the agent on a host renew.
pub async fn adopt(core: &Core, ask: Ask<'_>, host: &str) -> Result<Answer, Problem> {
    let mut tx = core.store.begin("lease.adopt").await?;
    let (lease, name) = seen(&mut *tx, &ask).await?;
    let holder = words::holder(&mut *tx, &lease).await?;
    let who = words::name(holder.as_ref()).to_string();
    let host = find::host(&mut *tx, host).await?;
    let database = find::database_of(&mut *tx, &lease).await?;
    let mut answer = Answer::new(&lease);
    // A restored store put it into quarantine: then its holder may go on.
    let restored = lease.state == LeaseState::Quarantined && release::pending(&mut *tx, &lease).await?.is_some();
    if !restored && !matches!(lease.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost) {
        answer.found(wrong_state(&lease, &name, "adopt", &who));
    }
    let may = lease.holder == Some(host.id) || database.is_some_and(|d| d.host == host.id);
    if !may {
        answer.found(
            Finding::blocker(
                "not-a-renewer",
                format!("{} has nothing to do with this lease", host.name),
            )
            .saw(
                "who may renew",
                format!("the agent on the holder ({who}), or on the host that reaches the database"),
            )
            .source(OURS)
            .next("Name one of those. To change the holder: `syncferry lease handover`."),
        );
    }
    let agent = tx
        .agent_of_host(host.id)
        .await?
        .filter(|a| a.state == AgentState::Online);
    let session = agent.and_then(|a| a.session);
    if session.is_none() {
        answer.found(
            Finding::blocker(
                "agent-not-in-touch",
                format!("The agent on {} is not in touch", host.name),
            )
            .saw(format!("agent on {}", host.name), "not online")
            .source(OURS)
            .next(format!(
                "Start it: `syncferry host show {}` says when it is online.",
                host.name
            )),
        );
    }
    if restored {
        drop(tx);
        return go_on::go_on(core, &ask, &lease, &host, session, answer).await;
    }
    let was = match lease.renewer {
        Some(id) => tx.host(id).await?.map(|h| h.name).unwrap_or_default(),
        None => String::new(),
    };
    answer.step(format!(
        "the agent on {} renews from here on, instead of the one on {was}",
        host.name
    ));
    if lease.state == LeaseState::Lost {
        answer.step(format!("lost becomes held by {who} again: nobody has begun to take it"));
    }
    if ask.dry_run {
        return Ok(answer);
    }
    let answer = answer.must_be_ready()?;
    let Some(session) = session else {
        return Err(Problem::Internal("an agent without a session".to_string()));
    };
    let by = By::new(ask.actor).detail(detail("adopt", &ask));
    let ttl = core.config.leases.ttl_ms();
    tx.adopt_lease(&lease.resource, lease.epoch, session, host.id, ttl, &by)
        .await?;
    tx.commit().await?;
    for host in [Some(host.id), lease.renewer].into_iter().flatten() {
        core.host_changed(host, HostReason::Lease);
    }
    Ok(answer)
}
