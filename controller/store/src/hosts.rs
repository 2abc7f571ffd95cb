//! Hosts: the machines, and what was last seen on them.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::{HostId, Millis, OrgId, SiteId};

use crate::error::Result;
use crate::words::words;

words! {
    /// What a host is for.
    HostRole {
        /// SQL Server runs there.
        SqlHost = "sql-host",
        /// Connect runs there, or will.
        ConnectServer = "connect-server",
    }
}

/// A host to be added. Its organisation is its site's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHost {
    /// Its id.
    pub id: HostId,
    /// Its site.
    pub site: SiteId,
    /// Its name; unique over all sites, whatever the case of its letters.
    pub name: String,
    /// What it is for.
    pub roles: Vec<HostRole>,
}

/// A host.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Whose it is.
    pub org: OrgId,
    /// Its site.
    pub site: SiteId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub roles: Vec<HostRole>,
    /// The name the computer gives itself, once an agent told.
    pub computer_name: Option<String>,
    /// What was last found on it: a `shared::inventory::Inventory`.
    pub inventory: Option<Value>,
    /// When that was stored.
    pub inventoried_at: Option<Millis>,
    /// When it was added.
    pub created_at: Millis,
}

/// Hosts.
#[async_trait]
pub trait Hosts {
    /// Adds one. [`Cause::Conflict`](crate::Cause::Conflict) when its name is taken,
    /// [`Cause::Missing`](crate::Cause::Missing) when there is no such site.
    async fn add_host(&mut self, new: &NewHost) -> Result<Host>;
    /// Reads one.
    async fn host(&mut self, id: HostId) -> Result<Option<Host>>;
    /// Finds one by its name.
    async fn host_named(&mut self, name: &str) -> Result<Option<Host>>;
    /// Those of one site, or every one; by name.
    async fn hosts(&mut self, site: Option<SiteId>) -> Result<Vec<Host>>;
    /// Keeps what was found on it.
    async fn set_host_facts(&mut self, id: HostId, computer_name: Option<&str>, inventory: &Value) -> Result<()>;
}
