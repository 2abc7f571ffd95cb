//! Words about items of a checklist, in memory.

use async_trait::async_trait;
use syncferry_shared::MigrationId;
use syncferry_store::{Cause, ItemWord, ItemWords, NewItemWord, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl ItemWords for MemoryTx {
    async fn add_item_word(&mut self, new: &NewItemWord) -> Result<ItemWord> {
        self.needs_migration(new.migration)?;
        if let Some(why) = self.wrong(new) {
            return Err(self.fail(Cause::Guard(why.into())));
        }
        let row = ItemWord {
            id: new.id,
            migration: new.migration,
            item: new.item.clone(),
            withdraws: new.withdraws,
            actor: new.actor.clone(),
            reason: new.reason.clone(),
            at: self.now,
            until: new.until,
        };
        self.put(|d| &mut d.item_words, new.id, row.clone())?;
        Ok(row)
    }

    async fn item_words(&mut self, migration: MigrationId) -> Result<Vec<ItemWord>> {
        let of_it = self.data.item_words.values().filter(|w| w.migration == migration);
        let mut found: Vec<ItemWord> = of_it.cloned().collect();
        found.sort_by_key(|w| (w.at, w.id));
        Ok(found)
    }
}

impl MemoryTx {
    /// Why a word is not written down.
    fn wrong(&self, new: &NewItemWord) -> Option<&'static str> {
        if new.reason.trim().is_empty() || new.item.trim().is_empty() {
            return Some("a word names the item and the reason");
        }
        if new.until.is_some_and(|until| until <= self.now) {
            return Some("a word that is over already");
        }
        let back = new.withdraws?;
        let of_it =
            |w: &&ItemWord| w.id == back && w.withdraws.is_none() && w.migration == new.migration && w.item == new.item;
        if !self.data.item_words.values().any(|w| of_it(&w)) {
            return Some("a word is taken back about the same item of the same migration");
        }
        if new.until.is_some() || self.data.item_words.values().any(|w| w.withdraws == Some(back)) {
            return Some("a word is taken back once, and for good");
        }
        None
    }
}
