//! Organisations, in memory.

use async_trait::async_trait;
use syncferry_shared::OrgId;
use syncferry_store::{Org, Orgs, Result};

use crate::data::folded;
use crate::tx::MemoryTx;

#[async_trait]
impl Orgs for MemoryTx {
    async fn default_org(&mut self) -> Result<Org> {
        let org = self.data.orgs.get(&self.data.default_org).cloned();
        org.ok_or_else(|| self.missing("the default organisation"))
    }

    async fn add_org(&mut self, id: OrgId, name: &str) -> Result<Org> {
        if self.data.orgs.values().any(|o| folded(&o.name) == folded(name)) {
            return Err(self.taken("the name of the organisation"));
        }
        let org = Org {
            id,
            name: name.to_string(),
            created_at: self.now,
        };
        self.put(|d| &mut d.orgs, id, org.clone())?;
        Ok(org)
    }

    async fn orgs(&mut self) -> Result<Vec<Org>> {
        let mut all: Vec<Org> = self.data.orgs.values().cloned().collect();
        all.sort_by_key(|o| folded(&o.name));
        Ok(all)
    }
}
