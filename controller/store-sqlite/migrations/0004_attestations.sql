-- The word of two people. It counts only in the transaction in which the second one gives it, and only within its time:
-- a proof of the kind operator_attested and a break-glass both insist on a row here that was confirmed in the same instant.

CREATE TABLE lease_attestation (
  attestation_id TEXT    NOT NULL PRIMARY KEY,
  resource       TEXT    NOT NULL REFERENCES lease(resource),
  epoch          INTEGER NOT NULL,
  purpose        TEXT    NOT NULL CHECK (purpose IN ('break-glass', 'attest')),
  server         TEXT    NOT NULL CHECK (trim(server) <> ''),
  reason         TEXT    NOT NULL CHECK (trim(reason) <> ''),
  ticket         TEXT    NOT NULL CHECK (trim(ticket) <> ''),
  first          TEXT    NOT NULL,
  second         TEXT,
  state          TEXT    NOT NULL CHECK (state IN ('waiting', 'confirmed', 'lapsed')),
  given_at       INTEGER NOT NULL,
  valid_until    INTEGER NOT NULL,
  confirmed_at   INTEGER,
  CHECK ((state = 'confirmed') = (second IS NOT NULL) AND (second IS NULL) = (confirmed_at IS NULL)),
  CONSTRAINT two_people CHECK (second IS NULL OR second <> first),
  CONSTRAINT in_time CHECK (confirmed_at IS NULL OR confirmed_at BETWEEN given_at AND valid_until),
  CONSTRAINT a_quarter_of_an_hour CHECK (valid_until BETWEEN given_at AND given_at + 900000)
) STRICT;
CREATE UNIQUE INDEX lease_attestation_one_waiting ON lease_attestation(resource) WHERE state = 'waiting';

CREATE TRIGGER lease_attestation_insert BEFORE INSERT ON lease_attestation BEGIN
  SELECT RAISE(ABORT, 'a word is given once')
   WHERE EXISTS (SELECT 1 FROM lease_attestation WHERE attestation_id = NEW.attestation_id);
  SELECT RAISE(ABORT, 'a word begins as the word of one person') WHERE NEW.state <> 'waiting';
  SELECT RAISE(ABORT, 'a word is about a lease that is not free, as it is now')
   WHERE NOT EXISTS (SELECT 1 FROM lease l WHERE l.resource = NEW.resource AND l.epoch = NEW.epoch AND l.state <> 'free');
END;
CREATE TRIGGER lease_attestation_update BEFORE UPDATE ON lease_attestation BEGIN
  SELECT RAISE(ABORT, 'a word that was confirmed or lapsed never changes') WHERE OLD.state <> 'waiting';
  SELECT RAISE(ABORT, 'a word is never changed, only confirmed')
   WHERE NEW.attestation_id <> OLD.attestation_id OR NEW.resource <> OLD.resource OR NEW.epoch <> OLD.epoch
      OR NEW.purpose <> OLD.purpose OR NEW.server <> OLD.server OR NEW.reason <> OLD.reason OR NEW.ticket <> OLD.ticket
      OR NEW.first <> OLD.first OR NEW.given_at <> OLD.given_at OR NEW.valid_until <> OLD.valid_until;
  SELECT RAISE(ABORT, 'a word about an epoch that is over')
   WHERE NEW.state = 'confirmed'
     AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.resource = NEW.resource AND l.epoch = NEW.epoch AND l.state <> 'free');
END;
CREATE TRIGGER lease_attestation_delete BEFORE DELETE ON lease_attestation BEGIN
  SELECT RAISE(ABORT, 'a word is never deleted');
END;

CREATE TRIGGER lease_proof_attested BEFORE INSERT ON lease_proof WHEN NEW.kind = 'operator_attested' BEGIN
  SELECT RAISE(ABORT, 'two people did not give their word for this')
   WHERE NOT EXISTS (SELECT 1 FROM lease_attestation a
      WHERE a.resource = NEW.resource AND a.state = 'confirmed' AND a.confirmed_at = NEW.at
        AND a.first = NEW.actor AND a.second = NEW.actor2);
END;
CREATE TRIGGER lease_event_break_glass BEFORE INSERT ON lease_event WHEN NEW.event = 'break-glass' BEGIN
  SELECT RAISE(ABORT, 'two people did not give their word for this')
   WHERE NOT EXISTS (SELECT 1 FROM lease_attestation a
      WHERE a.resource = NEW.resource AND a.state = 'confirmed' AND a.confirmed_at = NEW.at
        AND a.first = NEW.actor AND a.epoch = NEW.epoch - 1);
END;
