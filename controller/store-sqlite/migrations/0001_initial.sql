-- The first shape of the store. Times are UTC milliseconds, ids are UUIDs in lower-case text, documents are JSON.
-- This file is never edited once it is released: what changes comes in a later number.

CREATE TABLE store_meta (
  only_row    INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  store_id    TEXT    NOT NULL,
  incarnation INTEGER NOT NULL CHECK (incarnation >= 1),
  opened_at   INTEGER NOT NULL
) STRICT;
-- INSERT OR REPLACE fires no DELETE trigger, so the guards of inserting look for the row themselves, here and below.
CREATE TRIGGER store_meta_insert BEFORE INSERT ON store_meta BEGIN
  SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM store_meta);
END;
CREATE TRIGGER store_meta_update BEFORE UPDATE ON store_meta BEGIN
  SELECT RAISE(ABORT, 'the store keeps its identity') WHERE NEW.store_id <> OLD.store_id;
  SELECT RAISE(ABORT, 'the incarnation never decreases') WHERE NEW.incarnation < OLD.incarnation;
END;
CREATE TRIGGER store_meta_delete BEFORE DELETE ON store_meta BEGIN
  SELECT RAISE(ABORT, 'the store keeps its identity');
END;

CREATE TABLE org (
  org_id     TEXT    NOT NULL PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE COLLATE NOCASE,
  is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX org_one_default ON org(is_default) WHERE is_default = 1;

CREATE TABLE site (
  site_id    TEXT    NOT NULL PRIMARY KEY,
  org_id     TEXT    NOT NULL REFERENCES org(org_id),
  name       TEXT    NOT NULL UNIQUE COLLATE NOCASE,
  tenant_id  TEXT    NOT NULL UNIQUE COLLATE NOCASE,
  labels     TEXT    NOT NULL CHECK (json_valid(labels)),
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE host (
  host_id        TEXT    NOT NULL PRIMARY KEY,
  org_id         TEXT    NOT NULL REFERENCES org(org_id),
  site_id        TEXT    NOT NULL REFERENCES site(site_id),
  name           TEXT    NOT NULL UNIQUE COLLATE NOCASE,
  roles          TEXT    NOT NULL CHECK (json_valid(roles)),
  computer_name  TEXT,
  inventory      TEXT    CHECK (json_valid(inventory)),
  inventoried_at INTEGER,
  created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX host_by_site ON host(site_id);

-- One row per host. A new enrolment takes the row over, so nothing refers to agent_id by a foreign key.
CREATE TABLE agent (
  host_id            TEXT    NOT NULL PRIMARY KEY REFERENCES host(host_id),
  agent_id           TEXT    NOT NULL UNIQUE,
  certificate_serial TEXT    NOT NULL UNIQUE,
  generation         INTEGER NOT NULL CHECK (generation >= 1),
  state              TEXT    NOT NULL CHECK (state IN ('enrolled', 'online', 'silent', 'quarantined')),
  session            TEXT,
  version            TEXT,
  capabilities       TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(capabilities)),
  transfer_address   TEXT,
  last_heartbeat_at  INTEGER,
  journal_seq        INTEGER NOT NULL DEFAULT 0,
  applied_seq        INTEGER NOT NULL DEFAULT 0,
  enrolled_at        INTEGER NOT NULL
) STRICT;
CREATE TRIGGER agent_update BEFORE UPDATE ON agent BEGIN
  SELECT RAISE(ABORT, 'the generation of a certificate never decreases') WHERE NEW.generation < OLD.generation;
END;

CREATE TABLE enrolment_token (
  hash       TEXT    NOT NULL PRIMARY KEY,
  host_id    TEXT    NOT NULL REFERENCES host(host_id),
  expires_at INTEGER NOT NULL,
  uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
  actor      TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE operator (
  operator_id TEXT    NOT NULL PRIMARY KEY,
  name        TEXT    NOT NULL UNIQUE COLLATE NOCASE,
  fingerprint TEXT    NOT NULL UNIQUE,
  serial      TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  revoked_at  INTEGER
) STRICT;

-- One row per physical database. What makes it that one is physical_key, never a name.
CREATE TABLE adsync_db (
  db_uid              TEXT    NOT NULL PRIMARY KEY,
  org_id              TEXT    NOT NULL REFERENCES org(org_id),
  site_id             TEXT    NOT NULL REFERENCES site(site_id),
  physical_key        TEXT    NOT NULL UNIQUE,
  database_guid       TEXT,
  family_guid         TEXT,
  recovery_fork_guid  TEXT,
  service_broker_guid TEXT,
  group_database_id   TEXT,
  server_name         TEXT    NOT NULL,
  host_id             TEXT    NOT NULL REFERENCES host(host_id),
  instance            TEXT    NOT NULL,
  database_name       TEXT    NOT NULL,
  identity_state      TEXT    NOT NULL CHECK (identity_state IN ('provisional', 'confirmed', 'suspect', 'retired')),
  seen_at             INTEGER NOT NULL,
  facts               TEXT    NOT NULL CHECK (json_valid(facts)),
  created_at          INTEGER NOT NULL
) STRICT;
CREATE INDEX adsync_db_by_site ON adsync_db(site_id);
CREATE TRIGGER adsync_db_delete BEFORE DELETE ON adsync_db BEGIN
  SELECT RAISE(ABORT, 'databases are retired, never deleted');
END;

CREATE TABLE adsync_db_alias (
  endpoint TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  db_uid   TEXT NOT NULL REFERENCES adsync_db(db_uid)
) STRICT;
CREATE INDEX adsync_db_alias_by_db ON adsync_db_alias(db_uid);

CREATE TABLE migration (
  migration_id TEXT    NOT NULL PRIMARY KEY,
  org_id       TEXT    NOT NULL REFERENCES org(org_id),
  site_id      TEXT    NOT NULL REFERENCES site(site_id),
  scenario     TEXT    NOT NULL,
  request      TEXT    NOT NULL CHECK (json_valid(request)),
  actor        TEXT    NOT NULL,
  state        TEXT    NOT NULL,
  plan         TEXT    CHECK (json_valid(plan)),
  plan_digest  TEXT,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX migration_by_site ON migration(site_id);
CREATE INDEX migration_by_state ON migration(state);

CREATE TABLE inspection (
  inspection_id TEXT    NOT NULL PRIMARY KEY,
  host_id       TEXT    NOT NULL REFERENCES host(host_id),
  request       TEXT    NOT NULL CHECK (json_valid(request)),
  purpose       TEXT    NOT NULL,
  migration_id  TEXT    REFERENCES migration(migration_id),
  state         TEXT    NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
  inventory     TEXT    CHECK (json_valid(inventory)),
  error         TEXT,
  created_at    INTEGER NOT NULL,
  completed_at  INTEGER
) STRICT;
CREATE INDEX inspection_pending ON inspection(host_id) WHERE state = 'pending';
CREATE INDEX inspection_by_migration ON inspection(migration_id);

CREATE TABLE job (
  job_id       TEXT    NOT NULL PRIMARY KEY,
  migration_id TEXT    NOT NULL REFERENCES migration(migration_id),
  stage        INTEGER NOT NULL,
  ordinal      INTEGER NOT NULL,
  name         TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  host_id      TEXT    NOT NULL REFERENCES host(host_id),
  resource     TEXT    NOT NULL,
  state        TEXT    NOT NULL,
  spec         BLOB,
  digest       TEXT,
  outcome      TEXT    CHECK (json_valid(outcome)),
  failure      TEXT    CHECK (json_valid(failure)),
  progress     TEXT    CHECK (json_valid(progress)),
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  UNIQUE (migration_id, name),
  UNIQUE (migration_id, stage, ordinal),
  CHECK ((spec IS NULL) = (digest IS NULL))
) STRICT;
CREATE INDEX job_by_host ON job(host_id, state);
CREATE INDEX job_by_state ON job(state);

CREATE TABLE attempt (
  job_id       TEXT    NOT NULL REFERENCES job(job_id),
  attempt      INTEGER NOT NULL CHECK (attempt >= 1),
  agent_id     TEXT    NOT NULL,
  epoch        INTEGER NOT NULL,
  incarnation  INTEGER NOT NULL,
  digest       TEXT    NOT NULL,
  undo         INTEGER NOT NULL CHECK (undo IN (0, 1)),
  state        TEXT    NOT NULL
     CHECK (state IN ('offered', 'accepted', 'succeeded', 'failed', 'cancelled', 'unknown', 'superseded')),
  permit_until INTEGER,
  opened_at    INTEGER NOT NULL,
  ended_at     INTEGER,
  PRIMARY KEY (job_id, attempt)
) STRICT;
CREATE UNIQUE INDEX attempt_one_open ON attempt(job_id) WHERE state IN ('offered', 'accepted', 'unknown');
CREATE INDEX attempt_open_by_agent ON attempt(agent_id) WHERE state IN ('offered', 'accepted', 'unknown');
CREATE TRIGGER attempt_insert BEFORE INSERT ON attempt BEGIN
  SELECT RAISE(ABORT, 'attempts are counted without gaps')
   WHERE NEW.attempt <> 1 + (SELECT COALESCE(MAX(attempt), 0) FROM attempt WHERE job_id = NEW.job_id);
END;
CREATE TRIGGER attempt_update BEFORE UPDATE ON attempt BEGIN
  SELECT RAISE(ABORT, 'an attempt that ended never changes')
   WHERE OLD.state IN ('succeeded', 'failed', 'cancelled', 'superseded');
  SELECT RAISE(ABORT, 'the token of an attempt never changes')
   WHERE NEW.job_id <> OLD.job_id OR NEW.attempt <> OLD.attempt OR NEW.agent_id <> OLD.agent_id OR NEW.epoch <> OLD.epoch
      OR NEW.incarnation <> OLD.incarnation OR NEW.digest <> OLD.digest OR NEW.undo <> OLD.undo;
END;
CREATE TRIGGER attempt_delete BEFORE DELETE ON attempt BEGIN
  SELECT RAISE(ABORT, 'attempts are never deleted');
END;

CREATE TABLE step (
  job_id     TEXT    NOT NULL,
  attempt    INTEGER NOT NULL,
  ordinal    INTEGER NOT NULL,
  name       TEXT    NOT NULL,
  state      TEXT    NOT NULL,
  detail     TEXT    NOT NULL CHECK (json_valid(detail)),
  started_at INTEGER,
  ended_at   INTEGER,
  PRIMARY KEY (job_id, attempt, ordinal),
  FOREIGN KEY (job_id, attempt) REFERENCES attempt(job_id, attempt)
) STRICT;

CREATE TABLE gate (
  gate_id      TEXT    NOT NULL PRIMARY KEY,
  migration_id TEXT    NOT NULL REFERENCES migration(migration_id),
  job_id       TEXT    NOT NULL REFERENCES job(job_id),
  title        TEXT    NOT NULL,
  cards        TEXT    NOT NULL CHECK (json_valid(cards)),
  state        TEXT    NOT NULL CHECK (state IN ('open', 'claimed', 'proven', 'cancelled')),
  claimed_by   TEXT,
  observation  TEXT    CHECK (json_valid(observation)),
  opened_at    INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX gate_by_migration ON gate(migration_id);
CREATE UNIQUE INDEX gate_one_open ON gate(job_id, title) WHERE state IN ('open', 'claimed');

CREATE TABLE artifact (
  artifact_id  TEXT    NOT NULL PRIMARY KEY,
  migration_id TEXT    NOT NULL REFERENCES migration(migration_id),
  host_id      TEXT    NOT NULL REFERENCES host(host_id),
  manifest     TEXT    NOT NULL CHECK (json_valid(manifest)),
  created_at   INTEGER NOT NULL,
  deleted_at   INTEGER
) STRICT;
CREATE INDEX artifact_by_migration ON artifact(migration_id);
CREATE TRIGGER artifact_update BEFORE UPDATE ON artifact BEGIN
  SELECT RAISE(ABORT, 'the manifest of an artifact never changes')
   WHERE NEW.artifact_id <> OLD.artifact_id OR NEW.manifest <> OLD.manifest;
END;
