//! The way of each signal to a collector: the same settings, by each signal's own variables.

use crate::{
    internal::otlp_variables,
    settings::{
        forms::{BOOL, ENDPOINT, HEADER_VALUE, TEXT, WAIT},
        kind::SettingKind,
        part::{Map, Spec, section},
        value::Setting,
        variables as read,
    },
};
use std::time::Duration;

/// Refers to what is set of one signal's way to a collector.
#[derive(Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is a setting of the section, or says where in the tree it is")]
pub struct OtlpParts<'a> {
    pub protocol: &'a mut Setting<String>,
    pub endpoint: &'a mut Setting<String>,
    pub endpoint_path: &'static str,
    pub signal_endpoint: &'a mut Setting<String>,
    pub signal_endpoint_path: &'static str,
    pub headers: &'a mut Map<Setting<String>>,
    pub timeout: &'a mut Setting<Duration>,
    pub compression: &'a mut Setting<String>,
    pub insecure: &'a mut Setting<bool>,
    pub certificate: &'a mut Setting<String>,
    pub certificate_path: &'static str,
    pub client_certificate: &'a mut Setting<String>,
    pub client_certificate_path: &'static str,
    pub client_key: &'a mut Setting<String>,
    pub client_key_path: &'static str,
}

/// Refers to what is set of one signal's queue.
#[derive(Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is a setting of the section")]
pub struct BatchParts<'a> {
    pub queue: &'a mut Setting<i64>,
    pub size: &'a mut Setting<i64>,
    pub delay: &'a mut Setting<Duration>,
    pub timeout: &'a mut Setting<Duration>,
}

/// Declares the way of one signal.
macro_rules! otlp {
    ($name:ident, $path:literal, $variables:ident, $own:ident, $own_variable:literal) => {
        section! {
            /// The way to an OpenTelemetry collector.
            $name {
                /// How records are encoded and carried.
                protocol: Setting<String> =
                    Spec::of(SettingKind::Word(&["grpc", "http/protobuf", "http/json"]))
                        .from(&otlp_variables::$variables.protocol, read::word);
                /// The collector's base address; over HTTP, `/v1/` and the signal are appended.
                endpoint: Setting<String> =
                    Spec::of(ENDPOINT).from(&["OTEL_EXPORTER_OTLP_ENDPOINT"], read::endpoint);
                /// The address of this signal, used as it is.
                $own: Setting<String> = Spec::of(ENDPOINT).from(&[$own_variable], read::endpoint);
                /// Headers of every request.
                headers: Map<Setting<String>> = Spec::of(HEADER_VALUE).secret()
                    .from(&otlp_variables::$variables.headers, read::headers);
                /// How long one request may take.
                timeout: Setting<Duration> = Spec::of(WAIT).or("10s")
                    .from(&otlp_variables::$variables.timeout, read::timeout);
                /// How requests are compressed.
                compression: Setting<String> =
                    Spec::of(SettingKind::Word(&["none", "gzip"])).or("none")
                        .from(&otlp_variables::$variables.compression, read::word);
                /// Whether an address without a scheme is spoken to without TLS (gRPC).
                insecure: Setting<bool> = Spec::of(BOOL).or("false")
                    .from(&otlp_variables::$variables.insecure, read::boolean);
                /// A PEM file of the certificates to trust, instead of the system's.
                certificate: Setting<String> =
                    Spec::of(TEXT).from(&otlp_variables::$variables.certificate, read::text);
                /// A PEM file of this service's own certificate.
                client_certificate: Setting<String> =
                    Spec::of(TEXT).from(&otlp_variables::$variables.client_certificate, read::text);
                /// A PEM file of its key.
                client_key: Setting<String> =
                    Spec::of(TEXT).from(&otlp_variables::$variables.client_key, read::text);
            }
        }

        impl $name {
            /// Refers to all that can be set, as each signal has it.
            #[doc(hidden)]
            pub fn parts(&mut self) -> OtlpParts<'_> {
                OtlpParts {
                    protocol: &mut self.protocol,
                    endpoint: &mut self.endpoint,
                    endpoint_path: concat!($path, ".endpoint"),
                    signal_endpoint: &mut self.$own,
                    signal_endpoint_path: concat!($path, ".", stringify!($own)),
                    headers: &mut self.headers,
                    timeout: &mut self.timeout,
                    compression: &mut self.compression,
                    insecure: &mut self.insecure,
                    certificate: &mut self.certificate,
                    certificate_path: concat!($path, ".certificate"),
                    client_certificate: &mut self.client_certificate,
                    client_certificate_path: concat!($path, ".client_certificate"),
                    client_key: &mut self.client_key,
                    client_key_path: concat!($path, ".client_key"),
                }
            }
        }
    };
}

otlp!(LogOtlpSettings, "log.otlp", LOGS, logs_endpoint, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT");
otlp!(
    MetricOtlpSettings,
    "metrics.otlp",
    METRICS,
    metrics_endpoint,
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
);
otlp!(
    TraceOtlpSettings,
    "traces.otlp",
    TRACES,
    traces_endpoint,
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
);

/// Declares the queue of one signal.
macro_rules! batch {
    ($name:ident, $delay:literal, $prefix:literal) => {
        section! {
            /// The queue before an exporter.
            $name {
                /// Records that may wait.
                queue: Setting<i64> = Spec::of(SettingKind::Whole(1, 1 << 24)).or("2048")
                    .from(&[concat!($prefix, "MAX_QUEUE_SIZE")], read::whole);
                /// Records that are sent at once.
                size: Setting<i64> = Spec::of(SettingKind::Whole(1, 1 << 24)).or("512")
                    .from(&[concat!($prefix, "MAX_EXPORT_BATCH_SIZE")], read::whole);
                /// How long a record waits at most.
                delay: Setting<Duration> = Spec::of(WAIT).or($delay)
                    .from(&[concat!($prefix, "SCHEDULE_DELAY")], read::millis);
                /// How long the export of one batch may take, retries included.
                timeout: Setting<Duration> = Spec::of(WAIT).or("30s")
                    .from(&[concat!($prefix, "EXPORT_TIMEOUT")], read::timeout);
            }
        }

        impl $name {
            /// Refers to all that can be set, as each signal has it.
            #[doc(hidden)]
            pub fn parts(&mut self) -> BatchParts<'_> {
                BatchParts {
                    queue: &mut self.queue,
                    size: &mut self.size,
                    delay: &mut self.delay,
                    timeout: &mut self.timeout,
                }
            }
        }
    };
}

batch!(LogBatchSettings, "1s", "OTEL_BLRP_");
batch!(TraceBatchSettings, "5s", "OTEL_BSP_");
