//! `[pace]`: how patient the agent is. The defaults are for production; the lab scales them down.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use syncferry_shared::fence::LOOKS_APART_MS;

use super::ConfigError;
use crate::runner::Pace;

/// How patient the agent is, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaceConfig {
    /// How often it looks again at what is under way.
    pub look_again_ms: u64,
    /// The first pause before something is tried again; it doubles.
    pub retry_first_ms: u64,
    /// The longest such pause.
    pub retry_most_ms: u64,
    /// How often a passing failure of a step, or a refused permit, is tried again.
    pub retries: u32,
    /// How much time a lease must have left when a destructive step begins. Less than the lease's life minus its renewal
    /// interval and margin.
    pub permit_ms: u64,
    /// How long a look at open work may take after a restart.
    pub look_limit_ms: u64,
    /// How far apart the two looks at the sessions are that prove a fence; 2000 at least, or the controller takes no proof.
    pub looks_apart_ms: u64,
    /// The first pause before the controller is looked for again; it doubles, and is spread.
    pub reconnect_first_ms: u64,
    /// The longest such pause.
    pub reconnect_most_ms: u64,
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self {
            look_again_ms: 2_000,
            retry_first_ms: 1_000,
            retry_most_ms: 30_000,
            retries: 4,
            permit_ms: 45_000,
            look_limit_ms: 20_000,
            looks_apart_ms: 2_000,
            reconnect_first_ms: 1_000,
            reconnect_most_ms: 60_000,
        }
    }
}

impl PaceConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("pace.look_again_ms", self.look_again_ms),
            ("pace.retry_first_ms", self.retry_first_ms),
            ("pace.permit_ms", self.permit_ms),
            ("pace.look_limit_ms", self.look_limit_ms),
            ("pace.reconnect_first_ms", self.reconnect_first_ms),
        ] {
            if value == 0 {
                return Err(ConfigError::value(field, "is 0"));
            }
        }
        if self.looks_apart_ms < LOOKS_APART_MS.unsigned_abs() {
            let reason = format!("is less than {LOOKS_APART_MS}, which a proof needs");
            return Err(ConfigError::value("pace.looks_apart_ms", reason));
        }
        Ok(())
    }

    /// The runner's part.
    pub fn runner(&self) -> Pace {
        Pace {
            look_again: Duration::from_millis(self.look_again_ms),
            retry_first: Duration::from_millis(self.retry_first_ms),
            retry_most: Duration::from_millis(self.retry_most_ms),
            retries: self.retries,
            permit: Duration::from_millis(self.permit_ms),
            look_limit: Duration::from_millis(self.look_limit_ms),
            looks_apart: Duration::from_millis(self.looks_apart_ms),
        }
    }

    /// The session's part: first and longest pause.
    pub fn reconnect(&self) -> (Duration, Duration) {
        (
            Duration::from_millis(self.reconnect_first_ms),
            Duration::from_millis(self.reconnect_most_ms),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_runners_own() {
        assert_eq!(PaceConfig::default().runner(), Pace::default());
    }
}
