//! Gauges.

use super::context::CellContext;
use meshwise_core::DropReason;
use metrics::GaugeFn;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Goes up and down.
///
/// It may be set to anything, NaN included, which says that there is no value. A step that is not
/// finite, or that would lead beyond all numbers, would stay in the sum for good: it is refused and
/// counted as such. A step after NaN begins at 0.
#[derive(Debug)]
pub(crate) struct GaugeCell {
    /// The bits of an `f64`.
    bits: AtomicU64,
    /// Whether anything was written since this was asked last.
    touched: AtomicBool,
    /// Whether it goes up and down in steps, as a count of what is there now does.
    steps: AtomicBool,
    shared: Arc<CellContext>,
}

impl GaugeCell {
    pub(super) fn new(shared: Arc<CellContext>) -> Self {
        Self {
            bits: AtomicU64::new(0),
            touched: AtomicBool::new(false),
            steps: AtomicBool::new(false),
            shared,
        }
    }

    pub(super) fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Relaxed))
    }

    pub(super) fn touched(&self) -> bool {
        // A call that takes an hour is in flight all that time, though the gauge is not written.
        let counts = self.steps.load(Relaxed) && self.value() != 0.0;
        self.touched.swap(false, Relaxed) || counts
    }

    fn step(&self, by: f64) {
        let step = |bits| after(f64::from_bits(bits), by).map(f64::to_bits);
        if self.bits.fetch_update(Relaxed, Relaxed, step).is_err() {
            self.shared.losses.dropped(DropReason::Refused, 1);
            return;
        }
        mark(&self.touched);
        mark(&self.steps);
    }
}

/// Returns what a gauge is after a step; `None` if it is refused.
fn after(value: f64, by: f64) -> Option<f64> {
    let sum = value + by;
    if sum.is_finite() {
        return Some(sum);
    }
    // Set to NaN, it has no value; set to an infinite one, it stays there.
    let sum = if value.is_nan() { by } else { sum };
    (by.is_finite() && (sum.is_finite() || value.is_infinite())).then_some(sum)
}

/// Sets a flag; a flag that is set already is only read, which other threads do not notice.
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
