//! Recoveries and witnesses, in memory.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::HostId;
use syncferry_store::{Cause, NewWitness, Recoveries, Recovery, Result, Way, Witness};

use crate::tx::MemoryTx;

#[async_trait]
impl Recoveries for MemoryTx {
    async fn add_recovery(&mut self, way: Way, found: &Value) -> Result<Recovery> {
        let incarnation = self.data.meta.incarnation;
        if incarnation < 2 || self.data.recoveries.contains_key(&incarnation) {
            return Err(self.fail(Cause::Guard(
                "a recovery belongs to the present incarnation, and begins open".into(),
            )));
        }
        let recovery = Recovery {
            incarnation,
            way,
            found: found.clone(),
            begun_at: self.now,
            ended_at: None,
        };
        self.put(|d| &mut d.recoveries, incarnation, recovery.clone())?;
        Ok(recovery)
    }

    async fn recovery(&mut self) -> Result<Option<Recovery>> {
        Ok(self.data.recoveries.values().last().cloned())
    }

    async fn end_recovery(&mut self, incarnation: i64) -> Result<Recovery> {
        let (now, what) = (self.now, format!("recovery {incarnation}"));
        if self
            .data
            .recoveries
            .get(&incarnation)
            .is_some_and(|r| r.ended_at.is_some())
        {
            return Err(self.moved(what, "going on", "over"));
        }
        let recovery = self.row(|d| &mut d.recoveries, &incarnation, || what)?;
        recovery.ended_at = Some(now);
        Ok(recovery.clone())
    }

    async fn hear_witness(&mut self, new: &NewWitness) -> Result<bool> {
        self.needs_host(new.host)?;
        let heard_in = self.data.meta.incarnation;
        if self
            .data
            .witnesses
            .get(&new.host)
            .is_some_and(|w| w.heard_in == heard_in)
        {
            return Ok(false);
        }
        let witness = Witness {
            host: new.host,
            heard_in,
            incarnation: new.incarnation,
            epochs: new.epochs.clone(),
            open: new.open.clone(),
            at: self.now,
        };
        self.put(|d| &mut d.witnesses, new.host, witness)?;
        Ok(true)
    }

    async fn witness(&mut self, host: HostId) -> Result<Option<Witness>> {
        Ok(self.data.witnesses.get(&host).cloned())
    }

    async fn witnesses(&mut self) -> Result<Vec<Witness>> {
        Ok(self.data.witnesses.values().cloned().collect())
    }
}
