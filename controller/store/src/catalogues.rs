//! Version catalogues that operators imported. The newest import counts; older ones stay, to show what was believed when.

use async_trait::async_trait;
use syncferry_shared::Millis;

use crate::error::Result;

/// A catalogue to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCatalogue {
    /// BLAKE3 of its text.
    pub digest: String,
    /// The date on which it was signed off.
    pub signed_off: String,
    /// The whole text.
    pub text: String,
    /// Who imports it.
    pub actor: String,
}

/// An imported catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedCatalogue {
    /// Counts the imports, from 1.
    pub number: i64,
    /// BLAKE3 of its text.
    pub digest: String,
    /// The date on which it was signed off.
    pub signed_off: String,
    /// The whole text.
    pub text: String,
    /// Who imported it.
    pub actor: String,
    /// When.
    pub at: Millis,
}

/// Catalogues.
#[async_trait]
pub trait Catalogues {
    /// Keeps one; it counts from now on.
    async fn add_catalogue(&mut self, new: &NewCatalogue) -> Result<ImportedCatalogue>;
    /// The one that counts, if any was imported.
    async fn catalogue(&mut self) -> Result<Option<ImportedCatalogue>>;
}
