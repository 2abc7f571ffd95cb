//! How agents are kept in touch.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How agents are kept in touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agents {
    /// How often an agent says that it lives.
    pub heartbeat_s: u64,
    /// After how long without a heartbeat an agent is called silent.
    pub silent_after_s: u64,
    /// After how long without an answer from us an agent stops at its next safe point.
    pub stop_after_s: u64,
    /// For how long an agent's certificate is good.
    pub certificate_days: u64,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            heartbeat_s: 10,
            silent_after_s: 45,
            stop_after_s: 60,
            certificate_days: 7,
        }
    }
}

impl Agents {
    /// How often an agent says that it lives, in milliseconds.
    pub fn heartbeat_ms(&self) -> i64 {
        i64::try_from(self.heartbeat_s.saturating_mul(1000)).unwrap_or(i64::MAX)
    }
    /// After how long an agent is called silent, in milliseconds.
    pub fn silent_after_ms(&self) -> i64 {
        i64::try_from(self.silent_after_s.saturating_mul(1000)).unwrap_or(i64::MAX)
    }
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.heartbeat_s == 0 || self.silent_after_s < self.heartbeat_s * 2 {
            return Err(ConfigError::Value {
                field: "agents.silent_after_s",
                reason: "must be at least two heartbeats long".to_string(),
            });
        }
        if self.certificate_days == 0 {
            return Err(ConfigError::Value {
                field: "agents.certificate_days",
                reason: "must be at least 1".to_string(),
            });
        }
        Ok(())
    }
}
