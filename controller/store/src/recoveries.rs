//! Recoveries: what became known when the store was found to be behind, and what agents said at their first hello since.
//! Agents are the witnesses: their journals remember epochs and incarnations that a restored store has forgotten.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::{HostId, Millis};

use crate::error::Result;

/// Who found out that the store is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The restore command made it so.
    Restore,
    /// The controller's own note of how far the store had come.
    Note,
    /// An agent that has seen more.
    Agent,
    /// A mark in a leased database.
    Database,
}

impl Way {
    /// Every one.
    pub const ALL: &'static [Way] = &[Self::Restore, Self::Note, Self::Agent, Self::Database];
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Note => "note",
            Self::Agent => "agent",
            Self::Database => "database",
        }
    }
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|w| w.as_str() == text)
    }
}

/// A recovery: the incarnation that it began, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The incarnation that began with it.
    pub incarnation: i64,
    /// Who found out.
    pub way: Way,
    /// What was found: a JSON object.
    pub found: Value,
    /// When.
    pub begun_at: Millis,
    /// When everything was fenced or taken over again.
    pub ended_at: Option<Millis>,
}

/// What an agent had seen when it said hello for the first time in an incarnation of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Witness {
    /// The agent's host.
    pub host: HostId,
    /// The incarnation in which it said so.
    pub heard_in: i64,
    /// The highest incarnation that it had seen before.
    pub incarnation: i64,
    /// The highest epochs that it had seen, by resource.
    pub epochs: BTreeMap<String, i64>,
    /// What its journal had open: a JSON array.
    pub open: Value,
    /// When.
    pub at: Millis,
}

/// What is to be kept of a hello.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWitness {
    /// The agent's host.
    pub host: HostId,
    /// The highest incarnation that it has seen.
    pub incarnation: i64,
    /// The highest epochs that it has seen, by resource.
    pub epochs: BTreeMap<String, i64>,
    /// What its journal has open: a JSON array.
    pub open: Value,
}

/// Recoveries.
#[async_trait]
pub trait Recoveries {
    /// Remembers why the present incarnation began.
    async fn add_recovery(&mut self, way: Way, found: &Value) -> Result<Recovery>;
    /// The newest one.
    async fn recovery(&mut self) -> Result<Option<Recovery>>;
    /// Everything was fenced or taken over again. One that ended already is `Moved`.
    async fn end_recovery(&mut self, incarnation: i64) -> Result<Recovery>;

    /// Keeps what an agent says at its first hello in the present incarnation. Whether it was the first.
    async fn hear_witness(&mut self, new: &NewWitness) -> Result<bool>;
    /// What the agent of a host said.
    async fn witness(&mut self, host: HostId) -> Result<Option<Witness>>;
    /// What every agent said, by host.
    async fn witnesses(&mut self) -> Result<Vec<Witness>>;
}
