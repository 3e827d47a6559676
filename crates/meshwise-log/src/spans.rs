//! The fields of `tracing` spans, formatted once when they are recorded.

use crate::format::{Fields, Style};
use tracing::span::{Attributes, Record};

/// The most bytes of fields that a span keeps.
const MAX_BYTES: usize = 4096;

/// Holds a span's fields as they will stand in lines, kept among the span's extensions.
pub(crate) struct SpanFields(pub(crate) Vec<u8>);

impl SpanFields {
    pub(crate) fn new(style: &Style, attributes: &Attributes<'_>) -> Self {
        let mut bytes = Vec::new();
        attributes.record(&mut Fields::of_span(style, &mut bytes, &mut String::new()));
        Self::bounded(bytes)
    }

    pub(crate) fn record(&mut self, style: &Style, values: &Record<'_>) {
        let before = self.0.len();
        values.record(&mut Fields::of_span(style, &mut self.0, &mut String::new()));
        if self.0.len() > MAX_BYTES {
            self.0.truncate(before);
        }
    }

    fn bounded(bytes: Vec<u8>) -> Self {
        if bytes.len() > MAX_BYTES { Self(Vec::new()) } else { Self(bytes) }
    }
}
