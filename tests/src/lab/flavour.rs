//! The four ways in which the old server of `replace-server` can be gone, as the lab plays them.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How the old server is gone, and so how its lease changes hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// It runs: its own agent stops it.
    Reachable,
    /// It is switched off: a probe on another host says so.
    HostOff,
    /// It is dead, and SQL Server is to refuse it: its account does not own the database here.
    SqlFence,
    /// It is dead, and nothing can be proven: two operators give their word.
    TwoPeople,
}

impl Flavour {
    /// `--handover` of the plan.
    pub fn way(self) -> &'static str {
        match self {
            Flavour::Reachable => "host",
            Flavour::HostOff => "power-off",
            Flavour::SqlFence => "sql",
            Flavour::TwoPeople => "attested",
        }
    }

    /// Whether the old server's machine is dead while the migration runs.
    pub fn is_dead(self) -> bool {
        self != Flavour::Reachable
    }

    /// Whether a denial at SQL Server would bind the old server's account. Connect's account usually owns its database, and then
    /// it would not.
    pub fn can_be_fenced(self) -> bool {
        self == Flavour::SqlFence
    }
}
