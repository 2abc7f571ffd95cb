//! What scripts read: stable shapes, one JSON document per answer, one per line where there are many (`watch`).
//!
//! Fields are added, never renamed or removed. Times are RFC 3339 in UTC. What is not known is `null`. Documents of the
//! controller (plans, facts, outcomes, findings, cards, reports) are passed on as they are.

mod alarm;
mod lease;
mod migration;
mod registry;
mod rule;

use serde::Serialize;
use serde_json::Value;
use syncferry_proto::millis;
use syncferry_proto::v1::Document;
use syncferry_shared::Finding;

use crate::error::CliError;

pub use alarm::{Alarm, Alarms};
pub use lease::{Attestation, Change, Lease, LeaseActed, LeaseDetail, LeaseHistory, Leases, Proof};
pub use migration::level_of;
pub use migration::{Event, Events, Gate, Gates, Job, Migration, Migrations, Planned, Progress, Step, WatchLine};
pub use registry::{Database, Databases, Health, Host, Hosts, NewHost, Site, Sites, Token, Version};
pub use rule::Rules;

/// `plan … --permissions` and its like.
#[derive(Debug, Serialize)]
pub struct Papers<'a> {
    /// `syncferry.paper.v1`, in the order of the flags.
    pub papers: &'a [syncferry_shared::papers::Paper],
}

/// A failed command.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// What went wrong.
    pub error: Failure,
}

/// What went wrong.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// A word: `refused`, `not-found`, `unreachable`, `usage`, `credentials`, `denied`, `controller`, `file`, `report`,
    /// `declined`, `interrupted`.
    pub kind: &'static str,
    /// The exit code.
    pub exit: u8,
    /// One sentence.
    pub message: String,
    /// Why, with next steps.
    pub findings: Vec<Finding>,
    /// What to do.
    pub advice: Option<String>,
}

impl Failed {
    /// Of an error.
    pub fn of(error: &CliError) -> Self {
        Self {
            error: Failure {
                kind: error.kind(),
                exit: error.exit().code(),
                message: error.to_string(),
                findings: error.findings().to_vec(),
                advice: error.advice(),
            },
        }
    }
}

/// One line of JSON. Our shapes are plain data: serialising them cannot fail.
pub fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A time, or `null`.
fn time(at: Option<&prost_types::Timestamp>) -> Option<String> {
    at.map(|t| millis(t).rfc3339())
}

/// A text, or `null` when it is empty.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

/// A document as it is, or `null` when there is none or it is no JSON.
fn raw(document: Option<&Document>) -> Value {
    document
        .and_then(|d| serde_json::from_slice(&d.json).ok())
        .unwrap_or_default()
}
