//! Databases and the names they were addressed by, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::{DatabaseId, HostId, SiteId};
use syncferry_store::{Cause, Database, DatabaseGuids, Databases, IdentityState, NewDatabase, Result};

use crate::row::{Columns as _, Read};
use crate::tx::{PgTx, Query};

fn read(row: &PgRow) -> Read<Database> {
    Ok(Database {
        id: row.parsed("db_uid")?,
        org: row.parsed("org_id")?,
        site: row.parsed("site_id")?,
        physical_key: row.text("physical_key")?,
        guids: DatabaseGuids {
            database: row.opt_parsed("database_guid")?,
            family: row.opt_parsed("family_guid")?,
            recovery_fork: row.opt_parsed("recovery_fork_guid")?,
            service_broker: row.opt_parsed("service_broker_guid")?,
            group_database: row.opt_parsed("group_database_id")?,
        },
        server_name: row.text("server_name")?,
        host: row.parsed("host_id")?,
        address: DatabaseAddress {
            instance: row.text("instance")?,
            database: row.text("database_name")?,
        },
        identity_state: row.word("identity_state", IdentityState::parse)?,
        seen_at: row.at("seen_at")?,
        facts: row.json("facts")?,
        created_at: row.at("created_at")?,
    })
}

/// Binds the five GUIDs, in the order of the columns.
fn bind_guids<'q>(query: Query<'q>, guids: &DatabaseGuids) -> Query<'q> {
    let text = |g: Option<uuid::Uuid>| g.map(|g| g.hyphenated().to_string());
    query
        .bind(text(guids.database))
        .bind(text(guids.family))
        .bind(text(guids.recovery_fork))
        .bind(text(guids.service_broker))
        .bind(text(guids.group_database))
}

