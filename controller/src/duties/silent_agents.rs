//! Agents that were not heard of are called silent, and what they were at is unknown until they are back. Nothing is sent to
//! another agent because of that.

use super::term::{Right, begin};
use crate::core::{Core, agent_event};
use crate::problem::Problem;
use crate::progression;

pub(super) async fn look(core: &Core, right: &Right) -> Result<(), Problem> {
    let limit = core.config.agents.silent_after_ms();
    let mut tx = core.store.read("duty.silent-agents").await?;
    let unheard = tx.agents_unheard(limit).await?;
    drop(tx);
    for agent in unheard {
        let mut tx = begin(core, "duty.silent-agent", right).await?;
        if !tx.mark_agent_silent(agent.id, limit).await? {
            continue;
        }
        let payload = serde_json::json!({"last_heard": agent.last_heartbeat_at.map(|t| t.rfc3339())});
        tx.append_event(agent_event(agent.host, "agent.silent", "controller", payload))
            .await?;
        let mut changed = Vec::new();
        for attempt in tx.open_attempts(agent.id).await? {
            let why = "its agent is not in touch; it may still be at work, so nothing is tried elsewhere";
            changed.extend(progression::lose_sight(&mut *tx, &attempt, "controller", why).await?);
        }
        tx.commit().await?;
        tracing::warn!(agent = %agent.id, host = %agent.host, "an agent is silent");
        for migration in changed {
            core.migration_changed(migration);
        }
    }
    Ok(())
}
