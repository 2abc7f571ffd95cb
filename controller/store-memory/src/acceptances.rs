//! Acceptances, in memory.

use async_trait::async_trait;
use syncferry_shared::MigrationId;
use syncferry_store::{Acceptance, Acceptances, Cause, NewAcceptance, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl Acceptances for MemoryTx {
    async fn add_acceptance(&mut self, new: &NewAcceptance) -> Result<Acceptance> {
        self.needs_migration(new.migration)?;
        if new.reason.trim().is_empty() || new.rule.trim().is_empty() {
            return Err(self.fail(Cause::Guard("an acceptance names the rule and the reason".into())));
        }
        if new.until.is_some_and(|until| until <= self.now) {
            return Err(self.fail(Cause::Guard("an acceptance that is over already".into())));
        }
        let row = Acceptance {
            id: new.id,
            migration: new.migration,
            rule: new.rule.clone(),
            actor: new.actor.clone(),
            reason: new.reason.clone(),
            at: self.now,
            until: new.until,
        };
        self.put(|d| &mut d.acceptances, new.id, row.clone())?;
        Ok(row)
    }

    async fn acceptances(&mut self, migration: MigrationId) -> Result<Vec<Acceptance>> {
        let of_it = self.data.acceptances.values().filter(|a| a.migration == migration);
        let mut found: Vec<Acceptance> = of_it.cloned().collect();
        found.sort_by_key(|a| (a.at, a.id));
        Ok(found)
    }
}
