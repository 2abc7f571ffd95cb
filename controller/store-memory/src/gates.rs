//! Gates, in memory.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::state::GateState;
use syncferry_shared::{GateId, MigrationId};
use syncferry_store::{Gate, Gates, NewGate, Result};

use crate::tx::{MemoryTx, in_table};

#[async_trait]
impl Gates for MemoryTx {
    async fn add_gate(&mut self, new: &NewGate) -> Result<Gate> {
        self.needs_migration(new.migration)?;
        self.needs_job(new.job)?;
        let same = |g: &Gate| g.job == new.job && g.title == new.title && is_open(g);
        if self.data.gates.values().any(same) {
            return Err(self.taken("the job's one open gate of this title"));
        }
        let gate = Gate {
            id: new.id,
            migration: new.migration,
            job: new.job,
            title: new.title.clone(),
            cards: new.cards.clone(),
            state: GateState::Open,
            claimed_by: None,
            observation: None,
            opened_at: self.now,
            updated_at: self.now,
        };
        self.put(|d| &mut d.gates, new.id, gate.clone())?;
        Ok(gate)
    }

    async fn gate(&mut self, id: GateId) -> Result<Option<Gate>> {
        Ok(self.data.gates.get(&id).cloned())
    }

    async fn open_gates(&mut self) -> Result<Vec<Gate>> {
        Ok(self.gates_where(is_open))
    }

    async fn gates_of(&mut self, migration: MigrationId) -> Result<Vec<Gate>> {
        Ok(self.gates_where(|g| g.migration == migration))
    }

    async fn transition_gate(&mut self, id: GateId, from: GateState, to: GateState) -> Result<()> {
        in_table!(self, "gate", GateState, from, to);
        let found = self.data.gates.get(&id).map(|g| g.state);
        if let Some(found) = found.filter(|f| *f != from) {
            return Err(self.moved(format!("gate {id}"), from.as_str(), found.as_str()));
        }
        self.gate_row(id)?.state = to;
        Ok(())
    }

    async fn set_gate_claim(&mut self, id: GateId, actor: &str) -> Result<()> {
        self.gate_row(id)?.claimed_by = Some(actor.to_string());
        Ok(())
    }

    async fn set_gate_observation(&mut self, id: GateId, observation: &Value) -> Result<()> {
        self.gate_row(id)?.observation = Some(observation.clone());
        Ok(())
    }
}

impl MemoryTx {
    /// A gate, to be changed: now.
    fn gate_row(&mut self, id: GateId) -> Result<&mut Gate> {
        let now = self.now;
        let gate = self.row(|d| &mut d.gates, &id, || format!("gate {id}"))?;
        gate.updated_at = now;
        Ok(gate)
    }

    fn gates_where(&self, fits: impl Fn(&Gate) -> bool) -> Vec<Gate> {
        let mut found: Vec<Gate> = self.data.gates.values().filter(|g| fits(g)).cloned().collect();
        found.sort_by_key(|g| (g.opened_at, g.id));
        found
    }
}

fn is_open(gate: &Gate) -> bool {
    matches!(gate.state, GateState::Open | GateState::Claimed)
}
