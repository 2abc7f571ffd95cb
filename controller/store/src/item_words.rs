//! Words about items of a checklist: that one is done, as a named person says, for good or until a moment; or that such a word is
//! taken back. They are never changed: whoever takes one back adds another one.

use async_trait::async_trait;
use syncferry_shared::{MigrationId, Millis, WordId};

use crate::error::Result;

/// A word to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItemWord {
    /// The id.
    pub id: WordId,
    /// Of which migration.
    pub migration: MigrationId,
    /// The item, by its id.
    pub item: String,
    /// The word that it takes back; `None` where it says that the item is done.
    pub withdraws: Option<WordId>,
    /// Who says it.
    pub actor: String,
    /// What was done, or why it is taken back; never empty.
    pub reason: String,
    /// Until when it counts; `None` for good. A withdrawal has none.
    pub until: Option<Millis>,
}

/// A word about an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemWord {
    /// The id.
    pub id: WordId,
    /// Of which migration.
    pub migration: MigrationId,
    /// The item.
    pub item: String,
    /// The word that it takes back.
    pub withdraws: Option<WordId>,
    /// Who said it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Millis,
    /// Until when it counts.
    pub until: Option<Millis>,
}

/// Words about items.
#[async_trait]
pub trait ItemWords {
    /// Writes a word down. Refused: one without a reason, one that would be over already, a withdrawal of what is no word of this
    /// migration about this item, and the second withdrawal of the same word.
    async fn add_item_word(&mut self, new: &NewItemWord) -> Result<ItemWord>;
    /// Those of a migration, oldest first, also those that are over or taken back.
    async fn item_words(&mut self, migration: MigrationId) -> Result<Vec<ItemWord>>;
}
