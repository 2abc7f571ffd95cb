//! A lease in a report: where it stood before the migration and where it stands now, with its history and its proofs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::lease::{LeaseKind, LeaseState, ProofKind, Resource};

/// A lease of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportLease {
    /// What is leased.
    pub resource: Resource,
    /// What that is, for people: `SQL01 / ADSync`.
    pub subject: String,
    /// What it is leased for.
    pub kind: LeaseKind,
    /// Where it stood before the migration touched it; `None` when the migration made it.
    pub before: Option<LeasePoint>,
    /// Where it stands.
    pub after: LeasePoint,
    /// Its changes, oldest first.
    pub history: Vec<ReportLeaseChange>,
    /// What proves that earlier holders can no longer act.
    pub proofs: Vec<ReportProof>,
}

/// Where a lease stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasePoint {
    /// Its state.
    pub state: LeaseState,
    /// Its epoch.
    pub epoch: i64,
    /// The holder, by name.
    pub holder: Option<String>,
    /// The newest epoch that is proven at the resource.
    pub fenced_epoch: i64,
}

/// A change of a lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportLeaseChange {
    /// Counts the changes.
    pub row_version: i64,
    /// The epoch after it.
    pub epoch: i64,
    /// What happened, for example `acquire`; `create` for the first.
    pub event: String,
    /// The state before.
    pub from: LeaseState,
    /// The state after.
    pub to: LeaseState,
    /// The holder, by name.
    pub holder: Option<String>,
    /// Who caused it.
    pub actor: String,
    /// When.
    pub at: Millis,
    /// More, a JSON object.
    pub detail: Value,
    /// Whether it belongs to the report's migration.
    pub by_this_migration: bool,
}

/// What proves that the holder of one epoch can no longer act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportProof {
    /// The epoch.
    pub epoch: i64,
    /// What kind of proof.
    pub kind: ProofKind,
    /// The evidence, a JSON object.
    pub evidence: Value,
    /// Who gave it.
    pub actor: String,
    /// The second person, where two are needed.
    pub actor2: Option<String>,
    /// When.
    pub at: Millis,
}
