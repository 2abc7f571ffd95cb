-- Two sites may name the same tenant: their tenant's export is one lease. SQLite cannot drop a UNIQUE from a table, so the table is
-- made anew; the runner of migrations has foreign keys off meanwhile and checks them before it commits.

CREATE TABLE site_without_unique_tenant (
  site_id    TEXT    NOT NULL PRIMARY KEY,
  org_id     TEXT    NOT NULL REFERENCES org(org_id),
  name       TEXT    NOT NULL UNIQUE COLLATE NOCASE,
  tenant_id  TEXT    NOT NULL COLLATE NOCASE,
  labels     TEXT    NOT NULL CHECK (json_valid(labels)),
  created_at INTEGER NOT NULL
) STRICT;
INSERT INTO site_without_unique_tenant(site_id, org_id, name, tenant_id, labels, created_at)
SELECT site_id, org_id, name, tenant_id, labels, created_at FROM site;
DROP TABLE site;
ALTER TABLE site_without_unique_tenant RENAME TO site;
CREATE INDEX site_by_tenant ON site(tenant_id);
