//! Until when the leases that this agent renews are known to be good, on the monotonic clock. Permits ask here first: a lease
//! that could not be renewed in time is not worth asking the controller about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use syncferry_shared::lease::Resource;
use tokio::time::Instant;

/// The leases. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct LeaseBook {
    until: Arc<Mutex<BTreeMap<(Resource, i64), Instant>>>,
}

impl LeaseBook {
    /// A lease was renewed, and is good until then; or it was refused, and is not good from `until` on.
    pub(crate) fn set(&self, resource: &Resource, epoch: i64, until: Instant) {
        let mut all = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((resource.clone(), epoch), until);
    }

    /// Somebody else renews it.
    pub(crate) fn forget(&self, resource: &Resource, epoch: i64) {
        let mut all = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(resource.clone(), epoch));
    }

    /// Whether a lease is known to be over. One that another agent renews is not known here.
    pub fn is_over(&self, resource: &Resource, epoch: i64, now: Instant) -> bool {
        let all = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(resource.clone(), epoch)).is_some_and(|until| *until <= now)
    }
}
