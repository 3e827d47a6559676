//! Structured logging for services: one line an event, with the ids of the call it belongs to.
//!
//! A `tracing-subscriber` layer of its own, with a writer that accounts for every line.
//!
//! ```
//! use meshwise_core::Service;
//! use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lines = LogLines::new();
//! let (layer, logs) = LogConfig::new(Service::new("orders", "1.2.3"))
//!     .with_format(LogFormat::Json)
//!     .with_filter("info,orders=debug")
//!     .with_output(LogOutput::memory(&lines))
//!     .build()?;
//! let subscriber = tracing_subscriber::registry().with(layer); // beside any other layers
//! tracing::subscriber::with_default(subscriber, || tracing::info!(id = 7, "order placed"));
//! assert!(lines.lines()[0].contains(r#""message":"order placed""#));
//! assert_eq!(logs.report().delivered, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to a line
//!
//! | what happens | the line |
//! |---|---|
//! | the filter refuses it | is not made |
//! | its call site says the same too often (`WARN` and `ERROR` only) | is counted as `rate_limited`; the next that passes says `suppressed` |
//! | a field's name is that of a secret, or its value looks like one ([`Redaction`]) | has `[redacted]` there |
//! | a field's name is used by the line itself, or twice | has the field under `fields` (ECS: `labels`), with a number behind its name if it must |
//! | a text is longer than 16 KiB, or its fields than 48 KiB together | has the text cut, and `[cut]` at its end |
//! | a span's fields are longer than 8 KiB together, or one of them than 4 KiB | has texts cut, `[cut]` at their ends; `fields_cut` says that some found no room |
//! | the spans around it are longer than 64 KiB together | lists the inner ones as one, `[cut]` |
//! | its level is `ERROR` | is written, with all lines before it, before the thread that logged it goes on; 500 ms is waited at most ([`LogConfig::with_error_wait`]), and not again while the destination hangs |
//! | its level is another | is written within about 5 ms, as fast as the destination takes it |
//! | the destination takes nothing just now (a full pipe, blocking or not) | waits; then the queue fills up |
//! | the queue is full | is counted as `queue_full`, or waits, by [`QueuePolicy`] |
//! | writing fails | is counted as `write_failed`; standard error is told once a minute |
//! | it comes after shutdown, or shutdown runs out of time | is counted as `shutdown` |
//! | the process ends without shutdown: by `exit` or a return from `main`, in the thread that set up the log | is written, if 1 s is enough (with glibc; elsewhere as in the next row) |
//! | by `exit` in another thread, `abort`, or a signal that nothing handles | is lost and not counted, if it is younger than those 5 ms and no `ERROR` |
//!
//! Once a minute, if lines were lost, a `WARN` line of meshwise's own says how many.
//!
//! # Outputs
//!
//! | output | feature | accepted means | while the other side is away |
//! |---|---|---|---|
//! | standard output or error, a file, any writer ([`LogOutput`]) | | written | waits in the queue |
//! | a file that is rotated ([`FileConfig`]) | `files` | written | |
//! | Fluent Bit, Fluentd ([`FluentConfig`]) | `fluent` | acknowledged: it may be in the server's memory only | waits in the queue, or on disk ([`SpoolConfig`], feature `spool`) |
//! | Elasticsearch, OpenSearch ([`BulkConfig`]) | `bulk` | a document was created | the same |
//! | one of your own ([`Deliver`]) | | as it says | the same |
//!
//! [`LogConfig::with_other_output`] sends the same lines to a further output; each has a queue, counts
//! ([`LogHandle::outputs`]) and a thread of its own. What is refused for now is sent again for as long as it
//! takes, after 0.1 s to 30 s; problems are told on standard error once a minute.
//!
//! Fields that not all who read logs may see ([`LogConfig::with_private`], `log.private`) are hidden in all
//! of these, and stand whole in an output of their own: a file of mode 0640, whose group is that of its
//! directory where that is set-group-id. What is a secret (`password`) is hidden there, too.
//!
//! # Ids
//!
//! Trace and span ids come from OpenTelemetry's current `Context`, the request id from the
//! [`CallInfo`](meshwise_core::CallInfo) in it. They are right inside `#[instrument]` spans too, as
//! `tracing-opentelemetry` makes a span's context current while the span is entered, and in tasks
//! that carry their span (`tracing::Instrument::in_current_span`) or their context
//! (`opentelemetry::context::FutureExt::with_current_context`).
//!
//! # Environment
//!
//! | variable | default | allowed |
//! |---|---|---|
//! | `RUST_LOG` | `info` | `tracing-subscriber` filter directives |
//! | `MESHWISE_LOG_FORMAT` | `pretty` on a terminal, else `json` | `json`, `pretty`, `logfmt`, `ecs`, `gcp` |
//! | `MESHWISE_LOG_OUTPUTS` | as in code | `stdout`, `stderr`, `file`, `fluent`, `bulk`, with commas between; what each needs: `log.file`, `log.fluent`, `log.bulk`, `log.spool` of [`LogSettings`](meshwise_core::settings::LogSettings) |
//! | `MESHWISE_LOG_PRIVATE_FIELDS`, `MESHWISE_LOG_PRIVATE_PATH` | none | names of private fields, with commas between; the file that has them |
//! | `MESHWISE_LOG_QUEUE` | `8MiB` | how many bytes of lines may wait to be written |
//! | `MESHWISE_LOG_FULL` | `drop` | `drop` or `wait`, when the queue is full |
//! | `NO_COLOR` | unset | anything: no colours |
//! | `GOOGLE_CLOUD_PROJECT` | unset | the project that `gcp` lines name traces in |
//! | `OTEL_LOGS_EXPORTER` | none | `otlp` sends records too; lines are written whatever it says |
//! | `OTEL_EXPORTER_OTLP_*`, `OTEL_EXPORTER_OTLP_LOGS_*` | | the collector, as `meshwise-otlp` lists them; an endpoint for logs alone is enough to send records |
//! | `OTEL_BLRP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` | 2048, 512 | records that may wait, that are sent at once |
//! | `OTEL_BLRP_SCHEDULE_DELAY`, `OTEL_BLRP_EXPORT_TIMEOUT` | 1000, 30000 | the longest wait of a record, the time for one batch with all retries, ms |
//!
//! # Records by OTLP
//!
//! With the feature `otlp-http` or `otlp-grpc`, each event whose line is written is a record as well:
//! severity, body, the ids of its call, and its fields as attributes under their own names, with
//! `target`, `request_id`, `code.file.path` and `code.line.number`. What is hidden or cut in the line is
//! so in the record: it is looked at once. Of the spans around it the record has the ids only. An event
//! that was given a name (`info!(name: "order.placed", ..)`) has it as its event name.
//!
//! Records wait in a queue of their own; what finds no room there is counted as `queue_full`, and
//! nothing waits for a collector. What a thread that exports logs itself is written, never exported.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `files` | files that are rotated by size and time, and compressed |
//! | `fluent` | delivery to Fluent Bit and Fluentd, by the forward protocol |
//! | `bulk` | delivery to Elasticsearch and OpenSearch, by the bulk API |
//! | `spool` | a spool on disk before a delivery: lines outlive the process |
//! | `otlp-grpc` | records by OTLP over gRPC |
//! | `otlp-http`, `otlp-http-json` | records by OTLP over HTTP, as protobuf or JSON |
//! | `gzip` | compressed requests by OTLP |
//! | `tls` | `https://` collectors (rustls); `fluent` and `bulk` have their own |
//!
//! By default there are none. In `meshwise`, `delivery` is the first four.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "_otlp"),
    allow(clippy::clone_on_copy, clippy::unused_self, reason = "without OTLP its handle is empty")
)]

