//! Watches: the newest look that each host's agent told of. Older ones are not kept; what mattered in them is an alarm.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::{HostId, Millis};

use crate::error::Result;

/// A host's newest look.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// Whose agent looked.
    pub host: HostId,
    /// What it saw: a `shared::watch::WatchReport`.
    pub report: Value,
    /// When it was told, by the store's clock.
    pub at: Millis,
}

/// Watches.
#[async_trait]
pub trait Watches {
    /// Keeps a look in place of the one before, which is returned.
    async fn keep_watch(&mut self, host: HostId, report: &Value) -> Result<Option<Watch>>;
    /// Every host's newest one.
    async fn watches(&mut self) -> Result<Vec<Watch>>;
}
