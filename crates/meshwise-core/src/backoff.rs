//! How long to wait before something is tried again: calls, messages, exports.

use crate::internal::random::part_of;
use std::time::Duration;

/// Doubles the longest wait from try to try; the wait itself is a random part of it.
///
/// Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): callers that failed
/// together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Backoff {
    #[doc(hidden)]
    pub base: Duration,
    #[doc(hidden)]
    pub max: Duration,
    #[doc(hidden)]
    pub jitter: bool,
}

impl Backoff {
    /// Begins with up to `base` before the first retry, and never waits longer than `max`.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, jitter: true }
    }

    /// Waits exactly as long as it may: for tests, and where a single caller retries.
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// Returns the longest wait before the retry of this number (1 is the first).
    fn longest(&self, retry: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(retry.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.max)
    }

    /// Draws the wait before the retry of this number (1 is the first).
    #[must_use]
    #[doc(hidden)]
    pub fn wait(&self, retry: u32) -> Duration {
        let longest = self.longest(retry);
        if self.jitter { part_of(longest) } else { longest }
    }

    /// Draws the wait before the retry of this number, where the peer asked for one by
    /// `Retry-After`: that, and up to a fifth of it on top (the longest first wait, if that is
    /// more), since all callers that it turned away were told the same. Never less than was asked; zero, as
    /// a date that has passed, asks for nothing, and the wait is the usual one.
    ///
    /// gRPC's pushback is not for this: the client "must wait" as long as it says (proposal A6).
    #[must_use]
    #[doc(hidden)]
    pub fn after_asked(&self, retry: u32, asked: Duration) -> Duration {
        if asked.is_zero() {
            return self.wait(retry);
        }
        if !self.jitter {
            return asked;
        }
        asked.saturating_add(part_of((asked / 5).max(self.longest(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Backoff {
        Backoff::new(Duration::from_millis(25), Duration::from_secs(1))
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = usual();
        let millis: Vec<_> = (1..9).map(|n| backoff.longest(n).as_millis()).collect();
        assert_eq!(millis, [25, 50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.longest(u32::MAX), Duration::from_secs(1));
        assert_eq!(backoff.without_jitter().wait(3), Duration::from_millis(100));
    }

    #[test]
    fn the_wait_is_any_part_of_the_longest() {
        let backoff = usual();
        let waits: Vec<_> = (0..1000).map(|_| backoff.wait(2)).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(50)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(10)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(40)));
    }

    #[test]
    fn what_was_asked_for_is_waited_and_some_more_at_random() {
        let backoff = usual();
        let drawn = |asked: Duration| -> Vec<_> {
            (0..1000).map(|n| backoff.after_asked(1 + n % 3, asked).as_nanos()).collect()
        };
        // A fifth of ten seconds; the first wait's 25 ms, where a fifth is less.
        for (asked, most) in [(10_000_u64, 12_000_u64), (1000, 1200), (20, 45)] {
            let (asked, most) = (u128::from(asked) * 1_000_000, u128::from(most) * 1_000_000);
            let waits = drawn(Duration::from_nanos(asked as u64));
            assert!(waits.iter().all(|wait| (asked..=most).contains(wait)), "{asked}");
            let (part, tenth) = (most - asked, (most - asked) / 10);
            assert!(waits.iter().any(|wait| *wait < asked + tenth), "{asked}");
            assert!(waits.iter().any(|wait| *wait > asked + part - tenth), "{asked}");
        }
        assert_eq!(backoff.without_jitter().after_asked(1, Duration::from_secs(1)).as_secs(), 1);
        assert!(backoff.after_asked(u32::MAX, Duration::MAX) == Duration::MAX);
    }

    #[test]
    fn to_be_asked_to_come_back_at_once_is_to_be_asked_for_nothing() {
        let exact = usual().without_jitter();
        assert_eq!(exact.after_asked(3, Duration::ZERO), Duration::from_millis(100));
        let waits: Vec<_> = (0..1000).map(|_| usual().after_asked(2, Duration::ZERO)).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(50)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(40)));
    }
}
