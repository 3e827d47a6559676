//! The names of every header that carries context.

use http::HeaderName;

pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub(super) static BAGGAGE: HeaderName = HeaderName::from_static("baggage");

pub(super) static B3: HeaderName = HeaderName::from_static("b3");
pub(super) static X_B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
pub(super) static X_B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
pub(super) static X_B3_PARENT_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");
pub(super) static X_B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
pub(super) static X_B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

pub(super) static UBER_TRACE_ID: HeaderName = HeaderName::from_static("uber-trace-id");
/// What Jaeger's headers of baggage begin with; the key follows.
pub(super) const UBERCTX: &str = "uberctx-";

pub(super) static X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

pub(super) static X_DATADOG_TRACE_ID: HeaderName = HeaderName::from_static("x-datadog-trace-id");
pub(super) static X_DATADOG_PARENT_ID: HeaderName = HeaderName::from_static("x-datadog-parent-id");
pub(super) static X_DATADOG_SAMPLING_PRIORITY: HeaderName =
    HeaderName::from_static("x-datadog-sampling-priority");
pub(super) static X_DATADOG_ORIGIN: HeaderName = HeaderName::from_static("x-datadog-origin");
pub(super) static X_DATADOG_TAGS: HeaderName = HeaderName::from_static("x-datadog-tags");

pub(super) static ALL_OF_TRACE_CONTEXT: [&HeaderName; 2] = [&TRACEPARENT, &TRACESTATE];
pub(super) static ALL_OF_BAGGAGE: [&HeaderName; 1] = [&BAGGAGE];
/// Either form of B3 reads both, so either has to take both away.
pub(super) static ALL_OF_B3: [&HeaderName; 6] =
    [&B3, &X_B3_TRACE_ID, &X_B3_SPAN_ID, &X_B3_PARENT_SPAN_ID, &X_B3_SAMPLED, &X_B3_FLAGS];
pub(super) static ALL_OF_JAEGER: [&HeaderName; 1] = [&UBER_TRACE_ID];
pub(super) static ALL_OF_XRAY: [&HeaderName; 1] = [&X_AMZN_TRACE_ID];
pub(super) static ALL_OF_DATADOG: [&HeaderName; 5] = [
    &X_DATADOG_TRACE_ID,
    &X_DATADOG_PARENT_ID,
    &X_DATADOG_SAMPLING_PRIORITY,
    &X_DATADOG_ORIGIN,
    &X_DATADOG_TAGS,
];

/// Context in formats that are neither read nor written: of `OpenCensus`, Google Cloud, Jaeger's
/// debugging, `ottrace`, Lightstep, Sentry, Elastic, New Relic, Application Insights.
const OTHERS: [&str; 11] = [
    "correlation-context",
    "elastic-apm-traceparent",
    "grpc-tags-bin",
    "grpc-trace-bin",
    "jaeger-baggage",
    "jaeger-debug-id",
    "newrelic",
    "request-context",
    "sentry-trace",
    "x-cloud-trace-context",
    "x-ot-span-context",
];
/// What the names of others begin with.
const OTHER_PREFIXES: [&str; 3] = ["ot-baggage-", "ot-tracer-", "x-datadog-"];

/// Tells whether a header carries context in a format that is not known here.
pub(super) fn is_other_context(name: &str) -> bool {
    OTHERS.contains(&name) || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
