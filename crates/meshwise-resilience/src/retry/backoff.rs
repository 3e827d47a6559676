//! How long to wait before the next try.

use crate::ConfigError;
use std::time::Duration;

/// Doubles the longest wait from try to try; the wait itself is a random part of it.
///
/// Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): callers that failed
/// together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    jitter: bool,
}

impl Backoff {
    /// Begins with up to `base` before the first retry, and never waits longer than `max`.
    ///
    /// The default is `new(25 ms, 1 s)`.
    #[must_use]
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, jitter: true }
    }

    /// Waits exactly as long as it may: for tests, and where a single caller retries.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// Returns the longest wait before the retry of this number (1 is the first).
    #[must_use]
    pub fn longest(&self, retry: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(retry.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.max)
    }

    /// Draws the wait before the retry of this number (1 is the first).
    #[must_use]
    pub fn wait(&self, retry: u32) -> Duration {
        let longest = self.longest(retry);
        if !self.jitter {
            return longest;
        }
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(meshwise_core::random::up_to(nanos))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        ConfigError::check_duration("retry.backoff.base", self.base, Duration::ZERO)?;
        if self.max < self.base {
            return Err(ConfigError::new(
                "retry.backoff.max",
                format_args!("{:?}", self.max),
                format!("at least retry.backoff.base ({:?})", self.base),
            ));
        }
        ConfigError::check_duration("retry.backoff.max", self.max, Duration::ZERO)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(25), Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let millis: Vec<_> = (1..9).map(|n| backoff.longest(n).as_millis()).collect();
        assert_eq!(millis, [25, 50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.longest(u32::MAX), Duration::from_secs(1));
        assert_eq!(backoff.without_jitter().wait(3), Duration::from_millis(100));
    }

    #[test]
    fn the_wait_is_any_part_of_the_longest() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..1000).map(|_| backoff.wait(2)).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(50)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(10)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(40)));
    }

    #[test]
    fn a_longest_wait_below_the_first_is_refused() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_millis(1));
        assert_eq!(
            backoff.check().unwrap_err().to_string(),
            "retry.backoff.max is 1ms: set it to at least retry.backoff.base (1s)"
        );
    }
}
