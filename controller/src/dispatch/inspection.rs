//! ReportInspection: the answer to a question.

use syncferry_shared::inventory::Inventory;
use syncferry_shared::{AgentId, InspectionId};

use super::known_agent;
use crate::core::Core;
use crate::problem::Problem;
use crate::wake::Reason;

/// Keeps the answer. A second answer is welcome and changes nothing.
pub async fn report(
    core: &Core,
    id: AgentId,
    inspection: InspectionId,
    answer: Result<Inventory, String>,
) -> Result<(), Problem> {
    let mut tx = core.store.begin("dispatch.inspection").await?;
    let (_, host) = known_agent(&mut *tx, id).await?;
    let mine = tx.inspection(inspection).await?.is_some_and(|i| i.host == host.id);
    if !mine {
        return Err(Problem::NotFound(
            "there is no such inspection for this host".to_string(),
        ));
    }
    let done = match &answer {
        Ok(inventory) => {
            let json = serde_json::to_value(inventory).map_err(|e| Problem::Internal(e.to_string()))?;
            tx.complete_inspection(inspection, Ok(&json)).await
        }
        Err(error) => tx.complete_inspection(inspection, Err(error)).await,
    };
    let migration = match done {
        Ok(row) => row.migration,
        Err(e) if e.is_moved() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    tx.commit().await?;
    core.wake.ring(Reason::Inspection);
    if let Some(m) = migration {
        core.migration_changed(m);
    }
    Ok(())
}
