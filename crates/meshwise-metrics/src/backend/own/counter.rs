//! Counters.

use metrics::CounterFn;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts up, and wraps around at 2^64.
#[derive(Debug, Default)]
pub(crate) struct CounterCell {
    value: AtomicU64,
    /// The value when it was last asked whether it changed.
    seen: AtomicU64,
}

impl CounterCell {
    pub(super) fn value(&self) -> u64 {
        self.value.load(Relaxed)
    }

    pub(super) fn touched(&self) -> bool {
        let value = self.value();
        self.seen.swap(value, Relaxed) != value
    }
}

impl CounterFn for CounterCell {
    fn increment(&self, by: u64) {
        self.value.fetch_add(by, Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.value.fetch_max(value, Relaxed);
    }
}
