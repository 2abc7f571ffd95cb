//! What every command, query and duty works with. It holds no truth: only the way to the store, and what never changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use syncferry_shared::catalogue::Catalogue;
use syncferry_shared::event::{NewEvent, StreamKind};
use syncferry_shared::{AgentId, ControllerId, HostId, MigrationId};
use syncferry_store::Store;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::identity::{Authority, TicketSigner};
use crate::wake::{HostReason, Reason, Wake};

/// The controller's core.
pub struct Core {
    /// This run of this controller, among those that share the store.
    pub id: ControllerId,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Those who wait.
    pub wake: Wake,
    /// The configuration.
    pub config: Config,
    /// Issues certificates.
    pub authority: Arc<Authority>,
    /// Signs transfer tickets.
    pub tickets: TicketSigner,
    /// Connect versions.
    pub catalogue: Catalogue,
    /// Agents that said hello to this run of this controller. The only thing that is remembered here and not in the store: what
    /// it asks is whether the store is the one that the agent knew.
    pub greeted: Greeted,
    /// The order to stop. Whatever waits or streams without an end of its own ends with it.
    pub stop: CancellationToken,
}

/// Agents that said hello to this run of a controller.
#[derive(Default)]
pub struct Greeted(Mutex<BTreeSet<AgentId>>);

impl Greeted {
    /// It said hello.
    pub fn note(&self, agent: AgentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(agent);
    }
    /// Whether it did. Until then it may know more than the store.
    pub fn knows(&self, agent: AgentId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&agent)
    }
}

impl Core {
    /// Ten random bytes, for an id.
    pub fn random(&self) -> [u8; 10] {
        rand::random()
    }

    /// Something happened in a migration: the scheduler and everybody who watches should look.
    pub fn migration_changed(&self, id: MigrationId) {
        self.wake.ring(Reason::Work);
        self.wake.ring(Reason::Migration(id));
    }

    /// There is something for an agent.
    pub fn host_changed(&self, host: HostId, reason: HostReason) {
        self.wake.ring(Reason::Host(host, reason));
    }
}

/// An event of a migration, to be appended.
pub fn migration_event(id: MigrationId, kind: &str, actor: &str, payload: serde_json::Value) -> NewEvent {
    NewEvent {
        stream_kind: StreamKind::Migration,
        stream_id: id.to_string(),
        kind: kind.to_string(),
        actor: actor.to_string(),
        payload,
    }
}

/// An event of an agent, to be appended.
pub fn agent_event(host: HostId, kind: &str, actor: &str, payload: serde_json::Value) -> NewEvent {
    NewEvent {
        stream_kind: StreamKind::Agent,
        stream_id: host.to_string(),
        kind: kind.to_string(),
        actor: actor.to_string(),
        payload,
    }
}

/// An event of the controller itself, to be appended.
pub fn system_event(store: &str, kind: &str, actor: &str, payload: serde_json::Value) -> NewEvent {
    NewEvent {
        stream_kind: StreamKind::System,
        stream_id: store.to_string(),
        kind: kind.to_string(),
        actor: actor.to_string(),
        payload,
    }
}
