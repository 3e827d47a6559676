//! Breaker, bulkhead and rate limit, of a peer or of a route alike.

use crate::{
    adaptive::{AdaptiveConfig, LimitAlgorithm},
    breaker::{BreakerConfig, BreakerWindow},
    bulkhead::{BulkheadConfig, BulkheadLimit},
    rate::RateConfig,
};
use meshwise_core::settings::{
    AdaptiveSettings, BreakerSettings, BulkheadSettings, RateSettings, WindowSettings,
};
use std::time::Duration;

/// Changes a guard that may be left out: it is, unless it is enabled by what is set or by what was.
fn change<T>(
    guard: &mut Option<T>,
    enabled: Option<&bool>,
    default: impl FnOnce() -> T,
    set: impl FnOnce(&mut T),
) {
    if !enabled.copied().unwrap_or(guard.is_some()) {
        *guard = None;
        return;
    }
    set(guard.get_or_insert_with(default));
}

pub(super) fn breaker(guard: &mut Option<BreakerConfig>, said: &BreakerSettings) {
    change(guard, said.enabled.get(), BreakerConfig::default, |config| {
        config.window = window(config.window, &said.window);
        config.min_calls = said.min_calls.or(config.min_calls);
        config.failure_rate = said.failure_rate.or(config.failure_rate);
        if let Some(slow) = said.slow_call_duration.get() {
            config.slow_call_duration = Some(*slow).filter(|slow| !slow.is_zero());
        }
        config.slow_call_rate = said.slow_call_rate.or(config.slow_call_rate);
        if let Some(failures) = said.consecutive_failures.get() {
            config.consecutive_failures = Some(*failures).filter(|failures| *failures > 0);
        }
        config.consecutive_span = said.consecutive_span.or(config.consecutive_span);
        config.open_time = said.open_time.or(config.open_time);
        config.open_time_max = said.open_time_max.or(config.open_time_max);
        config.open_jitter = said.open_jitter.or(config.open_jitter);
        config.trial_limit = said.trial_limit.or(config.trial_limit);
        config.trial_calls = said.trial_calls.or(config.trial_calls);
        config.trial_failure_rate = said.trial_failure_rate.or(config.trial_failure_rate);
        config.half_open_max_wait = said.half_open_max_wait.or(config.half_open_max_wait);
    });
}

fn window(window: BreakerWindow, said: &WindowSettings) -> BreakerWindow {
    let default = BreakerConfig::default().window;
    let time = |window: BreakerWindow| match (window, default) {
        (BreakerWindow::Time { length, buckets }, _)
        | (_, BreakerWindow::Time { length, buckets }) => (length, buckets),
        _ => (Duration::from_secs(10), 10),
    };
    let (length, buckets) = time(window);
    let by_time =
        BreakerWindow::Time { length: said.time.or(length), buckets: said.buckets.or(buckets) };
    match (said.calls.get(), window) {
        (Some(0), _) => by_time,
        (Some(calls), _) => BreakerWindow::Calls(*calls),
        // A time that is set is meant to count, also where code counts calls.
        (None, BreakerWindow::Calls(calls)) if !said.time.is_set() => BreakerWindow::Calls(calls),
        (None, _) => by_time,
    }
}

pub(super) fn breaker_settings(guard: Option<&BreakerConfig>) -> BreakerSettings {
    let mut all = BreakerSettings::default();
    all.enabled.set(guard.is_some());
    let Some(config) = guard else { return all };
    match config.window {
        BreakerWindow::Time { length, buckets } => {
            all.window.time.set(length);
            all.window.buckets.set(buckets);
            all.window.calls.set(0_u32);
        }
        BreakerWindow::Calls(calls) => all.window.calls.set(calls),
    }
    all.min_calls.set(config.min_calls);
    all.failure_rate.set(config.failure_rate);
    all.slow_call_duration.set(config.slow_call_duration.unwrap_or_default());
    all.slow_call_rate.set(config.slow_call_rate);
    all.consecutive_failures.set(config.consecutive_failures.unwrap_or_default());
    all.consecutive_span.set(config.consecutive_span);
    all.open_time.set(config.open_time);
    all.open_time_max.set(config.open_time_max);
    all.open_jitter.set(config.open_jitter);
    all.trial_limit.set(config.trial_limit);
    all.trial_calls.set(config.trial_calls);
    all.trial_failure_rate.set(config.trial_failure_rate);
    all.half_open_max_wait.set(config.half_open_max_wait);
    all
}

