//! Handing metrics out: formats, encodings, negotiation.

mod gzip;
mod negotiate;
mod stream;

pub(crate) use negotiate::{accepts_gzip, choose_format};
pub use stream::ExpositionStream;

use bytes::Bytes;

/// Names a format that metrics are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Text,
    /// `OpenMetrics` 1.0: as text, with exemplars and units.
    OpenMetrics,
    /// Prometheus' protobuf messages, each after its length: with exemplars, units, and native
    /// histograms, which the other formats have no place for.
    Protobuf,
}

impl Format {
    /// Returns the `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }
}

/// Holds all metrics as one answer to a scrape.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exposition {
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// The `Content-Encoding` header, if the body is compressed.
    pub content_encoding: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}
