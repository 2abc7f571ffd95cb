//! Events: the immutable entries of a history. Each carries the hash of the one before it, so that a report can show that
//! nothing was left out or changed.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// Whose history an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// A migration.
    Migration,
    /// An agent.
    Agent,
    /// A lease.
    Lease,
    /// The controller itself.
    System,
}

impl StreamKind {
    /// The word in the store and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamKind::Migration => "migration",
            StreamKind::Agent => "agent",
            StreamKind::Lease => "lease",
            StreamKind::System => "system",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Migration, Self::Agent, Self::Lease, Self::System]
            .into_iter()
            .find(|k| k.as_str() == text)
    }
}

/// What is to be written; the store adds sequence, time and hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Whose history.
    pub stream_kind: StreamKind,
    /// The id within the kind.
    pub stream_id: String,
    /// For example `job.succeeded`.
    pub kind: String,
    /// Who caused it: `operator:<name>`, `agent:<host name>`, `controller`.
    pub actor: String,
    /// What happened, as a JSON object.
    pub payload: serde_json::Value,
}

/// An event as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Whose history.
    pub stream_kind: StreamKind,
    /// The id within the kind.
    pub stream_id: String,
    /// From 1, without gaps.
    pub seq: i64,
    /// For example `job.succeeded`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the payload's shape.
    pub schema_version: i32,
    /// What happened.
    pub payload: serde_json::Value,
    /// Who caused it.
    pub actor: String,
    /// When, by the store's clock.
    pub at: Millis,
    /// The hash of the event before, empty for the first.
    pub prev_hash: String,
    /// The hash of this event.
    pub hash: String,
}

impl Event {
    /// The hash that this event must have. Every part is preceded by its length, so that no two events share an encoding.
    pub fn compute_hash(&self) -> String {
        let mut h = blake3::Hasher::new();
        let payload = self.payload.to_string();
        let parts: [&str; 9] = [
            self.stream_kind.as_str(),
            &self.stream_id,
            &self.seq.to_string(),
            &self.kind,
            &self.schema_version.to_string(),
            &payload,
            &self.actor,
            &self.at.0.to_string(),
            &self.prev_hash,
        ];
        for part in parts {
            h.update(&(part.len() as u64).to_le_bytes());
            h.update(part.as_bytes());
        }
        h.finalize().to_hex().to_string()
    }
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// An event is missing or out of order.
    #[error("event {expected} is missing: {found} stands in its place")]
    Gap {
        /// The sequence number that should be there.
        expected: i64,
        /// The one that is.
        found: i64,
    },
    /// An event does not follow from the one before it.
    #[error("event {0} does not name the hash of the event before it")]
    Link(i64),
    /// An event was changed.
    #[error("event {0} does not have the hash that its content gives")]
    Content(i64),
}

/// Checks a whole stream, from its first event.
pub fn verify_chain(events: &[Event]) -> Result<(), BrokenChain> {
    let mut prev = String::new();
    for (event, expected) in events.iter().zip(1..) {
        if event.seq != expected {
            return Err(BrokenChain::Gap {
                expected,
                found: event.seq,
            });
        }
        if event.prev_hash != prev {
            return Err(BrokenChain::Link(event.seq));
        }
        if event.hash != event.compute_hash() {
            return Err(BrokenChain::Content(event.seq));
        }
        prev.clone_from(&event.hash);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chain(n: i64) -> Vec<Event> {
        let mut prev = String::new();
        (1..=n)
            .map(|seq| {
                let mut e = Event {
                    stream_kind: StreamKind::Migration,
                    stream_id: "m".into(),
                    seq,
                    kind: "job.succeeded".into(),
                    schema_version: 1,
                    payload: json!({"n": seq}),
                    actor: "controller".into(),
                    at: Millis(1_000 * seq),
                    prev_hash: prev.clone(),
                    hash: String::new(),
                };
                e.hash = e.compute_hash();
                prev.clone_from(&e.hash);
                e
            })
            .collect()
    }

    #[test]
    fn a_chain_shows_what_was_done_to_it() {
        assert_eq!(verify_chain(&chain(3)), Ok(()));
        let mut missing = chain(3);
        missing.remove(1);
        assert_eq!(verify_chain(&missing), Err(BrokenChain::Gap { expected: 2, found: 3 }));
        let mut changed = chain(3);
        changed[1].payload = json!({"n": 20});
        assert_eq!(verify_chain(&changed), Err(BrokenChain::Content(2)));
        let mut rehashed = changed;
        rehashed[1].hash = rehashed[1].compute_hash();
        assert_eq!(verify_chain(&rehashed), Err(BrokenChain::Link(3)));
    }
}
