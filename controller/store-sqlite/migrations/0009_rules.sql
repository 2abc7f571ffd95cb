-- Warnings that somebody accepted, and version catalogues that somebody imported. Both are added, never changed.

CREATE TABLE warning_acceptance (
  acceptance_id TEXT    NOT NULL PRIMARY KEY,
  migration_id  TEXT    NOT NULL REFERENCES migration(migration_id),
  rule          TEXT    NOT NULL CHECK (trim(rule) <> ''),
  actor         TEXT    NOT NULL,
  reason        TEXT    NOT NULL CHECK (trim(reason) <> ''),
  accepted_at   INTEGER NOT NULL,
  valid_until   INTEGER,
  CONSTRAINT not_over_already CHECK (valid_until IS NULL OR valid_until > accepted_at)
) STRICT;
CREATE INDEX warning_acceptance_migration ON warning_acceptance(migration_id);

CREATE TABLE version_catalogue (
  number      INTEGER NOT NULL PRIMARY KEY CHECK (number > 0),
  digest      TEXT    NOT NULL,
  signed_off  TEXT    NOT NULL,
  body        TEXT    NOT NULL,
  imported_by TEXT    NOT NULL,
  imported_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER warning_acceptance_update BEFORE UPDATE ON warning_acceptance BEGIN
  SELECT RAISE(ABORT, 'an acceptance is never changed');
END;
CREATE TRIGGER warning_acceptance_delete BEFORE DELETE ON warning_acceptance BEGIN
  SELECT RAISE(ABORT, 'an acceptance is never deleted');
END;
CREATE TRIGGER version_catalogue_update BEFORE UPDATE ON version_catalogue BEGIN
  SELECT RAISE(ABORT, 'an imported catalogue is never changed');
END;
CREATE TRIGGER version_catalogue_delete BEFORE DELETE ON version_catalogue BEGIN
  SELECT RAISE(ABORT, 'an imported catalogue is never deleted');
END;
