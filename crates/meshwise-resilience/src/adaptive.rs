//! Limits that find themselves: how many calls a peer bears, told by the time that they take.
//!
//! A peer that has all the calls it can work on answers later for each more. So the limit goes
//! up while calls take no longer than they should, and down when they do. The algorithms are those
//! of Netflix's concurrency-limits, Gradient2 and Vegas (after TCP Vegas, Brakmo and Peterson
//! 1995), fed with one sample a window, as its `WindowedLimit` does. They differ from theirs in
//! what overload does (both limits fall by the share of calls that were dropped in a window, not by
//! a step for any), and in that Vegas goes down by a fifth of the excess, and measures the shortest
//! time anew with the peer's queue drained, if there is one.

mod algorithms;
mod sampler;

pub(crate) use sampler::{Began, Sampler};

use crate::config::{self, ConfigError, setters};
use meshwise_core::settings::AdaptiveSettings;
use std::time::Duration;

/// More than any service has in flight; keeps sums far from overflow.
const MOST: u32 = 1_000_000;

/// Sets how a limit is found that finds itself.
///
/// Only the time of calls that went well counts, from permit to end: of all of them up to some 500
/// in a window, of one in so many past that. Calls that failed because the peer has too much to
/// do are *drops*, and lower the limit by their share of the window's calls: one of 2,000 by next to
/// nothing, 30 % by 30 % (of which Gradient2 goes a fifth at each window), all of them by half.
/// From a tenth on nothing raises it.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct AdaptiveConfig(pub(crate) AdaptiveSettings);

setters! { AdaptiveConfig.0 {
    /// Begins at `initial` and stays within `floor` and `ceiling`. Default: 20, 20, 1,000.
    with_limits(initial: u32, floor: u32, ceiling: u32) =>
        initial = initial, floor = floor, ceiling = ceiling;
    /// Takes a sample of at least `min_samples` calls every `window`; it is longer when there are
    /// fewer. Default: 1 s, 10.
    with_samples(window: Duration, min_samples: u32) =>
        sample_window = window, min_samples = min_samples;
} }

impl AdaptiveConfig {
    /// Compares the time now with its long average; for time that varies by itself. Slowness that
    /// lasts for minutes becomes the new average, and the limit grows again.
    pub fn gradient2() -> Self {
        Self::by("gradient2")
    }

    /// Compares the time now with the shortest seen, and so keeps the peer's queue short; for time
    /// that is steady.
    pub fn vegas() -> Self {
        Self::by("vegas")
    }

    fn by(algorithm: &str) -> Self {
        let mut said = config::DEFAULTS.peer.bulkhead.adaptive.clone();
        said.enabled.set(true);
        said.algorithm.set(algorithm);
        Self(said)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let said = &self.0;
        config::check("adaptive", said.wrong())?;
        let (floor, ceiling) = (said.floor.or_none(), said.ceiling.or_none());
        ConfigError::check_range("adaptive.ceiling", ceiling, floor, MOST)?;
        ConfigError::check_range("adaptive.initial", said.initial.or_none(), floor, ceiling)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
