-- Leases, their proofs and their history. The guards here refuse what no code of ours may ever do, whoever asks; the
-- conformance suite tries each of them. Expiry never frees a lease: only a row in lease_proof does.

CREATE TABLE lease (
  resource       TEXT    NOT NULL PRIMARY KEY,
  kind           TEXT    NOT NULL CHECK (kind IN ('database', 'tenant-export')),
  state          TEXT    NOT NULL CHECK (state IN ('free', 'held', 'draining', 'lost', 'fencing', 'quarantined')),
  epoch          INTEGER NOT NULL CHECK (epoch >= 0),
  holder         TEXT    REFERENCES host(host_id),
  holder_session TEXT,
  renewer        TEXT    REFERENCES host(host_id),
  granted_at     INTEGER,
  expires_at     INTEGER,
  handover_to    TEXT    REFERENCES host(host_id),
  fenced_epoch   INTEGER NOT NULL DEFAULT 0,
  row_version    INTEGER NOT NULL DEFAULT 0,
  CHECK (state NOT IN ('held', 'draining', 'lost') OR (holder IS NOT NULL AND holder_session IS NOT NULL
         AND renewer IS NOT NULL AND granted_at IS NOT NULL AND expires_at IS NOT NULL)),
  CHECK (state <> 'free' OR (holder IS NULL AND holder_session IS NULL AND renewer IS NULL AND granted_at IS NULL
         AND expires_at IS NULL AND handover_to IS NULL)),
  CHECK (fenced_epoch <= epoch)
) STRICT;
CREATE UNIQUE INDEX lease_one_per_holder ON lease(holder, kind) WHERE state IN ('held', 'draining', 'lost');
CREATE INDEX lease_expiring ON lease(expires_at) WHERE state IN ('held', 'draining');

CREATE TABLE lease_proof (
  resource TEXT    NOT NULL REFERENCES lease(resource),
  epoch    INTEGER NOT NULL,
  kind     TEXT    NOT NULL
     CHECK (kind IN ('never_used', 'holder_stopped', 'sql_fenced', 'power_off', 'operator_attested')),
  evidence TEXT    NOT NULL CHECK (json_valid(evidence)),
  actor    TEXT    NOT NULL,
  actor2   TEXT,
  at       INTEGER NOT NULL,
  PRIMARY KEY (resource, epoch, kind),
  CONSTRAINT two_people CHECK (kind <> 'operator_attested' OR (actor2 IS NOT NULL AND actor2 <> actor))
) STRICT;

CREATE TABLE lease_event (
  resource     TEXT    NOT NULL REFERENCES lease(resource),
  row_version  INTEGER NOT NULL,
  epoch        INTEGER NOT NULL,
  event        TEXT    NOT NULL,
  from_state   TEXT    NOT NULL,
  to_state     TEXT    NOT NULL,
  holder       TEXT,
  session      TEXT,
  actor        TEXT    NOT NULL,
  detail       TEXT    NOT NULL CHECK (json_valid(detail)),
  migration_id TEXT,
  job_id       TEXT,
  attempt      INTEGER,
  at           INTEGER NOT NULL,
  PRIMARY KEY (resource, row_version)
) STRICT;

-- Which state may follow which: the pairs of shared::lease::LeaseState::TABLE, held against it by a test.
CREATE TABLE lease_transition (
  from_state TEXT NOT NULL,
  to_state   TEXT NOT NULL,
  PRIMARY KEY (from_state, to_state)
) STRICT, WITHOUT ROWID;
INSERT INTO lease_transition(from_state, to_state) VALUES
  ('free', 'held'), ('free', 'quarantined'),
  ('held', 'held'), ('held', 'draining'), ('held', 'lost'), ('held', 'free'), ('held', 'fencing'), ('held', 'quarantined'),
  ('draining', 'draining'), ('draining', 'lost'), ('draining', 'free'), ('draining', 'fencing'),
  ('draining', 'quarantined'),
  ('lost', 'held'), ('lost', 'fencing'), ('lost', 'quarantined'),
  ('fencing', 'free'), ('fencing', 'quarantined'),
  ('quarantined', 'fencing');

CREATE TRIGGER lease_insert BEFORE INSERT ON lease BEGIN
  SELECT RAISE(ABORT, 'a lease is never created again')
   WHERE EXISTS (SELECT 1 FROM lease WHERE resource = NEW.resource);
  SELECT RAISE(ABORT, 'a lease begins free at epoch 0')
   WHERE NEW.state <> 'free' OR NEW.epoch <> 0 OR NEW.row_version <> 0 OR NEW.fenced_epoch <> 0;
END;

CREATE TRIGGER lease_delete BEFORE DELETE ON lease BEGIN
  SELECT RAISE(ABORT, 'leases are never deleted');
END;

-- Renewing: nothing but the expiry moves, and nothing is written to the history.
CREATE TRIGGER lease_renew BEFORE UPDATE ON lease WHEN NEW.row_version = OLD.row_version BEGIN
  SELECT RAISE(ABORT, 'without a new row_version only the expiry of a live lease may change')
   WHERE NEW.resource <> OLD.resource OR NEW.kind <> OLD.kind OR NEW.state <> OLD.state OR NEW.epoch <> OLD.epoch
      OR NEW.holder IS NOT OLD.holder OR NEW.holder_session IS NOT OLD.holder_session OR NEW.renewer IS NOT OLD.renewer
      OR NEW.granted_at IS NOT OLD.granted_at OR NEW.handover_to IS NOT OLD.handover_to
      OR NEW.fenced_epoch <> OLD.fenced_epoch OR NEW.state NOT IN ('held', 'draining');
