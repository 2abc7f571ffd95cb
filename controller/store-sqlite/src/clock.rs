//! The store's clock: whatever clock is injected, made never to go back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use syncferry_shared::{Clock, Millis};

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still where the one inside goes back. Leases then look younger than they are, which is safe:
/// expiry frees nothing.
pub(crate) struct Monotone {
    inside: Arc<dyn Clock>,
    highest: AtomicI64,
}

impl Monotone {
    pub(crate) fn new(inside: Arc<dyn Clock>) -> Self {
        Self {
            inside,
            highest: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn now(&self) -> Millis {
        let now = self.inside.now().0;
        Millis(self.highest.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(AtomicI64);
    impl Clock for Fixed {
        fn now(&self) -> Millis {
            Millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn never_goes_back() {
        let inside = Arc::new(Fixed(AtomicI64::new(10)));
        let clock = Monotone::new(inside.clone());
        assert_eq!(clock.now(), Millis(10));
        inside.0.store(5, Ordering::Relaxed);
        assert_eq!(clock.now(), Millis(10));
        inside.0.store(11, Ordering::Relaxed);
        assert_eq!(clock.now(), Millis(11));
    }
}
