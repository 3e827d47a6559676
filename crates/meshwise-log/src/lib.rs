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
//! | it is longer than 64 KiB | has its longest texts cut |
//! | the queue is full | is counted as `queue_full`, or waits, by [`QueuePolicy`] |
//! | writing fails | is counted as `write_failed`; standard error is told once a minute |
//! | it comes after shutdown, or shutdown runs out of time | is counted as `shutdown` |
//!
//! Once a minute, if lines were lost, a `WARN` line of meshwise's own says how many.
//!
//! # Ids
//!
//! Trace and span ids come from OpenTelemetry's current `Context`, the request id from the
//! [`CallInfo`](meshwise_core::CallInfo) in it. They are right inside `#[instrument]` spans too, as
//! `tracing-opentelemetry` makes a span's context current while the span is entered, and in tasks
//! that carry their context (`opentelemetry::context::FutureExt::with_current_context`).
//!
//! # Environment
//!
//! | variable | default | allowed |
//! |---|---|---|
//! | `RUST_LOG` | `info` | `tracing-subscriber` filter directives |
//! | `MESHWISE_LOG_FORMAT` | `pretty` on a terminal, else `json` | `json`, `pretty`, `logfmt`, `ecs`, `gcp` |
//! | `MESHWISE_LOG_QUEUE_BYTES` | 8388608 | how many bytes of lines may wait to be written |
//! | `MESHWISE_LOG_FULL` | `drop` | `drop` or `wait`, when the queue is full |
//! | `NO_COLOR` | unset | anything: no colours |
//! | `GOOGLE_CLOUD_PROJECT` | unset | the project that `gcp` lines name traces in |

mod config;
mod filter;
mod format;
mod handle;
mod layer;
mod output;
mod panic;
mod rate;
mod sites;
mod spans;
mod sync;
mod words;
mod writer;

pub use config::{LogConfig, LogError};
pub use filter::{FilterError, LogFilter};
pub use format::LogFormat;
pub use handle::LogHandle;
pub use layer::{LogFormatter, LogLayer};
/// Says what is hidden in all signals.
pub use meshwise_core::Redaction;
pub use output::{LogLines, LogOutput};
pub use panic::flush_on_panic;
pub use rate::RateLimit;
pub use writer::QueuePolicy;
