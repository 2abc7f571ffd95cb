//! Waking those who wait. A wake carries a reason and no data: whoever wakes reads the store again, and whoever misses a
//! wake finds everything at the next tick.

use syncferry_shared::{HostId, MigrationId};
use tokio::sync::broadcast;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Something that the scheduler may act on.
    Work,
    /// There is something for the agent of a host.
    Host(HostId, HostReason),
    /// A migration has news.
    Migration(MigrationId),
    /// An inspection was answered.
    Inspection,
}

/// Why an agent should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostReason {
    /// Work came, or was cancelled.
    Work,
    /// An inspection was asked for.
    Inspection,
    /// Its lease duties changed.
    Lease,
    /// A person says that a gate is done.
    Gate,
}

/// The bell.
#[derive(Debug, Clone)]
pub struct Wake(broadcast::Sender<Reason>);

impl Default for Wake {
    fn default() -> Self {
        Self(broadcast::channel(1024).0)
    }
}

impl Wake {
    /// Rings. Call it after the commit, never before.
    pub fn ring(&self, reason: Reason) {
        // Nobody listening is fine: they will look at the store when they come.
        let _ = self.0.send(reason);
    }
    /// Listens.
    pub fn listen(&self) -> Ear {
        Ear(self.0.subscribe())
    }
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Ear(broadcast::Receiver<Reason>);

impl Ear {
    /// Waits for a reason that fits, or for the tick. Whoever was too slow to hear everything is woken, to be safe.
    pub async fn wait(&mut self, tick: std::time::Duration, fits: impl Fn(Reason) -> bool) -> Option<Reason> {
        let until = tokio::time::Instant::now() + tick;
        loop {
            match tokio::time::timeout_at(until, self.0.recv()).await {
                Ok(Ok(reason)) if fits(reason) => return Some(reason),
                Ok(Ok(_)) => {}
                Ok(Err(broadcast::error::RecvError::Lagged(_))) | Err(_) => return None,
                // The sender lives as long as the controller; when it is gone, the tick paces the end.
                Ok(Err(broadcast::error::RecvError::Closed)) => {
                    tokio::time::sleep_until(until).await;
                    return None;
                }
            }
        }
    }
}