END;

-- Everything else.
CREATE TRIGGER lease_change BEFORE UPDATE ON lease WHEN NEW.row_version <> OLD.row_version BEGIN
  SELECT RAISE(ABORT, 'a lease keeps its resource and kind') WHERE NEW.resource <> OLD.resource OR NEW.kind <> OLD.kind;
  SELECT RAISE(ABORT, 'a lease never goes back')
   WHERE NEW.epoch < OLD.epoch OR NEW.fenced_epoch < OLD.fenced_epoch OR NEW.row_version < OLD.row_version;
  SELECT RAISE(ABORT, 'no such transition of a lease')
   WHERE NOT EXISTS (SELECT 1 FROM lease_transition t WHERE t.from_state = OLD.state AND t.to_state = NEW.state);
  SELECT RAISE(ABORT, 'a change of a lease without its history')
   WHERE NEW.row_version <> OLD.row_version + 1
      OR NOT EXISTS (SELECT 1 FROM lease_event e WHERE e.resource = NEW.resource AND e.row_version = NEW.row_version
                      AND e.epoch = NEW.epoch AND e.from_state = OLD.state AND e.to_state = NEW.state);

  SELECT RAISE(ABORT, 'a grant without a new epoch')
   WHERE OLD.state = 'free' AND NEW.state = 'held' AND NEW.epoch <> OLD.epoch + 1;
  SELECT RAISE(ABORT, 'a grant without proof for the epoch before')
   WHERE OLD.state = 'free' AND NEW.state = 'held'
     AND NOT EXISTS (SELECT 1 FROM lease_proof p WHERE p.resource = OLD.resource AND p.epoch = OLD.epoch);

  SELECT RAISE(ABORT, 'a lease is freed without proof')
   WHERE NEW.state = 'free' AND (NEW.fenced_epoch <> NEW.epoch
      OR NOT EXISTS (SELECT 1 FROM lease_proof p WHERE p.resource = NEW.resource AND p.epoch = NEW.epoch));
  SELECT RAISE(ABORT, 'a release without a new epoch')
   WHERE NEW.state = 'free' AND OLD.state IN ('held', 'draining') AND NEW.epoch <> OLD.epoch + 1;

  SELECT RAISE(ABORT, 'a fence without a new epoch') WHERE NEW.state = 'fencing' AND NEW.epoch <= OLD.epoch;
  -- A proof must be younger than the fence that it ends.
  SELECT RAISE(ABORT, 'a fence at an epoch that has its proof already')
   WHERE NEW.state = 'fencing'
     AND EXISTS (SELECT 1 FROM lease_proof p WHERE p.resource = NEW.resource AND p.epoch = NEW.epoch);

  SELECT RAISE(ABORT, 'the epoch changes only by a grant, a release, a fence or a restored store')
   WHERE NEW.epoch <> OLD.epoch AND NEW.state NOT IN ('fencing', 'quarantined')
     AND NOT (OLD.state = 'free' AND NEW.state = 'held')
     AND NOT (OLD.state IN ('held', 'draining') AND NEW.state = 'free');
  SELECT RAISE(ABORT, 'the holder changes only by a grant')
   WHERE NEW.holder IS NOT OLD.holder AND NEW.state <> 'free' AND NOT (OLD.state = 'free' AND NEW.state = 'held');
END;

CREATE TRIGGER lease_proof_insert BEFORE INSERT ON lease_proof BEGIN
  SELECT RAISE(ABORT, 'a proof belongs to a fence in progress, to a release, or to a lease that was never used')
   WHERE NOT EXISTS (SELECT 1 FROM lease l WHERE l.resource = NEW.resource AND (
            (l.state = 'fencing' AND NEW.epoch = l.epoch)
         OR (l.state IN ('held', 'draining') AND NEW.epoch = l.epoch + 1)
         OR (l.state = 'free' AND l.epoch = 0 AND NEW.epoch = 0 AND NEW.kind = 'never_used')));
  -- The same kind a second time changes nothing.
  SELECT RAISE(IGNORE) WHERE EXISTS (
    SELECT 1 FROM lease_proof WHERE resource = NEW.resource AND epoch = NEW.epoch AND kind = NEW.kind);
END;
CREATE TRIGGER lease_proof_update BEFORE UPDATE ON lease_proof BEGIN
  SELECT RAISE(ABORT, 'a proof is never changed');
END;
CREATE TRIGGER lease_proof_delete BEFORE DELETE ON lease_proof BEGIN
  SELECT RAISE(ABORT, 'a proof is never deleted');
END;

-- An entry is written before the change it tells of, so that the change can insist on it.
CREATE TRIGGER lease_event_insert BEFORE INSERT ON lease_event BEGIN
  SELECT RAISE(ABORT, 'the history of a lease has no gaps')
   WHERE NOT EXISTS (SELECT 1 FROM lease l WHERE l.resource = NEW.resource AND l.state = NEW.from_state AND (
            NEW.row_version = l.row_version + 1
         OR (NEW.row_version = 0 AND l.row_version = 0 AND NEW.event = 'create')));
END;
CREATE TRIGGER lease_event_update BEFORE UPDATE ON lease_event BEGIN
  SELECT RAISE(ABORT, 'the history of a lease is never changed');
END;
CREATE TRIGGER lease_event_delete BEFORE DELETE ON lease_event BEGIN
  SELECT RAISE(ABORT, 'the history of a lease is never deleted');
END;
