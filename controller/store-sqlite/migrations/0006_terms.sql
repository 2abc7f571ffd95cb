-- Which controller does the duties. Only a store that several controllers share needs it; the table is the same everywhere.

CREATE TABLE duty_term (
  only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  controller TEXT    NOT NULL,
  epoch      INTEGER NOT NULL CHECK (epoch >= 1),
  expires_at INTEGER NOT NULL
) STRICT;
CREATE TRIGGER duty_term_update BEFORE UPDATE ON duty_term BEGIN
  SELECT RAISE(ABORT, 'a term never goes back') WHERE NEW.epoch < OLD.epoch;
  SELECT RAISE(ABORT, 'another controller needs a new term') WHERE NEW.controller <> OLD.controller AND NEW.epoch = OLD.epoch;
END;
CREATE TRIGGER duty_term_delete BEFORE DELETE ON duty_term BEGIN
  SELECT RAISE(ABORT, 'terms are counted for ever');
END;
