//! Traces for services: an OpenTelemetry SDK pipeline whose exporter runs on a thread of its own,
//! whose flush and shutdown are bounded, and which accounts for every span.
//!
//! ```
//! # #[cfg(feature = "pipeline")] {
//! use meshwise_core::{Env, Service};
//! use meshwise_trace::{SamplerConfig, TraceConfig};
//! use std::time::Duration;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let env = Env::process();
//! let tracing = TraceConfig::new(Service::new("orders", env!("CARGO_PKG_VERSION")))
//!     .with_sampler(SamplerConfig::parent_based(SamplerConfig::ratio(0.1)))
//!     .with_env(&env)? // OTEL_EXPORTER_OTLP_ENDPOINT says where spans go
//!     .build()?;
//! opentelemetry::global::set_tracer_provider(tracing.clone());
//! // ... serve ...
//! let report = tracing.shutdown(Duration::from_secs(5)).await;
//! println!("{report}"); // traces: 1284 delivered, 3 dropped (queue_full: 3)
//! # Ok::<(), meshwise_trace::TraceError>(())
//! # })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What happens when
//!
//! | when | then |
//! |---|---|
//! | a span ends | it moves into a bounded queue: no waiting for the exporter, no allocation |
//! | the queue is full | the span is dropped and counted: `queue_full` |
//! | a batch is full, or the delay has passed | the exporter's thread sends a batch |
//! | the collector is absent, or the connection breaks | tried again after 250 ms, 500 ms, ... up to 5 s (less a random part), until the export timeout; then counted: `export_failed` |
//! | it answers 429, 502, 503, 504, or gRPC `UNAVAILABLE` and the like | the same, but no sooner than `Retry-After` or `RetryInfo` say |
//! | it speaks gRPC where HTTP is spoken, or the other way round | counted: `export_failed`; the line says so, and what to set |
//! | it answers anything else that is no success | counted: `export_failed`; not tried again |
//! | it accepts a batch but refuses some spans (partial success) | those are counted: `export_failed` |
//! | it hangs | each request is given up after 10 s and tried again on a new connection; at the export timeout (30 s), counted: `export_timeout` |
//! | it answers with garbage | after a success status: counted: `export_failed`; the line says so; not tried again; else: as a broken connection |
//! | a custom exporter fails, panics or blocks | counted; the app does not notice |
//! | a batch is larger than 4 MiB | it is sent in parts |
//! | anything is lost | at most one `WARN` line a minute, target `meshwise::trace`, with endpoint and protocol |
//! | [`Tracing::flush`] | returns once all that had ended is delivered or lost, or an error after its timeout |
//! | [`Tracing::shutdown`] | sends what is queued, returns in time whatever the collector does, and counts what was not sent: `shutdown`; a collector that cannot be reached gets one try, one that asks for another gets it |
//! | a span ends after that | counted: `shutdown` |
//! | the exporter makes HTTP calls | they are never traced |
//!
//! Delivered and dropped add up to the sampled spans that have ended, once nothing is queued. A
//! batch that was sent but not acknowledged (time-out, broken connection) is sent again, so a
//! collector that was only slow may see it twice: OTLP knows no other way.
//!
//! # Samplers
//!
//! | [`SamplerConfig`] | `OTEL_TRACES_SAMPLER` | `OTEL_TRACES_SAMPLER_ARG` | samples |
//! |---|---|---|---|
//! | [`always_on`](SamplerConfig::always_on) | `always_on` | | everything |
//! | [`always_off`](SamplerConfig::always_off) | `always_off` | | nothing |
//! | [`ratio`](SamplerConfig::ratio) | `traceidratio` | `0.1`; 1 if not set | that share, decided by the trace id |
//! | [`rate_limited`](SamplerConfig::rate_limited) | `ratelimited` | `5`; must be set | so many traces a second |
//! | [`keep_errors`](SamplerConfig::keep_errors) | `keep_errors` | `0.1`, `500ms`, or `0.1,500ms` | that share, and all that fails or takes that long |
//! | [`parent_based`](SamplerConfig::parent_based) | any of them after `parentbased_` | as above | what the caller samples; what starts here as above |
//!
//! The default is `parentbased_always_on`. `jaeger_remote` and `xray` ask a remote service, and
//! are not supported. No sampler here looks at attributes, so layers add them only to spans that
//! record.
//!
//! Trace ids are random in all their bits, and seeded by the operating system. A trace that begins
//! here says so by W3C level 2's `random` flag; a caller's flag is handed on as it came.
//!
//! # Keeping errors and slow calls
//!
//! [`SamplerConfig::keep_errors`] decides at the end of the local root: the span whose parent is
//! in another process, or that has none. Spans of traces that are not sampled are recorded and
//! held back meanwhile. Once one of them fails, or the local root has taken longer than the
//! threshold (1 s, `MESHWISE_TRACES_SLOW`), all of the trace that this process has goes out, with
//! the sampled flag set and `meshwise.sampling.kept` (`error` or `slow`) on the local root.
//!
//! What it can do: show every failing or slow call of this service, with all that the service did
//! for it, also in traces whose callers sampled nothing.
//!
//! What it cannot do:
//! - Reach other processes. `traceparent` has left with the flag 00 before the decision, so a
//!   callee keeps its part only if it samples this way itself and sees the error or the delay,
//!   too. Traces kept here can lack their callers and callees. For whole traces, sample in a
//!   collector (tail sampling), with `always_on` here.
//! - Come for free. Every call is recorded as if it were sampled; only the export is spared.
//! - Bring back what is too late. A span that is still open when its local root ends follows the
//!   decision; one that starts afterwards is not recorded.
//! - Hold back without end. [`TailLimits`] bounds traces, spans and memory; past them the oldest
//!   undecided trace is thrown out, and counted as dropped (`queue_full`). A local root whose
//!   trace was thrown out is still kept, alone, if it fails or is slow.
//!
//! # Environment
//!
//! Read by [`TraceConfig::with_env`]; it beats what is said in code. Values are as OpenTelemetry's
//! specification has them: words in any case, and what is not allowed, or not compiled in, is ignored
//! and told by [`Env::findings`](meshwise_core::Env::findings). With `MESHWISE_STRICT=true` it is an
//! error, as it always is for `MESHWISE_*`. What describes the service is read by
//! [`Resource::builder`](meshwise_core::Resource).
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `OTEL_SDK_DISABLED` | `false` | no spans; a caller's trace is still handed on |
//! | `OTEL_TRACES_EXPORTER` | `otlp` if an endpoint is set, else `none` | `otlp`, `console` (standard output, where log lines go too), both with a comma, or `none` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`, `MESHWISE_TRACES_SLOW` | `parentbased_always_on` | see above |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | `http://localhost:4318`, gRPC: `:4317` | the collector; over HTTP `/v1/traces` is appended |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | | the URL for traces, used as it is |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf` (`grpc` if only that is compiled in) | `grpc`, `http/protobuf`, `http/json` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | | `name=value,...`, values percent-encoded |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | 10000 | for one request, ms; 0 is without limit |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `none` | `gzip`, `none` |
//! | `OTEL_EXPORTER_OTLP_INSECURE` | `false` | gRPC addresses without a scheme are `http` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` | the system's | trusted certificates, a PEM file |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `..._CLIENT_KEY` | | the client's own, PEM files |
//! | `OTEL_BSP_MAX_QUEUE_SIZE` | 2048 | spans that may wait |
//! | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | 512 | spans sent at once |
//! | `OTEL_BSP_SCHEDULE_DELAY` | 5000 (console: 100) | the longest wait of a span, ms |
//! | `OTEL_BSP_EXPORT_TIMEOUT` | 30000 | for one batch with all retries, ms; 0 is without limit |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT`, `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT`, `OTEL_ATTRIBUTE_COUNT_LIMIT` | 128 | how much one span holds |
//! | `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` | | longest text of an attribute, in characters |
//!
//! Each `OTEL_EXPORTER_OTLP_X` has an `OTEL_EXPORTER_OTLP_TRACES_X` that beats it. Unlike the
//! specification, nothing is exported to `localhost` unless an endpoint is set or `otlp` is asked
//! for: a program on a laptop connects nowhere by surprise. HTTP proxies are not used.
//!
//! A pipeline that exports nowhere records nothing: its spans are their ids, and the sampled flag goes
//! on as decided.
//!
//! # Spans of `tracing`
//!
//! [`Tracing::layer`] makes OpenTelemetry spans of them:
//!
//! | span | what it is |
//! |---|---|
//! | the [`SpanFilter`] wants it | an OpenTelemetry span; one that is not sampled is only its ids |
//! | only the log filter lets it through | the span around it: ids, events, attributes set by hand and links are that one's; its own fields are not |
//! | target `meshwise::call` | the call's span, the same way |
//! | tracing is off (`OTEL_SDK_DISABLED`) | the caller's span |
//!
//! Events become events of the current span while it records. `ERROR` sets the status of an
//! OpenTelemetry span that was made so, and never that of a call.
//!
//! # What is hidden
//!
//! Names of spans and events, attributes, and descriptions of errors pass through a
//! [`Redaction`](meshwise_core::Redaction) on their way out, those of `#[instrument]` and of
//! OpenTelemetry's own API alike, whatever exporter takes them: what is named like a secret is
//! `[redacted]`, and so is what looks like one. [`TraceConfig::with_redaction`] changes what that
//! is.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `pipeline` (default) | all of the above; without it there are only ids that are handed on, as `meshwise-http` needs them |
//! | `otlp-grpc` | OTLP over gRPC |
//! | `otlp-http` | OTLP over HTTP, as protobuf |
//! | `otlp-http-json` | OTLP over HTTP, as JSON |
//! | `gzip` | compressed requests |
//! | `tls` | `https://` endpoints (rustls) |
//!
//! Asking in code for what is not compiled in is an error that names the
//! feature; asking by a variable is told, and ignored.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "pipeline")]
mod batch;
#[cfg(feature = "pipeline")]
mod bridge;
#[cfg(feature = "pipeline")]
mod call_event;
#[cfg(feature = "pipeline")]
mod call_span;
#[cfg(feature = "pipeline")]
mod config;
#[doc(hidden)]
pub mod convert;
#[cfg(feature = "pipeline")]
mod decision;
#[cfg(feature = "pipeline")]
mod error;
#[cfg(feature = "pipeline")]
mod export;
#[cfg(feature = "pipeline")]
mod formatted;
mod ids;
#[cfg(feature = "pipeline")]
mod limits;
#[cfg(feature = "pipeline")]
mod logged;
#[cfg(feature = "pipeline")]
mod names;
#[cfg(not(feature = "pipeline"))]
mod nowhere;
#[cfg(feature = "pipeline")]
mod on_demand;
#[cfg(feature = "pipeline")]
mod pipeline;
#[cfg(feature = "pipeline")]
mod processor;
#[cfg(feature = "pipeline")]
mod record;
mod recording;
#[cfg(feature = "pipeline")]
mod resource;
mod room;
#[cfg(feature = "pipeline")]
mod sampler;
#[cfg(feature = "pipeline")]
mod scrub;
#[cfg(feature = "pipeline")]
mod spare;
#[cfg(feature = "pipeline")]
mod start;
mod started;
#[cfg(feature = "pipeline")]
mod tail;
#[cfg(all(test, feature = "pipeline"))]
mod test_util;
#[cfg(feature = "pipeline")]
mod tracer;

