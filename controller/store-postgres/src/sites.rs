//! Sites, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::SiteId;
use syncferry_store::{NewSite, Result, Site, Sites};

use crate::row::{Columns as _, Read, corrupt};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Site> {
    Ok(Site {
        id: row.parsed("site_id")?,
        org: row.parsed("org_id")?,
        name: row.text("name")?,
        tenant_id: row.text("tenant_id")?,
        labels: serde_json::from_str(&row.text("labels")?).map_err(|e| corrupt("labels", &e))?,
        created_at: row.at("created_at")?,
    })
}

#[async_trait]
impl Sites for PgTx {
    async fn add_site(&mut self, new: &NewSite) -> Result<Site> {
        let labels: serde_json::Map<_, _> = new.labels.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        let query = sqlx::query(
            "INSERT INTO site(site_id, org_id, name, tenant_id, labels, created_at)
             SELECT $1, org_id, $3, $4, $5, $6 FROM org WHERE org_id = $2
             RETURNING site_id, org_id, name, tenant_id, labels, created_at",
        )
        .bind(new.id.to_string())
        .bind(new.org.to_string())
        .bind(new.name.clone())
        .bind(new.tenant_id.clone())
        .bind(serde_json::Value::Object(labels).to_string())
        .bind(self.now.0);
        self.written(query, read, || format!("organisation {}", new.org)).await
    }

    async fn site(&mut self, id: SiteId) -> Result<Option<Site>> {
        let query =
            sqlx::query("SELECT site_id, org_id, name, tenant_id, labels, created_at FROM site WHERE site_id = $1");
        self.find(query.bind(id.to_string()), read).await
    }

    async fn site_named(&mut self, name: &str) -> Result<Option<Site>> {
        let query = sqlx::query(
            "SELECT site_id, org_id, name, tenant_id, labels, created_at FROM site WHERE lower(name) = lower($1 COLLATE \"C\")",
        );
        self.find(query.bind(name.to_string()), read).await
    }

    async fn sites(&mut self) -> Result<Vec<Site>> {
        let query =
            sqlx::query("SELECT site_id, org_id, name, tenant_id, labels, created_at FROM site ORDER BY lower(name)");
        self.list(query, read).await
    }
}
