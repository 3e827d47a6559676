//! Names of environment variables, attributes and threads.

/// The instrumentation scope of meshwise's own tracer.
pub(crate) const SCOPE: &str = "meshwise";
/// The version of OpenTelemetry's semantic conventions that names of spans and attributes follow:
/// the schema that the scope's spans carry (specification, "Telemetry Schemas").
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";
/// The target of the pipeline's own log lines.
pub(crate) const LOG_TARGET: &str = "meshwise::trace";
/// The exporter's thread.
pub(crate) const EXPORT_THREAD: &str = "meshwise-trace";
/// The short-lived thread that waits for a flush or shutdown.
pub(crate) const WAIT_THREAD: &str = "meshwise-wait";

/// Says on the local root of a kept trace why it was kept: `error` or `slow`.
pub(crate) const ATTRIBUTE_KEPT: &str = "meshwise.sampling.kept";
/// Attributes whose conventions say how they are redacted.
pub(crate) const URL_FULL: &str = "url.full";
pub(crate) const URL_QUERY: &str = "url.query";

pub(crate) const OTEL_TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";
pub(crate) const OTEL_TRACES_SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
pub(crate) const MESHWISE_TRACES_SLOW: &str = "MESHWISE_TRACES_SLOW";

pub(crate) const OTEL_BSP_SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
pub(crate) const OTEL_BSP_MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
pub(crate) const OTEL_BSP_MAX_EXPORT_BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
pub(crate) const OTEL_BSP_EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";

pub(crate) const OTEL_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_ATTRIBUTE_COUNT_LIMIT";
pub(crate) const OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
pub(crate) const OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT";
pub(crate) const OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: &str =
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT";
pub(crate) const OTEL_SPAN_EVENT_COUNT_LIMIT: &str = "OTEL_SPAN_EVENT_COUNT_LIMIT";
pub(crate) const OTEL_SPAN_LINK_COUNT_LIMIT: &str = "OTEL_SPAN_LINK_COUNT_LIMIT";
pub(crate) const OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT";
pub(crate) const OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT";

pub(crate) const OTEL_TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
