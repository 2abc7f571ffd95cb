-- Alarms, and the newest look of each agent. An alarm is open until it is cleared; of one kind about one subject there is
-- at most one open. Cleared ones stay.

CREATE TABLE alarm (
  alarm_id        word    NOT NULL PRIMARY KEY,
  kind            word    NOT NULL,
  subject         word    NOT NULL,
  finding         document NOT NULL,
  state           word    NOT NULL CHECK (state IN ('raised', 'acknowledged', 'cleared')),
  raised_at       BIGINT  NOT NULL,
  seen_at         BIGINT  NOT NULL,
  acknowledged_by word,
  acknowledged_at BIGINT,
  remark          word,
  cleared_at      BIGINT,
  CHECK (state <> 'acknowledged' OR acknowledged_by IS NOT NULL),
  CHECK ((acknowledged_by IS NULL) = (acknowledged_at IS NULL)),
  CHECK ((state = 'cleared') = (cleared_at IS NOT NULL))
);
CREATE UNIQUE INDEX alarm_one_open ON alarm(kind, subject) WHERE state <> 'cleared';
CREATE FUNCTION alarm_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'cleared' THEN PERFORM refuse('an alarm that was cleared never changes'); END IF;
  IF (NEW.alarm_id, NEW.kind, NEW.subject, NEW.raised_at) <> (OLD.alarm_id, OLD.kind, OLD.subject, OLD.raised_at) THEN
    PERFORM refuse('an alarm keeps what it is about');
  END IF;
  IF OLD.state = 'acknowledged' AND NEW.state = 'raised' THEN
    PERFORM refuse('an alarm that somebody knows of is not raised again');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER alarm_guard BEFORE UPDATE ON alarm FOR EACH ROW EXECUTE FUNCTION alarm_guard();
CREATE TRIGGER alarm_delete BEFORE DELETE OR TRUNCATE ON alarm EXECUTE FUNCTION never('alarms are never deleted');

CREATE TABLE watch_report (
  host_id word    NOT NULL PRIMARY KEY REFERENCES host(host_id),
  report  document NOT NULL,
  at      BIGINT  NOT NULL
);
