//! Conversions between messages and the types of `syncferry-shared`. What does not convert is an error that names the
//! field: nothing is guessed.

use prost_types::{Duration, Timestamp};
use syncferry_shared::Millis;
use syncferry_shared::progress::{Progress, Unit};
use syncferry_shared::token::AttemptToken;

use crate::v1;

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// A field is missing.
    #[error("the message lacks '{0}'")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("'{field}' is not valid: {reason}")]
    Field {
        /// Which.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// A document of another shape.
    #[error("the document is '{found}' where '{expected}' was expected")]
    Schema {
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// A document that cannot be read.
    #[error("the {schema} document cannot be read: {reason}")]
    Document {
        /// Its shape.
        schema: &'static str,
        /// Why.
        reason: String,
    },
}

impl From<InvalidMessage> for tonic::Status {
    fn from(e: InvalidMessage) -> Self {
        tonic::Status::invalid_argument(e.to_string())
    }
}

/// An instant on the wire.
pub fn timestamp(at: Millis) -> Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    Timestamp {
        seconds: at.0.div_euclid(1000),
        nanos,
    }
}

/// An instant from the wire.
pub fn millis(t: &Timestamp) -> Millis {
    Millis(
        t.seconds
            .saturating_mul(1000)
            .saturating_add(i64::from(t.nanos) / 1_000_000),
    )
}

/// A span on the wire.
pub fn duration(ms: i64) -> Duration {
    let nanos = i32::try_from(ms % 1000 * 1_000_000).unwrap_or(0);
    Duration {
        seconds: ms / 1000,
        nanos,
    }
}

/// A span from the wire, in milliseconds.
pub fn millis_of_duration(d: &Duration) -> i64 {
    d.seconds
        .saturating_mul(1000)
        .saturating_add(i64::from(d.nanos) / 1_000_000)
}

impl From<&AttemptToken> for v1::AttemptToken {
    fn from(t: &AttemptToken) -> Self {
        Self {
            job_id: t.job.to_string(),
            attempt: t.attempt,
            epoch: t.epoch,
            incarnation: t.incarnation,
            digest: t.digest.clone(),
        }
    }
}

impl TryFrom<&v1::AttemptToken> for AttemptToken {
    type Error = InvalidMessage;
    fn try_from(t: &v1::AttemptToken) -> Result<Self, InvalidMessage> {
        let job = t
            .job_id
            .parse()
            .map_err(|e: syncferry_shared::InvalidId| InvalidMessage::Field {
                field: "token.job_id",
                reason: e.to_string(),
            })?;
        if t.attempt < 1 {
            return Err(InvalidMessage::Field {
                field: "token.attempt",
                reason: format!("{} is below 1", t.attempt),
            });
        }
        Ok(Self {
            job,
            attempt: t.attempt,
            epoch: t.epoch,
            incarnation: t.incarnation,
            digest: t.digest.clone(),
        })
    }
}

impl From<&Progress> for v1::Progress {
    fn from(p: &Progress) -> Self {
        let unit = match p.unit {
            Unit::None => v1::ProgressUnit::None,
            Unit::Bytes => v1::ProgressUnit::Bytes,
            Unit::Percent => v1::ProgressUnit::Percent,
            Unit::Count => v1::ProgressUnit::Count,
        };
        Self {
            step: p.step.clone(),
            message: p.message.clone(),
            done: p.done,
            total: p.total,
            unit: unit.into(),
            rate: p.rate,
            left_ms: p.left_ms,
        }
    }
}

impl TryFrom<&v1::Progress> for Progress {
    type Error = InvalidMessage;
    fn try_from(p: &v1::Progress) -> Result<Self, InvalidMessage> {
        let unit = match p.unit() {
            v1::ProgressUnit::None => Unit::None,
            v1::ProgressUnit::Bytes => Unit::Bytes,
            v1::ProgressUnit::Percent => Unit::Percent,
            v1::ProgressUnit::Count => Unit::Count,
            v1::ProgressUnit::Unspecified => {
                return Err(InvalidMessage::Field {
                    field: "progress.unit",
                    reason: format!("{} is unknown", p.unit),
                });
            }
        };
        Ok(Self {
            step: p.step.clone(),
            message: p.message.clone(),
            done: p.done,
            total: p.total,
            unit,
            rate: if p.rate.is_finite() { p.rate } else { 0.0 },
            left_ms: p.left_ms,
        })
    }
}

impl v1::Event {
    /// An event on the wire.
    pub fn of(e: &syncferry_shared::event::Event) -> Self {
        Self {
            seq: e.seq,
            r#type: e.kind.clone(),
            actor: e.actor.clone(),
            at: Some(timestamp(e.at)),
            payload: Some(v1::Document::of(crate::schema::JSON, &e.payload)),
            prev_hash: e.prev_hash.clone(),
            hash: e.hash.clone(),
            stream_kind: e.stream_kind.as_str().to_string(),
            stream_id: e.stream_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_spans_survive_the_round_trip() {
        for ms in [0, 1, 999, 1_000, 1_763_800_000_123, -1, -1_500] {
            assert_eq!(millis(&timestamp(Millis(ms))), Millis(ms));
            assert_eq!(millis_of_duration(&duration(ms)), ms);
        }
    }

    #[test]
    fn a_token_without_a_job_is_refused_by_name() {
        let bad = v1::AttemptToken {
            attempt: 1,
            ..Default::default()
        };
        let e = AttemptToken::try_from(&bad).unwrap_err();
        assert!(e.to_string().starts_with("'token.job_id' is not valid"), "{e}");
    }

    #[test]
    fn an_unknown_unit_is_refused() {
        let p = v1::Progress {
            unit: 99,
            ..Default::default()
        };
        assert!(Progress::try_from(&p).is_err());
    }
}
