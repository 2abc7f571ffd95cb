-- A store that was lost and restored: whether a controller may run on it, why each incarnation began, and what agents had seen
-- when they said hello for the first time in one.

ALTER TABLE store_meta ADD COLUMN state word NOT NULL DEFAULT 'live'
  CHECK (state IN ('live', 'restoring', 'moving', 'moved'));
ALTER TABLE store_meta ADD COLUMN moved_to word;
ALTER TABLE store_meta ADD CHECK ((moved_to IS NOT NULL) = (state IN ('moving', 'moved')));
CREATE FUNCTION store_meta_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'moved' AND NEW.state <> 'moved' THEN
    PERFORM refuse('a store that was moved is not used again');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER store_meta_moved BEFORE UPDATE ON store_meta FOR EACH ROW EXECUTE FUNCTION store_meta_moved();

CREATE TABLE store_recovery (
  incarnation BIGINT   NOT NULL PRIMARY KEY CHECK (incarnation >= 2),
  way         word     NOT NULL CHECK (way IN ('restore', 'note', 'agent', 'database')),
  found       document NOT NULL,
  begun_at    BIGINT   NOT NULL,
  ended_at    BIGINT
);
CREATE FUNCTION store_recovery_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.ended_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM store_meta WHERE incarnation = NEW.incarnation)
       OR EXISTS (SELECT 1 FROM store_recovery WHERE incarnation = NEW.incarnation) THEN
      PERFORM refuse('a recovery belongs to the present incarnation, and begins open');
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.ended_at IS NOT NULL
     OR (NEW.incarnation, NEW.way, NEW.found::text, NEW.begun_at) <> (OLD.incarnation, OLD.way, OLD.found::text, OLD.begun_at)
  THEN
    PERFORM refuse('a recovery only ends');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER store_recovery_guard BEFORE INSERT OR UPDATE ON store_recovery
  FOR EACH ROW EXECUTE FUNCTION store_recovery_guard();
CREATE TRIGGER store_recovery_delete BEFORE DELETE OR TRUNCATE ON store_recovery
  EXECUTE FUNCTION never('recoveries are never deleted');

CREATE TABLE store_witness (
  host_id     word     NOT NULL PRIMARY KEY REFERENCES host(host_id),
  heard_in    BIGINT   NOT NULL,
  incarnation BIGINT   NOT NULL,
  epochs      document NOT NULL,
  had_open    document NOT NULL,
  at          BIGINT   NOT NULL
);

-- The lost tail may have counted further: the first attempt of an incarnation begins a new thousand.
CREATE OR REPLACE FUNCTION attempt_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.attempt <> GREATEST(1 + (SELECT COALESCE(MAX(a.attempt), 0) FROM attempt a WHERE a.job_id = NEW.job_id),
                               1 + (NEW.incarnation - 1) * 1000) THEN
      PERFORM refuse('attempts are counted without gaps');
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.state IN ('succeeded', 'failed', 'cancelled', 'superseded') THEN
    PERFORM refuse('an attempt that ended never changes');
  END IF;
  IF (NEW.job_id, NEW.attempt, NEW.agent_id, NEW.epoch, NEW.incarnation, NEW.digest, NEW.undo)
     <> (OLD.job_id, OLD.attempt, OLD.agent_id, OLD.epoch, OLD.incarnation, OLD.digest, OLD.undo) THEN
    PERFORM refuse('the token of an attempt never changes');
  END IF;
  RETURN NEW;
END $$;
