//! Organisations: whose sites these are. A default one exists from the first opening on.

use async_trait::async_trait;
use syncferry_shared::{Millis, OrgId};

use crate::error::Result;

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// Its name; unique.
    pub name: String,
    /// When it was added.
    pub created_at: Millis,
}

/// Organisations.
#[async_trait]
pub trait Orgs {
    /// The one that exists from the beginning.
    async fn default_org(&mut self) -> Result<Org>;
    /// Adds one. [`Cause::Conflict`](crate::Cause::Conflict) when the name is taken.
    async fn add_org(&mut self, id: OrgId, name: &str) -> Result<Org>;
    /// Every one, by name.
    async fn orgs(&mut self) -> Result<Vec<Org>>;
}
