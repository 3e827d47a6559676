//! What differs between the signals on their way to a collector.

use meshwise_core::Signal;

/// Names what OTLP calls a signal's own.
pub(crate) trait SignalExt {
    /// Its records, for people.
    fn records(self) -> &'static str;

    /// The path below a base address (OTLP 1.9, "OTLP/HTTP Request").
    fn http_path(self) -> &'static str;

    /// The path of the gRPC method.
    fn grpc_path(self) -> &'static str;

    /// The member of a partial success that tells how many records were not taken, in JSON.
    #[cfg(feature = "otlp-http-json")]
    fn json_refused(self) -> &'static str;

    /// The variable that names exporters.
    fn exporter_variable(self) -> &'static str;

    /// The section of settings.
    fn section(self) -> &'static str;
}

impl SignalExt for Signal {
    fn records(self) -> &'static str {
        match self {
            Self::Logs => "log records",
            Self::Metrics => "metric points",
            Self::Traces => "spans",
        }
    }

    fn http_path(self) -> &'static str {
        match self {
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
            Self::Traces => "/v1/traces",
        }
    }

    fn grpc_path(self) -> &'static str {
        match self {
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }

    #[cfg(feature = "otlp-http-json")]
    fn json_refused(self) -> &'static str {
        match self {
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
            Self::Traces => "rejectedSpans",
        }
    }

    fn exporter_variable(self) -> &'static str {
        match self {
            Self::Logs => "OTEL_LOGS_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
            Self::Traces => "OTEL_TRACES_EXPORTER",
        }
    }

    fn section(self) -> &'static str {
        match self {
            Self::Logs => "log",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }
}
