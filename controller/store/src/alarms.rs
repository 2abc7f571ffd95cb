//! Alarms: what a person must know, until it ended.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::alarm::{AlarmKind, AlarmState};
use syncferry_shared::{AlarmId, Millis};

use crate::error::Result;

/// An alarm to be raised.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAlarm {
    /// The id, if it is a new one.
    pub id: AlarmId,
    /// The kind.
    pub kind: AlarmKind,
    /// What it is about: with the kind, what makes it this alarm and no other.
    pub subject: String,
    /// What was found: a `shared::Finding`.
    pub finding: Value,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// The id.
    pub id: AlarmId,
    /// The kind.
    pub kind: AlarmKind,
    /// What it is about.
    pub subject: String,
    /// What was found, the last time.
    pub finding: Value,
    /// Where it stands.
    pub state: AlarmState,
    /// When it was raised.
    pub raised_at: Millis,
    /// When it was seen last.
    pub seen_at: Millis,
    /// Who knows of it.
    pub acknowledged_by: Option<String>,
    /// Since when.
    pub acknowledged_at: Option<Millis>,
    /// What they said.
    pub remark: Option<String>,
    /// When it ended.
    pub cleared_at: Option<Millis>,
}

/// Alarms.
#[async_trait]
pub trait Alarms {
    /// Raises one; the open one of its kind about its subject is seen again instead. Also says whether it is new.
    async fn raise_alarm(&mut self, new: &NewAlarm) -> Result<(Alarm, bool)>;
    /// Reads one.
    async fn alarm(&mut self, id: AlarmId) -> Result<Option<Alarm>>;
    /// Open ones, or all of them, the newest first.
    async fn alarms(&mut self, all: bool) -> Result<Vec<Alarm>>;
    /// Somebody knows of it. [`Cause::Moved`](crate::Cause::Moved) unless it is raised.
    async fn acknowledge_alarm(&mut self, id: AlarmId, actor: &str, remark: &str) -> Result<Alarm>;
    /// It ended. [`Cause::Illegal`](crate::Cause::Illegal) when it had before.
    async fn clear_alarm(&mut self, id: AlarmId) -> Result<Alarm>;
}
