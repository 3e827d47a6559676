//! When a breaker opens, for how long, and what it takes to close.

use crate::ConfigError;
use std::time::Duration;

/// Sets when a circuit breaker opens, for how long, and what closes it again.
///
/// | setting | default |
/// |---|---|
/// | window | 10 s in 10 buckets |
/// | fewest calls to judge by | 20 |
/// | failure rate that opens | 0.5 |
/// | slow calls | off; rate that opens 0.5 |
/// | failures in a row that open | 10, if they span at least 1 s |
/// | open time | 5 s, doubled at each re-opening up to 60 s, plus up to a tenth |
/// | trial calls | 3 at a time, decided after 3, none may fail |
/// | longest wait for a trial to succeed | 10 s |
///
/// ```
/// use meshwise_resilience::BreakerConfig;
/// use std::time::Duration;
/// let config = BreakerConfig::new()
///     .with_call_window(100)
///     .with_slow_calls(Duration::from_millis(800), 0.6)
///     .with_open_time(Duration::from_secs(2), Duration::from_secs(30));
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// The calls that are judged.
    #[doc(hidden)]
    pub window: BreakerWindow,
    /// The fewest calls in the window to judge by.
    #[doc(hidden)]
    pub min_calls: u32,
    /// The share of failed calls, in (0, 1], that opens.
    #[doc(hidden)]
    pub failure_rate: f64,
    /// The time past which a call is slow, if any is; exact to a tick of the kernel (1 to 10 ms).
    #[doc(hidden)]
    pub slow_call_duration: Option<Duration>,
    /// The share of slow calls, in (0, 1], that opens.
    #[doc(hidden)]
    pub slow_call_rate: f64,
    /// The number of failures in a row that opens, whatever the rates and however few calls there
    /// are.
    #[doc(hidden)]
    pub consecutive_failures: Option<u32>,
    /// The least time from the first to the last of them: a moment's hiccup, which many calls in
    /// flight see alike, is up to the rates.
    #[doc(hidden)]
    pub consecutive_span: Duration,
    /// How long it stays open the first time.
    #[doc(hidden)]
    pub open_time: Duration,
    /// How long it stays open at most, however often trial calls have failed.
    #[doc(hidden)]
    pub open_time_max: Duration,
    /// The share of the open time, in \[0, 1\], that is added at random at most, so that many
    /// callers do not come back at once.
    #[doc(hidden)]
    pub open_jitter: f64,
    /// Trial calls at a time while half-open.
    #[doc(hidden)]
    pub trial_limit: u32,
    /// Trial calls that end before the breaker decides.
    #[doc(hidden)]
    pub trial_calls: u32,
    /// The share of trial calls, in \[0, 1), that may fail or be slow without re-opening.
    #[doc(hidden)]
    pub trial_failure_rate: f64,
    /// The longest that a half-open breaker waits for a trial call to succeed, from its beginning
    /// or the last success; then it re-opens.
    #[doc(hidden)]
    pub half_open_max_wait: Duration,
}

/// Chooses the calls that a breaker judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[doc(hidden)]
pub enum BreakerWindow {
    /// Those that ended within a time, forgotten a bucket at a time.
    Time {
        /// The time, 10 ms to a day.
        length: Duration,
        /// The number of buckets, 1 to 100.
        buckets: u32,
    },
    /// The last so many, 1 to 100,000.
    Calls(u32),
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: BreakerWindow::Time { length: Duration::from_secs(10), buckets: 10 },
            min_calls: 20,
            failure_rate: 0.5,
            slow_call_duration: None,
            slow_call_rate: 0.5,
            consecutive_failures: Some(10),
            consecutive_span: Duration::from_secs(1),
            open_time: Duration::from_secs(5),
            open_time_max: Duration::from_secs(60),
            open_jitter: 0.1,
            trial_limit: 3,
            trial_calls: 3,
            trial_failure_rate: 0.0,
            half_open_max_wait: Duration::from_secs(10),
        }
    }
}

