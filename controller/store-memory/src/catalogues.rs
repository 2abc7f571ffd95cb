//! Imported version catalogues, in memory.

use async_trait::async_trait;
use syncferry_store::{Catalogues, ImportedCatalogue, NewCatalogue, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl Catalogues for MemoryTx {
    async fn add_catalogue(&mut self, new: &NewCatalogue) -> Result<ImportedCatalogue> {
        let number = self.data.catalogues.keys().last().map_or(1, |n| n + 1);
        let row = ImportedCatalogue {
            number,
            digest: new.digest.clone(),
            signed_off: new.signed_off.clone(),
            text: new.text.clone(),
            actor: new.actor.clone(),
            at: self.now,
        };
        self.put(|d| &mut d.catalogues, number, row.clone())?;
        Ok(row)
    }

    async fn catalogue(&mut self) -> Result<Option<ImportedCatalogue>> {
        Ok(self.data.catalogues.values().last().cloned())
    }
}
