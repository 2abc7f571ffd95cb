//! Migrations, on PostgreSQL.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use syncferry_shared::MigrationId;
use syncferry_shared::plan::Scenario;
use syncferry_shared::state::MigrationState;
use syncferry_store::{Migration, MigrationFilter, Migrations, NewMigration, Result};

use crate::row::{Columns as _, Read, word_list};
use crate::tx::{PgTx, Query, in_table};

fn read(row: &PgRow) -> Read<Migration> {
    Ok(Migration {
        id: row.parsed("migration_id")?,
        org: row.parsed("org_id")?,
        site: row.parsed("site_id")?,
        scenario: row.word("scenario", Scenario::parse)?,
        request: row.json("request")?,
        actor: row.text("actor")?,
        state: row.parsed("state")?,
        plan: row.opt_json("plan")?,
        plan_digest: row.opt_text("plan_digest")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

fn state_of(id: MigrationId) -> Query<'static> {
    sqlx::query("SELECT state AS found FROM migration WHERE migration_id = $1").bind(id.to_string())
}

#[async_trait]
impl Migrations for PgTx {
    async fn add_migration(&mut self, new: &NewMigration) -> Result<Migration> {
        let query = sqlx::query(
            "INSERT INTO migration(migration_id, org_id, site_id, scenario, request, actor, state, created_at, updated_at)
             SELECT $1, org_id, site_id, $3, $4, $5, 'inspecting', $6, $6 FROM site WHERE site_id = $2
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.site.to_string())
        .bind(new.scenario.as_str())
        .bind(new.request.to_string())
        .bind(new.actor.clone())
        .bind(self.now.0);
        self.written(query, read, || format!("site {}", new.site)).await
    }

    async fn migration(&mut self, id: MigrationId) -> Result<Option<Migration>> {
        let query = sqlx::query("SELECT * FROM migration WHERE migration_id = $1");
        self.find(query.bind(id.to_string()), read).await
    }

    async fn migrations(&mut self, filter: &MigrationFilter) -> Result<Vec<Migration>> {
        let query = sqlx::query(
            "SELECT * FROM migration
              WHERE ($1 IS NULL OR site_id = $1)
                AND ($2 IS NULL OR state IN (SELECT json_array_elements_text($2::json)))
              ORDER BY created_at DESC, migration_id DESC",
        )
        .bind(filter.site.map(|s| s.to_string()))
        .bind(word_list(&filter.states, MigrationState::as_str));
        self.list(query, read).await
    }

    async fn set_plan(&mut self, id: MigrationId, plan: &Value, digest: &str) -> Result<()> {
        let update = sqlx::query(
            "UPDATE migration SET plan = $2, plan_digest = $3, updated_at = $4
              WHERE migration_id = $1 AND state IN ('inspecting', 'planned', 'blocked')",
        )
        .bind(id.to_string())
        .bind(plan.to_string())
        .bind(digest.to_string())
        .bind(self.now.0);
        self.guarded(
            update,
            state_of(id),
            || format!("migration {id}"),
            "before its first run",
        )
        .await
    }

    async fn transition_migration(&mut self, id: MigrationId, from: MigrationState, to: MigrationState) -> Result<()> {
        in_table!(self, "migration", MigrationState, from, to);
        let update =
            sqlx::query("UPDATE migration SET state = $3, updated_at = $4 WHERE migration_id = $1 AND state = $2")
                .bind(id.to_string())
                .bind(from.as_str())
                .bind(to.as_str())
                .bind(self.now.0);
        self.guarded(update, state_of(id), || format!("migration {id}"), from.as_str())
            .await
    }
}
