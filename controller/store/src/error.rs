//! What can go wrong in a store: one variant for each thing that a caller does differently.

use syncferry_shared::state::IllegalTransition;

/// The result of a store's function.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A failure, with the name of the transaction it happened in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{transaction}: {cause}")]
pub struct StoreError {
    /// The name that the transaction was begun with.
    pub transaction: &'static str,
    /// What went wrong.
    #[source]
    pub cause: Cause,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Another writer did not finish in time. Nothing was done; try again.
    #[error("the store is busy; nothing was done, try again")]
    Busy,
    /// Something with the same unique value is there already.
    #[error("{0} is taken already")]
    Conflict(String),
    /// A row refers to something that is not there.
    #[error("{0} does not exist")]
    Missing(String),
    /// The row is not, or no longer, as the caller believes. Nothing was changed.
    #[error("{what} is {found}, not {expected}; read it again")]
    Moved {
        /// Which row, for example `job 01932c5e-…`.
        what: String,
        /// What the caller believed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The state table has no such transition.
    #[error("a {machine} cannot go from {from} to {to}")]
    NoTransition {
        /// Which machine.
        machine: &'static str,
        /// From.
        from: &'static str,
        /// To.
        to: &'static str,
    },
    /// The state table has no such event there.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// A guard in the store itself refused: a mistake in the caller, never a race.
    #[error("the store refuses it: {0}")]
    Guard(String),
    /// A write through a transaction that only reads.
    #[error("this transaction only reads")]
    ReadOnly,
    /// What is stored cannot be read as what it should be.
    #[error("the store holds something that cannot be read: {0}")]
    Corrupt(String),
    /// The store cannot be reached, opened or written.
    #[error("the store cannot be used: {0}")]
    Io(String),
    /// The store cannot be reached or does not take writes now: its server is down, elsewhere, full or too slow. Says what
    /// is wrong. It goes on by itself when that is mended.
    #[error("the store cannot be used now: {0}")]
    Unavailable(String),
    /// It knows less than this process saw of it. Nothing is written until a new incarnation was begun.
    #[error("the store went back: it has forgotten what was committed; a new incarnation must begin first")]
    WentBack,
    /// Another controller has it open.
    #[error("{0} is in use by another controller; stop that one first")]
    InUse(String),
    /// It was written by a newer version, or its migrations were tampered with.
    #[error("{0}")]
    Schema(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// An error of a transaction.
    pub fn new(transaction: &'static str, cause: Cause) -> Self {
        Self { transaction, cause }
    }
    /// Whether trying again may help.
    pub fn is_busy(&self) -> bool {
        self.cause == Cause::Busy
    }
    /// Whether the store itself cannot be used now.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.cause, Cause::Unavailable(_) | Cause::WentBack)
    }
    /// Whether something unique was taken already.
    pub fn is_conflict(&self) -> bool {
        matches!(self.cause, Cause::Conflict(_))
    }
    /// Whether the row was not as the caller believed.
    pub fn is_moved(&self) -> bool {
        matches!(self.cause, Cause::Moved { .. })
    }
    /// Whether something referred to does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self.cause, Cause::Missing(_))
    }
}
