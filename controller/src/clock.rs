//! The one place where the controller reads the machine's clock. It never goes back within a process.

use std::sync::atomic::{AtomicI64, Ordering};

use syncferry_shared::{Clock, Millis};

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock(AtomicI64);

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Millis(self.0.fetch_max(now, Ordering::SeqCst).max(now))
    }
}
