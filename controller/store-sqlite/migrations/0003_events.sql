-- Events: append-only chains of hashes, one for each stream. `position` is the order in which the store saw them.

CREATE TABLE event (
  position       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  stream_kind    TEXT    NOT NULL CHECK (stream_kind IN ('migration', 'agent', 'lease', 'system')),
  stream_id      TEXT    NOT NULL,
  seq            INTEGER NOT NULL,
  type           TEXT    NOT NULL,
  schema_version INTEGER NOT NULL,
  payload        TEXT    NOT NULL CHECK (json_valid(payload)),
  actor          TEXT    NOT NULL,
  at             INTEGER NOT NULL,
  prev_hash      TEXT    NOT NULL,
  hash           TEXT    NOT NULL,
  UNIQUE (stream_kind, stream_id, seq)
) STRICT;
CREATE TRIGGER event_insert BEFORE INSERT ON event BEGIN
  SELECT RAISE(ABORT, 'an event does not follow from the one before it')
   WHERE NEW.seq < 1
      OR EXISTS (SELECT 1 FROM event e WHERE e.stream_kind = NEW.stream_kind AND e.stream_id = NEW.stream_id
             AND e.seq >= NEW.seq)
      OR (NEW.seq = 1 AND NEW.prev_hash <> '')
      OR (NEW.seq > 1 AND NOT EXISTS (SELECT 1 FROM event e WHERE e.stream_kind = NEW.stream_kind
             AND e.stream_id = NEW.stream_id AND e.seq = NEW.seq - 1 AND e.hash = NEW.prev_hash));
END;
CREATE TRIGGER event_update BEFORE UPDATE ON event BEGIN
  SELECT RAISE(ABORT, 'events are never changed');
END;
CREATE TRIGGER event_delete BEFORE DELETE ON event BEGIN
  SELECT RAISE(ABORT, 'events are never deleted');
END;
