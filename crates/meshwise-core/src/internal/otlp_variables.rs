//! OpenTelemetry's variables for OTLP: that of traces, and its fallback for all signals
//! ("OpenTelemetry Protocol Exporter").

macro_rules! variables {
    ($($name:ident = $suffix:literal,)*) => {
        $(
            #[doc = concat!("`OTEL_EXPORTER_OTLP_TRACES_", $suffix, "`, `OTEL_EXPORTER_OTLP_", $suffix, "`.")]
            pub const $name: [&str; 2] = [
                concat!("OTEL_EXPORTER_OTLP_TRACES_", $suffix),
                concat!("OTEL_EXPORTER_OTLP_", $suffix),
            ];
        )*
    };
}

variables! {
    CERTIFICATE = "CERTIFICATE",
    CLIENT_CERTIFICATE = "CLIENT_CERTIFICATE",
    CLIENT_KEY = "CLIENT_KEY",
    COMPRESSION = "COMPRESSION",
    ENDPOINT = "ENDPOINT",
    HEADERS = "HEADERS",
    INSECURE = "INSECURE",
    PROTOCOL = "PROTOCOL",
    TIMEOUT = "TIMEOUT",
}
