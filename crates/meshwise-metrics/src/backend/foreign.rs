//! A recorder of another crate.

use super::{Backend, Pages};
use crate::expose::Format;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{fmt, sync::Arc};

/// Passes everything on; what was recorded is only known to the other.
pub(crate) struct Foreign(pub(crate) Arc<dyn Recorder + Send + Sync>);

impl Recorder for Foreign {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0.register_histogram(key, metadata)
    }
}

impl Backend for Foreign {
    fn writes(&self, format: Format) -> bool {
        format == Format::Text
    }

    fn pages(&self, _: Format) -> Box<dyn Pages> {
        Box::new(Blank)
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Foreign(..)")
    }
}

/// Writes nothing.
struct Blank;

impl Pages for Blank {
    fn next(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }
}
