//! Leases: which Connect server may use a resource. Every change is a compare-and-set that names the epoch it believes in,
//! writes its entry of the history in the same transaction, and is checked against the shared table and by the store's
//! own guards. Expiry never frees: only a proof does.
//!
//! Every change also appends an event `lease.<event>` to the stream `(lease, <resource>)`, so that callers need not.
//! Renewing is no change: it moves the expiry and nothing else, unless the lease was lost.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::lease::{Lease, LeaseEvent, LeaseKind, LeaseState, Resource};
use syncferry_shared::state::IllegalTransition;
use syncferry_shared::{HostId, JobId, MigrationId, Millis, SessionId};

use crate::error::{Result, StoreError};
use crate::proofs::NewProof;

/// Who changes a lease, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct By {
    /// `operator:<name>`, `agent:<host name>` or `controller`.
    pub actor: String,
    /// What led to it: a JSON object.
    pub detail: Value,
    /// The migration it belongs to.
    pub migration: Option<MigrationId>,
    /// The attempt it belongs to.
    pub attempt: Option<(JobId, i32)>,
}

impl By {
    /// Somebody, without more to say.
    pub fn new(actor: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            detail: Value::Object(serde_json::Map::new()),
            migration: None,
            attempt: None,
        }
    }
    /// With what led to it.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
    /// For a migration.
    #[must_use]
    pub fn migration(mut self, migration: MigrationId) -> Self {
        self.migration = Some(migration);
        self
    }
    /// For an attempt.
    #[must_use]
    pub fn attempt(mut self, job: JobId, attempt: i32) -> Self {
        self.attempt = Some((job, attempt));
        self
    }
}

/// What is asked for when a lease is acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is leased.
    pub resource: Resource,
    /// The epoch that the lease was seen at, free. The grant has the next one.
    pub seen_epoch: i64,
    /// The Connect server that may use it.
    pub holder: HostId,
    /// The session of the agent that will renew.
    pub session: SessionId,
    /// The host of that agent.
    pub renewer: HostId,
    /// For how long, until it is renewed.
    pub ttl_ms: i64,
}

/// One entry of a lease's history.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseChange {
    /// What is leased.
    pub resource: Resource,
    /// Counts the changes, without gaps.
    pub row_version: i64,
    /// The epoch after it.
    pub epoch: i64,
    /// What happened; `None` for the creation.
    pub event: Option<LeaseEvent>,
    /// The state before; for the creation the state after.
    pub from: LeaseState,
    /// The state after.
    pub to: LeaseState,
    /// The holder after it, if any; for a release or a proven fence the one before.
    pub holder: Option<HostId>,
    /// The session after it, if any; as above.
    pub session: Option<SessionId>,
    /// Who caused it.
    pub actor: String,
    /// What led to it.
    pub detail: Value,
    /// The migration it belongs to.
    pub migration: Option<MigrationId>,
    /// The attempt it belongs to.
    pub attempt: Option<(JobId, i32)>,
    /// When.
    pub at: Millis,
}

/// Why a lease was not changed. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// There is no such lease.
    #[error("there is no lease '{0}'; register the database first")]
    Unknown(Resource),
    /// It cannot be acquired, because it is not free.
    #[error("lease '{resource}' is {state} (epoch {epoch}), not free")]
    NotFree {
        /// Which.
        resource: Resource,
        /// Where it stands.
        state: LeaseState,
        /// Who holds it, or held it last.
        holder: Option<HostId>,
        /// Its epoch.
        epoch: i64,
    },
    /// Nothing proves that the holder before can no longer act.
    #[error("lease '{resource}' has no proof for epoch {epoch}: nothing shows that the last holder can no longer act")]
    NoProof {
        /// Which.
        resource: Resource,
        /// The epoch that needs the proof.
        epoch: i64,
    },
    /// The server holds another lease of the kind.
    #[error("the server holds '{resource}' already; one server uses one database")]
    HolderHasAnother {
        /// The other one.
        resource: Resource,
    },
    /// The caller believes in another epoch or session than the lease has.
    #[error("lease '{resource}' is {state} at epoch {found}; epoch {expected} or its session is over")]
    Stale {
        /// Which.
        resource: Resource,
        /// The epoch that the caller believes in.
        expected: i64,
        /// The epoch it has.
        found: i64,
        /// Where it stands.
        state: LeaseState,
        /// Who holds it.
        holder: Option<HostId>,
    },
    /// It is the caller's, but there is not enough time left for what is to be done.
    #[error("lease '{resource}' has {remaining_ms} ms left, and {budget_ms} ms are needed; it must be renewed first")]
    Expired {
        /// Which.
        resource: Resource,
        /// What is left; negative when it is over.
        remaining_ms: i64,
        /// What is needed.
        budget_ms: i64,
    },
    /// Nobody gave a first word, or it was used.
    #[error("nobody has given a first word on lease '{resource}' that waits for a second one")]
    NoWord {
        /// Which.
        resource: Resource,
    },
    /// Another person's first word waits for a second one.
    #[error("{first} has given a first word on lease '{resource}' already; confirm that one, or wait until it lapses")]
    WordWaits {
        /// Which.
        resource: Resource,
        /// Who.
        first: String,
    },
    /// The first word is too old.
    #[error("the word of {first} on lease '{resource}' has lapsed; it must be given again")]
    WordLapsed {
        /// Which.
        resource: Resource,
        /// Who.
        first: String,
    },
    /// The second person is the first one.
    #[error("{first} gave the first word on lease '{resource}'; the second one must be another person's")]
    OnePerson {
        /// Which.
        resource: Resource,
        /// Who.
        first: String,
    },
    /// The table has no such transition.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The store itself failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of a change of a lease.
