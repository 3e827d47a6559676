//! OpenTelemetry's variables for OTLP: that of one signal, and its fallback for all of them
//! ("OpenTelemetry Protocol Exporter").

use crate::losses::Signal;

macro_rules! variables {
    ($($(#[$doc:meta])* $field:ident = $suffix:literal,)*) => {
        /// Names the variables of one signal: each beats the one for all signals behind it.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct OtlpVariables {
            $($(#[$doc])* pub $field: [&'static str; 2],)*
        }

        variables!(@signal LOGS, "LOGS", $($field = $suffix,)*);
        variables!(@signal METRICS, "METRICS", $($field = $suffix,)*);
        variables!(@signal TRACES, "TRACES", $($field = $suffix,)*);
    };
    (@signal $name:ident, $signal:literal, $($field:ident = $suffix:literal,)*) => {
        #[doc = concat!("`OTEL_EXPORTER_OTLP_", $signal, "_*`.")]
        pub static $name: OtlpVariables = OtlpVariables {
            $($field: [
                concat!("OTEL_EXPORTER_OTLP_", $signal, "_", $suffix),
                concat!("OTEL_EXPORTER_OTLP_", $suffix),
            ],)*
        };
    };
}

variables! {
    /// A PEM file of the certificates to trust.
    certificate = "CERTIFICATE",
    /// A PEM file of the client's own certificate.
    client_certificate = "CLIENT_CERTIFICATE",
    /// A PEM file of its key.
    client_key = "CLIENT_KEY",
    /// How requests are compressed.
    compression = "COMPRESSION",
    /// Where the collector is.
    endpoint = "ENDPOINT",
    /// Headers of every request.
    headers = "HEADERS",
    /// Whether an address without a scheme is spoken to without TLS.
    insecure = "INSECURE",
    /// How records are encoded and carried.
    protocol = "PROTOCOL",
    /// How long one request may take.
    timeout = "TIMEOUT",
}

/// Returns the variables of a signal.
#[must_use]
pub fn of(signal: Signal) -> &'static OtlpVariables {
    match signal {
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
        Signal::Traces => &TRACES,
    }
}
