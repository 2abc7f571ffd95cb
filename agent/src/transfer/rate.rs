//! How fast something moves, and how long it will take.

use std::time::Instant;

use syncferry_shared::progress::{Progress, Unit};

/// Counts bytes.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    message: String,
    began: Instant,
    /// Bytes that were there before this run: they say nothing about the speed.
    before: u64,
    done: u64,
    total: u64,
}

impl Meter {
    /// Begins with `done` of `total` bytes.
    pub(crate) fn new(message: &str, done: u64, total: u64) -> Self {
        Self {
            message: message.to_string(),
            began: Instant::now(),
            before: done,
            done,
            total,
        }
    }

    /// More bytes.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.done += bytes;
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        let seconds = self.began.elapsed().as_secs_f64();
        let moved = self.done.saturating_sub(self.before) as f64;
        let rate = if seconds > 0.2 { moved / seconds } else { 0.0 };
        let left = self.total.saturating_sub(self.done) as f64;
        Progress {
            message: self.message.clone(),
            done: self.done,
            total: self.total,
            unit: Unit::Bytes,
            rate,
            left_ms: (rate > 0.0).then(|| (left / rate * 1000.0) as u64),
            ..Progress::default()
        }
    }
}
