//! The seam between this crate and what keeps the numbers.

#[cfg(feature = "exporter-prometheus")]
mod exporter;
mod foreign;
mod own;
mod proto;
mod text;

#[cfg(feature = "exporter-prometheus")]
pub(crate) use exporter::Exporter;
pub(crate) use foreign::Foreign;
pub(crate) use own::{COARSEST, FINEST, Own};
#[cfg(feature = "_otlp")]
pub(crate) use own::{PointReader, Temporality};

use crate::{expose::Format, registry::RefusedMetric};
use meshwise_core::SignalReport;
use metrics::{Counter, Key, Recorder};
use std::fmt;

/// A recorder that writes out what it has kept.
pub(crate) trait Backend: Recorder + fmt::Debug + Send + Sync {
    /// Finds or begins a counter of seconds that is counted in microseconds, if it can do that.
    fn register_seconds(&self, _key: &Key) -> Option<Counter> {
        None
    }

    /// Tells whether it can write this format; [`Format::Text`] is the least.
    fn writes(&self, format: Format) -> bool;

    /// Begins to write all families.
    fn pages(&self, format: Format) -> Box<dyn Pages>;

    /// Tells what was lost, if it knows.
    fn report(&self) -> Option<SignalReport> {
        None
    }

    /// Lists metrics that it would not take.
    fn refused(&self) -> Vec<RefusedMetric> {
        Vec::new()
    }
}

/// Writes piece by piece, so that none needs to hold all of it.
pub(crate) trait Pages: Send {
    /// Adds a piece to `page`; returns `false`, having added nothing, at the end.
    fn next(&mut self, page: &mut Vec<u8>) -> bool;
}
