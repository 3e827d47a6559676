//! A recorder of another crate.

use super::{Backend, Pages};
use crate::{
    expose::Format,
    kind::{Handle, Kind},
};
use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{fmt, sync::Arc};

/// Passes everything on; what was recorded is only known to the other.
pub(crate) struct Foreign(pub(crate) Arc<dyn Recorder + Send + Sync>);

impl Backend for Foreign {
    fn describe(&self, kind: Kind, name: KeyName, unit: Option<Unit>, help: SharedString) {
        match kind {
            Kind::Counter => self.0.describe_counter(name, unit, help),
            Kind::Gauge => self.0.describe_gauge(name, unit, help),
            Kind::Histogram => self.0.describe_histogram(name, unit, help),
        }
    }

    fn resolve(&self, kind: Kind, key: &Key, metadata: &Metadata<'_>) -> Handle {
        match kind {
            Kind::Counter => Handle::Counter(self.0.register_counter(key, metadata)),
            Kind::Gauge => Handle::Gauge(self.0.register_gauge(key, metadata)),
            Kind::Histogram => Handle::Histogram(self.0.register_histogram(key, metadata)),
        }
    }

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
