//! The lease: which Connect server may use a database. The authority for its transitions is the store, which makes each
//! one a compare-and-set; the table here says the same in one place, for checks, drawings and the audit.
//!
//! Expiry never frees a lease: a server that cannot be reached may still be running. Only a proof frees it.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::ids::{DatabaseId, HostId, SessionId};

crate::machine! {
    "lease"
    /// Where a lease stands.
    states LeaseState {
        /// Nobody may use the resource.
        Free = "free",
        /// The holder may.
        Held = "held",
        /// The holder still may, and is handing over.
        Draining = "draining",
        /// The holder was not heard of in time. It may still run.
        Lost = "lost",
        /// Being taken from its holder.
        Fencing = "fencing",
        /// Its identity is in doubt; nothing is granted.
        Quarantined = "quarantined",
    }
    /// What moves a lease.
    events LeaseEvent {
        /// Granted, with a new epoch, on proof for the epoch before.
        Acquire = "acquire",
        /// Extended by its holder.
        Renew = "renew",
        /// Its holder's session or its renewer changed, with the controller's consent.
        Adopt = "adopt",
        /// The holder was asked to hand over.
        Handover = "handover",
        /// Not renewed in time.
        Expire = "expire",
        /// Tokens are void from here on; the holder is being fenced.
        BeginFence = "begin-fence",
        /// As begin-fence, from a lease that is still alive, on two people's word.
        BreakGlass = "break-glass",
        /// The fence is proven.
        EndFence = "end-fence",
        /// Given back, with proof.
        Release = "release",
        /// Its identity came into doubt.
        Quarantine = "quarantine",
    }
    table {
        Free + Acquire => Held,
        Free + Quarantine => Quarantined,
        Held + Renew => Held,
        Held + Adopt => Held,
        Held + Handover => Draining,
        Held + Expire => Lost,
        Held + Release => Free,
        Held + BreakGlass => Fencing,
        Held + Quarantine => Quarantined,
        Draining + Renew => Draining,
        Draining + Adopt => Draining,
        Draining + Expire => Lost,
        Draining + Release => Free,
        Draining + BreakGlass => Fencing,
        Draining + Quarantine => Quarantined,
        Lost + Renew => Held,
        Lost + Adopt => Held,
        Lost + BeginFence => Fencing,
        Lost + BreakGlass => Fencing,
        Lost + Quarantine => Quarantined,
        Fencing + EndFence => Free,
        Fencing + Quarantine => Quarantined,
        Quarantined + BeginFence => Fencing,
    }
}

/// What proves that the holder of one epoch can no longer act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// Nobody used the resource under this epoch.
    NeverUsed,
    /// The service was seen stopped and disabled on the holder.
    HolderStopped,
    /// SQL Server itself refuses the holder, read back.
    SqlFenced,
    /// The holder's machine is off, read back.
    PowerOff,
    /// Two people gave their word.
    OperatorAttested,
}

impl ProofKind {
    /// The word in the store and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ProofKind::NeverUsed => "never_used",
            ProofKind::HolderStopped => "holder_stopped",
            ProofKind::SqlFenced => "sql_fenced",
            ProofKind::PowerOff => "power_off",
            ProofKind::OperatorAttested => "operator_attested",
        }
    }
}

/// What a lease is for. One server holds at most one lease of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseKind {
    /// A database: at most one Connect server uses it.
    Database,
    /// A tenant's export: at most one Connect server is out of staging mode.
    TenantExport,
}

impl LeaseKind {
    /// The word in the store and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            LeaseKind::Database => "database",
            LeaseKind::TenantExport => "tenant-export",
        }
    }
}

/// The name of a leased resource: `adsync-db:<database id>` or `tenant:<tenant id>:export`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(pub String);

impl Resource {
    /// The lease of a database.
    pub fn database(id: DatabaseId) -> Self {
        Self(format!("adsync-db:{id}"))
    }
    /// The lease of a tenant's export: whoever has it is out of staging mode. Sites of one tenant share it.
    pub fn tenant_export(tenant_id: &str) -> Self {
        Self(format!("tenant:{}:export", tenant_id.to_ascii_lowercase()))
    }
    /// The tenant of an export lease.
    pub fn tenant_id(&self) -> Option<&str> {
        self.0.strip_prefix("tenant:")?.strip_suffix(":export")
    }
    /// The database of a database lease.
    pub fn database_id(&self) -> Option<DatabaseId> {
        self.0.strip_prefix("adsync-db:")?.parse().ok()
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What a job carries to show that it may: it is worth nothing once the lease has another epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRef {
    /// The leased resource.
    pub resource: Resource,
    /// The epoch under which the job was made.
    pub epoch: i64,
}

/// A lease as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What is leased.
    pub resource: Resource,
    /// What it is leased for.
    pub kind: LeaseKind,
    /// Where it stands.
    pub state: LeaseState,
    /// The fencing token: never decreases.
    pub epoch: i64,
    /// The Connect server that may use the resource.
    pub holder: Option<HostId>,
    /// The session of the agent that renews.
    pub holder_session: Option<SessionId>,
    /// The host whose agent renews, which is not the holder while the holder is still to be installed.
    pub renewer: Option<HostId>,
    /// When it was granted.
    pub granted_at: Option<Millis>,
    /// When it will be called lost, unless renewed (plus a grace period).
    pub expires_at: Option<Millis>,
    /// To whom it is being handed over.
    pub handover_to: Option<HostId>,
    /// The newest epoch that is proven at the resource.
    pub fenced_epoch: i64,
    /// Counts changes; the history has one entry for each.
    pub row_version: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_never_becomes_free_directly() {
        assert!(!LeaseState::TABLE.contains(&(LeaseState::Lost, LeaseEvent::Release, LeaseState::Free)));
        for (from, _, to) in LeaseState::TABLE {
            assert!(!(*from == LeaseState::Lost && *to == LeaseState::Free));
        }
    }

    #[test]
    fn resource_names_its_database() {
        let id: DatabaseId = "01932c5e-7d3a-7c1b-9f3e-0242ac120002".parse().unwrap();
        assert_eq!(Resource::database(id).database_id(), Some(id));
        assert_eq!(Resource::database(id).tenant_id(), None);
        assert_eq!(Resource::tenant_export("ABC"), Resource("tenant:abc:export".into()));
        assert_eq!(Resource::tenant_export("abc").tenant_id(), Some("abc"));
        assert_eq!(Resource::tenant_export("abc").database_id(), None);
    }
}
