//! Identifiers: UUIDv7 in lower-case text, one newtype per thing. Short forms show the *tail*, because the head of a
//! UUIDv7 is the same for everything made within a minute.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {kind}: expected a UUID such as 01932c5e-7d3a-7c1b-9f3e-0242ac120002")]
pub struct InvalidId {
    /// Which kind of id was expected.
    pub kind: &'static str,
    /// What was given.
    pub text: String,
}

/// Builds a UUIDv7 from a time and ten random bytes; both are the caller's.
pub fn uuid_v7(now: Millis, random: &[u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.0).unwrap_or(0), random).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id from a time and random bytes.
            pub fn new(now: Millis, random: &[u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }
            /// The last eight hexadecimal digits, for people.
            pub fn short(&self) -> String {
                let text = self.0.simple().to_string();
                text[text.len() - 8..].to_string()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidId { kind: $kind, text: text.to_string() })
            }
        }
    )*};
}

ids! {
    /// An organisation: whose sites these are.
    OrgId = "organisation id";
    /// A site: one Entra tenant's synchronisation.
    SiteId = "site id";
    /// A machine.
    HostId = "host id";
    /// The process of ours on a machine.
    AgentId = "agent id";
    /// A person who operates Syncferry.
    OperatorId = "operator id";
    /// One physical ADSync database, as we know it (`db_uid`).
    DatabaseId = "database id";
    /// A question about a host to its agent.
    InspectionId = "inspection id";
    /// One run of a scenario.
    MigrationId = "migration id";
    /// What one agent does in a migration.
    JobId = "job id";
    /// A point where a person must act.
    GateId = "gate id";
    /// A backup and its manifest.
    ArtifactId = "artifact id";
    /// The life of an agent between loss of its journal, reboot or VM revert: the holder's session of a lease.
    SessionId = "session id";
    /// Something that a person must know.
    AlarmId = "alarm id";
    /// The word of a first person that waits for the second one.
    AttestationId = "attestation id";
    /// A warning that somebody accepted.
    AcceptanceId = "acceptance id";
    /// A person's word about an item of a checklist.
    WordId = "word id";
    /// One run of a controller: new at every start.
    ControllerId = "controller id";
    /// The identity of a controller's store.
    StoreId = "store id";
}
