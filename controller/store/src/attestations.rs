//! Attestations: the word of one person that a holder cannot act any more, until a second person confirms it or it lapses.
//! The store insists on both, in time, before it takes their word for a proof.

use async_trait::async_trait;
use syncferry_shared::lease::Resource;
use syncferry_shared::{AttestationId, Millis};

use crate::error::Result;
use crate::leases::LeaseResult;
use crate::words::words;

/// The longest time between the two words.
pub const MOST_VALID_MS: i64 = 15 * 60 * 1000;

words! {
    /// What the word is given for.
    Purpose {
        /// To take a lease from a holder that is alive, as far as anybody knows.
        BreakGlass = "break-glass",
        /// To prove that the holder of a lease that was lost, or is being taken, cannot act.
        Attest = "attest",
    }
}

words! {
    /// Where an attestation stands.
    AttestationState {
        /// For the second person.
        Waiting = "waiting",
        /// Both gave their word.
        Confirmed = "confirmed",
        /// It was too late, or given anew.
        Lapsed = "lapsed",
    }
}

/// A first word to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttestation {
    /// The id.
    pub id: AttestationId,
    /// About which lease.
    pub resource: Resource,
    /// The epoch that the lease was seen at.
    pub epoch: i64,
    /// What for.
    pub purpose: Purpose,
    /// The server's name, as it was typed.
    pub server: String,
    /// Why.
    pub reason: String,
    /// The ticket.
    pub ticket: String,
    /// Whose word it is.
    pub first: String,
    /// For how long; at most [`MOST_VALID_MS`].
    pub valid_ms: i64,
}

/// A word as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// The id.
    pub id: AttestationId,
    /// About which lease.
    pub resource: Resource,
    /// The lease's epoch when it was given.
    pub epoch: i64,
    /// What for.
    pub purpose: Purpose,
    /// The server's name, as it was typed.
    pub server: String,
    /// Why.
    pub reason: String,
    /// The ticket.
    pub ticket: String,
    /// The first person.
    pub first: String,
    /// The second person.
    pub second: Option<String>,
    /// Where it stands.
    pub state: AttestationState,
    /// When the first person gave it.
    pub given_at: Millis,
    /// Until when the second one may.
    pub valid_until: Millis,
    /// When the second one did.
    pub confirmed_at: Option<Millis>,
}

/// Attestations.
#[async_trait]
pub trait Attestations {
    /// A first person's word. One's own waiting one lapses by it; another's is `WordWaits` while it is good.
    async fn add_attestation(&mut self, new: &NewAttestation) -> LeaseResult<Attestation>;
    /// The one that waits for a second person, whether or not it is still good.
    async fn waiting_attestation(&mut self, resource: &Resource) -> Result<Option<Attestation>>;
    /// A second person's word. It counts in this transaction and in no later one.
    async fn confirm_attestation(&mut self, id: AttestationId, second: &str) -> LeaseResult<Attestation>;
    /// Those of a lease, oldest first.
    async fn attestations(&mut self, resource: &Resource) -> Result<Vec<Attestation>>;
}
