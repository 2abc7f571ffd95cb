//! How long leases last.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How long leases last. Below 30 s of ttl, false alarms are likelier than faster reactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Leases {
    /// For how long a lease is granted or renewed.
    pub ttl_s: u64,
    /// How often its agent renews it.
    pub renew_every_s: u64,
    /// How long after its end it is called lost.
    pub grace_s: u64,
    /// What is taken off a permit, for clocks that run at different rates.
    pub margin_s: u64,
    /// How often agents look who uses a leased database, and whether Connect runs.
    pub watch_s: u64,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            ttl_s: 90,
            renew_every_s: 20,
            grace_s: 30,
            margin_s: 15,
            watch_s: 15,
        }
    }
}

impl Leases {
    /// For how long a lease is granted or renewed, in milliseconds.
    pub fn ttl_ms(&self) -> i64 {
        i64::try_from(self.ttl_s.saturating_mul(1000)).unwrap_or(i64::MAX)
    }
    /// How long after its end it is called lost, in milliseconds.
    pub fn grace_ms(&self) -> i64 {
        i64::try_from(self.grace_s.saturating_mul(1000)).unwrap_or(i64::MAX)
    }
    /// What is taken off a permit, in milliseconds.
    pub fn margin_ms(&self) -> i64 {
        i64::try_from(self.margin_s.saturating_mul(1000)).unwrap_or(i64::MAX)
    }
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let need = |ok: bool, field, reason: &str| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError::Value {
                    field,
                    reason: reason.to_string(),
                })
            }
        };
        need(
            self.ttl_s > self.margin_s,
            "leases.margin_s",
            "must be shorter than leases.ttl_s",
        )?;
        need(
            (1..=60).contains(&self.watch_s),
            "leases.watch_s",
            "must be from 1 to 60: somebody else on a database is an alarm within a minute",
        )?;
        need(
            self.renew_every_s > 0 && self.renew_every_s * 2 <= self.ttl_s - self.margin_s,
            "leases.renew_every_s",
            "must be at least 1 and at most half of ttl_s - margin_s, so that one lost renewal does no harm",
        )
    }
}
