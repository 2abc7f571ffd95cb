//! Events, on PostgreSQL: append-only, and the table's own trigger says so too.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::event::{Event, NewEvent, StreamKind};
use syncferry_store::events::SCHEMA_VERSION;
use syncferry_store::{Events, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Event> {
    Ok(Event {
        stream_kind: row.word("stream_kind", StreamKind::parse)?,
        stream_id: row.text("stream_id")?,
        seq: row.int("seq")?,
        kind: row.text("type")?,
        schema_version: row.small("schema_version")?,
        payload: row.json("payload")?,
        actor: row.text("actor")?,
        at: row.at("at")?,
        prev_hash: row.text("prev_hash")?,
        hash: row.text("hash")?,
    })
}

/// The payload as it will be read back. A floating-point number may change in its last digit when it is read from text,
/// once; the hash must be over what a reader gets.
fn settled(payload: Value) -> Value {
    let read_back = serde_json::from_str(&payload.to_string());
    read_back.unwrap_or(payload)
}

#[async_trait]
impl Events for PgTx {
    async fn append_event(&mut self, new: NewEvent) -> Result<Event> {
        let last = sqlx::query(
            "SELECT seq, hash FROM event WHERE stream_kind = $1 AND stream_id = $2 ORDER BY seq DESC LIMIT 1",
        )
        .bind(new.stream_kind.as_str())
        .bind(new.stream_id.clone());
        let last = self.find(last, |row| Ok((row.int("seq")?, row.text("hash")?))).await?;
        let (seq, prev_hash) = last.unwrap_or_default();
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
        let query = sqlx::query(
            "INSERT INTO event(stream_kind, stream_id, seq, type, schema_version, payload, actor, at, prev_hash, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING position",
        )
        .bind(event.stream_kind.as_str())
        .bind(event.stream_id.clone())
        .bind(event.seq)
        .bind(event.kind.clone())
        .bind(event.schema_version)
        .bind(event.payload.to_string())
        .bind(event.actor.clone())
        .bind(event.at.0)
        .bind(event.prev_hash.clone())
        .bind(event.hash.clone());
        let place = || "the event's place".to_string();
        self.position = self.written(query, |row| row.int("position"), place).await?;
        Ok(event)
    }

    async fn events(&mut self, stream: StreamKind, id: &str, after: i64, limit: i64) -> Result<Vec<Event>> {
        let query = sqlx::query(
            "SELECT * FROM event WHERE stream_kind = $1 AND stream_id = $2 AND seq > $3 ORDER BY seq LIMIT $4",
        )
        .bind(stream.as_str())
        .bind(id.to_string())
        .bind(after)
        .bind(limit.max(0));
        self.list(query, read).await
    }

    async fn last_event_seq(&mut self, stream: StreamKind, id: &str) -> Result<i64> {
        let query =
            sqlx::query("SELECT COALESCE(MAX(seq), 0) AS seq FROM event WHERE stream_kind = $1 AND stream_id = $2");
        let query = query.bind(stream.as_str()).bind(id.to_string());
        Ok(self.find(query, |row| row.int("seq")).await?.unwrap_or(0))
    }
}
