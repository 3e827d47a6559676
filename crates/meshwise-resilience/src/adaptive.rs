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

pub(crate) use sampler::{Began, Elapsed, Sampler};

use crate::{ConfigError, bulkhead::MOST};
use std::time::Duration;

/// Sets how a [bulkhead](crate::BulkheadLimit::Adaptive)'s limit is found.
///
/// | setting | default |
/// |---|---|
/// | to begin with | 20 |
/// | floor, ceiling | 20, 1,000 |
/// | sample window | 1 s, and 10 calls at least |
///
/// Only the time of calls that went well counts, from permit to end: of all of them up to some 500
/// in a window, of one in so many past that. Calls that failed because the peer has too much to
/// do are *drops*, and lower the limit by their share of the window's calls: one of 2,000 by next to
/// nothing, 30 % by 30 % (of which Gradient2 goes a fifth at each window), all of them by half.
/// From a tenth on nothing raises it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AdaptiveConfig {
    /// How the limit follows the samples.
    #[doc(hidden)]
    pub algorithm: LimitAlgorithm,
    /// The limit to begin with.
    #[doc(hidden)]
    pub initial: u32,
    /// The limit never goes below this, whatever the samples say: some calls must go through to
    /// see the peer recover.
    #[doc(hidden)]
    pub floor: u32,
    /// The limit never goes above this.
    #[doc(hidden)]
    pub ceiling: u32,
    /// The time that one sample sums up.
    #[doc(hidden)]
    pub sample_window: Duration,
    /// The fewest calls that make a sample, those that were dropped among them; the window is longer
    /// when there are fewer.
    #[doc(hidden)]
    pub min_samples: u32,
}

/// Chooses how a limit follows the time that calls take.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LimitAlgorithm {
    /// Compares the time now with its long average; for time that varies by itself. Slowness that
    /// lasts for minutes becomes the new average, and the limit grows again.
    Gradient2 {
        /// How much longer than on average calls may take before the limit goes down, 1 or more.
        /// Default: 1.5.
        #[doc(hidden)]
        tolerance: f64,
        /// The share, in (0, 1], of the way to the new limit that is gone at each sample.
        /// Default: 0.2.
        #[doc(hidden)]
        smoothing: f64,
        /// Calls above the limit that may be tried at each sample, so that it can grow; the
        /// limit's square root, if that is more. Default: 4.
        #[doc(hidden)]
        headroom: u32,
        /// Samples in the long average. Default: 600.
        #[doc(hidden)]
        long_window: u32,
    },
    /// Compares the time now with the shortest seen, and so keeps the peer's queue short; for
    /// time that is steady.
    Vegas {
        /// The share, in (0, 1], of the way to the new limit that is gone at each sample.
        /// Default: 1.
        #[doc(hidden)]
        smoothing: f64,
        /// Samples after which the shortest time is measured anew (at random, half to all of it),
        /// for the world may have changed. If calls filled the limit and queued at the peer for
        /// five samples in a row, the limit is lowered for one sample, by half at most, so that the
        /// queue drains; it is left alone otherwise. Default: 60.
        #[doc(hidden)]
        probe_after: u32,
    },
}

impl AdaptiveConfig {
    /// Follows the gradient of the time that calls take.
    #[must_use]
    pub fn gradient2() -> Self {
        Self::new(LimitAlgorithm::Gradient2 {
            tolerance: 1.5,
            smoothing: 0.2,
            headroom: 4,
            long_window: 600,
        })
    }

    /// Keeps the peer's queue short.
    #[must_use]
    pub fn vegas() -> Self {
        Self::new(LimitAlgorithm::Vegas { smoothing: 1.0, probe_after: 60 })
    }

    /// Starts from the defaults, with an algorithm.
    #[must_use]
    pub fn new(algorithm: LimitAlgorithm) -> Self {
        Self {
            algorithm,
            initial: 20,
            floor: 20,
            ceiling: 1000,
            sample_window: Duration::from_secs(1),
            min_samples: 10,
        }
    }

    /// Begins at `initial` and stays within `floor` and `ceiling`. Default: 20, 20, 1,000.
    #[must_use]
    pub fn with_limits(mut self, initial: u32, floor: u32, ceiling: u32) -> Self {
        (self.initial, self.floor, self.ceiling) = (initial, floor, ceiling);
        self
    }

    /// Takes a sample of at least `min_samples` calls every `window`. Default: 1 s, 10.
    #[must_use]
    pub fn with_samples(mut self, window: Duration, min_samples: u32) -> Self {
        (self.sample_window, self.min_samples) = (window, min_samples);
        self
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), ConfigError> {
        ConfigError::check_range("adaptive.floor", self.floor, 1, MOST)?;
        ConfigError::check_range("adaptive.ceiling", self.ceiling, self.floor, MOST)?;
        ConfigError::check_range("adaptive.initial", self.initial, self.floor, self.ceiling)?;
        ConfigError::check_range("adaptive.min_samples", self.min_samples, 1, sampler::ENOUGH)?;
        let least = Duration::from_millis(10);
        ConfigError::check_duration("adaptive.sample_window", self.sample_window, least)?;
        match self.algorithm {
            LimitAlgorithm::Gradient2 { tolerance, smoothing, headroom, long_window } => {
                // Written so that what is not a number fails too.
                if !(1.0..=100.0).contains(&tolerance) {
                    let setting = "adaptive.tolerance";
                    return Err(ConfigError::new(setting, tolerance, "1 to 100"));
                }
                ConfigError::check_rate("adaptive.smoothing", smoothing)?;
                ConfigError::check_range("adaptive.headroom", headroom, 1, MOST)?;
                ConfigError::check_range("adaptive.long_window", long_window, 2, MOST)
            }
            LimitAlgorithm::Vegas { smoothing, probe_after } => {
                ConfigError::check_rate("adaptive.smoothing", smoothing)?;
                ConfigError::check_range("adaptive.probe_after", probe_after, 2, MOST)
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, not(loom)))]
mod simulation;
