-- Leases, their proofs and their history. The guards here refuse what no code of ours may ever do, whoever asks; the
-- conformance suite tries each of them. Expiry never frees a lease: only a row in lease_proof does.

CREATE TABLE lease (
  resource       word    NOT NULL PRIMARY KEY,
  kind           word    NOT NULL CHECK (kind IN ('database', 'tenant-export')),
  state          word    NOT NULL CHECK (state IN ('free', 'held', 'draining', 'lost', 'fencing', 'quarantined')),
  epoch          BIGINT  NOT NULL CHECK (epoch >= 0),
  holder         word    REFERENCES host(host_id),
  holder_session word,
  renewer        word    REFERENCES host(host_id),
  granted_at     BIGINT,
  expires_at     BIGINT,
  handover_to    word    REFERENCES host(host_id),
  fenced_epoch   BIGINT  NOT NULL DEFAULT 0,
  row_version    BIGINT  NOT NULL DEFAULT 0,
  CHECK (state NOT IN ('held', 'draining', 'lost') OR (holder IS NOT NULL AND holder_session IS NOT NULL
         AND renewer IS NOT NULL AND granted_at IS NOT NULL AND expires_at IS NOT NULL)),
  CHECK (state <> 'free' OR (holder IS NULL AND holder_session IS NULL AND renewer IS NULL AND granted_at IS NULL
         AND expires_at IS NULL AND handover_to IS NULL)),
  CHECK (fenced_epoch <= epoch)
);
CREATE UNIQUE INDEX lease_one_per_holder ON lease(holder, kind) WHERE state IN ('held', 'draining', 'lost');
CREATE INDEX lease_expiring ON lease(expires_at) WHERE state IN ('held', 'draining');

CREATE TABLE lease_proof (
  resource word    NOT NULL REFERENCES lease(resource),
  epoch    BIGINT  NOT NULL,
  kind     word    NOT NULL
     CHECK (kind IN ('never_used', 'holder_stopped', 'sql_fenced', 'power_off', 'operator_attested')),
  evidence document NOT NULL,
  actor    word    NOT NULL,
  actor2   word,
  at       BIGINT  NOT NULL,
  PRIMARY KEY (resource, epoch, kind),
  CONSTRAINT two_people CHECK (kind <> 'operator_attested' OR (actor2 IS NOT NULL AND actor2 <> actor))
);

CREATE TABLE lease_event (
  resource     word    NOT NULL REFERENCES lease(resource),
  row_version  BIGINT  NOT NULL,
  epoch        BIGINT  NOT NULL,
  event        word    NOT NULL,
  from_state   word    NOT NULL,
  to_state     word    NOT NULL,
  holder       word,
  session      word,
  actor        word    NOT NULL,
  detail       document NOT NULL,
  migration_id word,
  job_id       word,
  attempt      BIGINT,
  at           BIGINT  NOT NULL,
  PRIMARY KEY (resource, row_version)
);

-- Which state may follow which: the pairs of shared::lease::LeaseState::TABLE, held against it by a test.
CREATE TABLE lease_transition (
  from_state word NOT NULL,
  to_state   word NOT NULL,
  PRIMARY KEY (from_state, to_state)
);
INSERT INTO lease_transition(from_state, to_state) VALUES
  ('free', 'held'), ('free', 'quarantined'),
  ('held', 'held'), ('held', 'draining'), ('held', 'lost'), ('held', 'free'), ('held', 'fencing'), ('held', 'quarantined'),
  ('draining', 'draining'), ('draining', 'lost'), ('draining', 'free'), ('draining', 'fencing'),
  ('draining', 'quarantined'),
  ('lost', 'held'), ('lost', 'fencing'), ('lost', 'quarantined'),
  ('fencing', 'free'), ('fencing', 'quarantined'),
  ('quarantined', 'fencing');

