//! What agents see again and again of leased databases and of Connect servers, and tell the controller. Looking changes
//! nothing. What could not be seen says so: silence is never "nobody is there".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;
use crate::ids::DatabaseId;
use crate::inventory::{ConnectFacts, DatabaseAddress, SessionFacts};

/// One look.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WatchReport {
    /// When, by the host's clock.
    pub taken_at: Millis,
    /// The leased databases that the agent was asked to watch.
    pub databases: Vec<WatchedDatabase>,
    /// Connect on the agent's own host, where it was asked to watch it.
    pub connect: Option<WatchedConnect>,
}

/// A leased database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedDatabase {
    /// Our id for it.
    pub database: DatabaseId,
    /// Where it was looked for.
    pub address: DatabaseAddress,
    /// Why it could not be looked at; everything else is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `database_guid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_guid: Option<Uuid>,
    /// `recovery_fork_guid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_fork_guid: Option<Uuid>,
    /// Sessions of others; `None` when they cannot be seen.
    pub sessions: Option<Vec<SessionFacts>>,
    /// Our marks on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, String>,
}

/// Connect on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WatchedConnect {
    /// Why it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Products, service, `ADSync\Parameters`, scheduler. All of it empty when Connect is not installed.
    pub facts: ConnectFacts,
}
