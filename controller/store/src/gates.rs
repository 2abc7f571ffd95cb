//! Gates: points where a person must act.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::state::GateState;
use syncferry_shared::{GateId, JobId, MigrationId, Millis};

use crate::error::Result;

/// A gate to be added. Its state is open.
#[derive(Debug, Clone, PartialEq)]
pub struct NewGate {
    /// Its id.
    pub id: GateId,
    /// Its migration.
    pub migration: MigrationId,
    /// The job that waits at it.
    pub job: JobId,
    /// What must be done, in a few words.
    pub title: String,
    /// What exactly: a list of `shared::card::Card`.
    pub cards: Value,
}

/// A gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its id.
    pub id: GateId,
    /// Its migration.
    pub migration: MigrationId,
    /// The job that waits at it.
    pub job: JobId,
    /// What must be done, in a few words.
    pub title: String,
    /// What exactly.
    pub cards: Value,
    /// Where it stands.
    pub state: GateState,
    /// Who said that it is done.
    pub claimed_by: Option<String>,
    /// What the agent saw.
    pub observation: Option<Value>,
    /// When it was opened.
    pub opened_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
}

/// Gates.
#[async_trait]
pub trait Gates {
    /// Adds one. [`Cause::Conflict`](crate::Cause::Conflict) while the job waits at another one with this title.
    async fn add_gate(&mut self, new: &NewGate) -> Result<Gate>;
    /// Reads one.
    async fn gate(&mut self, id: GateId) -> Result<Option<Gate>>;
    /// Those where somebody must act (open or claimed), oldest first.
    async fn open_gates(&mut self) -> Result<Vec<Gate>>;
    /// Those of a migration, oldest first.
    async fn gates_of(&mut self, migration: MigrationId) -> Result<Vec<Gate>>;
    /// Moves it, if it is still in `from` and the table has the transition.
    async fn transition_gate(&mut self, id: GateId, from: GateState, to: GateState) -> Result<()>;
    /// Keeps who said that it is done.
    async fn set_gate_claim(&mut self, id: GateId, actor: &str) -> Result<()>;
    /// Keeps what the agent saw.
    async fn set_gate_observation(&mut self, id: GateId, observation: &Value) -> Result<()>;
}
