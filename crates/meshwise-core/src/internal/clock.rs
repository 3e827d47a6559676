//! Moments as numbers, and what the wall clock showed at them, without asking it each time.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long the difference between the two clocks is believed, in nanoseconds.
const BELIEVED: u64 = 1_000_000_000;
/// How often the clocks are read for one comparison, at most: a thread that loses its processor
/// between the readings would get it wrong.
const TRIES: u32 = 4;
/// Readings that are as close as that are good enough.
const CLOSE: Duration = Duration::from_micros(1);

static CLOCKS: Clocks = Clocks::new();

/// Returns what the wall clock shows (or showed, or will show) at a moment.
///
/// Reading a clock takes 20 to 50 ns, and a call that is observed needs both kinds of time. So the
/// two clocks are compared, once a second at most, and one is worked out from the other. They run at
/// the same speed; a wall clock that is set is followed within a second.
///
/// ```
/// use std::time::{Duration, Instant, SystemTime};
/// let told = meshwise_core::internal::clock::wall_time(Instant::now());
/// let apart = SystemTime::now().duration_since(told).unwrap_or_default();
/// assert!(apart < Duration::from_secs(60));
/// ```
#[must_use]
pub fn wall_time(at: Instant) -> SystemTime {
    wall_time_at(nanos(at))
}

/// As [`wall_time`], of a moment as [`nanos`] counts it.
#[must_use]
#[inline]
pub fn wall_time_at(nanos: u64) -> SystemTime {
    CLOCKS.wall_time(nanos)
}

/// Moments are counted from a day before the process first asked: tests may pause a clock before that.
const BEFORE: u64 = 86_400_000_000_000;

static ANCHOR: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Turns a moment into nanoseconds since one that stays the same while the process runs.
#[must_use]
#[inline]
pub fn nanos(moment: Instant) -> u64 {
    let anchor = *ANCHOR;
    match moment.checked_duration_since(anchor) {
        Some(after) => span(after).saturating_add(BEFORE),
        None => BEFORE.saturating_sub(span(anchor - moment)),
    }
}

/// Returns this moment, as [`nanos`] counts it: the same clock as [`Instant::now`]. With the feature
/// `_kernel-clock`, which the guards switch on, it is read as a number: to take an `Instant` apart costs
/// some 50 instructions.
#[must_use]
#[inline]
pub fn now() -> u64 {
    kernel::exact().wrapping_add(*OFFSET)
}

/// Returns how long ago a moment was, as [`nanos`] counts it.
#[must_use]
#[inline]
pub fn since(began: u64) -> Duration {
    Duration::from_nanos(now().saturating_sub(began))
}

/// What is added to the kernel's count to have that of [`nanos`].
static OFFSET: LazyLock<u64> = LazyLock::new(|| {
    // The closest of some readings: a thread may lose its processor between two.
    let apart = |_| nanos(Instant::now()).wrapping_sub(kernel::exact());
    (0..TRIES).map(apart).max_by_key(|offset| offset.cast_signed()).unwrap_or_default()
});

/// Turns what [`nanos`] returned back into a moment.
#[must_use]
pub fn instant(nanos: u64) -> Instant {
    let anchor = *ANCHOR;
    let moved = match nanos.checked_sub(BEFORE) {
        Some(after) => anchor.checked_add(Duration::from_nanos(after)),
        None => anchor.checked_sub(Duration::from_nanos(BEFORE - nanos)),
    };
    moved.unwrap_or(anchor)
}

/// The kernel's monotonic clock, as std reads it, and as it stood at the last tick; in nanoseconds since the
/// machine was started.
#[cfg(all(feature = "_kernel-clock", any(target_os = "linux", target_os = "android")))]
pub mod kernel {
    use rustix::time::{ClockId, clock_gettime};

    /// Reads it.
    #[must_use]
    #[inline]
    pub fn exact() -> u64 {
        read(ClockId::Monotonic)
    }

    /// Returns what it showed at the last tick (1 to 10 ms ago).
    #[must_use]
    #[inline]
    pub fn coarse() -> u64 {
        read(ClockId::MonotonicCoarse)
    }

    #[inline]
    fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        // Neither is ever negative.
        time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000) + time.tv_nsec.cast_unsigned()
    }
}

/// The clock that there is elsewhere, or without the feature.
#[cfg(not(all(feature = "_kernel-clock", any(target_os = "linux", target_os = "android"))))]
pub mod kernel {
    /// Reads it, as [`nanos`](super::nanos) counts.
    #[must_use]
    pub fn exact() -> u64 {
        super::nanos(std::time::Instant::now())
    }

