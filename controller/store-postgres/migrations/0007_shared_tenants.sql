-- Two sites may name the same tenant: their tenant's export is one lease.

DROP INDEX site_tenant;
CREATE INDEX site_by_tenant ON site(lower(tenant_id));
