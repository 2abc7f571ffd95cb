//! Hosts, in memory.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::{HostId, SiteId};
use syncferry_store::{Host, Hosts, NewHost, Result};

use crate::data::folded;
use crate::tx::MemoryTx;

#[async_trait]
impl Hosts for MemoryTx {
    async fn add_host(&mut self, new: &NewHost) -> Result<Host> {
        let Some(site) = self.data.sites.get(&new.site) else {
            return Err(self.missing(format!("site {}", new.site)));
        };
        let host = Host {
            id: new.id,
            org: site.org,
            site: new.site,
            name: new.name.clone(),
            roles: new.roles.clone(),
            computer_name: None,
            inventory: None,
            inventoried_at: None,
            created_at: self.now,
        };
        if self.data.hosts.values().any(|h| folded(&h.name) == folded(&new.name)) {
            return Err(self.taken("the name of the host"));
        }
        self.put(|d| &mut d.hosts, new.id, host.clone())?;
        Ok(host)
    }

    async fn host(&mut self, id: HostId) -> Result<Option<Host>> {
        Ok(self.data.hosts.get(&id).cloned())
    }

    async fn host_named(&mut self, name: &str) -> Result<Option<Host>> {
        let found = self.data.hosts.values().find(|h| folded(&h.name) == folded(name));
        Ok(found.cloned())
    }

    async fn hosts(&mut self, site: Option<SiteId>) -> Result<Vec<Host>> {
        let of_site = |h: &&Host| site.is_none_or(|s| h.site == s);
        let mut all: Vec<Host> = self.data.hosts.values().filter(of_site).cloned().collect();
        all.sort_by_key(|h| folded(&h.name));
        Ok(all)
    }

    async fn set_host_facts(&mut self, id: HostId, computer_name: Option<&str>, inventory: &Value) -> Result<()> {
        let now = self.now;
        let host = self.row(|d| &mut d.hosts, &id, || format!("host {id}"))?;
        if let Some(name) = computer_name {
            host.computer_name = Some(name.to_string());
        }
        host.inventory = Some(inventory.clone());
        host.inventoried_at = Some(now);
        Ok(())
    }
}

impl MemoryTx {
    /// Refuses what refers to a host that is not there.
    pub(crate) fn needs_host(&self, id: HostId) -> Result<()> {
        if self.data.hosts.contains_key(&id) {
            Ok(())
        } else {
            Err(self.missing("something that this refers to"))
        }
    }
}
