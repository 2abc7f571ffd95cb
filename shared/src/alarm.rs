//! Alarms: what a person must know, from when it was seen until it ended. An alarm is a finding with a life; the rules that
//! make them are the controller's.

use serde::{Deserialize, Serialize};

crate::machine! {
    "alarm"
    /// Where an alarm stands.
    states AlarmState {
        /// Nobody said yet that they know.
        Raised = "raised",
        /// Somebody knows; what was seen still holds.
        Acknowledged = "acknowledged",
        /// It does not hold any more.
        Cleared = "cleared",
    }
    /// What moves an alarm.
    events AlarmEvent {
        /// Somebody said that they know.
        Acknowledge = "acknowledge",
        /// What was seen does not hold any more; or it was an occurrence, and somebody knows of it.
        Clear = "clear",
    }
    table {
        Raised + Acknowledge => Acknowledged,
        Raised + Clear => Cleared,
        Acknowledged + Clear => Cleared,
    }
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// A Connect server that does not hold the lease uses the database.
    ForeignSession,
    /// Two servers of a tenant are out of staging mode, or one that does not hold the tenant's export.
    SecondActiveServer,
    /// A server that gave a database up, or lost it, runs again.
    OldServerAlive,
    /// Connect was configured where no migration waits for it.
    UnexpectedWizard,
    /// A lease is being taken from its holder for too long.
    FencingTooLong,
    /// A lease was not renewed in time.
    LeaseLost,
    /// A lease's identity is in doubt.
    LeaseQuarantined,
    /// A lease was taken from a holder on two people's word.
    BreakGlass,
    /// A database does not look as its registration says: restored in place, or replaced.
    DatabaseChanged,
    /// A leased database cannot be watched.
    CannotWatch,
    /// The controller's store went back: it was restored from a backup.
    StoreRestored,
}

impl AlarmKind {
    /// Every kind.
    pub const ALL: &'static [AlarmKind] = &[
        Self::ForeignSession,
        Self::SecondActiveServer,
        Self::OldServerAlive,
        Self::UnexpectedWizard,
        Self::FencingTooLong,
        Self::LeaseLost,
        Self::LeaseQuarantined,
        Self::BreakGlass,
        Self::DatabaseChanged,
        Self::CannotWatch,
        Self::StoreRestored,
    ];
    /// The word in the store, on the wire and on the screen; also the rule's name in the finding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForeignSession => "foreign-session",
            Self::SecondActiveServer => "second-active-server",
            Self::OldServerAlive => "old-server-alive",
            Self::UnexpectedWizard => "unexpected-wizard",
            Self::FencingTooLong => "fencing-too-long",
            Self::LeaseLost => "lease-lost",
            Self::LeaseQuarantined => "lease-quarantined",
            Self::BreakGlass => "break-glass",
            Self::DatabaseChanged => "database-changed",
            Self::CannotWatch => "cannot-watch",
            Self::StoreRestored => "store-restored",
        }
    }
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.as_str() == text)
    }
    /// Whether it is an occurrence, which ends when a person knows of it, and not a state, which ends by itself.
    pub fn is_occurrence(self) -> bool {
        matches!(self, Self::BreakGlass | Self::UnexpectedWizard)
    }
}

impl std::fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
