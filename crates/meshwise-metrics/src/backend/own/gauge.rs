//! Gauges.

use metrics::GaugeFn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Goes up and down.
#[derive(Debug, Default)]
pub(crate) struct GaugeCell {
    /// The bits of an `f64`.
    bits: AtomicU64,
    /// Whether anything was written since this was asked last.
    touched: AtomicBool,
    /// Whether it goes up and down in steps, as a count of what is there now does.
    steps: AtomicBool,
}

impl GaugeCell {
    pub(super) fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Relaxed))
    }

    pub(super) fn touched(&self) -> bool {
        // A call that takes an hour is in flight all that time, though nobody writes it down.
        let counts = self.steps.load(Relaxed) && self.value() != 0.0;
        self.touched.swap(false, Relaxed) || counts
    }

    fn step(&self, by: f64) {
        let step = |bits| Some((f64::from_bits(bits) + by).to_bits());
        let _ = self.bits.fetch_update(Relaxed, Relaxed, step);
        mark(&self.touched);
        mark(&self.steps);
    }
}

/// Sets a flag; a flag that is set already is only read, which other threads don't notice.
fn mark(flag: &AtomicBool) {
    if !flag.load(Relaxed) {
        flag.store(true, Relaxed);
    }
}

impl GaugeFn for GaugeCell {
    fn increment(&self, by: f64) {
        self.step(by);
    }

    fn decrement(&self, by: f64) {
        self.step(-by);
    }

    fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Relaxed);
        mark(&self.touched);
    }
}
