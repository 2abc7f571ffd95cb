//! Sites, in memory.

use async_trait::async_trait;
use syncferry_shared::SiteId;
use syncferry_store::{NewSite, Result, Site, Sites};

use crate::data::folded;
use crate::tx::MemoryTx;

#[async_trait]
impl Sites for MemoryTx {
    async fn add_site(&mut self, new: &NewSite) -> Result<Site> {
        if !self.data.orgs.contains_key(&new.org) {
            return Err(self.missing(format!("organisation {}", new.org)));
        }
        for other in self.data.sites.values() {
            if folded(&other.name) == folded(&new.name) {
                return Err(self.taken("the name of the site"));
            }
        }
        let site = Site {
            id: new.id,
            org: new.org,
            name: new.name.clone(),
            tenant_id: new.tenant_id.clone(),
            labels: new.labels.clone(),
            created_at: self.now,
        };
        self.put(|d| &mut d.sites, new.id, site.clone())?;
        Ok(site)
    }

    async fn site(&mut self, id: SiteId) -> Result<Option<Site>> {
        Ok(self.data.sites.get(&id).cloned())
    }

    async fn site_named(&mut self, name: &str) -> Result<Option<Site>> {
        let found = self.data.sites.values().find(|s| folded(&s.name) == folded(name));
        Ok(found.cloned())
    }

    async fn sites(&mut self) -> Result<Vec<Site>> {
        let mut all: Vec<Site> = self.data.sites.values().cloned().collect();
        all.sort_by_key(|s| folded(&s.name));
        Ok(all)
    }
}
