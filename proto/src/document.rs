//! JSON documents on the wire: made from and read into the types of `syncferry-shared`, with the shape's name checked.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::InvalidMessage;
use crate::v1::Document;

/// The names of shapes.
pub mod schema {
    /// [`syncferry_shared::spec::JobSpec`].
    pub const JOB_SPEC: &str = "syncferry.job-spec.v1";
    /// [`syncferry_shared::inventory::InspectionRequest`].
    pub const INSPECTION_REQUEST: &str = "syncferry.inspection-request.v1";
    /// [`syncferry_shared::inventory::Inventory`].
    pub const INVENTORY: &str = "syncferry.inventory.v1";
    /// [`syncferry_shared::inventory::HostFacts`].
    pub const HOST_FACTS: &str = "syncferry.host-facts.v1";
    /// [`syncferry_shared::inventory::DatabaseFacts`].
    pub const DATABASE_FACTS: &str = "syncferry.database-facts.v1";
    /// [`syncferry_shared::plan::Plan`].
    pub const PLAN: &str = "syncferry.plan.v1";
    /// [`syncferry_shared::outcome::Outcome`].
    pub const OUTCOME: &str = "syncferry.outcome.v1";
    /// [`syncferry_shared::outcome::Failure`].
    pub const FAILURE: &str = "syncferry.failure.v1";
    /// A list of [`syncferry_shared::finding::Evidence`].
    pub const EVIDENCE: &str = "syncferry.evidence.v1";
    /// A list of [`syncferry_shared::card::Card`].
    pub const CARDS: &str = "syncferry.cards.v1";
    /// [`syncferry_shared::artifact::Manifest`].
    pub const MANIFEST: &str = "syncferry.manifest.v1";
    /// [`syncferry_shared::watch::WatchReport`].
    pub const WATCH: &str = "syncferry.watch.v1";
    /// A [`syncferry_shared::Finding`].
    pub const FINDING: &str = "syncferry.finding.v1";
    /// A list of [`syncferry_shared::Finding`].
    pub const FINDINGS: &str = "syncferry.findings.v1";
    /// An event's payload, or another plain JSON object.
    pub const JSON: &str = "syncferry.json.v1";
    /// The evidence report.
    pub const REPORT: &str = "syncferry.report.v1";
    /// [`syncferry_shared::papers::Paper`].
    pub const PAPER: &str = "syncferry.paper.v1";
    /// [`syncferry_shared::compare::Comparison`].
    pub const COMPARISON: &str = "syncferry.comparison.v1";
    /// [`syncferry_shared::aftercare::Checklist`].
    pub const CHECKLIST: &str = "syncferry.checklist.v1";
}

impl Document {
    /// Makes a document. Our types are plain data: serialising them cannot fail.
    pub fn of<T: Serialize>(schema: &str, value: &T) -> Self {
        Self {
            schema: schema.to_string(),
            json: serde_json::to_vec(value).unwrap_or_default(),
        }
    }

    /// Reads a document of the given shape.
    pub fn read<T: DeserializeOwned>(&self, schema: &'static str) -> Result<T, InvalidMessage> {
        if self.schema != schema {
            return Err(InvalidMessage::Schema {
                expected: schema,
                found: self.schema.chars().take(80).collect(),
            });
        }
        serde_json::from_slice(&self.json).map_err(|e| InvalidMessage::Document {
            schema,
            reason: e.to_string(),
        })
    }
}
