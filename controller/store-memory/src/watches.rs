//! Watches, in memory.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::HostId;
use syncferry_store::{Result, Watch, Watches};

use crate::tx::MemoryTx;

#[async_trait]
impl Watches for MemoryTx {
    async fn keep_watch(&mut self, host: HostId, report: &Value) -> Result<Option<Watch>> {
        self.needs_host(host)?;
        let before = self.data.watches.get(&host).cloned();
        let watch = Watch {
            host,
            report: report.clone(),
            at: self.now,
        };
        self.put(|d| &mut d.watches, host, watch)?;
        Ok(before)
    }

    async fn watches(&mut self) -> Result<Vec<Watch>> {
        Ok(self.data.watches.values().cloned().collect())
    }
}
