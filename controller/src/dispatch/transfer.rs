//! RequestTransfer: a ticket to fetch one artifact from the agent that has it, for this very agent, for a short time.

use syncferry_proto::transport::TicketClaims;
use syncferry_shared::state::AttemptState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, ArtifactId};
use syncferry_store::{Job, Tx};

use super::known_agent;
use crate::core::Core;
use crate::problem::Problem;

/// How long a ticket is good: long enough to begin, short enough not to lie about. An agent asks again for another.
const GOOD_FOR_MS: i64 = 15 * 60_000;

/// A ticket.
pub struct Ticket {
    /// Its text.
    pub text: String,
    /// The agent that has the artifact.
    pub source: AgentId,
    /// Where it answers.
    pub address: String,
}

/// Whether the plan of a job's migration restores this very artifact.
async fn names(tx: &mut dyn Tx, job: &Job, artifact: ArtifactId) -> Result<bool, Problem> {
    let Some(m) = tx.migration(job.migration).await? else {
        return Ok(false);
    };
    let plan = crate::commands::apply::plan_of(&m)?;
    Ok(plan
        .values
        .and_then(|v| v.backup)
        .is_some_and(|b| b.artifact == artifact))
}

/// Issues a ticket.
pub async fn request(core: &Core, id: AgentId, token: &AttemptToken, artifact: ArtifactId) -> Result<Ticket, Problem> {
    let mut tx = core.store.read("dispatch.transfer").await?;
    known_agent(&mut *tx, id).await?;
    let attempt = tx
        .attempt_of(token)
        .await?
        .filter(|a| a.agent == id && a.state == AttemptState::Accepted);
    let job = match attempt {
        Some(a) => tx.job(a.job).await?,
        None => None,
    };
    let job = job.ok_or_else(|| Problem::NotNow("the attempt is not current any more".to_string()))?;
    let row = tx.artifact(artifact).await?.filter(|a| a.deleted_at.is_none());
    // Its own, or the one of an earlier migration that its plan was made for.
    let row = match row {
        Some(a) if a.migration != job.migration && !names(&mut *tx, &job, artifact).await? => None,
        row => row,
    };
    let row =
        row.ok_or_else(|| Problem::NotFound(format!("artifact {} is not there for this migration", artifact.short())))?;
    let source = tx
        .agent_of_host(row.host)
        .await?
        .ok_or_else(|| Problem::NotFound("the artifact's agent is gone".to_string()))?;
    let address = source.transfer_address.ok_or_else(|| {
        Problem::NotNow(
            "the agent that has the artifact does not hand it out: set [transfer] in its configuration".to_string(),
        )
    })?;
    let claims = TicketClaims {
        artifact,
        source_agent: source.id,
        target_agent: id,
        expires_at: tx.now().plus(GOOD_FOR_MS),
    };
    let text = core
        .tickets
        .issue(claims)
        .map_err(|e| Problem::Internal(e.to_string()))?;
    Ok(Ticket {
        text,
        source: source.id,
        address,
    })
}
