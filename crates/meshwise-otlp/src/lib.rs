//! OTLP for logs, metrics and traces: one exporter core, which accounts for every record.
//!
//! `meshwise-log`, `meshwise-metrics` and `meshwise-trace` export with it; what a service sets is
//! [`OtlpConfig`] and [`BatchConfig`].
//!
//! ```
//! use meshwise_core::{Env, Signal};
//! use meshwise_otlp::{OtlpConfig, OtlpProtocol};
//!
//! let env = Env::from_pairs([
//!     ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.internal:4318"),
//!     ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs.internal:4318/otlp/v1/logs"),
//! ]);
//! let traces = OtlpConfig::from_env(&env, Signal::Traces)?; // .../v1/traces of the first
//! let logs = OtlpConfig::from_env(&env, Signal::Logs)?; // the second as it is
//! # let _: (OtlpConfig, OtlpConfig) = (traces, logs);
//! # Ok::<(), meshwise_core::settings::SettingsError>(())
//! ```
//!
//! # What happens when
//!
//! | when | then |
//! |---|---|
//! | a record comes | it moves into a bounded queue: no waiting for the exporter, no allocation |
//! | the queue is full | the record is dropped and counted: `queue_full` |
//! | a batch is full, or the delay has passed | the exporter's thread sends a batch |
//! | the collector is absent, or the connection breaks | tried again after 250 ms, 500 ms, ... up to 5 s (less a random part), until the export timeout; then counted: `export_failed` |
//! | it answers 429, 502, 503, 504, or gRPC `UNAVAILABLE` and the like | the same, but no sooner than `Retry-After` or `RetryInfo` say |
//! | it answers anything else that is no success | counted: `export_failed`; not tried again; what it says of it (a `google.rpc.Status`, or text) stands in the `WARN` line, without secrets |
//! | it answers 200 over HTTP, with no body, what it was asked in (members and fields that are not known are ignored), or `{}` | delivered |
//! | it answers 200 with a page (`text/html`), another service's text or JSON, what does not decode, or more than 1 MiB | counted: `export_failed`; not tried again |
//! | its 200 breaks off or does not end in time | delivered if its `Content-Type` is the request's, for the status has said so; else counted: `export_failed`; not tried again |
//! | it accepts a batch but refuses some records (partial success) | those are counted: `export_failed` |
//! | it hangs | each request is given up after 10 s and tried again on a new connection; at the export timeout (30 s), counted: `export_timeout` |
//! | a batch is larger than 4 MiB | it is sent in parts |
//! | anything is lost | at most one `WARN` line a minute, with endpoint and protocol |
//! | a thread that exports logs or makes calls | nothing of it is exported |
//! | shutdown | what is queued is sent, in time whatever the collector does; what was not is counted: `shutdown` |
//!
//! Delivered and dropped add up to the records that came, once nothing is queued.
//!
//! # Environment
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | `http://localhost:4318`, gRPC: `:4317` | the collector; over HTTP `/v1/logs`, `/v1/metrics`, `/v1/traces` is appended; a query or a fragment is not used, and named at the start |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf` (`grpc` if only that is compiled in) | `grpc`, `http/protobuf`, `http/json` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | | `name=value,...`, values percent-encoded |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | 10000 | for one request, ms; 0 is without limit |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `none` | `gzip`, `none` |
//! | `OTEL_EXPORTER_OTLP_INSECURE` | `false` | gRPC addresses without a scheme are `http` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` | the system's | trusted certificates, a PEM file |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `..._CLIENT_KEY` | | the client's own, PEM files |
//!
//! Each `OTEL_EXPORTER_OTLP_X` has an `OTEL_EXPORTER_OTLP_LOGS_X`, `..._METRICS_X` and
//! `..._TRACES_X` that beat it; an endpoint of one signal is used as it is. HTTP proxies are not used.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `otlp-grpc` | OTLP over gRPC |
//! | `otlp-http` | OTLP over HTTP, as protobuf |
//! | `otlp-http-json` | OTLP over HTTP, as JSON |
//! | `gzip` | compressed requests |
//! | `tls` | `https://` endpoints (rustls) |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "_otlp"),
    allow(dead_code, unused_imports, reason = "without a protocol nothing is sent")
)]

mod answer;
mod batch;
mod config;
mod error;
mod export_thread;
#[cfg(feature = "_otlp")]
mod exporter;
#[cfg(feature = "_otlp")]
mod identity;
#[doc(hidden)]
pub mod internal;
mod losses;
mod names;
mod periodic;
mod protocol;
mod shutdown_signal;
mod signal;
mod sink;
mod wait;

pub use batch::BatchConfig;
pub use config::OtlpConfig;
pub use error::OtlpError;
#[doc(hidden)]
pub use names::SCHEMA_URL;
pub use protocol::{Compression, OtlpProtocol};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
