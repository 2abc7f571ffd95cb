//! Inspections, in memory.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::{HostId, InspectionId, MigrationId};
use syncferry_store::{Inspection, InspectionState, Inspections, NewInspection, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl Inspections for MemoryTx {
    async fn add_inspection(&mut self, new: &NewInspection) -> Result<Inspection> {
        self.needs_host(new.host)?;
        if let Some(migration) = new.migration {
            self.needs_migration(migration)?;
        }
        let inspection = Inspection {
            id: new.id,
            host: new.host,
            request: new.request.clone(),
            purpose: new.purpose.clone(),
            migration: new.migration,
            state: InspectionState::Pending,
            inventory: None,
            error: None,
            created_at: self.now,
            completed_at: None,
        };
        self.put(|d| &mut d.inspections, new.id, inspection.clone())?;
        Ok(inspection)
    }

    async fn inspection(&mut self, id: InspectionId) -> Result<Option<Inspection>> {
        Ok(self.data.inspections.get(&id).cloned())
    }

    async fn pending_inspections(&mut self, host: HostId) -> Result<Vec<Inspection>> {
        Ok(self.inspections_where(|i| i.host == host && i.state == InspectionState::Pending))
    }

    async fn inspections_of(&mut self, migration: MigrationId) -> Result<Vec<Inspection>> {
        Ok(self.inspections_where(|i| i.migration == Some(migration)))
    }

    async fn complete_inspection(&mut self, id: InspectionId, answer: Result<&Value, &str>) -> Result<Inspection> {
        let now = self.now;
        let inspection = self.row(|d| &mut d.inspections, &id, || format!("inspection {id}"))?;
        let found = inspection.state;
        if found != InspectionState::Pending {
            return Err(self.moved(format!("inspection {id}"), "pending", found.as_str()));
        }
        inspection.state = if answer.is_ok() {
            InspectionState::Done
        } else {
            InspectionState::Failed
        };
        inspection.inventory = answer.ok().cloned();
        inspection.error = answer.err().map(str::to_string);
        inspection.completed_at = Some(now);
        Ok(inspection.clone())
    }
}

impl MemoryTx {
    fn inspections_where(&self, fits: impl Fn(&Inspection) -> bool) -> Vec<Inspection> {
        let found = self.data.inspections.values().filter(|i| fits(i));
        let mut found: Vec<Inspection> = found.cloned().collect();
        found.sort_by_key(|i| (i.created_at, i.id));
        found
    }
}