pub(super) fn bulkhead(guard: &mut Option<BulkheadConfig>, said: &BulkheadSettings) {
    change(guard, said.enabled.get(), BulkheadConfig::default, |config| {
        limit(&mut config.limit, said.limit.get().copied(), &said.adaptive, 100);
        config.queue = said.queue.or(config.queue);
        config.max_wait = said.max_wait.or(config.max_wait);
    });
}

/// Changes a limit that is fixed or finds itself.
pub(crate) fn limit(
    limit: &mut BulkheadLimit,
    fixed: Option<u32>,
    said: &AdaptiveSettings,
    default: u32,
) {
    let was_adaptive = matches!(limit, BulkheadLimit::Adaptive(_));
    if !said.enabled.or(was_adaptive) {
        let was = match limit {
            BulkheadLimit::Fixed(fixed) => *fixed,
            BulkheadLimit::Adaptive(_) => default,
        };
        *limit = BulkheadLimit::Fixed(fixed.unwrap_or(was));
        return;
    }
    let mut config = match limit {
        BulkheadLimit::Adaptive(config) => config.clone(),
        BulkheadLimit::Fixed(_) => AdaptiveConfig::gradient2(),
    };
    // One that is of the kind already keeps what code has set of it.
    match (said.algorithm.get().map(String::as_str), config.algorithm) {
        (Some("vegas"), LimitAlgorithm::Gradient2 { .. }) => {
            config.algorithm = AdaptiveConfig::vegas().algorithm;
        }
        (Some("gradient2"), LimitAlgorithm::Vegas { .. }) => {
            config.algorithm = AdaptiveConfig::gradient2().algorithm;
        }
        _ => {}
    }
    config.initial = said.initial.or(config.initial);
    config.floor = said.floor.or(config.floor);
    config.ceiling = said.ceiling.or(config.ceiling);
    config.sample_window = said.sample_window.or(config.sample_window);
    config.min_samples = said.min_samples.or(config.min_samples);
    *limit = BulkheadLimit::Adaptive(config);
}

/// Returns the fixed limit, if it is one, and what is set of one that finds itself.
pub(crate) fn limit_settings(limit: &BulkheadLimit) -> (Option<u32>, AdaptiveSettings) {
    let mut all = AdaptiveSettings::default();
    let config = match limit {
        BulkheadLimit::Fixed(fixed) => {
            all.enabled.set(false);
            return (Some(*fixed), all);
        }
        BulkheadLimit::Adaptive(config) => config,
    };
    all.enabled.set(true);
    let word = match config.algorithm {
        LimitAlgorithm::Gradient2 { .. } => "gradient2",
        LimitAlgorithm::Vegas { .. } => "vegas",
    };
    all.algorithm.set(word.to_owned());
    all.initial.set(config.initial);
    all.floor.set(config.floor);
    all.ceiling.set(config.ceiling);
    all.sample_window.set(config.sample_window);
    all.min_samples.set(config.min_samples);
    (None, all)
}

pub(super) fn bulkhead_settings(guard: Option<&BulkheadConfig>) -> BulkheadSettings {
    let mut all = BulkheadSettings::default();
    all.enabled.set(guard.is_some());
    let Some(config) = guard else { return all };
    let (fixed, adaptive) = limit_settings(&config.limit);
    if let Some(fixed) = fixed {
        all.limit.set(fixed);
    }
    all.adaptive = adaptive;
    all.queue.set(config.queue);
    all.max_wait.set(config.max_wait);
    all
}

pub(super) fn rate(guard: &mut Option<RateConfig>, said: &RateSettings) {
    let default = || RateConfig::new(100, Duration::from_secs(1));
    change(guard, said.enabled.get(), default, |config| {
        let calls = said.calls.or(config.calls());
        // One that was as large as the rate follows it.
        let follows = config.burst() == config.calls();
        let burst = if follows { calls } else { config.burst() };
        *config = RateConfig::new(calls, said.per.or(config.per()))
            .with_burst(said.burst.or(burst))
            .with_max_wait(said.max_wait.or(config.max_wait()));
    });
}

pub(super) fn rate_settings(guard: Option<&RateConfig>) -> RateSettings {
    let mut all = RateSettings::default();
    all.enabled.set(guard.is_some());
    let Some(config) = guard else { return all };
    all.calls.set(config.calls());
    all.per.set(config.per());
    all.burst.set(config.burst());
    all.max_wait.set(config.max_wait());
    all
}
