//! Hosts, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::{HostId, SiteId};
use syncferry_store::{Cause, Host, HostRole, Hosts, NewHost, Result};

use crate::row::{Columns as _, Read, corrupt};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Host> {
    let role = |w: String| HostRole::parse(&w).ok_or_else(|| corrupt("roles", &w));
    Ok(Host {
        id: row.parsed("host_id")?,
        org: row.parsed("org_id")?,
        site: row.parsed("site_id")?,
        name: row.text("name")?,
        roles: row.texts("roles")?.into_iter().map(role).collect::<Read<_>>()?,
        computer_name: row.opt_text("computer_name")?,
        inventory: row.opt_json("inventory")?,
        inventoried_at: row.opt_at("inventoried_at")?,
        created_at: row.at("created_at")?,
    })
}

#[async_trait]
impl Hosts for PgTx {
    async fn add_host(&mut self, new: &NewHost) -> Result<Host> {
        let roles: Vec<&str> = new.roles.iter().map(|r| r.as_str()).collect();
        let query = sqlx::query(
            "INSERT INTO host(host_id, org_id, site_id, name, roles, created_at)
             SELECT $1, org_id, site_id, $3, $4, $5 FROM site WHERE site_id = $2
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.site.to_string())
        .bind(new.name.clone())
        .bind(Value::from(roles).to_string())
        .bind(self.now.0);
        self.written(query, read, || format!("site {}", new.site)).await
    }

    async fn host(&mut self, id: HostId) -> Result<Option<Host>> {
        self.find(
            sqlx::query("SELECT * FROM host WHERE host_id = $1").bind(id.to_string()),
            read,
        )
        .await
    }

    async fn host_named(&mut self, name: &str) -> Result<Option<Host>> {
        self.find(
            sqlx::query("SELECT * FROM host WHERE lower(name) = lower($1 COLLATE \"C\")").bind(name.to_string()),
            read,
        )
        .await
    }

    async fn hosts(&mut self, site: Option<SiteId>) -> Result<Vec<Host>> {
        let query = sqlx::query("SELECT * FROM host WHERE $1 IS NULL OR site_id = $1 ORDER BY lower(name)");
        self.list(query.bind(site.map(|s| s.to_string())), read).await
    }

    async fn set_host_facts(&mut self, id: HostId, computer_name: Option<&str>, inventory: &Value) -> Result<()> {
        let query = sqlx::query(
            "UPDATE host SET computer_name = COALESCE($2, computer_name), inventory = $3, inventoried_at = $4
              WHERE host_id = $1",
        )
        .bind(id.to_string())
        .bind(computer_name.map(str::to_string))
        .bind(inventory.to_string())
        .bind(self.now.0);
        match self.exec(query).await? {
            1 => Ok(()),
            _ => Err(self.fail(Cause::Missing(format!("host {id}")))),
        }
    }
}
