//! Asking agents about their hosts: the question is a row, the answer is a row, and whoever asked reads it there.

use std::time::Duration;

use syncferry_shared::inventory::{InspectionRequest, Inventory};
use syncferry_shared::{HostId, InspectionId, MigrationId};
use syncferry_store::{Inspection, InspectionState, NewInspection, Tx};

use crate::core::Core;
use crate::problem::Problem;
use crate::wake::{HostReason, Reason};

/// Writes a question. The caller commits and then wakes the host.
pub async fn ask(
    core: &Core,
    tx: &mut dyn Tx,
    host: HostId,
    request: &InspectionRequest,
    purpose: &str,
    migration: Option<MigrationId>,
) -> Result<InspectionId, Problem> {
    let id = InspectionId::new(tx.now(), &core.random());
    let request = serde_json::to_value(request).map_err(|e| Problem::Internal(e.to_string()))?;
    tx.add_inspection(&NewInspection {
        id,
        host,
        request,
        purpose: purpose.to_string(),
        migration,
    })
    .await?;
    Ok(id)
}

/// Asks, and waits for the answer.
pub async fn ask_and_wait(
    core: &Core,
    host: &syncferry_store::Host,
    request: &InspectionRequest,
    purpose: &str,
) -> Result<Inventory, Problem> {
    let mut ear = core.wake.listen();
    let mut tx = core.store.begin("inspection.ask").await?;
    let id = ask(core, &mut *tx, host.id, request, purpose, None).await?;
    tx.commit().await?;
    core.host_changed(host.id, HostReason::Inspection);
    let limit = Duration::from_secs(core.config.inspection_timeout_s);
    let until = tokio::time::Instant::now() + limit;
    while tokio::time::Instant::now() < until {
        tokio::select! {
            _ = ear.wait(Duration::from_secs(1), |r| r == Reason::Inspection) => {}
            () = core.stop.cancelled() => {
                return Err(Problem::NoAnswer("the controller stops; try again when it is back".to_string()));
            }
        }
        let mut tx = core.store.read("inspection.wait").await?;
        if let Some(found) = tx.inspection(id).await?.filter(|i| i.state != InspectionState::Pending) {
            return answer(&found);
        }
    }
    // The question is over: an agent that comes back tomorrow need not look for an answer that nobody waits for.
    let mut tx = core.store.begin("inspection.give-up").await?;
    match tx.complete_inspection(id, Err("no answer in time")).await {
        Ok(_) => tx.commit().await?,
        Err(e) if e.is_moved() => {
            if let Some(found) = tx.inspection(id).await? {
                return answer(&found);
            }
        }
        Err(e) => return Err(e.into()),
    }
    Err(Problem::NoAnswer(format!(
        "the agent on {} did not answer within {} s; `syncferry host show {}` says whether it is online",
        host.name,
        limit.as_secs(),
        host.name
    )))
}

/// The inventory of an answered inspection.
pub fn answer(inspection: &Inspection) -> Result<Inventory, Problem> {
    match (&inspection.inventory, &inspection.error) {
        (Some(json), _) => serde_json::from_value(json.clone())
            .map_err(|e| Problem::Internal(format!("inspection {} cannot be read: {e}", inspection.id))),
        (None, error) => Err(Problem::NoAnswer(
            error.clone().unwrap_or_else(|| "no answer".to_string()),
        )),
    }
}
