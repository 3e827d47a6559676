//! Names of environment variables, attributes and threads.

/// The instrumentation scope of meshwise's own tracer.
pub(crate) const SCOPE: &str = "meshwise";
/// The exporter's thread.
pub(crate) const EXPORT_THREAD: &str = "meshwise-trace";

/// Says on the local root of a kept trace why it was kept: `error` or `slow`.
pub(crate) const ATTRIBUTE_KEPT: &str = "meshwise.sampling.kept";
/// Attributes whose conventions say how they are redacted.
pub(crate) const URL_FULL: &str = "url.full";
pub(crate) const URL_QUERY: &str = "url.query";
/// What `tracing-opentelemetry` calls an event that has an error and no message, as the conventions do.
pub(crate) const EXCEPTION: &str = "exception";
pub(crate) const EXCEPTION_MESSAGE: &str = "exception.message";
pub(crate) const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";
