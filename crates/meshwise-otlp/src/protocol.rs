//! How records are encoded and carried to a collector.

/// Says how records are encoded and carried to the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// `grpc`: gRPC over HTTP/2, port 4317 by default. Needs the feature `otlp-grpc`.
    Grpc,
    /// `http/protobuf`: protobuf over HTTP, port 4318 by default. Needs the feature `otlp-http`.
    HttpProtobuf,
    /// `http/json`: JSON over HTTP, port 4318 by default. Needs the feature `otlp-http-json`.
    HttpJson,
}

/// Says how requests to the collector are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// `gzip`. Needs the feature `gzip`.
    Gzip,
}

impl OtlpProtocol {
    /// Returns its word in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[doc(hidden)]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
        }
    }

    /// Returns the feature that it needs, if that is off.
    pub(crate) const fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Grpc if !cfg!(feature = "otlp-grpc") => Some("otlp-grpc"),
            Self::HttpProtobuf if !cfg!(feature = "otlp-http") => Some("otlp-http"),
            Self::HttpJson if !cfg!(feature = "otlp-http-json") => Some("otlp-http-json"),
            _ => None,
        }
    }

    /// Returns the usual port of this protocol, and that of the other kind.
    #[cfg(feature = "_otlp")]
    pub(crate) const fn usual_ports(self) -> (u16, u16) {
        match self {
            Self::Grpc => (4317, 4318),
            Self::HttpProtobuf | Self::HttpJson => (4318, 4317),
        }
    }

    /// Says what to do if the other side seems to speak the other kind of protocol.
    #[cfg(feature = "_otlp")]
    pub(crate) const fn way_out(self) -> &'static str {
        match self {
            Self::Grpc => "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf or use port 4317",
            Self::HttpProtobuf | Self::HttpJson => {
                "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc or use port 4318"
            }
        }
    }
}
