//! Alarms.

use serde::Serialize;
use serde_json::Value;
use syncferry_proto::v1;

use super::{raw, some, time};

/// `alarms list`.
#[derive(Debug, Serialize)]
pub struct Alarms {
    /// Open ones first, the newest first.
    pub alarms: Vec<Alarm>,
}

/// An alarm.
#[derive(Debug, Serialize)]
pub struct Alarm {
    /// Its id.
    pub id: String,
    /// Its kind, for example `foreign-session`.
    pub kind: String,
    /// `raised`, `acknowledged`, `cleared`.
    pub state: String,
    /// What it is about.
    pub subject: String,
    /// What was found.
    pub finding: Value,
    /// When it was raised.
    pub raised_at: Option<String>,
    /// When it was seen last.
    pub seen_at: Option<String>,
    /// Who said that they know.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_at: Option<String>,
    /// What they said.
    pub remark: Option<String>,
    /// When it ended.
    pub cleared_at: Option<String>,
}

impl From<&v1::Alarm> for Alarm {
    fn from(a: &v1::Alarm) -> Self {
        Self {
            id: a.id.clone(),
            kind: a.kind.clone(),
            state: a.state.clone(),
            subject: a.subject.clone(),
            finding: raw(a.finding.as_ref()),
            raised_at: time(a.raised_at.as_ref()),
            seen_at: time(a.seen_at.as_ref()),
            acknowledged_by: some(&a.acknowledged_by),
            acknowledged_at: time(a.acknowledged_at.as_ref()),
            remark: some(&a.remark),
            cleared_at: time(a.cleared_at.as_ref()),
        }
    }
}
