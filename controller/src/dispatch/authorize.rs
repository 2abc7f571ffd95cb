//! Authorize: a permit right before a destructive step. It is given only while the attempt is current, its migration runs,
//! and the lease has enough time left; it travels as a duration, because clocks differ.

use syncferry_shared::AgentId;
use syncferry_shared::plan::LeaseUse;
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{AttemptState, JobState, MigrationState};
use syncferry_shared::token::AttemptToken;
use syncferry_store::LeaseError;

use super::known_agent;
use crate::commands::apply::plan_of;
use crate::core::Core;
use crate::lease_use;
use crate::problem::Problem;

/// For how many milliseconds the step may act, or why it may not.
pub async fn authorize(
    core: &Core,
    id: AgentId,
    token: &AttemptToken,
    step: &str,
    budget_ms: i64,
) -> Result<Result<i64, String>, Problem> {
    let mut tx = core.store.begin("dispatch.authorize").await?;
    known_agent(&mut *tx, id).await?;
    let Some(attempt) = tx
        .attempt_of(token)
        .await?
        .filter(|a| a.agent == id && a.state == AttemptState::Accepted)
    else {
        return Ok(Err("the attempt is not current any more".to_string()));
    };
    let Some(job) = tx.job(attempt.job).await? else {
        return Ok(Err("the job is gone".to_string()));
    };
    let Some(m) = tx.migration(job.migration).await? else {
        return Ok(Err("the migration is gone".to_string()));
    };
    let doing = m.state == MigrationState::Running && job.state == JobState::Running;
    let undoing = m.state == MigrationState::Unwinding && matches!(job.state, JobState::Undoing | JobState::Cancelling);
    if !doing && !undoing {
        return Ok(Err(format!(
            "the migration is {} and the job is {}",
            m.state, job.state
        )));
    }
    let margin = core.config.leases.margin_ms();
    let needed = budget_ms.saturating_add(margin);
    // A run at SQL Server belongs to the lease's change, which does not expire; its permit is as long as a lease's time.
    let long = needed.max(core.config.leases.ttl_ms());
    let permitted = match (job.kind, lease_use::of(&plan_of(&m)?, &job)) {
        // So does what is done beside a lease, whoever holds it.
        (_, LeaseUse::Beside) => {
            let lease = tx.lease(&job.resource).await?;
            if lease.is_none_or(|l| !lease_use::beside(&l, attempt.epoch)) {
                return Ok(Err(format!(
                    "the lease {} is not what it was when the job began",
                    job.resource
                )));
            }
            Ok(long)
        }
        (JobKind::Fence, _) => tx.authorize_run(&job.resource, attempt.epoch).await.map(|()| long),
        _ => tx.authorize(&job.resource, attempt.epoch, None, needed).await,
    };
    let left = match permitted {
        Ok(left) => left - margin,
        Err(LeaseError::Store(e)) => return Err(e.into()),
        Err(e) => return Ok(Err(e.to_string())),
    };
    let until = tx.now().plus(left);
    tx.permit_attempt(attempt.job, attempt.attempt, until).await?;
    tx.commit().await?;
    tracing::debug!(job = %job.name, step, left_ms = left, "a permit");
    Ok(Ok(left))
}
