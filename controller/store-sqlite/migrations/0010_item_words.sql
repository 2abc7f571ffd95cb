-- What people say of the items of a checklist: that one is done, for good or until a moment, or that such a word is taken back.
-- Words are added, never changed.

CREATE TABLE item_word (
  word_id      TEXT    NOT NULL PRIMARY KEY,
  migration_id TEXT    NOT NULL REFERENCES migration(migration_id),
  item         TEXT    NOT NULL CHECK (trim(item) <> ''),
  withdraws    TEXT    UNIQUE REFERENCES item_word(word_id),
  actor        TEXT    NOT NULL,
  reason       TEXT    NOT NULL CHECK (trim(reason) <> ''),
  said_at      INTEGER NOT NULL,
  valid_until  INTEGER,
  CONSTRAINT not_over_already CHECK (valid_until IS NULL OR valid_until > said_at),
  CONSTRAINT a_withdrawal_is_for_good CHECK (withdraws IS NULL OR valid_until IS NULL)
) STRICT;
CREATE INDEX item_word_migration ON item_word(migration_id);

CREATE TRIGGER item_word_insert BEFORE INSERT ON item_word WHEN NEW.withdraws IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'a word is taken back about the same item of the same migration')
   WHERE NOT EXISTS (SELECT 1 FROM item_word w WHERE w.word_id = NEW.withdraws AND w.withdraws IS NULL
      AND w.migration_id = NEW.migration_id AND w.item = NEW.item);
END;
CREATE TRIGGER item_word_update BEFORE UPDATE ON item_word BEGIN
  SELECT RAISE(ABORT, 'a word is never changed');
END;
CREATE TRIGGER item_word_delete BEFORE DELETE ON item_word BEGIN
  SELECT RAISE(ABORT, 'a word is never deleted');
END;
