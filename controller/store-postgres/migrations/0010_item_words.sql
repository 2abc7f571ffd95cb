-- What people say of the items of a checklist: that one is done, for good or until a moment, or that such a word is taken back.
-- Words are added, never changed.

CREATE TABLE item_word (
  word_id      word    NOT NULL PRIMARY KEY,
  migration_id word    NOT NULL REFERENCES migration(migration_id),
  item         word    NOT NULL CHECK (trim(item) <> ''),
  withdraws    word    UNIQUE REFERENCES item_word(word_id),
  actor        word    NOT NULL,
  reason       word    NOT NULL CHECK (trim(reason) <> ''),
  said_at      BIGINT  NOT NULL,
  valid_until  BIGINT,
  CONSTRAINT not_over_already CHECK (valid_until IS NULL OR valid_until > said_at),
  CONSTRAINT a_withdrawal_is_for_good CHECK (withdraws IS NULL OR valid_until IS NULL)
);
CREATE INDEX item_word_migration ON item_word(migration_id);

CREATE FUNCTION item_word_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    PERFORM refuse('a word is never changed');
  ELSIF NEW.withdraws IS NOT NULL AND NOT EXISTS (SELECT 1 FROM item_word w WHERE w.word_id = NEW.withdraws
      AND w.withdraws IS NULL AND w.migration_id = NEW.migration_id AND w.item = NEW.item) THEN
    PERFORM refuse('a word is taken back about the same item of the same migration');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER item_word_guard BEFORE INSERT OR UPDATE ON item_word
  FOR EACH ROW EXECUTE FUNCTION item_word_guard();
CREATE TRIGGER item_word_delete BEFORE DELETE OR TRUNCATE ON item_word
  EXECUTE FUNCTION never('a word is never deleted');
