//! Time on tokio's timeline, cheap enough to be read in every call.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};
use tokio::runtime::Builder;

/// Returns the exact time; tests pause it. About 23 ns.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Returns the time in nanoseconds since a moment that stays the same while the process runs. It
/// lies a tick of the kernel (1 to 10 ms) behind at most; on a virtual machine that has to wait for
/// its processor that can be some 30 ms. About 5 ns.
#[inline]
pub(crate) fn coarse() -> u64 {
    BASE.coarse()
}

/// Returns the exact time in [`coarse`]'s nanoseconds. About 23 ns.
pub(crate) fn exact() -> u64 {
    let base = &*BASE;
    if base.exact { base.coarse() } else { kernel::exact().unwrap_or_default() }
}

/// Returns [`coarse`]'s time as a moment: never later than [`now`].
pub(crate) fn coarse_now() -> Instant {
    let base = &*BASE;
    if base.exact { now() } else { base.moment + nanos(base.coarse().saturating_sub(base.nanos)) }
}

/// Turns nanoseconds into a duration.
pub(crate) const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// Turns a duration into nanoseconds; what is beyond 584 years is that.
pub(crate) fn to_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

static BASE: LazyLock<Base> = LazyLock::new(Base::new);

/// Ties nanoseconds to moments.
struct Base {
    /// Whether only tokio's clock will do.
    exact: bool,
    moment: Instant,
    nanos: u64,
}

impl Base {
    fn new() -> Self {
        let exact = clock_can_be_paused() || kernel::exact().is_none();
        // A runtime whose clock was paused before this one was read lives in its past.
        let nanos = if exact { 86_400_000_000_000 } else { kernel::exact().unwrap_or_default() };
        Self { exact, moment: now(), nanos }
    }

    #[inline]
    fn coarse(&self) -> u64 {
        if !self.exact {
            return kernel::coarse();
        }
        let now = now();
        match now.checked_duration_since(self.moment) {
            Some(after) => self.nanos.saturating_add(to_nanos(after)),
            None => self.nanos.saturating_sub(to_nanos(self.moment - now)),
        }
    }
}

/// Tells whether tokio was built with `test-util`: then its clock may stand still, or run ahead of
/// the kernel's, and nothing but tokio itself knows.
///
/// Tokio does not say so. But only then `Builder` has a method `start_paused`, which goes before
/// the one of the same name that is made here.
fn clock_can_be_paused() -> bool {
    struct Never;
    #[allow(dead_code, reason = "which of the two is used depends on how tokio was built")]
    trait StartPaused {
        fn start_paused(&mut self, _: bool) -> Never {
            Never
        }
    }
    impl StartPaused for Builder {}

    trait Answer {
        fn answer(&self) -> bool;
    }
    impl Answer for Never {
        fn answer(&self) -> bool {
            false
        }
    }
    impl Answer for &mut Builder {
        fn answer(&self) -> bool {
            true
        }
    }
    Builder::new_current_thread().start_paused(false).answer()
}

/// The kernel's monotonic clock, as std reads it, and as it stood at the last tick.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod kernel {
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn exact() -> Option<u64> {
        Some(read(ClockId::Monotonic))
    }

    #[inline]
    pub(super) fn coarse() -> u64 {
        read(ClockId::MonotonicCoarse)
    }

    #[inline]
    fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        // Since the machine was started: neither is ever negative.
        time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000) + time.tv_nsec.cast_unsigned()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod kernel {
    pub(super) fn exact() -> Option<u64> {
        None
    }

    pub(super) fn coarse() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tests_pause_the_coarse_clock_too() {
        assert!(clock_can_be_paused());
        let (ticks, moment) = (coarse(), coarse_now());
        assert_eq!(coarse(), ticks);
        tokio::time::advance(Duration::from_millis(7)).await;
        assert_eq!(coarse() - ticks, 7_000_000);
        assert_eq!(coarse_now() - moment, Duration::from_millis(7));
        assert_eq!(coarse_now(), now());
        assert_eq!(exact(), coarse());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_s_coarse_clock_lags_a_tick_at_most() {
        let base = Base {
            exact: false,
            moment: Instant::now(),
            nanos: kernel::exact().unwrap_or_default(),
        };
        for _ in 0..1000 {
            let before = kernel::exact().unwrap_or_default();
            let coarse = base.coarse();
            let after = kernel::exact().unwrap_or_default();
            assert!(coarse <= after, "never ahead");
            // More only on a virtual machine that has to wait for its processor.
            assert!(before.saturating_sub(coarse) < 500_000_000, "{}", before - coarse);
        }
    }
}
