//! Events: the histories. Each stream is a chain of hashes; nothing in it is ever changed or deleted.

use async_trait::async_trait;
use syncferry_shared::event::{Event, NewEvent, StreamKind};

use crate::error::Result;

/// The version of the payloads' shapes that this release writes.
pub const SCHEMA_VERSION: i32 = 1;

/// Events.
#[async_trait]
pub trait Events {
    /// Appends one: the next number of its stream, the transaction's time, the hash of the one before.
    async fn append_event(&mut self, new: NewEvent) -> Result<Event>;
    /// Those of a stream after a number (0 for all), in order, at most `limit`.
    async fn events(&mut self, stream: StreamKind, id: &str, after: i64, limit: i64) -> Result<Vec<Event>>;
    /// The number of the newest one of a stream; 0 when there is none.
    async fn last_event_seq(&mut self, stream: StreamKind, id: &str) -> Result<i64>;
}
