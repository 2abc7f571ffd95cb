-- A store that was lost and restored: whether a controller may run on it, why each incarnation began, and what agents had seen
-- when they said hello for the first time in one.

ALTER TABLE store_meta ADD COLUMN state TEXT NOT NULL DEFAULT 'live'
  CHECK (state IN ('live', 'restoring', 'moving', 'moved'));
ALTER TABLE store_meta ADD COLUMN moved_to TEXT CHECK ((moved_to IS NOT NULL) = (state IN ('moving', 'moved')));
CREATE TRIGGER store_meta_moved BEFORE UPDATE ON store_meta BEGIN
  SELECT RAISE(ABORT, 'a store that was moved is not used again') WHERE OLD.state = 'moved' AND NEW.state <> 'moved';
END;

CREATE TABLE store_recovery (
  incarnation INTEGER NOT NULL PRIMARY KEY CHECK (incarnation >= 2),
  way         TEXT    NOT NULL CHECK (way IN ('restore', 'note', 'agent', 'database')),
  found       TEXT    NOT NULL CHECK (json_valid(found)),
  begun_at    INTEGER NOT NULL,
  ended_at    INTEGER
) STRICT;
CREATE TRIGGER store_recovery_insert BEFORE INSERT ON store_recovery BEGIN
  SELECT RAISE(ABORT, 'a recovery belongs to the present incarnation, and begins open')
   WHERE NEW.ended_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM store_meta WHERE incarnation = NEW.incarnation)
      OR EXISTS (SELECT 1 FROM store_recovery WHERE incarnation = NEW.incarnation);
END;
CREATE TRIGGER store_recovery_update BEFORE UPDATE ON store_recovery BEGIN
  SELECT RAISE(ABORT, 'a recovery only ends')
   WHERE OLD.ended_at IS NOT NULL OR NEW.incarnation <> OLD.incarnation OR NEW.way <> OLD.way OR NEW.found <> OLD.found
      OR NEW.begun_at <> OLD.begun_at;
END;
CREATE TRIGGER store_recovery_delete BEFORE DELETE ON store_recovery BEGIN
  SELECT RAISE(ABORT, 'recoveries are never deleted');
END;

CREATE TABLE store_witness (
  host_id     TEXT    NOT NULL PRIMARY KEY REFERENCES host(host_id),
  heard_in    INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  epochs      TEXT    NOT NULL CHECK (json_valid(epochs)),
  had_open    TEXT    NOT NULL CHECK (json_valid(had_open)),
  at          INTEGER NOT NULL
) STRICT;

-- The lost tail may have counted further: the first attempt of an incarnation begins a new thousand.
DROP TRIGGER attempt_insert;
CREATE TRIGGER attempt_insert BEFORE INSERT ON attempt BEGIN
  SELECT RAISE(ABORT, 'attempts are counted without gaps')
   WHERE NEW.attempt <> MAX(1 + (SELECT COALESCE(MAX(attempt), 0) FROM attempt WHERE job_id = NEW.job_id),
                            1 + (NEW.incarnation - 1) * 1000);
END;
