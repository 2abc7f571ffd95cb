//! Availability groups. `availability.json` beside the instance says which it is in and in what role; it is read again each
//! time, so that whoever writes it fails over. Nothing is replicated: two instances of a group have what was restored there.

use serde::Deserialize;
use uuid::Uuid;

use super::errors::{Result, err};
use super::instance::{Handle, Inner};

/// What `availability.json` says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Availability {
    /// The groups that this instance is a replica of.
    pub groups: Vec<Group>,
}

/// A group, as this instance sees it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Group {
    /// Its name.
    pub name: String,
    /// `group_id`.
    pub group_id: Uuid,
    /// This instance's `replica_id`.
    pub replica_id: Uuid,
    /// This instance's role.
    pub role: Role,
    /// Whether a secondary can be read.
    #[serde(default)]
    pub readable: bool,
    /// The listener's name and port.
    pub listener: Option<Listener>,
    /// The other replicas.
    #[serde(default)]
    pub others: Vec<Replica>,
    /// Its databases.
    pub databases: Vec<Member>,
}

/// A replica's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Neither, for a moment.
    Resolving,
    /// Writes.
    Primary,
    /// Follows.
    Secondary,
}

impl Role {
    /// `role` and `role_desc`.
    pub(super) fn code(self) -> (u8, &'static str) {
        match self {
            Role::Resolving => (0, "RESOLVING"),
            Role::Primary => (1, "PRIMARY"),
            Role::Secondary => (2, "SECONDARY"),
        }
    }
}

/// Another name for the primary.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Listener {
    /// `dns_name`.
    pub dns_name: String,
    /// `port`.
    pub port: u16,
}

/// Another replica.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Replica {
    /// `replica_server_name`.
    pub server_name: String,
    /// `replica_id`.
    pub replica_id: Uuid,
}

/// A database of a group.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Member {
    /// Its name.
    pub name: String,
    /// The same on every replica.
    pub group_database_id: Uuid,
}

impl Availability {
    /// The group of a database, and its place there.
    pub(super) fn of(&self, database: &str) -> Option<(&Group, &Member)> {
        self.groups.iter().find_map(|g| {
            let member = g.databases.iter().find(|m| m.name.eq_ignore_ascii_case(database))?;
            Some((g, member))
        })
    }
}

impl Inner {
    /// The groups; None where the feature is off. A file that cannot be read turns nothing on.
    pub(super) fn availability(&self) -> Option<Availability> {
        let text = std::fs::read_to_string(self.dir.join("availability.json")).ok()?;
        match serde_json::from_str(&text) {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::error!(%error, "availability.json is not understood");
                None
            }
        }
    }

    /// Whether a database takes no changes here, because another replica has the primary role.
    pub(super) fn follows(&self, handle: &Handle) -> bool {
        let groups = self.availability().unwrap_or_default();
        groups.of(&handle.name()).is_some_and(|(g, _)| g.role != Role::Primary)
    }

    /// 976 for a database of a replica that cannot be read.
    pub(super) fn readable(&self, handle: &Handle) -> Result<()> {
        let groups = self.availability().unwrap_or_default();
        let name = handle.name();
        match groups.of(&name) {
            Some((g, _)) if g.role != Role::Primary && !g.readable => Err(err!(976, name)),
            _ => Ok(()),
        }
    }

    /// Whether a database belongs to a group.
    pub(super) fn is_joined(&self, handle: &Handle) -> bool {
        self.availability().unwrap_or_default().of(&handle.name()).is_some()
    }
}
