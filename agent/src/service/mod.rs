//! The agent as a service of the machine: put there, taken away, looked at. The two files have the same names in them.

#[cfg(unix)]
mod systemd;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;

#[cfg(unix)]
pub use systemd::{install, run, start, status, uninstall};
#[cfg(windows)]
pub use windows::{install, run, start, status, uninstall};

/// How the service is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The configuration that it reads; an absolute path.
    pub config: PathBuf,
    /// The account that it runs as; the system's own by default.
    pub account: Option<String>,
    /// The account's password. A group managed service account (`DOMAIN\name$`) has none.
    pub password: Option<String>,
    /// Whether it is started at once.
    pub start: bool,
}

/// What the service is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Whether there is one.
    pub installed: bool,
    /// Its state, in the words of the service manager: `running`, `stopped`, `active`, `failed` …
    pub state: String,
    /// How it starts: `automatic`, `manual`, `disabled`, `enabled` …
    pub start: String,
    /// The account it runs as.
    pub account: String,
}

impl Status {
    /// Whether it works now.
    pub fn runs(&self) -> bool {
        matches!(self.state.as_str(), "running" | "active")
    }
}

/// Why the service could not be put there, taken away or looked at.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The service manager refused.
    #[error("{what}: {error}{next}")]
    Refused {
        /// What was tried.
        what: String,
        /// What the system said.
        error: String,
        /// What to do, where that is known.
        next: &'static str,
    },
    /// It is there already.
    #[error(
        "the service {name} is there already ({state}); 'syncferry-agent uninstall' takes it away, and nothing else with it"
    )]
    There {
        /// Its name.
        name: &'static str,
        /// Its state.
        state: String,
    },
    /// It is not there.
    #[error("there is no service {0}; 'syncferry-agent install' puts it there")]
    NotThere(&'static str),
    /// It was started and does not run.
    #[error("the service {name} was started and is {state}; its log says why: {log}")]
    DoesNotRun {
        /// Its name.
        name: &'static str,
        /// Its state.
        state: String,
        /// Where its log is.
        log: String,
    },
}

/// What was done, a line each, for people.
pub type Done = Vec<String>;
