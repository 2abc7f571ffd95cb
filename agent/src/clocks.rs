//! Time for the agent. Validity is measured on the monotonic clock, from before a request was sent; the wall clock only
//! serves to notice that the machine slept or was reverted meanwhile.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use syncferry_shared::{Clock, Millis};
use tokio::time::Instant;

/// A wall clock that ran this much more or less than the monotonic one means that the machine was paused, or reverted.
pub const JUMP: Duration = Duration::from_secs(2);

/// Both clocks.
pub trait Clocks: Clock + 'static {
    /// The monotonic clock.
    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    /// Both clocks at one moment.
    fn stamp(&self) -> Stamp {
        Stamp {
            monotonic: self.monotonic(),
            wall: self.now(),
        }
    }

    /// Whether the two clocks disagree since then about how much time has passed.
    fn jumped_since(&self, then: Stamp) -> bool {
        let now = self.stamp();
        let monotonic = i64::try_from((now.monotonic - then.monotonic).as_millis()).unwrap_or(i64::MAX);
        let wall = now.wall.since(then.wall);
        monotonic.abs_diff(wall) > JUMP.as_millis() as u64
    }
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The monotonic clock.
    pub monotonic: Instant,
    /// The wall clock.
    pub wall: Millis,
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClocks;

impl Clock for SystemClocks {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Clocks for SystemClocks {}
