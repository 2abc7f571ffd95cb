//! Pauses between tries to reach the controller: they double, and are spread, so that a fleet does not come back all at once.

use std::time::Duration;

/// Pauses that grow.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
    /// A number in [0, 1).
    random: fn() -> f64,
}

impl Backoff {
    /// From `first` up to `most`, spread by `random`.
    pub(crate) fn new(first: Duration, most: Duration, random: fn() -> f64) -> Self {
        Self {
            first,
            most,
            tries: 0,
            random,
        }
    }

    /// The next pause: between half and all of what is due.
    pub(crate) fn pause(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.tries.min(16));
        self.tries = self.tries.saturating_add(1);
        let due = self.first.saturating_mul(factor).min(self.most);
        due.mul_f64(0.5 + 0.5 * (self.random)().clamp(0.0, 1.0))
    }

    /// The first pause, spread, without making the next one longer.
    pub(crate) fn shortest(&self) -> Duration {
        self.first
            .min(self.most)
            .mul_f64(0.5 + 0.5 * (self.random)().clamp(0.0, 1.0))
    }

    /// Begins anew after a success.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_are_spread() {
        let mut high = Backoff::new(Duration::from_secs(1), Duration::from_secs(5), || 0.999_999);
        let pauses: Vec<u64> = (0..5).map(|_| high.pause().as_secs_f64().round() as u64).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        let mut low = Backoff::new(Duration::from_secs(1), Duration::from_secs(5), || 0.0);
        assert_eq!(low.pause(), Duration::from_millis(500));
        assert_eq!(low.shortest(), Duration::from_millis(500));
        low.reset();
        assert_eq!(low.pause(), Duration::from_millis(500));
    }
}
