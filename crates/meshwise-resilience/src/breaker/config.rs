//! When a breaker opens, for how long, and what it takes to close.

use crate::config::{self, ConfigError, setters};
use meshwise_core::settings::BreakerSettings;
use std::time::Duration;

/// Sets when a circuit breaker opens, for how long, and what closes it again.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct BreakerConfig(pub(crate) BreakerSettings);

setters! { BreakerConfig.0 = Self(config::DEFAULTS.peer.breaker.clone()); {
    /// Judges the calls of the last `length`, forgotten in `buckets` steps. Default: 10 s in 10.
    with_time_window(length: Duration, buckets: u32) =>
        window.time = length, window.buckets = buckets, window.calls = 0_u32;
    /// Judges the last `calls` calls instead of a time; 0 leaves it at the time.
    with_call_window(calls: u32) => window.calls = calls;
    /// Sets the fewest calls to judge by. Default: 20.
    with_min_calls(calls: u32) => min_calls = calls;
    /// Opens at this share of failed calls, in (0, 1]. Default: 0.5.
    with_failure_rate(rate: f64) => failure_rate = rate;
    /// Takes calls over `longer_than` for slow, and opens at this share of them; zero takes none for
    /// slow, which is the default.
    /// Exact to a tick of the kernel (1 to 10 ms). Default of the share: 0.5.
    with_slow_calls(longer_than: Duration, rate: f64) =>
        slow_call_duration = longer_than, slow_call_rate = rate;
    /// Opens at so many failures in a row as well, if there is at least `span` from the first to the
    /// last of them; a `span` of zero opens at the last however fast they come, and no `failures` leave
    /// it to the rates alone. Default: 10, 1 s.
    ///
    /// The rates judge nothing below their fewest calls, so without this rule a peer that is
    /// called once a minute is never cut off, though each call fails.
    with_consecutive_failures(failures: u32, span: Duration) =>
        consecutive_failures = failures, consecutive_span = span;
    /// Stays open for `first`, twice as long at each re-opening, `at_most` at last. Default: 5 s,
    /// 60 s.
    with_open_time(first: Duration, at_most: Duration) =>
        open_time = first, open_time_max = at_most;
    /// Adds up to this share of the open time at random. Default: 0.1.
    with_open_jitter(share: f64) => open_jitter = share;
    /// Lets `limit` trial calls through at a time while half-open, and decides after `calls`.
    /// Default: 3, 3.
    with_trials(limit: u32, calls: u32) => trial_limit = limit, trial_calls = calls;
    /// Lets this share of the trial calls fail. Default: 0, one failure re-opens.
    with_trial_failure_rate(share: f64) => trial_failure_rate = share;
    /// Sets the longest wait for a trial call to succeed; then it re-opens, unless all trials had good heads and
    /// their bodies flow: these have succeeded. Default: 10 s.
    with_half_open_max_wait(wait: Duration) => half_open_max_wait = wait;
} }

impl BreakerConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let said = &self.0;
        config::check("breaker", said.wrong())?;
        let trial_calls = said.trial_calls.or_none();
        if let calls @ 1.. = said.window.calls.or_none() {
            // What is more than the window holds would never be reached.
            ConfigError::check_range("breaker.min_calls", said.min_calls.or_none(), 1, calls)?;
            ConfigError::check_range("breaker.trial_calls", trial_calls, 1, calls)?;
        }
        let (open_time, open_time_max) = self.open_times();
        ConfigError::check_duration("breaker.open_time_max", open_time_max, open_time)?;
        // More at a time than are needed would only be more load on what has just come back.
        ConfigError::check_range("breaker.trial_limit", said.trial_limit.or_none(), 1, trial_calls)
    }

    pub(super) fn open_times(&self) -> (Duration, Duration) {
        let first = self.0.open_time.or_none();
        (first, config::at_most(&self.0.open_time_max, first))
    }

    /// Returns the time past which a call is slow, in nanoseconds; `u64::MAX` if none is.
    pub(super) fn slow_after(&self) -> u64 {
        match self.0.slow_call_duration.or_none() {
            Duration::ZERO => u64::MAX,
            slow => crate::clock::to_nanos(slow),
        }
    }
}
