//! Sites: one Entra tenant's synchronisation each.

use std::collections::BTreeMap;

use async_trait::async_trait;
use syncferry_shared::{Millis, OrgId, SiteId};

use crate::error::Result;

/// A site to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSite {
    /// Its id.
    pub id: SiteId,
    /// Whose it is.
    pub org: OrgId,
    /// Its name; unique, whatever the case of its letters.
    pub name: String,
    /// The tenant, as it was typed. Sites that name the same one share its export.
    pub tenant_id: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Whose it is.
    pub org: OrgId,
    /// Its name.
    pub name: String,
    /// The tenant.
    pub tenant_id: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was added.
    pub created_at: Millis,
}

/// Sites.
#[async_trait]
pub trait Sites {
    /// Adds one. [`Cause::Conflict`](crate::Cause::Conflict) when its name is taken.
    async fn add_site(&mut self, new: &NewSite) -> Result<Site>;
    /// Reads one.
    async fn site(&mut self, id: SiteId) -> Result<Option<Site>>;
    /// Finds one by its name.
    async fn site_named(&mut self, name: &str) -> Result<Option<Site>>;
    /// Every one, by name.
    async fn sites(&mut self) -> Result<Vec<Site>>;
}
