//! The guard of a call in flight.

use metrics::Gauge;

/// Counts a call as in flight until it is dropped.
#[derive(Debug)]
#[must_use = "the call counts as over as soon as this is dropped"]
pub struct InFlight(Gauge);

impl InFlight {
    pub(super) fn begin(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
