//! A time limit that can be changed while calls are in flight.

use crate::{clock, config_error::ConfigError, guard::Handle};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What all clones of a time limit share.
#[derive(Debug)]
pub struct TimeLimit {
    /// What it is called in errors.
    setting: &'static str,
    /// Nanoseconds; 0 is no limit. Nothing else depends on it, so `Relaxed` does.
    nanos: AtomicU64,
}

impl TimeLimit {
    pub(crate) fn new(
        setting: &'static str,
        limit: Option<Duration>,
    ) -> Result<Arc<Self>, ConfigError> {
        let this = Self { setting, nanos: AtomicU64::new(0) };
        this.set(limit)?;
        Ok(Arc::new(this))
    }

    fn set(&self, limit: Option<Duration>) -> Result<(), ConfigError> {
        if let Some(limit) = limit {
            ConfigError::check_duration(self.setting, limit, Duration::from_millis(1))?;
        }
        self.nanos.store(limit.map_or(0, clock::to_nanos), Relaxed);
        Ok(())
    }

    /// Returns the limit in nanoseconds.
    #[inline]
    pub(crate) fn get(&self) -> Option<u64> {
        match self.nanos.load(Relaxed) {
            0 => None,
            nanos => Some(nanos),
        }
    }
}

/// Reads and changes a time limit at run time. Calls that are in flight keep the limit that they began
/// with.
pub type TimeLimitHandle = Handle<TimeLimit>;

impl TimeLimitHandle {
    /// Returns the limit, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.guard.get().map(clock::nanos)
    }

    /// Sets the limit; `None` takes it away.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the limit is shorter than 1 ms or longer than a year; nothing is
    /// changed then.
    pub fn set_limit(&self, limit: Option<Duration>) -> Result<(), ConfigError> {
        self.guard.set(limit)
    }
}