#[doc(hidden)]
pub use recording::Recording;
#[doc(hidden)]
pub use room::Room;

#[cfg(not(feature = "pipeline"))]
#[doc(hidden)]
pub use nowhere::{
    CallSpan, CallSpanGuard, MeshSpan, Started, Tracing, end_as_owner, with_plain_values,
};

#[cfg(feature = "pipeline")]
pub use self::{
    batch::BatchProcessor,
    bridge::SpanFilter,
    config::TraceConfig,
    error::{FlushError, TraceError},
    export::{MemorySpans, SpanExport},
    pipeline::Tracing,
    resource::telemetry_sdk,
    sampler::SamplerConfig,
    tail::TailLimits,
    tracer::MeshTracer,
};
#[cfg(feature = "pipeline")]
#[doc(hidden)]
pub use self::{
    bridge::enter_dispatch,
    call_span::{CallSpan, CallSpanGuard},
    on_demand::with_plain_values,
    start::Started,
    tracer::{MeshSpan, end_as_owner},
};
#[cfg(feature = "pipeline")]
#[doc(hidden)]
pub use meshwise_otlp::SCHEMA_URL;
/// How spans wait, and the way to a collector: the same for all signals.
#[cfg(feature = "pipeline")]
pub use meshwise_otlp::{BatchConfig, Compression, OtlpConfig, OtlpProtocol};
/// What the `tracing` span of a call can be asked for (`context`) and told (`set_attribute`,
/// `add_link`): the trait of the one version of `tracing-opentelemetry` that finds its spans.
#[cfg(feature = "pipeline")]
pub use tracing_opentelemetry::OpenTelemetrySpanExt;

#[cfg(all(doctest, feature = "pipeline"))]
#[doc = include_str!("../README.md")]
struct Readme;
