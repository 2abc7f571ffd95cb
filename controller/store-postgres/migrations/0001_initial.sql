-- The first shape of the store: the tables of the embedded store's file of the same name, column by column, and its
-- guards in PL/pgSQL. Times are UTC milliseconds, ids are UUIDs in lower-case text, documents are JSON as text, byte for byte.
-- This file is never edited once it is released: what changes comes in a later number.

-- Texts are compared and sorted byte by byte, whatever the database's collation. Names fold ASCII letters only.
CREATE DOMAIN word AS text COLLATE "C";
CREATE DOMAIN document AS text CHECK (VALUE IS NULL OR VALUE::json IS NOT NULL);

-- The one clock that everything here is stamped and compared with: the server's, never a controller's.
CREATE VIEW db_clock AS SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint AS now_ms;

-- What a guard says is an error of its own class, so that a controller can tell it from everything else.
CREATE FUNCTION refuse(why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'SF001', MESSAGE = why;
END $$;
-- A trigger that refuses whatever it is put on; its argument says why.
CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM refuse(TG_ARGV[0]);
  RETURN NULL;
END $$;

CREATE TABLE store_meta (
  only_row    BIGINT  NOT NULL PRIMARY KEY CHECK (only_row = 1),
  store_id    word    NOT NULL,
  incarnation BIGINT  NOT NULL CHECK (incarnation >= 1),
  opened_at   BIGINT  NOT NULL
);
CREATE FUNCTION store_meta_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- A second identity is ignored, as it is by the embedded store.
    IF EXISTS (SELECT 1 FROM store_meta) THEN RETURN NULL; END IF;
  ELSE
    IF NEW.store_id <> OLD.store_id THEN PERFORM refuse('the store keeps its identity'); END IF;
    IF NEW.incarnation < OLD.incarnation THEN PERFORM refuse('the incarnation never decreases'); END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER store_meta_guard BEFORE INSERT OR UPDATE ON store_meta FOR EACH ROW EXECUTE FUNCTION store_meta_guard();
CREATE TRIGGER store_meta_delete BEFORE DELETE OR TRUNCATE ON store_meta
  EXECUTE FUNCTION never('the store keeps its identity');

CREATE TABLE org (
  org_id     word    NOT NULL PRIMARY KEY,
  name       word    NOT NULL,
  is_default BIGINT  NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
  created_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX org_one_default ON org(is_default) WHERE is_default = 1;
CREATE UNIQUE INDEX org_name ON org(lower(name));

CREATE TABLE site (
  site_id    word    NOT NULL PRIMARY KEY,
  org_id     word    NOT NULL REFERENCES org(org_id),
  name       word    NOT NULL,
  tenant_id  word    NOT NULL,
  labels     document NOT NULL,
  created_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX site_name ON site(lower(name));
CREATE UNIQUE INDEX site_tenant ON site(lower(tenant_id));

CREATE TABLE host (
  host_id        word    NOT NULL PRIMARY KEY,
  org_id         word    NOT NULL REFERENCES org(org_id),
  site_id        word    NOT NULL REFERENCES site(site_id),
  name           word    NOT NULL,
  roles          document NOT NULL,
  computer_name  word,
  inventory      document,
  inventoried_at BIGINT,
  created_at     BIGINT  NOT NULL
);
CREATE INDEX host_by_site ON host(site_id);
CREATE UNIQUE INDEX host_name ON host(lower(name));

-- One row per host. A new enrolment takes the row over, so nothing refers to agent_id by a foreign key.
CREATE TABLE agent (
  host_id            word    NOT NULL PRIMARY KEY REFERENCES host(host_id),
  agent_id           word    NOT NULL UNIQUE,
  certificate_serial word    NOT NULL UNIQUE,
  generation         BIGINT  NOT NULL CHECK (generation >= 1),
  state              word    NOT NULL CHECK (state IN ('enrolled', 'online', 'silent', 'quarantined')),
  session            word,
  version            word,
  capabilities       document NOT NULL DEFAULT '[]',
  transfer_address   word,
  last_heartbeat_at  BIGINT,
  journal_seq        BIGINT  NOT NULL DEFAULT 0,
  applied_seq        BIGINT  NOT NULL DEFAULT 0,
  enrolled_at        BIGINT  NOT NULL
);
CREATE FUNCTION agent_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.generation < OLD.generation THEN PERFORM refuse('the generation of a certificate never decreases'); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER agent_guard BEFORE UPDATE ON agent FOR EACH ROW EXECUTE FUNCTION agent_guard();

CREATE TABLE enrolment_token (
  hash       word    NOT NULL PRIMARY KEY,
  host_id    word    NOT NULL REFERENCES host(host_id),
  expires_at BIGINT  NOT NULL,
  uses_left  BIGINT  NOT NULL CHECK (uses_left >= 0),
  actor      word    NOT NULL,
  created_at BIGINT  NOT NULL
);

CREATE TABLE operator (
  operator_id word    NOT NULL PRIMARY KEY,
  name        word    NOT NULL,
  fingerprint word    NOT NULL UNIQUE,
  serial      word    NOT NULL,
  created_at  BIGINT  NOT NULL,
  revoked_at  BIGINT
);
CREATE UNIQUE INDEX operator_name ON operator(lower(name));

-- One row per physical database. What makes it that one is physical_key, never a name.
CREATE TABLE adsync_db (
  db_uid              word    NOT NULL PRIMARY KEY,
  org_id              word    NOT NULL REFERENCES org(org_id),
  site_id             word    NOT NULL REFERENCES site(site_id),
  physical_key        word    NOT NULL UNIQUE,
  database_guid       word,
  family_guid         word,
  recovery_fork_guid  word,
  service_broker_guid word,
  group_database_id   word,
  server_name         word    NOT NULL,
  host_id             word    NOT NULL REFERENCES host(host_id),
  instance            word    NOT NULL,
  database_name       word    NOT NULL,
  identity_state      word    NOT NULL CHECK (identity_state IN ('provisional', 'confirmed', 'suspect', 'retired')),
  seen_at             BIGINT  NOT NULL,
  facts               document NOT NULL,
  created_at          BIGINT  NOT NULL
);
CREATE INDEX adsync_db_by_site ON adsync_db(site_id);
CREATE TRIGGER adsync_db_delete BEFORE DELETE OR TRUNCATE ON adsync_db
  EXECUTE FUNCTION never('databases are retired, never deleted');

CREATE TABLE adsync_db_alias (
  endpoint word NOT NULL PRIMARY KEY,
  db_uid   word NOT NULL REFERENCES adsync_db(db_uid)
);
CREATE INDEX adsync_db_alias_by_db ON adsync_db_alias(db_uid);
CREATE UNIQUE INDEX adsync_db_alias_endpoint ON adsync_db_alias(lower(endpoint));

CREATE TABLE migration (
  migration_id word    NOT NULL PRIMARY KEY,
  org_id       word    NOT NULL REFERENCES org(org_id),
  site_id      word    NOT NULL REFERENCES site(site_id),
  scenario     word    NOT NULL,
  request      document NOT NULL,
  actor        word    NOT NULL,
  state        word    NOT NULL,
  plan         document,
  plan_digest  word,
  created_at   BIGINT  NOT NULL,
  updated_at   BIGINT  NOT NULL
);
CREATE INDEX migration_by_site ON migration(site_id);
CREATE INDEX migration_by_state ON migration(state);

CREATE TABLE inspection (
  inspection_id word    NOT NULL PRIMARY KEY,
  host_id       word    NOT NULL REFERENCES host(host_id),
  request       document NOT NULL,
  purpose       word    NOT NULL,
  migration_id  word    REFERENCES migration(migration_id),
  state         word    NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
  inventory     document,
  error         word,
  created_at    BIGINT  NOT NULL,
  completed_at  BIGINT
);
CREATE INDEX inspection_pending ON inspection(host_id) WHERE state = 'pending';
CREATE INDEX inspection_by_migration ON inspection(migration_id);

CREATE TABLE job (
  job_id       word    NOT NULL PRIMARY KEY,
  migration_id word    NOT NULL REFERENCES migration(migration_id),
  stage        BIGINT  NOT NULL,
  ordinal      BIGINT  NOT NULL,
  name         word    NOT NULL,
  kind         word    NOT NULL,
  host_id      word    NOT NULL REFERENCES host(host_id),
  resource     word    NOT NULL,
  state        word    NOT NULL,
  spec         BYTEA,
  digest       word,
  outcome      document,
  failure      document,
  progress     document,
  created_at   BIGINT  NOT NULL,
  updated_at   BIGINT  NOT NULL,
  UNIQUE (migration_id, name),
  UNIQUE (migration_id, stage, ordinal),
  CHECK ((spec IS NULL) = (digest IS NULL))
);
CREATE INDEX job_by_host ON job(host_id, state);
CREATE INDEX job_by_state ON job(state);

CREATE TABLE attempt (
  job_id       word    NOT NULL REFERENCES job(job_id),
  attempt      BIGINT  NOT NULL CHECK (attempt >= 1),
  agent_id     word    NOT NULL,
  epoch        BIGINT  NOT NULL,
  incarnation  BIGINT  NOT NULL,
  digest       word    NOT NULL,
  undo         BIGINT  NOT NULL CHECK (undo IN (0, 1)),
  state        word    NOT NULL
     CHECK (state IN ('offered', 'accepted', 'succeeded', 'failed', 'cancelled', 'unknown', 'superseded')),
  permit_until BIGINT,
  opened_at    BIGINT  NOT NULL,
  ended_at     BIGINT,
  PRIMARY KEY (job_id, attempt)
);
CREATE UNIQUE INDEX attempt_one_open ON attempt(job_id) WHERE state IN ('offered', 'accepted', 'unknown');
CREATE INDEX attempt_open_by_agent ON attempt(agent_id) WHERE state IN ('offered', 'accepted', 'unknown');
CREATE FUNCTION attempt_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.attempt <> 1 + (SELECT COALESCE(MAX(a.attempt), 0) FROM attempt a WHERE a.job_id = NEW.job_id) THEN
      PERFORM refuse('attempts are counted without gaps');
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.state IN ('succeeded', 'failed', 'cancelled', 'superseded') THEN
    PERFORM refuse('an attempt that ended never changes');
  END IF;
  IF (NEW.job_id, NEW.attempt, NEW.agent_id, NEW.epoch, NEW.incarnation, NEW.digest, NEW.undo)
     <> (OLD.job_id, OLD.attempt, OLD.agent_id, OLD.epoch, OLD.incarnation, OLD.digest, OLD.undo) THEN
    PERFORM refuse('the token of an attempt never changes');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER attempt_guard BEFORE INSERT OR UPDATE ON attempt FOR EACH ROW EXECUTE FUNCTION attempt_guard();
CREATE TRIGGER attempt_delete BEFORE DELETE OR TRUNCATE ON attempt EXECUTE FUNCTION never('attempts are never deleted');

CREATE TABLE step (
  job_id     word    NOT NULL,
  attempt    BIGINT  NOT NULL,
  ordinal    BIGINT  NOT NULL,
  name       word    NOT NULL,
  state      word    NOT NULL,
  detail     document NOT NULL,
  started_at BIGINT,
  ended_at   BIGINT,
  PRIMARY KEY (job_id, attempt, ordinal),
  FOREIGN KEY (job_id, attempt) REFERENCES attempt(job_id, attempt)
);

CREATE TABLE gate (
  gate_id      word    NOT NULL PRIMARY KEY,
  migration_id word    NOT NULL REFERENCES migration(migration_id),
  job_id       word    NOT NULL REFERENCES job(job_id),
  title        word    NOT NULL,
  cards        document NOT NULL,
  state        word    NOT NULL CHECK (state IN ('open', 'claimed', 'proven', 'cancelled')),
  claimed_by   word,
  observation  document,
  opened_at    BIGINT  NOT NULL,
  updated_at   BIGINT  NOT NULL
);
CREATE INDEX gate_by_migration ON gate(migration_id);
CREATE UNIQUE INDEX gate_one_open ON gate(job_id, title) WHERE state IN ('open', 'claimed');

CREATE TABLE artifact (
  artifact_id  word    NOT NULL PRIMARY KEY,
  migration_id word    NOT NULL REFERENCES migration(migration_id),
  host_id      word    NOT NULL REFERENCES host(host_id),
  manifest     document NOT NULL,
  created_at   BIGINT  NOT NULL,
  deleted_at   BIGINT
);
CREATE INDEX artifact_by_migration ON artifact(migration_id);
CREATE FUNCTION artifact_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.artifact_id <> OLD.artifact_id OR NEW.manifest <> OLD.manifest THEN
    PERFORM refuse('the manifest of an artifact never changes');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER artifact_guard BEFORE UPDATE ON artifact FOR EACH ROW EXECUTE FUNCTION artifact_guard();
