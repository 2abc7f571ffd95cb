//! Events, in memory: append-only.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::event::{Event, NewEvent, StreamKind};
use syncferry_store::events::SCHEMA_VERSION;
use syncferry_store::{Events, Result};

use crate::data::stream;
use crate::tx::MemoryTx;

/// The payload as the other engines read it back from its text, so that the same history has the same hashes everywhere.
fn settled(payload: Value) -> Value {
    let read_back = serde_json::from_str(&payload.to_string());
    read_back.unwrap_or(payload)
}

#[async_trait]
impl Events for MemoryTx {
    async fn append_event(&mut self, new: NewEvent) -> Result<Event> {
        let key = stream(new.stream_kind, &new.stream_id);
        let last = self.data.events.get(&key).and_then(|all| all.last());
        let (seq, prev_hash) = last.map_or((0, String::new()), |e| (e.seq, e.hash.clone()));
        let mut event = Event {
            stream_kind: new.stream_kind,
            stream_id: new.stream_id,
            seq: seq + 1,
            kind: new.kind,
            schema_version: SCHEMA_VERSION,
            payload: settled(settled(new.payload)),
            actor: new.actor,
            at: self.now,
            prev_hash,
            hash: String::new(),
        };
        event.hash = event.compute_hash();
        let streams = Arc::make_mut(&mut self.change()?.events);
        Arc::make_mut(streams.entry(key).or_default()).push(event.clone());
        let mut hash = [0; 64];
        let bytes = event.hash.as_bytes();
        let most = bytes.len().min(hash.len());
        hash[..most].copy_from_slice(&bytes[..most]);
        Arc::make_mut(&mut self.change()?.positions).push(hash);
        Ok(event)
    }

    async fn events(&mut self, kind: StreamKind, id: &str, after: i64, limit: i64) -> Result<Vec<Event>> {
        let all = self
            .data
            .events
            .get(&stream(kind, id))
            .map_or(&[][..], |all| all.as_slice());
        let limit = usize::try_from(limit).unwrap_or(0);
        Ok(all.iter().filter(|e| e.seq > after).take(limit).cloned().collect())
    }

    async fn last_event_seq(&mut self, kind: StreamKind, id: &str) -> Result<i64> {
        let last = self.data.events.get(&stream(kind, id)).and_then(|all| all.last());
        Ok(last.map_or(0, |e| e.seq))
    }
}
