//! Organisations, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::OrgId;
use syncferry_store::{Org, Orgs, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Org> {
    Ok(Org {
        id: row.parsed("org_id")?,
        name: row.text("name")?,
        created_at: row.at("created_at")?,
    })
}

#[async_trait]
impl Orgs for PgTx {
    async fn default_org(&mut self) -> Result<Org> {
        let query = sqlx::query("SELECT org_id, name, created_at FROM org WHERE is_default = 1");
        self.need(query, read, || "the default organisation".into()).await
    }

    async fn add_org(&mut self, id: OrgId, name: &str) -> Result<Org> {
        let query = sqlx::query(
            "INSERT INTO org(org_id, name, is_default, created_at) VALUES ($1, $2, 0, $3)
             RETURNING org_id, name, created_at",
        );
        let query = query.bind(id.to_string()).bind(name.to_string()).bind(self.now.0);
        self.written(query, read, || format!("organisation {id}")).await
    }

    async fn orgs(&mut self) -> Result<Vec<Org>> {
        self.list(
            sqlx::query("SELECT org_id, name, created_at FROM org ORDER BY lower(name)"),
            read,
        )
        .await
    }
}
