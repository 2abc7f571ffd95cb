-- Warnings that somebody accepted, and version catalogues that somebody imported. Both are added, never changed.

CREATE TABLE warning_acceptance (
  acceptance_id word    NOT NULL PRIMARY KEY,
  migration_id  word    NOT NULL REFERENCES migration(migration_id),
  rule          word    NOT NULL CHECK (trim(rule) <> ''),
  actor         word    NOT NULL,
  reason        word    NOT NULL CHECK (trim(reason) <> ''),
  accepted_at   BIGINT  NOT NULL,
  valid_until   BIGINT,
  CONSTRAINT not_over_already CHECK (valid_until IS NULL OR valid_until > accepted_at)
);
CREATE INDEX warning_acceptance_migration ON warning_acceptance(migration_id);

CREATE TABLE version_catalogue (
  number      BIGINT NOT NULL PRIMARY KEY CHECK (number > 0),
  digest      word   NOT NULL,
  signed_off  word   NOT NULL,
  body        word   NOT NULL,
  imported_by word   NOT NULL,
  imported_at BIGINT NOT NULL
);

CREATE FUNCTION warning_acceptance_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM refuse('an acceptance is never changed');
  RETURN NEW;
END $$;
CREATE TRIGGER warning_acceptance_guard BEFORE UPDATE ON warning_acceptance
  FOR EACH ROW EXECUTE FUNCTION warning_acceptance_guard();
CREATE TRIGGER warning_acceptance_delete BEFORE DELETE OR TRUNCATE ON warning_acceptance
  EXECUTE FUNCTION never('an acceptance is never deleted');

CREATE FUNCTION version_catalogue_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM refuse('an imported catalogue is never changed');
  RETURN NEW;
END $$;
CREATE TRIGGER version_catalogue_guard BEFORE UPDATE ON version_catalogue
  FOR EACH ROW EXECUTE FUNCTION version_catalogue_guard();
CREATE TRIGGER version_catalogue_delete BEFORE DELETE OR TRUNCATE ON version_catalogue
  EXECUTE FUNCTION never('an imported catalogue is never deleted');
