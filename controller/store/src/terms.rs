//! Terms: where several controllers share a store, one of them does the duties, for a while. Another one takes over when the
//! term has run out. The term's epoch is checked in the duty's own transaction, so that a controller that was asleep does
//! nothing in somebody else's term.

use async_trait::async_trait;
use syncferry_shared::{ControllerId, Millis};

use crate::error::Result;

/// A term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Whose it is.
    pub controller: ControllerId,
    /// Counts the terms.
    pub epoch: i64,
    /// When it runs out, unless it is extended.
    pub expires_at: Millis,
}

/// Terms.
#[async_trait]
pub trait Terms {
    /// The newest one, whether or not it ran out.
    async fn term(&mut self) -> Result<Option<Term>>;
    /// Extends one's own term, or begins the next one when the newest has run out. Returns the newest one, whoever's it is.
    async fn lead(&mut self, controller: ControllerId, ttl_ms: i64) -> Result<Term>;
    /// Whether the term is the newest one and has not run out; [`Cause::Moved`](crate::Cause::Moved) otherwise.
    async fn in_term(&mut self, term: &Term) -> Result<()>;
    /// Ends one's own term now. Somebody else's stays.
    async fn resign(&mut self, controller: ControllerId) -> Result<()>;
}
