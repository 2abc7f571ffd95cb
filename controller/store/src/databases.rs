//! Databases: one row for each physical ADSync database, known by what the server itself reports, and every name under
//! which somebody addressed it.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::{DatabaseId, HostId, Millis, OrgId, SiteId};
use uuid::Uuid;

use crate::error::Result;
use crate::words::words;

words! {
    /// How sure we are that a row is one database.
    IdentityState {
        /// Known, and not yet seen through every name.
        Provisional = "provisional",
        /// Sure.
        Confirmed = "confirmed",
        /// A copy, a move or a restore: a person must look.
        Suspect = "suspect",
        /// Gone. Its key is free for another row.
        Retired = "retired",
    }
}

/// The GUIDs that SQL Server reports of a database. Unknown is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatabaseGuids {
    /// `database_guid`.
    pub database: Option<Uuid>,
    /// `family_guid`: kept for life and by every copy.
    pub family: Option<Uuid>,
    /// `recovery_fork_guid`: changes when history forks.
    pub recovery_fork: Option<Uuid>,
    /// `service_broker_guid`: kept by restore and attach.
    pub service_broker: Option<Uuid>,
    /// `group_database_id`, in an availability group.
    pub group_database: Option<Uuid>,
}

/// A database to be added. Its organisation is its site's.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDatabase {
    /// Our id for it.
    pub id: DatabaseId,
    /// Its site.
    pub site: SiteId,
    /// `inst:<ServerName>|<database_guid>` or `ag:<group>:<group_database_id>`; unique.
    pub physical_key: String,
    /// What the server reports.
    pub guids: DatabaseGuids,
    /// `ServerName`, as the server itself reports it.
    pub server_name: String,
    /// The host whose agent reaches it.
    pub host: HostId,
    /// Where that agent finds it: instance by its configuration, and name.
    pub address: DatabaseAddress,
    /// How sure we are.
    pub identity_state: IdentityState,
    /// What else was seen of it: a `shared::inventory::DatabaseFacts`.
    pub facts: Value,
}

/// A database.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Our id for it.
    pub id: DatabaseId,
    /// Whose it is.
    pub org: OrgId,
    /// Its site.
    pub site: SiteId,
    /// What makes it this database and no other.
    pub physical_key: String,
    /// What the server reports.
    pub guids: DatabaseGuids,
    /// `ServerName`.
    pub server_name: String,
    /// The host whose agent reaches it.
    pub host: HostId,
    /// Where that agent finds it.
    pub address: DatabaseAddress,
    /// How sure we are.
    pub identity_state: IdentityState,
    /// When it was last seen.
    pub seen_at: Millis,
    /// What else was seen of it.
    pub facts: Value,
    /// When it was added.
    pub created_at: Millis,
}

/// Databases.
#[async_trait]
pub trait Databases {
    /// Adds one. [`Cause::Conflict`](crate::Cause::Conflict) when its physical key is known: it is that database.
    async fn add_database(&mut self, new: &NewDatabase) -> Result<Database>;
    /// Reads one.
    async fn database(&mut self, id: DatabaseId) -> Result<Option<Database>>;
    /// Finds one by its physical key.
    async fn database_by_key(&mut self, physical_key: &str) -> Result<Option<Database>>;
    /// Finds one by a name under which it was addressed before.
    async fn database_by_endpoint(&mut self, endpoint: &str) -> Result<Option<Database>>;
    /// Those of one site, or every one; the retired ones too.
    async fn databases(&mut self, site: Option<SiteId>) -> Result<Vec<Database>>;
    /// Remembers a name for it. Idempotent; [`Cause::Conflict`](crate::Cause::Conflict) when the name means another one.
    async fn add_database_endpoint(&mut self, id: DatabaseId, endpoint: &str) -> Result<()>;
    /// The names that it was addressed by.
    async fn database_endpoints(&mut self, id: DatabaseId) -> Result<Vec<String>>;
    /// It is something else now (restored, moved into a group): its key, GUIDs and server name.
    async fn set_database_identity(
        &mut self,
        id: DatabaseId,
        physical_key: &str,
        guids: &DatabaseGuids,
        server_name: &str,
    ) -> Result<()>;
    /// Where its agent finds it now.
    async fn set_database_address(&mut self, id: DatabaseId, host: HostId, address: &DatabaseAddress) -> Result<()>;
    /// How sure we are now, if we were `from`.
    async fn set_identity_state(&mut self, id: DatabaseId, from: IdentityState, to: IdentityState) -> Result<()>;
    /// It was seen, and this is what was seen.
    async fn set_database_facts(&mut self, id: DatabaseId, facts: &Value) -> Result<()>;
    /// It is gone. The row stays; its physical key gets a suffix, and its names are forgotten, so that both are free.
    async fn retire_database(&mut self, id: DatabaseId) -> Result<()>;
}
