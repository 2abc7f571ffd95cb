//! Alarms as operators see them.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, timestamp, v1};
use syncferry_store::Alarm;

/// An alarm as a message.
pub fn message(a: &Alarm) -> v1::Alarm {
    v1::Alarm {
        id: a.id.to_string(),
        kind: a.kind.as_str().to_string(),
        state: a.state.to_string(),
        subject: a.subject.clone(),
        finding: Some(Document::of(schema::FINDING, &a.finding)),
        raised_at: Some(timestamp(a.raised_at)),
        seen_at: Some(timestamp(a.seen_at)),
        acknowledged_by: a.acknowledged_by.clone().unwrap_or_default(),
        acknowledged_at: a.acknowledged_at.map(timestamp),
        remark: a.remark.clone().unwrap_or_default(),
        cleared_at: a.cleared_at.map(timestamp),
    }
}