#[async_trait]
impl Databases for PgTx {
    async fn add_database(&mut self, new: &NewDatabase) -> Result<Database> {
        let query = sqlx::query(
            "INSERT INTO adsync_db(db_uid, org_id, site_id, physical_key, server_name, host_id, instance, database_name,
               identity_state, seen_at, facts, created_at,
               database_guid, family_guid, recovery_fork_guid, service_broker_guid, group_database_id)
             SELECT $1, org_id, site_id, $3, $4, $5, $6, $7, $8, $9, $10, $9, $11, $12, $13, $14, $15
               FROM site WHERE site_id = $2
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.site.to_string())
        .bind(new.physical_key.clone())
        .bind(new.server_name.clone())
        .bind(new.host.to_string())
        .bind(new.address.instance.clone())
        .bind(new.address.database.clone())
        .bind(new.identity_state.as_str())
        .bind(self.now.0)
        .bind(new.facts.to_string());
        let query = bind_guids(query, &new.guids);
        self.written(query, read, || format!("site {}", new.site)).await
    }

    async fn database(&mut self, id: DatabaseId) -> Result<Option<Database>> {
        let query = sqlx::query("SELECT * FROM adsync_db WHERE db_uid = $1");
        self.find(query.bind(id.to_string()), read).await
    }

    async fn database_by_key(&mut self, physical_key: &str) -> Result<Option<Database>> {
        let query = sqlx::query("SELECT * FROM adsync_db WHERE physical_key = $1");
        self.find(query.bind(physical_key.to_string()), read).await
    }

    async fn database_by_endpoint(&mut self, endpoint: &str) -> Result<Option<Database>> {
        let query = sqlx::query(
            "SELECT d.* FROM adsync_db d JOIN adsync_db_alias a ON a.db_uid = d.db_uid WHERE lower(a.endpoint) = lower($1 COLLATE \"C\")",
        );
        self.find(query.bind(endpoint.to_string()), read).await
    }

    async fn databases(&mut self, site: Option<SiteId>) -> Result<Vec<Database>> {
        let query = sqlx::query("SELECT * FROM adsync_db WHERE $1 IS NULL OR site_id = $1 ORDER BY created_at, db_uid");
        self.list(query.bind(site.map(|s| s.to_string())), read).await
    }

    async fn add_database_endpoint(&mut self, id: DatabaseId, endpoint: &str) -> Result<()> {
        // Writes nothing where the name is known; whose it is then, is asked afterwards.
        let insert =
            sqlx::query("INSERT INTO adsync_db_alias(endpoint, db_uid) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        self.exec(insert.bind(endpoint.to_string()).bind(id.to_string()))
            .await?;
        let owner = self.database_by_endpoint(endpoint).await?;
        match owner {
            Some(d) if d.id == id => Ok(()),
            Some(d) => Err(self.fail(Cause::Conflict(format!("the name '{endpoint}' (of database {})", d.id)))),
            None => Err(self.fail(Cause::Missing(format!("database {id}")))),
        }
    }

    async fn database_endpoints(&mut self, id: DatabaseId) -> Result<Vec<String>> {
        let query = sqlx::query("SELECT endpoint FROM adsync_db_alias WHERE db_uid = $1 ORDER BY lower(endpoint)");
        self.list(query.bind(id.to_string()), |row| row.text("endpoint")).await
    }

    async fn set_database_identity(
        &mut self,
        id: DatabaseId,
        physical_key: &str,
        guids: &DatabaseGuids,
        server_name: &str,
    ) -> Result<()> {
        let query = sqlx::query(
            "UPDATE adsync_db SET physical_key = $2, server_name = $3, seen_at = $4,
               database_guid = $5, family_guid = $6, recovery_fork_guid = $7, service_broker_guid = $8,
               group_database_id = $9
             WHERE db_uid = $1 AND identity_state <> 'retired'",
        )
        .bind(id.to_string())
        .bind(physical_key.to_string())
        .bind(server_name.to_string())
        .bind(self.now.0);
        let query = bind_guids(query, guids);
        self.live_database(query, id).await
    }

    async fn set_database_address(&mut self, id: DatabaseId, host: HostId, address: &DatabaseAddress) -> Result<()> {
        let query = sqlx::query(
            "UPDATE adsync_db SET host_id = $2, instance = $3, database_name = $4
              WHERE db_uid = $1 AND identity_state <> 'retired'",
        )
        .bind(id.to_string())
        .bind(host.to_string())
        .bind(address.instance.clone())
        .bind(address.database.clone());
        self.live_database(query, id).await
    }

    async fn set_identity_state(&mut self, id: DatabaseId, from: IdentityState, to: IdentityState) -> Result<()> {
        let update = sqlx::query("UPDATE adsync_db SET identity_state = $3 WHERE db_uid = $1 AND identity_state = $2")
            .bind(id.to_string())
            .bind(from.as_str())
            .bind(to.as_str());
        self.guarded(update, state_of(id), || format!("database {id}"), from.as_str())
            .await
    }

    async fn set_database_facts(&mut self, id: DatabaseId, facts: &Value) -> Result<()> {
        let query = sqlx::query(
            "UPDATE adsync_db SET facts = $2, seen_at = $3 WHERE db_uid = $1 AND identity_state <> 'retired'",
        )
        .bind(id.to_string())
        .bind(facts.to_string())
        .bind(self.now.0);
        self.live_database(query, id).await
    }

    async fn retire_database(&mut self, id: DatabaseId) -> Result<()> {
        let query = sqlx::query(
            "UPDATE adsync_db SET identity_state = 'retired', physical_key = physical_key || '#retired:' || db_uid
              WHERE db_uid = $1 AND identity_state <> 'retired'",
        );
        self.live_database(query.bind(id.to_string()), id).await?;
        let names = sqlx::query("DELETE FROM adsync_db_alias WHERE db_uid = $1");
        self.exec(names.bind(id.to_string())).await.map(drop)
    }
}

fn state_of(id: DatabaseId) -> Query<'static> {
    sqlx::query("SELECT identity_state AS found FROM adsync_db WHERE db_uid = $1").bind(id.to_string())
}

impl PgTx {
    /// Runs an update of a database that is not retired.
    async fn live_database(&mut self, update: Query<'_>, id: DatabaseId) -> Result<()> {
        self.guarded(update, state_of(id), || format!("database {id}"), "in use")
            .await
    }
}
