//! What lines have in common.

use super::log_format::LogFormat;
use meshwise_core::Redaction;
use std::{fmt, time::SystemTime};

/// Tells the time of lines.
pub(crate) type Clock = fn() -> SystemTime;

/// Holds everything that lines have in common.
pub(crate) struct Style {
    pub(crate) format: LogFormat,
    /// What every line says of the service, as the format has it.
    pub(crate) service: Box<[u8]>,
    /// That of it which stands among ECS' `labels`.
    pub(crate) labels: Box<[u8]>,
    pub(crate) colour: bool,
    pub(crate) span_fields: bool,
    /// Whether events are made OTLP records of too.
    pub(crate) records: bool,
    pub(crate) redaction: Redaction,
    pub(crate) gcp_project: Option<String>,
    pub(crate) clock: Clock,
}

impl fmt::Debug for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Style")
            .field("format", &self.format)
            .field("colour", &self.colour)
            .field("span_fields", &self.span_fields)
            .field("redaction", &self.redaction)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Style {
    pub(crate) fn for_tests() -> Self {
        let (service, labels) =
            super::service(LogFormat::Json, &meshwise_core::Service::new("orders", "1").into());
        Self {
            format: LogFormat::Json,
            service,
            labels,
            colour: false,
            span_fields: true,
            records: false,
            redaction: Redaction::default(),
            gcp_project: None,
            clock: SystemTime::now,
        }
    }
}