mod call_sites;
mod config;
mod delivery;
mod error;
mod exit;
mod export;
#[cfg(feature = "files")]
mod files;
mod filter;
mod format;
mod handle;
mod layer;
mod output;
mod panic;
mod private;
mod rate;
mod recent;
mod spans;
mod writer;

pub use config::LogConfig;
#[cfg(feature = "_net")]
pub use delivery::DeliveryError;
#[cfg(feature = "bulk")]
pub use delivery::bulk::{Bulk, BulkConfig};
#[cfg(feature = "fluent")]
pub use delivery::fluent::{Fluent, FluentConfig};
#[cfg(feature = "spool")]
pub use delivery::spool::SpoolConfig;
pub use delivery::{Batch, BatchLine, Deliver, Delivery, LineDelivery};
pub use error::LogError;
#[cfg(feature = "files")]
pub use files::{FileConfig, RotateEvery};
pub use filter::{FilterError, LogFilter};
pub use format::LogFormat;
pub use handle::{LogHandle, OutputReport};
pub use layer::{LogFormatter, LogLayer};
/// Says what is hidden in all signals.
pub use meshwise_core::Redaction;
pub use output::{LogLines, LogOutput};
pub use panic::flush_on_panic;
pub use rate::RateLimit;
pub use writer::QueuePolicy;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
