//! Migrations: one run of a scenario for one site each.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::plan::Scenario;
use syncferry_shared::state::MigrationState;
use syncferry_shared::{MigrationId, Millis, OrgId, SiteId};

use crate::error::Result;

/// A migration to be added. Its organisation is its site's; its state is inspecting.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMigration {
    /// Its id.
    pub id: MigrationId,
    /// Its site.
    pub site: SiteId,
    /// What is run.
    pub scenario: Scenario,
    /// What was asked for: a `shared::plan::PlanRequest`.
    pub request: Value,
    /// Who asked.
    pub actor: String,
}

/// A migration.
#[derive(Debug, Clone, PartialEq)]
pub struct Migration {
    /// Its id.
    pub id: MigrationId,
    /// Whose it is.
    pub org: OrgId,
    /// Its site.
    pub site: SiteId,
    /// What is run.
    pub scenario: Scenario,
    /// What was asked for.
    pub request: Value,
    /// Who asked.
    pub actor: String,
    /// Where it stands.
    pub state: MigrationState,
    /// The plan, once it was made: a `shared::plan::Plan`.
    pub plan: Option<Value>,
    /// The plan's digest.
    pub plan_digest: Option<String>,
    /// When it was added.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
}

/// Which migrations. Everything that is `None` or empty does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationFilter {
    /// Of this site.
    pub site: Option<SiteId>,
    /// In one of these states.
    pub states: Vec<MigrationState>,
}

/// Migrations.
#[async_trait]
pub trait Migrations {
    /// Adds one.
    async fn add_migration(&mut self, new: &NewMigration) -> Result<Migration>;
    /// Reads one.
    async fn migration(&mut self, id: MigrationId) -> Result<Option<Migration>>;
    /// Those of a filter, newest first.
    async fn migrations(&mut self, filter: &MigrationFilter) -> Result<Vec<Migration>>;
    /// Keeps the plan. Only while nothing was applied: inspecting, planned or blocked.
    async fn set_plan(&mut self, id: MigrationId, plan: &Value, digest: &str) -> Result<()>;
    /// Moves it, if it is still in `from` and the table has the transition.
    async fn transition_migration(&mut self, id: MigrationId, from: MigrationState, to: MigrationState) -> Result<()>;
}
