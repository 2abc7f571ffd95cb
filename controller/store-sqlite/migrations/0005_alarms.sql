-- Alarms, and the newest look of each agent. An alarm is open until it is cleared; of one kind about one subject there is
-- at most one open. Cleared ones stay.

CREATE TABLE alarm (
  alarm_id        TEXT    NOT NULL PRIMARY KEY,
  kind            TEXT    NOT NULL,
  subject         TEXT    NOT NULL,
  finding         TEXT    NOT NULL CHECK (json_valid(finding)),
  state           TEXT    NOT NULL CHECK (state IN ('raised', 'acknowledged', 'cleared')),
  raised_at       INTEGER NOT NULL,
  seen_at         INTEGER NOT NULL,
  acknowledged_by TEXT,
  acknowledged_at INTEGER,
  remark          TEXT,
  cleared_at      INTEGER,
  CHECK (state <> 'acknowledged' OR acknowledged_by IS NOT NULL),
  CHECK ((acknowledged_by IS NULL) = (acknowledged_at IS NULL)),
  CHECK ((state = 'cleared') = (cleared_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX alarm_one_open ON alarm(kind, subject) WHERE state <> 'cleared';
CREATE TRIGGER alarm_update BEFORE UPDATE ON alarm BEGIN
  SELECT RAISE(ABORT, 'an alarm that was cleared never changes') WHERE OLD.state = 'cleared';
  SELECT RAISE(ABORT, 'an alarm keeps what it is about')
   WHERE NEW.alarm_id <> OLD.alarm_id OR NEW.kind <> OLD.kind OR NEW.subject <> OLD.subject
      OR NEW.raised_at <> OLD.raised_at;
  SELECT RAISE(ABORT, 'an alarm that somebody knows of is not raised again')
   WHERE OLD.state = 'acknowledged' AND NEW.state = 'raised';
END;
CREATE TRIGGER alarm_delete BEFORE DELETE ON alarm BEGIN
  SELECT RAISE(ABORT, 'alarms are never deleted');
END;

CREATE TABLE watch_report (
  host_id TEXT    NOT NULL PRIMARY KEY REFERENCES host(host_id),
  report  TEXT    NOT NULL CHECK (json_valid(report)),
  at      INTEGER NOT NULL
) STRICT;
