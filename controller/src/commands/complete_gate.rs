//! `gate complete`: a person says that it is done. Only what the agent then sees completes it.

use syncferry_shared::state::{GateEvent, GateState};
use syncferry_store::Gate;

use crate::core::{Core, migration_event};
use crate::find;
use crate::problem::Problem;
use crate::wake::HostReason;

/// Records the claim and sends the agent to look.
pub async fn complete_gate(core: &Core, actor: &str, gate: &str, remark: &str) -> Result<Gate, Problem> {
    let mut tx = core.store.begin("gate.complete").await?;
    let g = find::gate(&mut *tx, gate).await?;
    if g.state == GateState::Proven {
        return Ok(g);
    }
    let to = g
        .state
        .next(GateEvent::Claim)
        .map_err(|e| Problem::NotNow(e.to_string()))?;
    tx.transition_gate(g.id, g.state, to).await?;
    tx.set_gate_claim(g.id, actor).await?;
    let payload = serde_json::json!({"gate": g.id, "title": g.title, "remark": remark});
    tx.append_event(migration_event(g.migration, "gate.claimed", actor, payload))
        .await?;
    let job = tx
        .job(g.job)
        .await?
        .ok_or_else(|| Problem::Internal("the gate's job is gone".to_string()))?;
    let g = tx
        .gate(g.id)
        .await?
        .ok_or_else(|| Problem::Internal("the row is gone".to_string()))?;
    tx.commit().await?;
    core.host_changed(job.host, HostReason::Gate);
    core.migration_changed(g.migration);
    Ok(g)
}
