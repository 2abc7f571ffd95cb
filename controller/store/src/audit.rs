//! The audit: what must always hold of the rows, asked of the rows. A finding here is a bug or a tampered store.

use async_trait::async_trait;

use crate::error::Result;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFinding {
    /// The invariant, for example `I3`.
    pub invariant: &'static str,
    /// What it is about, for example a resource.
    pub subject: String,
    /// What was found.
    pub found: String,
}

/// The audit.
#[async_trait]
pub trait Audit {
    /// Asks everything. I3: every grant has its proof. I4: nothing went back. I5: the history is gap-free, chains its states
    /// and ends at the row. I6: a token was issued once. And: every stream of events is an unbroken chain.
    async fn audit(&mut self) -> Result<Vec<AuditFinding>>;
}