CREATE FUNCTION lease_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  granted boolean;
  freed boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'free' OR NEW.epoch <> 0 OR NEW.row_version <> 0 OR NEW.fenced_epoch <> 0 THEN
      PERFORM refuse('a lease begins free at epoch 0');
    END IF;
    RETURN NEW;
  END IF;

  -- Renewing: nothing but the expiry moves, and nothing is written to the history.
  IF NEW.row_version = OLD.row_version THEN
    IF NEW.state NOT IN ('held', 'draining')
       OR (NEW.resource, NEW.kind, NEW.state, NEW.epoch, NEW.holder, NEW.holder_session, NEW.renewer, NEW.granted_at,
           NEW.handover_to, NEW.fenced_epoch)
          IS DISTINCT FROM
          (OLD.resource, OLD.kind, OLD.state, OLD.epoch, OLD.holder, OLD.holder_session, OLD.renewer, OLD.granted_at,
           OLD.handover_to, OLD.fenced_epoch) THEN
      PERFORM refuse('without a new row_version only the expiry of a live lease may change');
    END IF;
    RETURN NEW;
  END IF;

  -- Everything else.
  granted := OLD.state = 'free' AND NEW.state = 'held';
  freed := NEW.state = 'free';
  IF NEW.resource <> OLD.resource OR NEW.kind <> OLD.kind THEN
    PERFORM refuse('a lease keeps its resource and kind');
  END IF;
  IF NEW.epoch < OLD.epoch OR NEW.fenced_epoch < OLD.fenced_epoch OR NEW.row_version < OLD.row_version THEN
    PERFORM refuse('a lease never goes back');
  END IF;
  IF NOT EXISTS (SELECT 1 FROM lease_transition t WHERE t.from_state = OLD.state AND t.to_state = NEW.state) THEN
    PERFORM refuse('no such transition of a lease');
  END IF;
  IF NEW.row_version <> OLD.row_version + 1
     OR NOT EXISTS (SELECT 1 FROM lease_event e WHERE e.resource = NEW.resource AND e.row_version = NEW.row_version
                     AND e.epoch = NEW.epoch AND e.from_state = OLD.state AND e.to_state = NEW.state) THEN
    PERFORM refuse('a change of a lease without its history');
  END IF;
  IF granted AND NEW.epoch <> OLD.epoch + 1 THEN PERFORM refuse('a grant without a new epoch'); END IF;
  IF granted AND NOT EXISTS (SELECT 1 FROM lease_proof p WHERE p.resource = OLD.resource AND p.epoch = OLD.epoch) THEN
    PERFORM refuse('a grant without proof for the epoch before');
  END IF;
  IF freed AND (NEW.fenced_epoch <> NEW.epoch
     OR NOT EXISTS (SELECT 1 FROM lease_proof p WHERE p.resource = NEW.resource AND p.epoch = NEW.epoch)) THEN
    PERFORM refuse('a lease is freed without proof');
  END IF;
  IF freed AND OLD.state IN ('held', 'draining') AND NEW.epoch <> OLD.epoch + 1 THEN
    PERFORM refuse('a release without a new epoch');
  END IF;
  IF NEW.state = 'fencing' AND NEW.epoch <= OLD.epoch THEN PERFORM refuse('a fence without a new epoch'); END IF;
  -- A proof must be younger than the fence that it ends.
  IF NEW.state = 'fencing'
     AND EXISTS (SELECT 1 FROM lease_proof p WHERE p.resource = NEW.resource AND p.epoch = NEW.epoch) THEN
    PERFORM refuse('a fence at an epoch that has its proof already');
  END IF;
  IF NEW.epoch <> OLD.epoch AND NEW.state NOT IN ('fencing', 'quarantined') AND NOT granted
     AND NOT (freed AND OLD.state IN ('held', 'draining')) THEN
    PERFORM refuse('the epoch changes only by a grant, a release, a fence or a restored store');
  END IF;
  IF NEW.holder IS DISTINCT FROM OLD.holder AND NOT freed AND NOT granted THEN
    PERFORM refuse('the holder changes only by a grant');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER lease_guard BEFORE INSERT OR UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION lease_guard();
CREATE TRIGGER lease_delete BEFORE DELETE OR TRUNCATE ON lease EXECUTE FUNCTION never('leases are never deleted');

CREATE FUNCTION lease_proof_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM lease l WHERE l.resource = NEW.resource AND (
            (l.state = 'fencing' AND NEW.epoch = l.epoch)
         OR (l.state IN ('held', 'draining') AND NEW.epoch = l.epoch + 1)
         OR (l.state = 'free' AND l.epoch = 0 AND NEW.epoch = 0 AND NEW.kind = 'never_used'))) THEN
    PERFORM refuse('a proof belongs to a fence in progress, to a release, or to a lease that was never used');
  END IF;
  -- The same kind a second time changes nothing.
  IF EXISTS (SELECT 1 FROM lease_proof p
              WHERE p.resource = NEW.resource AND p.epoch = NEW.epoch AND p.kind = NEW.kind) THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER lease_proof_guard BEFORE INSERT ON lease_proof FOR EACH ROW EXECUTE FUNCTION lease_proof_guard();
CREATE TRIGGER lease_proof_update BEFORE UPDATE ON lease_proof EXECUTE FUNCTION never('a proof is never changed');
CREATE TRIGGER lease_proof_delete BEFORE DELETE OR TRUNCATE ON lease_proof
  EXECUTE FUNCTION never('a proof is never deleted');

-- An entry is written before the change it tells of, so that the change can insist on it.
CREATE FUNCTION lease_event_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM lease l WHERE l.resource = NEW.resource AND l.state = NEW.from_state AND (
            NEW.row_version = l.row_version + 1
         OR (NEW.row_version = 0 AND l.row_version = 0 AND NEW.event = 'create'))) THEN
    PERFORM refuse('the history of a lease has no gaps');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER lease_event_guard BEFORE INSERT ON lease_event FOR EACH ROW EXECUTE FUNCTION lease_event_guard();
CREATE TRIGGER lease_event_update BEFORE UPDATE ON lease_event
  EXECUTE FUNCTION never('the history of a lease is never changed');
CREATE TRIGGER lease_event_delete BEFORE DELETE OR TRUNCATE ON lease_event
  EXECUTE FUNCTION never('the history of a lease is never deleted');
