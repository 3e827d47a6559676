//! Trying a message again, and setting it aside.

use meshwise_core::Backoff;
use std::{fmt, sync::Arc, time::Duration};

/// Says what to do with a message that could not be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Retry {
    /// Let it come again after this time.
    After(Duration),
    /// Set it aside: it has been tried often enough.
    DeadLetter,
}

/// Sets how often and when a message is tried again: 5 times in all, with waits from 1 s doubled up to
/// 60 s, each cut by a random part (full jitter).
///
/// ```
/// use meshwise_messaging::{Retry, RetryConfig};
/// let retry = RetryConfig::default().with_attempts(3);
/// assert!(matches!(retry.after_failure(0), Retry::After(_)));
/// assert_eq!(retry.after_failure(2), Retry::DeadLetter);
/// ```
#[derive(Clone)]
pub struct RetryConfig {
    attempts: u32,
    backoff: Backoff,
    budget: Option<Budget>,
}

type Budget = Arc<dyn Fn() -> bool + Send + Sync>;

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 5,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            budget: None,
        }
    }
}

impl RetryConfig {
    /// Sets how often a message is tried in all, at least once.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the first wait, and the longest, which the first is cut to.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Backoff::new(first.min(longest), longest);
        self
    }

    /// Asks before each further try whether there is budget for it. Without, the message waits the
    /// longest time, uncut: where everything fails, redeliveries must not be the load.
    #[must_use]
    pub fn with_budget(mut self, withdraw: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.budget = Some(Arc::new(withdraw));
        self
    }

    /// Decides about a message that failed and was tried `attempts_before` times before.
    #[must_use]
    pub fn after_failure(&self, attempts_before: u32) -> Retry {
        if attempts_before.saturating_add(1) >= self.attempts {
            return Retry::DeadLetter;
        }
        match &self.budget {
            Some(budget) if !budget() => Retry::After(self.backoff.max),
            _ => Retry::After(self.backoff(attempts_before)),
        }
    }

    /// Returns a wait after so many failures.
    pub(crate) fn backoff(&self, failures_before: u32) -> Duration {
        self.backoff.wait(failures_before.saturating_add(1))
    }
}

impl fmt::Debug for RetryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryConfig")
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("budget", &self.budget.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end_in_dead_letters() {
        let retry = RetryConfig::default();
        for (before, most) in [(0, 1), (1, 2), (2, 4), (3, 8)] {
            let Retry::After(wait) = retry.after_failure(before) else { panic!("{before}") };
            assert!(wait <= Duration::from_secs(most), "{before}: {wait:?}");
        }
        assert_eq!(retry.after_failure(4), Retry::DeadLetter);
        assert_eq!(retry.after_failure(u32::MAX), Retry::DeadLetter);
        assert!(retry.backoff(u32::MAX) <= Duration::from_secs(60));
        let waits: Vec<_> = (0..50).map(|_| retry.backoff(10)).collect();
        assert!(waits.iter().any(|wait| wait != &waits[0]), "they are cut by a random part");
    }

    #[test]
    fn without_budget_the_wait_is_the_longest() {
        let retry = RetryConfig::default().with_budget(|| false);
        assert_eq!(retry.after_failure(0), Retry::After(Duration::from_secs(60)));
        assert_eq!(retry.after_failure(4), Retry::DeadLetter);
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        let longest = Duration::from_secs(1);
        let config = RetryConfig::default().with_backoff(Duration::from_secs(9), longest);
        assert!((0..100).all(|tries| config.backoff(tries) <= longest));
    }
}
