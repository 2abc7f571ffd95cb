//! What a job *is*: ids, time, states and their transitions, plans, specifications, events, findings, the version catalogue.
//! Pure: no async, no I/O, no clock and no randomness of its own.

pub mod account;
pub mod aftercare;
pub mod alarm;
pub mod artifact;
pub mod capability;
pub mod card;
pub mod catalogue;
pub mod clock;
pub mod compare;
pub mod connect_version;
pub mod event;
pub mod exports;
pub mod fence;
pub mod fence_case;
pub mod finding;
pub mod identity;
pub mod ids;
pub mod installed;
pub mod inventory;
pub mod known_failure;
pub mod lease;
pub mod outcome;
pub mod papers;
pub mod plan;
pub mod power;
pub mod progress;
pub mod report;
pub mod rule;
pub mod sabotage;
pub mod secret;
pub mod spec;
pub mod state;
pub mod sync_config;
pub mod token;
pub mod verdict;
pub mod watch;
pub mod wizard_page;

pub use clock::{Clock, Millis};
pub use connect_version::ConnectVersion;
pub use finding::{Finding, Severity};
pub use ids::*;
