//! The evidence report of a migration: what was planned, what was done, what proves it, and the whole chain of events.
//! Plain data that the controller fills, that travels as `syncferry.report.v1`, and that can be checked without it.

pub(crate) mod html;
mod job;
mod lease;
pub(crate) mod seal;
mod verify;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aftercare::Checklist;
use crate::card::Card;
use crate::clock::Millis;
use crate::event::Event;
use crate::ids::{GateId, MigrationId, SiteId};
use crate::outcome::LevelStanding;
use crate::plan::{Plan, Scenario};
use crate::state::{GateState, MigrationState};

pub use html::html;
pub use job::{ManifestSummary, ReportAttempt, ReportJob, ReportOutcome, ReportStep};
pub use lease::{LeasePoint, ReportLease, ReportLeaseChange, ReportProof};
pub use seal::{UnreadableReport, read, seal_of};
pub use verify::{BrokenReport, Verified};

/// The name of this shape.
pub const SCHEMA: &str = "syncferry.report.v1";

/// The evidence report of a migration. Times are milliseconds since 1970 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The migration.
    pub migration: MigrationId,
    /// What was run.
    pub scenario: Scenario,
    /// For which site.
    pub site: ReportSite,
    /// Where the migration stands.
    pub state: MigrationState,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
    /// When it ended; `None` while it has not.
    pub ended_at: Option<Millis>,
    /// When this report was made.
    pub made_at: Millis,
    /// The plan; `None` while there is none.
    pub plan: Option<ReportPlan>,
    /// The jobs, in order.
    pub jobs: Vec<ReportJob>,
    /// The gates, in the order in which they opened.
    pub gates: Vec<ReportGate>,
    /// The leases that the migration works under.
    pub leases: Vec<ReportLease>,
    /// How far it is proven, against how far it must be; `None` where nothing is copied and nobody seated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LevelStanding>,
    /// What is left to do after the installation; `None` where no server is seated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checklist: Option<Checklist>,
    /// The migration's events, every one from the first.
    pub events: Vec<Event>,
    /// The hash of the last event.
    pub chain_head: String,
    /// The controller's version.
    pub syncferry_version: String,
    /// [`seal_of`] everything else.
    #[serde(default)]
    pub seal: String,
}

/// The site of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSite {
    /// Its id.
    pub id: SiteId,
    /// Its name.
    pub name: String,
    /// The Entra tenant.
    pub tenant_id: String,
}

/// The plan as it was stored. It stays a plain document, so that a newer plan than this release knows keeps its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportPlan {
    /// What the operator named when applying: [`plan_digest`] of the document.
    pub digest: String,
    /// The plan, [`Plan`].
    pub document: Value,
    /// Rules whose warnings were accepted.
    pub accepted_warnings: Vec<String>,
    /// The same with who accepted them, why and until when, oldest first. Empty in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acceptances: Vec<ReportAcceptance>,
    /// Who applied it first; `None` while nobody has.
    pub applied_by: Option<String>,
    /// When.
    pub applied_at: Option<Millis>,
}

/// A warning that somebody took upon them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAcceptance {
    /// The rule.
    pub rule: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Millis,
    /// Until when it counts; `None` for as long as the migration lasts.
    pub until: Option<Millis>,
}

impl ReportPlan {
    /// The plan, where this release can read it.
    pub fn plan(&self) -> Option<Plan> {
        serde_json::from_value(self.document.clone()).ok()
    }
}

/// The digest of a plan: BLAKE3 over its compact JSON with keys in order, which is how a [`Value`] prints itself.
pub fn plan_digest(plan: &Value) -> String {
    crate::token::digest(plan.to_string().as_bytes())
}

/// A gate of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportGate {
    /// Its id.
    pub id: GateId,
    /// The job that waited at it, by name.
    pub job: String,
    /// The host on which to act, by name.
    pub host: String,
    /// What it was about.
    pub title: String,
    /// Where it stands.
    pub state: GateState,
    /// What was shown.
    pub cards: Vec<Card>,
    /// Who said that it is done.
    pub claimed_by: Option<String>,
    /// What the agent saw, for people.
    pub observation: Option<String>,
    /// When it opened.
    pub opened_at: Millis,
    /// When it was proven or cancelled.
    pub closed_at: Option<Millis>,
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
