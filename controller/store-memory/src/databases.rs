//! Databases and the names they were addressed by, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::{DatabaseId, HostId, SiteId};
use syncferry_store::{Cause, Database, DatabaseGuids, Databases, IdentityState, NewDatabase, Result};

use crate::data::folded;
use crate::tx::MemoryTx;

#[async_trait]
impl Databases for MemoryTx {
    async fn add_database(&mut self, new: &NewDatabase) -> Result<Database> {
        let Some(site) = self.data.sites.get(&new.site) else {
            return Err(self.missing(format!("site {}", new.site)));
        };
        let database = Database {
            id: new.id,
            org: site.org,
            site: new.site,
            physical_key: new.physical_key.clone(),
            guids: new.guids,
            server_name: new.server_name.clone(),
            host: new.host,
            address: new.address.clone(),
            identity_state: new.identity_state,
            seen_at: self.now,
            facts: new.facts.clone(),
            created_at: self.now,
        };
        self.needs_host(new.host)?;
        self.key_is_free(&new.physical_key, new.id)?;
        self.put(|d| &mut d.databases, new.id, database.clone())?;
        Ok(database)
    }

    async fn database(&mut self, id: DatabaseId) -> Result<Option<Database>> {
        Ok(self.data.databases.get(&id).cloned())
    }

    async fn database_by_key(&mut self, physical_key: &str) -> Result<Option<Database>> {
        let found = self.data.databases.values().find(|d| d.physical_key == physical_key);
        Ok(found.cloned())
    }

    async fn database_by_endpoint(&mut self, endpoint: &str) -> Result<Option<Database>> {
        let owner = self.data.endpoints.get(&folded(endpoint));
        Ok(owner.and_then(|(_, id)| self.data.databases.get(id)).cloned())
    }

    async fn databases(&mut self, site: Option<SiteId>) -> Result<Vec<Database>> {
        let of_site = |d: &&Database| site.is_none_or(|s| d.site == s);
        let mut all: Vec<Database> = self.data.databases.values().filter(of_site).cloned().collect();
        all.sort_by_key(|d| (d.created_at, d.id));
        Ok(all)
    }

    async fn add_database_endpoint(&mut self, id: DatabaseId, endpoint: &str) -> Result<()> {
        if !self.data.databases.contains_key(&id) {
            return Err(self.missing(format!("database {id}")));
        }
        match self.data.endpoints.get(&folded(endpoint)) {
            Some((_, owner)) if *owner == id => Ok(()),
            Some((_, owner)) => {
                let taken = format!("the name '{endpoint}' (of database {owner})");
                Err(self.fail(Cause::Conflict(taken)))
            }
            None => self.put(|d| &mut d.endpoints, folded(endpoint), (endpoint.to_string(), id)),
        }
    }

    async fn database_endpoints(&mut self, id: DatabaseId) -> Result<Vec<String>> {
        let of_it = self.data.endpoints.values().filter(|(_, owner)| *owner == id);
        Ok(of_it.map(|(name, _)| name.clone()).collect())
    }

    async fn set_database_identity(
        &mut self,
        id: DatabaseId,
        physical_key: &str,
        guids: &DatabaseGuids,
        server_name: &str,
    ) -> Result<()> {
        self.key_is_free(physical_key, id)?;
        let now = self.now;
        let database = self.live_database(id)?;
        database.physical_key = physical_key.to_string();
        database.guids = *guids;
        database.server_name = server_name.to_string();
        database.seen_at = now;
        Ok(())
    }

    async fn set_database_address(&mut self, id: DatabaseId, host: HostId, address: &DatabaseAddress) -> Result<()> {
        self.needs_host(host)?;
        let database = self.live_database(id)?;
        database.host = host;
        database.address = address.clone();
        Ok(())
    }

    async fn set_identity_state(&mut self, id: DatabaseId, from: IdentityState, to: IdentityState) -> Result<()> {
        let database = self.row(|d| &mut d.databases, &id, || format!("database {id}"))?;
        let found = database.identity_state;
        if found != from {
            return Err(self.moved(format!("database {id}"), from.as_str(), found.as_str()));
        }
        database.identity_state = to;
        Ok(())
    }

    async fn set_database_facts(&mut self, id: DatabaseId, facts: &Value) -> Result<()> {
        let now = self.now;
        let database = self.live_database(id)?;
        database.facts = facts.clone();
        database.seen_at = now;
        Ok(())
    }

    async fn retire_database(&mut self, id: DatabaseId) -> Result<()> {
        let database = self.live_database(id)?;
        database.identity_state = IdentityState::Retired;
        database.physical_key = format!("{}#retired:{id}", database.physical_key);
        Arc::make_mut(&mut self.change()?.endpoints).retain(|_, (_, owner)| *owner != id);
        Ok(())
    }
}

impl MemoryTx {
    /// A database that is not retired, to be changed.
    fn live_database(&mut self, id: DatabaseId) -> Result<&mut Database> {
        let retired = self.data.databases.get(&id).map(|d| d.identity_state);
        if retired == Some(IdentityState::Retired) {
            return Err(self.moved(format!("database {id}"), "in use", "retired"));
        }
        self.row(|d| &mut d.databases, &id, || format!("database {id}"))
    }

    fn key_is_free(&self, key: &str, id: DatabaseId) -> Result<()> {
        let other = |d: &Database| d.id != id && d.physical_key == key;
        if self.data.databases.values().any(other) {
            return Err(self.taken("the physical key of the database"));
        }
        Ok(())
    }
}
