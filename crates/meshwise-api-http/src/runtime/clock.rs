//! The time of day, or what a test takes for it.

use meshwise_api::Date;
use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Tells the time; the system's clock by default.
///
/// A read costs some tens of nanoseconds and the day follows by a division, so each call asks anew:
/// a state changes with the first call after midnight UTC, not a minute later.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        let now = (self.0)();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            // Rounded up, away from the past: a clock before 1970 is broken in any case.
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
        }
    }

    /// Returns today, UTC; the calendar's first or last day if the clock is beyond them.
    pub(crate) fn today(&self) -> Date {
        day(self.seconds())
    }
}

/// Returns the day of a moment, UTC.
pub(crate) fn day(seconds: i64) -> Date {
    let beyond = if seconds < 0 { Date::MIN } else { Date::MAX };
    Date::from_unix_seconds(seconds).unwrap_or(beyond)
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.today()).finish()
    }
}
