//! Waking those who wait. A wake carries a reason and no data: whoever wakes reads the store again, and whoever misses a
//! wake finds everything at the next tick.

use syncferry_shared::{HostId, MigrationId};
use tokio::sync::{broadcast, mpsc};

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
    /// An agent called and could not be heard, because the store could not be used. Said here only.
    Unheard,
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

impl Reason {
    /// As it is told to another controller.
    pub fn word(self) -> String {
        match self {
            Reason::Work => "work".to_string(),
            Reason::Inspection => "inspection".to_string(),
            Reason::Unheard => "unheard".to_string(),
            Reason::Migration(id) => format!("migration {id}"),
            Reason::Host(id, why) => format!("host {id} {}", why.as_str()),
        }
    }
    /// Reads what another controller told.
    pub fn read(word: &str) -> Option<Self> {
        let mut parts = word.split(' ');
        match (parts.next()?, parts.next(), parts.next()) {
            ("work", None, None) => Some(Reason::Work),
            ("inspection", None, None) => Some(Reason::Inspection),
            ("migration", Some(id), None) => Some(Reason::Migration(id.parse().ok()?)),
            ("host", Some(id), Some(why)) => Some(Reason::Host(id.parse().ok()?, HostReason::read(why)?)),
            _ => None,
        }
    }
}

impl HostReason {
    const ALL: [HostReason; 4] = [Self::Work, Self::Inspection, Self::Lease, Self::Gate];

    fn as_str(self) -> &'static str {
        match self {
            HostReason::Work => "work",
            HostReason::Inspection => "inspection",
            HostReason::Lease => "lease",
            HostReason::Gate => "gate",
        }
    }
    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == word)
    }
}

/// The bell.
#[derive(Debug, Clone)]
pub struct Wake {
    here: broadcast::Sender<Reason>,
    /// To the other controllers, where there may be some.
    there: Option<mpsc::Sender<Reason>>,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            here: broadcast::channel(1024).0,
            there: None,
        }
    }
}

impl Wake {
    /// Rings. Call it after the commit, never before.
    pub fn ring(&self, reason: Reason) {
        // Nobody listening is fine: they will look at the store when they come.
        let _ = self.here.send(reason);
        if let Some(there) = &self.there {
            // Where too many wait to be told, the others find it at their tick.
            let _ = there.try_send(reason);
        }
    }
    /// Rings for what another controller told.
    pub fn ring_from_afar(&self, reason: Reason) {
        let _ = self.here.send(reason);
    }
    /// A bell whose rings are also to be told to other controllers.
    pub fn shared() -> (Self, mpsc::Receiver<Reason>) {
        let (there, rung) = mpsc::channel(1024);
        let wake = Self {
            there: Some(there),
            ..Self::default()
        };
        (wake, rung)
    }
    /// Listens.
    pub fn listen(&self) -> Ear {
        Ear(self.here.subscribe())
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
