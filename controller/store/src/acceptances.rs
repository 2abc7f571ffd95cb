//! Acceptances: warnings of a migration's plan that somebody took upon them, with a reason, for good or until a moment. They
//! are never changed: whoever accepts again adds another one.

use async_trait::async_trait;
use syncferry_shared::{AcceptanceId, MigrationId, Millis};

use crate::error::Result;

/// A warning to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAcceptance {
    /// The id.
    pub id: AcceptanceId,
    /// Of which migration.
    pub migration: MigrationId,
    /// The rule whose warning it is.
    pub rule: String,
    /// Who accepts it.
    pub actor: String,
    /// Why; never empty.
    pub reason: String,
    /// Until when it counts; `None` for as long as the migration lasts.
    pub until: Option<Millis>,
}

/// An accepted warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The id.
    pub id: AcceptanceId,
    /// Of which migration.
    pub migration: MigrationId,
    /// The rule.
    pub rule: String,
    /// Who accepted it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Millis,
    /// Until when it counts.
    pub until: Option<Millis>,
}

impl Acceptance {
    /// Whether it counts at a moment.
    pub fn counts(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Acceptances.
#[async_trait]
pub trait Acceptances {
    /// Accepts a warning. `Guard` for one without a reason, or that would be over already.
    async fn add_acceptance(&mut self, new: &NewAcceptance) -> Result<Acceptance>;
    /// Those of a migration, oldest first, also those that are over.
    async fn acceptances(&mut self, migration: MigrationId) -> Result<Vec<Acceptance>>;
}
