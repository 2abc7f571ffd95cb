//! Migrations, in memory.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::MigrationId;
use syncferry_shared::state::MigrationState;
use syncferry_store::{Migration, MigrationFilter, Migrations, NewMigration, Result};

use crate::tx::{MemoryTx, in_table};

#[async_trait]
impl Migrations for MemoryTx {
    async fn add_migration(&mut self, new: &NewMigration) -> Result<Migration> {
        let Some(site) = self.data.sites.get(&new.site) else {
            return Err(self.missing(format!("site {}", new.site)));
        };
        let migration = Migration {
            id: new.id,
            org: site.org,
            site: new.site,
            scenario: new.scenario,
            request: new.request.clone(),
            actor: new.actor.clone(),
            state: MigrationState::Inspecting,
            plan: None,
            plan_digest: None,
            created_at: self.now,
            updated_at: self.now,
        };
        self.put(|d| &mut d.migrations, new.id, migration.clone())?;
        Ok(migration)
    }

    async fn migration(&mut self, id: MigrationId) -> Result<Option<Migration>> {
        Ok(self.data.migrations.get(&id).cloned())
    }

    async fn migrations(&mut self, filter: &MigrationFilter) -> Result<Vec<Migration>> {
        let fits = |m: &&Migration| {
            filter.site.is_none_or(|s| m.site == s) && (filter.states.is_empty() || filter.states.contains(&m.state))
        };
        let mut found: Vec<Migration> = self.data.migrations.values().filter(fits).cloned().collect();
        found.sort_by_key(|m| std::cmp::Reverse((m.created_at, m.id)));
        Ok(found)
    }

    async fn set_plan(&mut self, id: MigrationId, plan: &Value, digest: &str) -> Result<()> {
        use MigrationState::{Blocked, Inspecting, Planned};
        let now = self.now;
        let migration = self.row(|d| &mut d.migrations, &id, || format!("migration {id}"))?;
        let found = migration.state;
        if !matches!(found, Inspecting | Planned | Blocked) {
            return Err(self.moved(format!("migration {id}"), "before its first run", found.as_str()));
        }
        migration.plan = Some(plan.clone());
        migration.plan_digest = Some(digest.to_string());
        migration.updated_at = now;
        Ok(())
    }

    async fn transition_migration(&mut self, id: MigrationId, from: MigrationState, to: MigrationState) -> Result<()> {
        in_table!(self, "migration", MigrationState, from, to);
        let now = self.now;
        let migration = self.row(|d| &mut d.migrations, &id, || format!("migration {id}"))?;
        let found = migration.state;
        if found != from {
            return Err(self.moved(format!("migration {id}"), from.as_str(), found.as_str()));
        }
        migration.state = to;
        migration.updated_at = now;
        Ok(())
    }
}

impl MemoryTx {
    /// Refuses what refers to a migration that is not there.
    pub(crate) fn needs_migration(&self, id: MigrationId) -> Result<()> {
        if self.data.migrations.contains_key(&id) {
            Ok(())
        } else {
            Err(self.missing("something that this refers to"))
        }
    }
}
