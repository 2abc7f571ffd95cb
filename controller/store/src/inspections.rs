//! Inspections: questions about a host to its agent, and the answers.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::{HostId, InspectionId, MigrationId, Millis};

use crate::error::Result;
use crate::words::words;

words! {
    /// Where an inspection stands.
    InspectionState {
        /// Not answered yet.
        Pending = "pending",
        /// Answered with an inventory.
        Done = "done",
        /// Answered with an error.
        Failed = "failed",
    }
}

/// An inspection to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInspection {
    /// Its id.
    pub id: InspectionId,
    /// The host.
    pub host: HostId,
    /// What to look at: a `shared::inventory::InspectionRequest`.
    pub request: Value,
    /// What for, for example `plan` or `database add`.
    pub purpose: String,
    /// The migration that needs it.
    pub migration: Option<MigrationId>,
}

/// An inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Its id.
    pub id: InspectionId,
    /// The host.
    pub host: HostId,
    /// What to look at.
    pub request: Value,
    /// What for.
    pub purpose: String,
    /// The migration that needs it.
    pub migration: Option<MigrationId>,
    /// Where it stands.
    pub state: InspectionState,
    /// What was found: a `shared::inventory::Inventory`.
    pub inventory: Option<Value>,
    /// Why nothing was.
    pub error: Option<String>,
    /// When it was asked.
    pub created_at: Millis,
    /// When it was answered.
    pub completed_at: Option<Millis>,
}

/// Inspections.
#[async_trait]
pub trait Inspections {
    /// Adds one.
    async fn add_inspection(&mut self, new: &NewInspection) -> Result<Inspection>;
    /// Reads one.
    async fn inspection(&mut self, id: InspectionId) -> Result<Option<Inspection>>;
    /// Those that a host's agent has to answer, oldest first.
    async fn pending_inspections(&mut self, host: HostId) -> Result<Vec<Inspection>>;
    /// Those of a migration, oldest first.
    async fn inspections_of(&mut self, migration: MigrationId) -> Result<Vec<Inspection>>;
    /// Answers a pending one; [`Cause::Moved`](crate::Cause::Moved) when it was answered before.
    async fn complete_inspection(&mut self, id: InspectionId, answer: Result<&Value, &str>) -> Result<Inspection>;
}