pub type LeaseResult<T> = std::result::Result<T, LeaseError>;

/// Leases.
#[async_trait]
pub trait Leases {
    /// Creates one, free at epoch 0. With `never_used` as the evidence that nobody uses it, it can be acquired at once.
    async fn create_lease(
        &mut self,
        resource: &Resource,
        kind: LeaseKind,
        never_used: Option<&Value>,
        by: &By,
    ) -> Result<Lease>;
    /// Reads one.
    async fn lease(&mut self, resource: &Resource) -> Result<Option<Lease>>;
    /// Every one, by resource.
    async fn leases(&mut self) -> Result<Vec<Lease>>;
    /// The one of a kind that a server holds (held, draining or lost).
    async fn lease_held_by(&mut self, holder: HostId, kind: LeaseKind) -> Result<Option<Lease>>;

    /// free → held, with the next epoch. Needs a proof for the epoch before.
    async fn acquire_lease(&mut self, grant: &Grant, by: &By) -> LeaseResult<Lease>;
    /// Moves the expiry. A lost lease is held again: nobody has begun to fence it. Anybody else's is `Stale`.
    async fn renew_lease(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: SessionId,
        ttl_ms: i64,
        by: &By,
    ) -> LeaseResult<Lease>;
    /// The session and the host that renew change, with the controller's consent; held, draining or lost.
    async fn adopt_lease(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: SessionId,
        renewer: HostId,
        ttl_ms: i64,
        by: &By,
    ) -> LeaseResult<Lease>;
    /// held → draining.
    async fn request_handover(
        &mut self,
        resource: &Resource,
        epoch: i64,
        to: Option<HostId>,
        by: &By,
    ) -> LeaseResult<Lease>;
    /// Every lease that was not renewed for longer than the grace period after its expiry → lost. Returns those.
    async fn expire_leases(&mut self, grace_ms: i64, by: &By) -> LeaseResult<Vec<Lease>>;
    /// lost or quarantined → fencing, with a new epoch: above this one, and above `above` where given (an epoch that was
    /// seen at the resource).
    async fn begin_fence(&mut self, resource: &Resource, epoch: i64, above: Option<i64>, by: &By)
    -> LeaseResult<Lease>;
    /// held, draining or lost → fencing, with a new epoch, on two people's word: that of `by`, confirmed by the second one
    /// ([`confirm_attestation`](crate::Attestations::confirm_attestation)) in this very transaction.
    async fn break_glass(&mut self, resource: &Resource, epoch: i64, second: &str, by: &By) -> LeaseResult<Lease>;
    /// fencing → free. Needs a proof for this epoch ([`add_proof`](crate::Proofs::add_proof)).
    async fn end_fence(&mut self, resource: &Resource, epoch: i64, by: &By) -> LeaseResult<Lease>;
    /// held or draining → free, with a new epoch and the proof for it. With a session, only that session may.
    async fn release_lease(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: Option<SessionId>,
        proof: &NewProof,
        by: &By,
    ) -> LeaseResult<Lease>;
    /// Anything → quarantined. Every permit is refused from here on.
    async fn quarantine_lease(&mut self, resource: &Resource, epoch: i64, by: &By) -> LeaseResult<Lease>;

    /// Whether something that takes `budget_ms` may be done under this epoch (and session, where given); what is left.
    async fn authorize(
        &mut self,
        resource: &Resource,
        epoch: i64,
        session: Option<SessionId>,
        budget_ms: i64,
    ) -> LeaseResult<i64>;
    /// Whether a run at SQL Server may act under this epoch. Such a run belongs to the lease's change and not to its holder,
    /// so that no expiry limits it; but nothing moves under a lease that is lost or in doubt.
    async fn authorize_run(&mut self, resource: &Resource, epoch: i64) -> LeaseResult<()>;
    /// The history, oldest first.
    async fn lease_history(&mut self, resource: &Resource) -> Result<Vec<LeaseChange>>;
}
