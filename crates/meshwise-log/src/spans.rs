//! The fields of `tracing` spans, formatted once when they are recorded.

use crate::format::{Fields, Style};
use tracing::{
    Metadata,
    span::{Attributes, Record},
};

/// The most bytes of fields that a span keeps.
const MAX_BYTES: usize = 4096;

/// Holds a span's fields as they will stand in lines, kept among the span's extensions.
pub(crate) struct SpanFields(pub(crate) Vec<u8>);

impl SpanFields {
    pub(crate) fn new(style: &Style, attributes: &Attributes<'_>) -> Self {
        let mut bytes = Vec::new();
        let site = style.sites.get(attributes.metadata(), style);
        attributes.record(&mut Fields::of_span(style, site, &mut bytes, &mut String::new()));
        Self::bounded(bytes)
    }

    /// Adds what was recorded later, for a span with this metadata.
    pub(crate) fn record(&mut self, style: &Style, of: &Metadata<'_>, values: &Record<'_>) {
        let before = self.0.len();
        let site = style.sites.get(of, style);
        values.record(&mut Fields::of_span(style, site, &mut self.0, &mut String::new()));
        if self.0.len() > MAX_BYTES {
            self.0.truncate(before);
        }
    }

    fn bounded(bytes: Vec<u8>) -> Self {
        if bytes.len() > MAX_BYTES { Self(Vec::new()) } else { Self(bytes) }
    }
}
