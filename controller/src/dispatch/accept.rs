//! Accept: the agent has written the job to its journal and takes it.

use syncferry_shared::state::{AttemptEvent, AttemptState, JobEvent, JobState};
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, SessionId};

use super::{actor, known_agent};
use crate::core::{Core, migration_event};
use crate::problem::Problem;

/// Whether the job is the agent's: `None`, or why not.
pub async fn accept(
    core: &Core,
    id: AgentId,
    token: &AttemptToken,
    journal: Option<(SessionId, i64)>,
) -> Result<Option<String>, Problem> {
    let mut tx = core.store.begin("dispatch.accept").await?;
    let (agent, host) = known_agent(&mut *tx, id).await?;
    let Some(attempt) = tx.attempt_of(token).await?.filter(|a| a.agent == id) else {
        return Ok(Some("the offer is not known, or was withdrawn".to_string()));
    };
    match attempt.state {
        // The answer to the first acceptance was lost.
        AttemptState::Accepted => return Ok(None),
        AttemptState::Offered => {}
        state => return Ok(Some(format!("the offer is {state}"))),
    }
    let Some(job) = tx.job(attempt.job).await? else {
        return Ok(Some("the job is gone".to_string()));
    };
    let to = attempt
        .state
        .next(AttemptEvent::Accept)
        .map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_attempt(attempt.job, attempt.attempt, attempt.state, to)
        .await?;
    if job.state == JobState::Offered {
        let to = job
            .state
            .next(JobEvent::Accept)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_job(job.id, job.state, to).await?;
    }
    tx.set_job_progress(job.id, None).await?;
    // The acceptance is in the agent's journal: one that is shorter later on went back.
    if let Some((session, seq)) = journal.filter(|(session, _)| agent.session == Some(*session)) {
        tx.agent_heartbeat(id, session, seq).await?;
    }
    let payload = serde_json::json!({"job": job.name, "attempt": attempt.attempt, "undo": attempt.undo});
    tx.append_event(migration_event(job.migration, "job.accepted", &actor(&host), payload))
        .await?;
    tx.commit().await?;
    core.migration_changed(job.migration);
    Ok(None)
}
