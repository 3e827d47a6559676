//! Time on tokio's timeline, cheap enough to be read in every call.

pub(crate) use meshwise_core::internal::clock::span as to_nanos;
use meshwise_core::internal::clock::{self, kernel};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};
use tokio::runtime::Builder;

/// Returns the exact time; tests pause it. About 23 ns.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Returns the time in the nanoseconds of [`meshwise_core::internal::clock::nanos`]. It lies a tick of the
/// kernel (1 to 10 ms) behind at most; on a virtual machine that has to wait for its processor that
/// can be some 30 ms. About 5 ns.
#[inline]
pub(crate) fn coarse() -> u64 {
    match OFFSET.load(Relaxed) {
        UNKNOWN | NONE => by_tokio(),
        offset => kernel::coarse().wrapping_add(offset),
    }
}

/// Returns the exact time in [`coarse`]'s nanoseconds. About 23 ns.
#[inline]
pub(crate) fn exact() -> u64 {
    match OFFSET.load(Relaxed) {
        UNKNOWN | NONE => by_tokio(),
        offset => kernel::exact().wrapping_add(offset),
    }
}

/// Returns tokio's time; finds out first whether the kernel's is the same, if that is not known.
#[cold]
#[inline(never)]
fn by_tokio() -> u64 {
    let now = clock::nanos(now());
    if OFFSET.load(Relaxed) == UNKNOWN {
        let offset = if clock_can_be_paused() { NONE } else { now.wrapping_sub(kernel::exact()) };
        // The first thread's offset is all threads'.
        _ = OFFSET.compare_exchange(UNKNOWN, offset, Relaxed, Relaxed);
    }
    now
}

/// Serializes a duration as seconds.
#[cfg(feature = "serde")]
pub(crate) fn seconds<S: serde::Serializer>(
    duration: &Option<std::time::Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&duration.map(|duration| duration.as_secs_f64()), serializer)
}

/// What the kernel's clock is behind.
static OFFSET: AtomicU64 = AtomicU64::new(UNKNOWN);

const UNKNOWN: u64 = u64::MAX;

/// Only tokio's clock will do.
const NONE: u64 = u64::MAX - 1;

/// Tells whether tokio was built with `test-util`: then its clock may stand still, or run ahead of
/// the kernel's, and nothing but tokio itself knows.
///
/// Tokio does not say so. But only then `Builder` has a method `start_paused`, which goes before
/// the one of the same name that is made here.
#[allow(clippy::size_of_ref, reason = "whether it is a reference is the question")]
fn clock_can_be_paused() -> bool {
    #[allow(dead_code, reason = "which of the two is used depends on how tokio was built")]
    trait StartPaused {
        fn start_paused(&mut self, _: bool) {}
    }
    impl StartPaused for Builder {}

    // Tokio's returns a reference, ours nothing.
    size_of_val(&Builder::new_current_thread().start_paused(false)) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tests_pause_the_coarse_clock_too() {
        assert!(clock_can_be_paused());
        let (ticks, moment) = (coarse(), now());
        assert_eq!((coarse(), clock::nanos(moment)), (ticks, ticks));
        tokio::time::advance(std::time::Duration::from_millis(7)).await;
        assert_eq!(coarse() - ticks, 7_000_000);
        assert_eq!(exact(), coarse());
    }
}
