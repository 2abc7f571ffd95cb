//! How far a long operation is: said every two seconds on standard error, and not at all by one that takes less.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(2);

/// Counts rows.
pub struct Progress {
    what: &'static str,
    total: i64,
    done: i64,
    said: Instant,
    quiet: bool,
}

impl Progress {
    /// Nothing is done yet. A quiet one says nothing.
    pub fn new(what: &'static str, total: i64, quiet: bool) -> Self {
        Self {
            what,
            total,
            done: 0,
            said: Instant::now(),
            quiet,
        }
    }

    /// So many rows more are done.
    pub fn add(&mut self, rows: usize) {
        self.done += i64::try_from(rows).unwrap_or(i64::MAX);
        if !self.quiet && self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            eprintln!("{}: {} of {} rows", self.what, self.done, self.total);
        }
    }
}