    pub use exact as coarse;
}

/// Ties the two clocks together.
struct Clocks {
    /// What the wall clock showed at [`nanos`]' zero, in nanoseconds since 1970; 0 if it was not read yet.
    epoch: AtomicU64,
    /// When the clocks were compared, as [`nanos`] counts.
    compared: AtomicU64,
}

impl Clocks {
    const fn new() -> Self {
        Self { epoch: AtomicU64::new(0), compared: AtomicU64::new(0) }
    }

    #[inline]
    fn wall_time(&self, at: u64) -> SystemTime {
        let mut epoch = self.epoch.load(Relaxed);
        if epoch == 0 || at.saturating_sub(self.compared.load(Relaxed)) >= BELIEVED {
            epoch = self.compare();
        }
        UNIX_EPOCH + Duration::from_nanos(epoch.saturating_add(at))
    }

    /// Compares the clocks, and remembers the difference.
    #[inline(never)]
    fn compare(&self) -> u64 {
        let mut best = (Duration::MAX, 0, 0);
        for _ in 0..TRIES {
            let before = Instant::now();
            let wall = SystemTime::now();
            let apart = before.elapsed();
            if apart < best.0 {
                let wall = span(wall.duration_since(UNIX_EPOCH).unwrap_or_default());
                let at = nanos(before).saturating_add(span(apart / 2));
                best = (apart, wall.saturating_sub(at), at);
            }
            if apart < CLOSE {
                break;
            }
        }
        let (_, epoch, at) = best;
        self.epoch.store(epoch, Relaxed);
        self.compared.store(at, Relaxed);
        epoch
    }
}

/// Turns a duration into nanoseconds: 584 years fit.
#[must_use]
#[inline]
pub fn span(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_between_two_readings_of_the_clock() {
        const SLACK: Duration = Duration::from_millis(20);
        for _ in 0..1000 {
            let before = SystemTime::now();
            let told = wall_time(Instant::now());
            let after = SystemTime::now();
            assert!(before - SLACK <= told && told <= after + SLACK, "{before:?} {told:?}");
        }
    }

    #[test]
    fn a_moment_is_a_number_and_back() {
        let now = Instant::now();
        for moment in [now, now + Duration::from_secs(86_400 * 365 * 30)] {
            assert_eq!(instant(nanos(moment)), moment);
        }
        let earlier = instant(nanos(now) - 1_000_000);
        assert_eq!(now - earlier, Duration::from_millis(1));
    }

    #[test]
    fn now_is_the_same_moment_by_either_clock() {
        const SLACK: u64 = 50_000;
        for _ in 0..1000 {
            let before = nanos(Instant::now());
            let between = now();
            let after = nanos(Instant::now());
            assert!(before <= between + SLACK && between <= after + SLACK, "{before} {between}");
        }
    }

    #[cfg(all(feature = "_kernel-clock", target_os = "linux"))]
    #[test]
    fn the_kernel_s_coarse_clock_lags_a_tick_at_most() {
        for _ in 0..1000 {
            let before = kernel::exact();
            let coarse = kernel::coarse();
            let after = kernel::exact();
            assert!(coarse <= after, "never ahead");
            // More only on a virtual machine that has to wait for its processor.
            assert!(before.saturating_sub(coarse) < 500_000_000, "{}", before - coarse);
        }
    }

    #[test]
    fn as_much_time_passes_as_on_the_other_clock() {
        let now = Instant::now();
        let minute = Duration::from_secs(60);
        let told = wall_time(now);
        // The clock may be set anew between the two: by what it was wrong since the last time.
        let later = wall_time(now + minute).duration_since(told).unwrap();
        assert!(later.abs_diff(minute) < Duration::from_millis(100), "{later:?}");
        if let Some(earlier) = now.checked_sub(minute) {
            let apart = told.duration_since(wall_time(earlier)).unwrap();
            assert!(apart.abs_diff(minute) < Duration::from_secs(1), "{apart:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_followed_within_a_second() {
        let now = Instant::now();
        let clocks = Clocks::new();
        let told = clocks.wall_time(nanos(now));
        // As if it had been set forward by an hour since.
        clocks.epoch.fetch_sub(3_600_000_000_000, Relaxed);
        let apart = |at: Instant| clocks.wall_time(nanos(at)).duration_since(told);
        assert!(apart(now + Duration::from_nanos(BELIEVED / 2)).is_err(), "not read again yet");
        let later = apart(now + Duration::from_nanos(2 * BELIEVED)).unwrap();
        assert!(later.abs_diff(Duration::from_secs(2)) < Duration::from_secs(1), "{later:?}");
    }
}
