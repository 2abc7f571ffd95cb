//! Agents: one per host, once it is enrolled. What a heartbeat changes is here; what a job changes is not.

use async_trait::async_trait;
use syncferry_shared::{AgentId, HostId, Millis, SessionId};

use crate::error::Result;
use crate::words::words;

words! {
    /// Where an agent stands.
    AgentState {
        /// It has a certificate and has not been heard of yet.
        Enrolled = "enrolled",
        /// It is heard of.
        Online = "online",
        /// It was not heard of in time.
        Silent = "silent",
        /// It is not believed: a copied key, a reverted machine. Only a person ends that.
        Quarantined = "quarantined",
    }
}

/// An agent that enrols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgent {
    /// Its id.
    pub id: AgentId,
    /// Its host.
    pub host: HostId,
    /// The serial number of its certificate, hexadecimal; unique.
    pub certificate_serial: String,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its host.
    pub host: HostId,
    /// The serial number of its certificate.
    pub certificate_serial: String,
    /// How many certificates it had, from 1.
    pub generation: i64,
    /// Where it stands.
    pub state: AgentState,
    /// Its session, once it said hello.
    pub session: Option<SessionId>,
    /// Its version.
    pub version: Option<String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Where others can fetch artifacts from it, where configured.
    pub transfer_address: Option<String>,
    /// When it was last heard of.
    pub last_heartbeat_at: Option<Millis>,
    /// The newest entry of its journal that it told of, in this session.
    pub journal_seq: i64,
    /// The newest entry that was applied here, in this session.
    pub applied_seq: i64,
    /// When it enrolled.
    pub enrolled_at: Millis,
}

/// What an agent says when it connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its session.
    pub session: SessionId,
    /// Its version.
    pub version: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Where others can fetch artifacts from it, where configured.
    pub transfer_address: Option<String>,
    /// The newest entry of its journal.
    pub journal_seq: i64,
}

/// What is noteworthy about what an agent just said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The agent as it stands now.
    pub agent: Agent,
    /// The state it was in before.
    pub was: AgentState,
    /// The session before, when this is another one: it rebooted, was reverted or lost its journal.
    pub other_session: Option<SessionId>,
    /// The newest entry seen before, when its journal ends earlier now although the session is the same: the machine was
    /// reverted. The higher number is kept.
    pub journal_was: Option<i64>,
}

/// Agents.
#[async_trait]
pub trait Agents {
    /// Enrols one. When its host has an agent already, the new one takes its place: a new certificate of a higher
    /// generation, no session, state enrolled.
    async fn enrol_agent(&mut self, new: &NewAgent) -> Result<Agent>;
    /// Gives it its next certificate, if it still has the one of generation `from`;
    /// [`Cause::Moved`](crate::Cause::Moved) otherwise: a second use of an old generation means a copied key.
    async fn renew_agent_certificate(&mut self, id: AgentId, from: i64, serial: &str) -> Result<Agent>;
    /// Reads one.
    async fn agent(&mut self, id: AgentId) -> Result<Option<Agent>>;
    /// The one of a host.
    async fn agent_of_host(&mut self, host: HostId) -> Result<Option<Agent>>;
    /// Every one.
    async fn agents(&mut self) -> Result<Vec<Agent>>;
    /// It connected: it is online (unless quarantined), with this session.
    async fn agent_hello(&mut self, id: AgentId, hello: &Hello) -> Result<Heard>;
    /// It was heard of, in its session; [`Cause::Moved`](crate::Cause::Moved) in any other, which must say hello first.
    /// It is online (unless quarantined).
    async fn agent_heartbeat(&mut self, id: AgentId, session: SessionId, journal_seq: i64) -> Result<Heard>;
    /// Whether an entry of its journal is new here; if so it counts as applied. An entry that comes twice is not new.
    async fn apply_journal_entry(&mut self, id: AgentId, session: SessionId, seq: i64) -> Result<bool>;
    /// Those online that were not heard of for longer than this.
    async fn agents_unheard(&mut self, longer_than_ms: i64) -> Result<Vec<Agent>>;
    /// Calls it silent, if it is online and was still not heard of; whether it was.
    async fn mark_agent_silent(&mut self, id: AgentId, longer_than_ms: i64) -> Result<bool>;
    /// Stops believing it.
    async fn quarantine_agent(&mut self, id: AgentId) -> Result<()>;
}