impl BreakerConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges the calls of the last `length`, forgotten in `buckets` steps. Default: 10 s in 10.
    #[must_use]
    pub fn with_time_window(mut self, length: Duration, buckets: u32) -> Self {
        self.window = BreakerWindow::Time { length, buckets };
        self
    }

    /// Judges the last `calls` calls instead of a time.
    #[must_use]
    pub fn with_call_window(mut self, calls: u32) -> Self {
        self.window = BreakerWindow::Calls(calls);
        self
    }

    /// Sets the fewest calls to judge by. Default: 20.
    #[must_use]
    pub fn with_min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Opens at this share of failed calls. Default: 0.5.
    #[must_use]
    pub fn with_failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = rate;
        self
    }

    /// Takes calls over `longer_than` for slow, and opens at this share of them. Default: off.
    #[must_use]
    pub fn with_slow_calls(mut self, longer_than: Duration, rate: f64) -> Self {
        self.slow_call_duration = Some(longer_than);
        self.slow_call_rate = rate;
        self
    }

    /// Opens at so many failures in a row as well, if there is at least `span` from the first to the
    /// last of them; zero opens at the last however fast they come. Default: 10, 1 s.
    ///
    /// The rates judge nothing below their fewest calls, so without this rule a peer that is
    /// called once a minute is never cut off, though each call fails.
    #[must_use]
    pub fn with_consecutive_failures(mut self, failures: u32, span: Duration) -> Self {
        self.consecutive_failures = Some(failures);
        self.consecutive_span = span;
        self
    }

    /// Leaves it to the rates alone when to open.
    #[must_use]
    pub fn without_consecutive_failures(mut self) -> Self {
        self.consecutive_failures = None;
        self
    }

    /// Stays open for `first`, twice as long at each re-opening, `at_most` at last. Default: 5 s,
    /// 60 s.
    #[must_use]
    pub fn with_open_time(mut self, first: Duration, at_most: Duration) -> Self {
        self.open_time = first;
        self.open_time_max = at_most;
        self
    }

    /// Adds up to this share of the open time at random. Default: 0.1.
    #[must_use]
    pub fn with_open_jitter(mut self, share: f64) -> Self {
        self.open_jitter = share;
        self
    }

    /// Lets `limit` trial calls through at a time while half-open, and decides after `calls`.
    /// Default: 3, 3.
    #[must_use]
    pub fn with_trials(mut self, limit: u32, calls: u32) -> Self {
        self.trial_limit = limit;
        self.trial_calls = calls;
        self
    }

    /// Lets this share of the trial calls fail. Default: 0, one failure re-opens.
    #[must_use]
    pub fn with_trial_failure_rate(mut self, share: f64) -> Self {
        self.trial_failure_rate = share;
        self
    }

    /// Sets the longest wait for a trial call to succeed. Default: 10 s.
    #[must_use]
    pub fn with_half_open_max_wait(mut self, wait: Duration) -> Self {
        self.half_open_max_wait = wait;
        self
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), ConfigError> {
        const TICK: Duration = Duration::from_millis(1);
        match self.window {
            BreakerWindow::Time { length, buckets } => {
                if !(Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(&length) {
                    let value = format_args!("{length:?}");
                    return Err(ConfigError::new("breaker.window.time", value, "10ms to a day"));
                }
                ConfigError::check_range("breaker.window.buckets", buckets, 1, 100)?;
            }
            BreakerWindow::Calls(calls) => {
                ConfigError::check_range("breaker.window.calls", calls, 1, 100_000)?;
                // What is more than the window holds would never be reached.
                ConfigError::check_range("breaker.min_calls", self.min_calls, 1, calls)?;
                ConfigError::check_range("breaker.trial_calls", self.trial_calls, 1, calls)?;
            }
        }
        ConfigError::check_range("breaker.min_calls", self.min_calls, 1, u32::MAX)?;
        ConfigError::check_rate("breaker.failure_rate", self.failure_rate)?;
        if let Some(slow) = self.slow_call_duration {
            ConfigError::check_duration("breaker.slow_call_duration", slow, TICK)?;
        }
        ConfigError::check_rate("breaker.slow_call_rate", self.slow_call_rate)?;
        if let Some(failures) = self.consecutive_failures {
            ConfigError::check_range("breaker.consecutive_failures", failures, 1, u32::MAX)?;
        }
        let span = self.consecutive_span;
        ConfigError::check_duration("breaker.consecutive_span", span, Duration::ZERO)?;
        ConfigError::check_duration("breaker.open_time", self.open_time, TICK)?;
        ConfigError::check_duration("breaker.open_time_max", self.open_time_max, self.open_time)?;
        ConfigError::check_share("breaker.open_jitter", self.open_jitter)?;
        ConfigError::check_range("breaker.trial_calls", self.trial_calls, 1, 100_000)?;
        // More at a time than are needed would only be more load on what has just come back.
        ConfigError::check_range("breaker.trial_limit", self.trial_limit, 1, self.trial_calls)?;
        if !(0.0..1.0).contains(&self.trial_failure_rate) {
            let allowed = "at least 0 and less than 1";
            let rate = self.trial_failure_rate;
            return Err(ConfigError::new("breaker.trial_failure_rate", rate, allowed));
        }
        ConfigError::check_duration("breaker.half_open_max_wait", self.half_open_max_wait, TICK)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_refused_and_say_what_is_allowed() {
        let new = BreakerConfig::new;
        assert_eq!(new().check(), Ok(()));
        let secs = Duration::from_secs;
        for (config, message) in [
            (
                new().with_failure_rate(1.5),
                "breaker.failure_rate is 1.5: set it to more than 0 and at most 1",
            ),
            (
                new().with_failure_rate(0.0),
                "breaker.failure_rate is 0: set it to more than 0 and at most 1",
            ),
            (
                new().with_time_window(Duration::ZERO, 10),
                "breaker.window.time is 0ns: set it to 10ms to a day",
            ),
            (
                new().with_time_window(secs(10), 0),
                "breaker.window.buckets is 0: set it to 1 to 100",
            ),
            (new().with_call_window(0), "breaker.window.calls is 0: set it to 1 to 100000"),
            (new().with_call_window(10), "breaker.min_calls is 20: set it to 1 to 10"),
            (
                new().with_call_window(50).with_trials(3, 60),
                "breaker.trial_calls is 60: set it to 1 to 50",
            ),
            (new().with_trials(4, 3), "breaker.trial_limit is 4: set it to 1 to 3"),
            (new().with_trials(0, 3), "breaker.trial_limit is 0: set it to 1 to 3"),
            (new().with_min_calls(0), "breaker.min_calls is 0: set it to 1 to 4294967295"),
            (
                new().with_slow_calls(Duration::ZERO, 0.5),
                "breaker.slow_call_duration is 0ns: set it to at least 1ms and at most 365 days",
            ),
            (
                new().with_slow_calls(secs(1), f64::NAN),
                "breaker.slow_call_rate is NaN: set it to more than 0 and at most 1",
            ),
            (
                new().with_consecutive_failures(0, secs(1)),
                "breaker.consecutive_failures is 0: set it to 1 to 4294967295",
            ),
            (
                new().with_consecutive_failures(10, secs(366 * 86_400)),
                "breaker.consecutive_span is 31622400s: set it to at least 0ns and at most 365 days",
            ),
            (
                new().with_open_time(secs(5), secs(1)),
                "breaker.open_time_max is 1s: set it to at least 5s and at most 365 days",
            ),
            (
                new().with_open_jitter(-0.1),
                "breaker.open_jitter is -0.1: set it to at least 0 and at most 1",
            ),
            (
                new().with_trial_failure_rate(1.0),
                "breaker.trial_failure_rate is 1: set it to at least 0 and less than 1",
            ),
            (
                new().with_half_open_max_wait(Duration::ZERO),
                "breaker.half_open_max_wait is 0ns: set it to at least 1ms and at most 365 days",
            ),
        ] {
            assert_eq!(config.check().unwrap_err().to_string(), message);
        }
    }
}
