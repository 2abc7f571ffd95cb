//! Heartbeat: the agent lives, and how far its jobs are.

use syncferry_shared::progress::Progress;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, SessionId};
use syncferry_store::AgentState;

use super::known_agent;
use crate::core::Core;
use crate::problem::Problem;
use crate::recovery;

/// Tokens that are not current any more.
pub async fn heartbeat(
    core: &Core,
    id: AgentId,
    session: SessionId,
    journal_seq: i64,
    progress: Vec<(AttemptToken, Progress)>,
) -> Result<Vec<AttemptToken>, Problem> {
    let mut tx = core.store.begin("dispatch.heartbeat").await?;
    let (agent, host) = known_agent(&mut *tx, id).await?;
    // Its attempts are unknown, and only a hello says which of them it still has.
    if agent.state == AgentState::Silent {
        return Err(Problem::Stale(format!(
            "the agent on {} was called silent meanwhile: say hello again",
            host.name
        )));
    }
    if !core.greeted.knows(id) || !recovery::heard(&mut *tx, host.id).await? {
        return Err(Problem::Stale(
            "say hello again: this controller, or its store, has not heard what your journal knows".to_string(),
        ));
    }
    tx.agent_heartbeat(id, session, journal_seq).await?;
    let mut stale = Vec::new();
    let mut changed = Vec::new();
    for (token, progress) in progress {
        let current = tx.attempt_of(&token).await?;
        let Some(attempt) = current.filter(|a| a.agent == id && a.is_open()) else {
            stale.push(token);
            continue;
        };
        let json = serde_json::to_value(&progress).map_err(|e| Problem::Internal(e.to_string()))?;
        tx.set_job_progress(attempt.job, Some(&json)).await?;
        changed.extend(tx.job(attempt.job).await?.map(|j| j.migration));
    }
    tx.commit().await?;
    for migration in changed {
        core.wake.ring(crate::wake::Reason::Migration(migration));
    }
    Ok(stale)
}
