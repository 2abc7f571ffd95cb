-- Which controller does the duties.

CREATE TABLE duty_term (
  only_row   BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
  controller word   NOT NULL,
  epoch      BIGINT NOT NULL CHECK (epoch >= 1),
  expires_at BIGINT NOT NULL
);
CREATE FUNCTION duty_term_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.epoch < OLD.epoch THEN PERFORM refuse('a term never goes back'); END IF;
  IF NEW.controller <> OLD.controller AND NEW.epoch = OLD.epoch THEN
    PERFORM refuse('another controller needs a new term');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER duty_term_guard BEFORE UPDATE ON duty_term FOR EACH ROW EXECUTE FUNCTION duty_term_guard();
CREATE TRIGGER duty_term_delete BEFORE DELETE OR TRUNCATE ON duty_term
  EXECUTE FUNCTION never('terms are counted for ever');
