-- The word of two people. It counts only in the transaction in which the second one gives it, and only within its time:
-- a proof of the kind operator_attested and a break-glass both insist on a row here that was confirmed in the same instant.

CREATE TABLE lease_attestation (
  attestation_id word    NOT NULL PRIMARY KEY,
  resource       word    NOT NULL REFERENCES lease(resource),
  epoch          BIGINT  NOT NULL,
  purpose        word    NOT NULL CHECK (purpose IN ('break-glass', 'attest')),
  server         word    NOT NULL CHECK (trim(server) <> ''),
  reason         word    NOT NULL CHECK (trim(reason) <> ''),
  ticket         word    NOT NULL CHECK (trim(ticket) <> ''),
  first          word    NOT NULL,
  second         word,
  state          word    NOT NULL CHECK (state IN ('waiting', 'confirmed', 'lapsed')),
  given_at       BIGINT  NOT NULL,
  valid_until    BIGINT  NOT NULL,
  confirmed_at   BIGINT,
  CHECK ((state = 'confirmed') = (second IS NOT NULL) AND (second IS NULL) = (confirmed_at IS NULL)),
  CONSTRAINT two_people CHECK (second IS NULL OR second <> first),
  CONSTRAINT in_time CHECK (confirmed_at IS NULL OR confirmed_at BETWEEN given_at AND valid_until),
  CONSTRAINT a_quarter_of_an_hour CHECK (valid_until BETWEEN given_at AND given_at + 900000)
);
CREATE UNIQUE INDEX lease_attestation_one_waiting ON lease_attestation(resource) WHERE state = 'waiting';

CREATE FUNCTION lease_attestation_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  about_now boolean := EXISTS (
    SELECT 1 FROM lease l WHERE l.resource = NEW.resource AND l.epoch = NEW.epoch AND l.state <> 'free');
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'waiting' THEN PERFORM refuse('a word begins as the word of one person'); END IF;
    IF NOT about_now THEN PERFORM refuse('a word is about a lease that is not free, as it is now'); END IF;
    RETURN NEW;
  END IF;
  IF OLD.state <> 'waiting' THEN PERFORM refuse('a word that was confirmed or lapsed never changes'); END IF;
  IF (NEW.attestation_id, NEW.resource, NEW.epoch, NEW.purpose, NEW.server, NEW.reason, NEW.ticket, NEW.first,
      NEW.given_at, NEW.valid_until)
     <> (OLD.attestation_id, OLD.resource, OLD.epoch, OLD.purpose, OLD.server, OLD.reason, OLD.ticket, OLD.first,
         OLD.given_at, OLD.valid_until) THEN
    PERFORM refuse('a word is never changed, only confirmed');
  END IF;
  IF NEW.state = 'confirmed' AND NOT about_now THEN PERFORM refuse('a word about an epoch that is over'); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER lease_attestation_guard BEFORE INSERT OR UPDATE ON lease_attestation
  FOR EACH ROW EXECUTE FUNCTION lease_attestation_guard();
CREATE TRIGGER lease_attestation_delete BEFORE DELETE OR TRUNCATE ON lease_attestation
  EXECUTE FUNCTION never('a word is never deleted');

CREATE FUNCTION lease_proof_attested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM lease_attestation a
      WHERE a.resource = NEW.resource AND a.state = 'confirmed' AND a.confirmed_at = NEW.at
        AND a.first = NEW.actor AND a.second = NEW.actor2) THEN
    PERFORM refuse('two people did not give their word for this');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER lease_proof_attested BEFORE INSERT ON lease_proof FOR EACH ROW WHEN (NEW.kind = 'operator_attested')
  EXECUTE FUNCTION lease_proof_attested();

CREATE FUNCTION lease_event_break_glass() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM lease_attestation a
      WHERE a.resource = NEW.resource AND a.state = 'confirmed' AND a.confirmed_at = NEW.at
        AND a.first = NEW.actor AND a.epoch = NEW.epoch - 1) THEN
    PERFORM refuse('two people did not give their word for this');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER lease_event_break_glass BEFORE INSERT ON lease_event FOR EACH ROW WHEN (NEW.event = 'break-glass')
  EXECUTE FUNCTION lease_event_break_glass();
