//! Metrics for services: what is counted, how it is kept, and how a scraper gets it.
//!
//! - A **recorder** behind the [`metrics`] facade that adds values up as they come. Its memory
//!   depends on the number of series, never on load; recording allocates nothing, takes no lock and
//!   reads no clock.
//! - **Call instruments**, which the layers of `meshwise-http` and `meshwise-messaging` record with,
//!   by the names, units and labels of OpenTelemetry's semantic conventions. Their handles are
//!   resolved once per label set.
//! - **Bounds** for everything that comes from outside: label sets, label values, metric names.
//! - The **process**, its **cgroup** and the **tokio runtime**, read at each scrape.
//! - **Exposition** as Prometheus text, `OpenMetrics` with exemplars, or Prometheus' protobuf
//!   messages with [native histograms](#native-histograms), by content negotiation, compressed if
//!   asked for, in pieces ([`Metrics::stream`]).
//!
//! ```
//! use meshwise_core::Service;
//! use meshwise_metrics::MetricsConfig;
//!
//! let metrics = MetricsConfig::new(Service::new("orders", "1.4.2")).build()?;
//!
//! // One's own metrics, with the macros; `set_global_recorder` makes this the default everywhere.
//! metrics::with_local_recorder(&metrics.recorder(), || {
//!     metrics::counter!("orders_total", "kind" => "gift").increment(1);
//! });
//!
//! let answer = metrics.render(&http::HeaderMap::new());
//! assert_eq!(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
//! let text = String::from_utf8_lossy(&answer.body);
//! assert!(text.contains("orders_total{kind=\"gift\"} 1"));
//! # Ok::<(), meshwise_metrics::MetricsError>(())
//! ```
//!
//! The metrics of this crate, with their units and labels, are in the catalogue that
//! `cargo meshwise` writes dashboards and alerts from.
//!
//! # Behaviour
//!
//! | what happens | what comes of it |
//! |---|---|
//! | a metric gets more label sets than its bound (2000) | the rest share one series, all labels `_other`; `meshwise_label_overflow_total{metric,label="*"}` counts their uses |
//! | a route, host, peer or gRPC method is one too many (1000, 200, 200, 1000) | its label is `_other`, the others stay; counted with the label's name |
//! | a name is not valid in Prometheus | each bad character becomes `_`; labels `le` and `quantile` become `exported_le` and `exported_quantile`, `__x` becomes `_x` |
//! | a counter's name does not end with `_total` | it gets that ending |
//! | two metrics would write the same samples (a gauge `wait_sum` beside a histogram `wait`) | the later one is refused: [`Metrics::refused`] says why, `meshwise_telemetry_dropped_total{signal="metrics",reason="refused"}` counts what is written to it |
//! | a program makes up more than 2000 metric names | those that were not described are refused |
//! | a histogram gets NaN or an infinity | refused and counted: it would spoil the sum for good |
//! | a label value is longer than 1024 bytes | it is cut; a call's route, host, peer or method beyond 256 bytes is `_other` |
//! | a histogram has no buckets of its own | it gets those for seconds, or those for bytes if its name ends with `_bytes` |
//! | a histogram with native buckets gets values too far apart for 160 of them | they are halved in number, again if need be; none is lost ([native histograms](#native-histograms)) |
//! | a metric was never described | its HELP says `(not described)` |
//! | a series is not written to | it stays, unless [`MetricsConfig::with_idle_timeout`] says how long |
//! | the page is not scraped | nothing grows |
//! | a scrape hook panics | the scrape goes on; `meshwise_scrape_hook_panics_total` counts it |
//! | a file of `/proc` or a cgroup is missing (macOS, Windows, odd containers) | the metrics from it are left out |
//! | a gauge and a counter differ by `_total` only | both are shown; in `OpenMetrics` the counter is of type `unknown`, for there both would be one family |
//! | [`Metrics::shutdown`] | the upkeep thread, if there is one, ends within a second; recording and scraping go on |
//!
//! # Backends
//!
//! | | our own recorder | `metrics-exporter-prometheus` |
//! |---|---|---|
//! | chosen by | default | [feature](#features) and `MetricsConfig::with_exporter_prometheus` |
//! | histogram samples | added up at once, in atomics; shards only where threads collide | kept raw until a scrape or the upkeep thread, every 5 s |
//! | allocations of a call that is known | 0 | a block of samples now and then |
//! | threads | none (one with an idle timeout) | one |
//! | exposition | in pieces | at once |
//! | `OpenMetrics`, exemplars | yes | no (0.18.3) |
//! | protobuf, native histograms, idle timeout | yes | it has them; this backend shows text with fixed buckets, and keeps idle series |
//! | `process_cpu_seconds_total` and other counters of seconds | to the nanosecond | whole seconds |
//! | bucket bounds are written | `1.0`, `1e+06` (as `OpenMetrics` has them, in both formats) | `1`, `1000000` |
//!
//! A recorder of another crate can be used through [`Metrics::from_recorder`]; instruments,
//! collectors and guards then write to it, and it shows what it has.
//!
//! # Native histograms
//!
//! Buckets with fixed bounds tell little about values that were not expected: if all calls take 20 to
//! 25 ms, every quantile is a guess. Native (exponential) buckets need no bounds: there are 8 to
//! each power of two, wherever the values are, so that a quantile is at most 9 % off. They are what
//! OpenTelemetry calls a base-2 exponential histogram.
//!
//! [`MetricsConfig::with_native_histogram`] or `MESHWISE_METRICS_NATIVE_HISTOGRAMS` says which
//! histograms have them, by name or pattern; **none by default**. They are kept beside the fixed
//! buckets, not instead of them: text and `OpenMetrics` have no place for native ones, and fixed
//! ones cannot be had from them without guessing.
//!
//! | | fixed buckets | native ones beside them |
//! |---|---|---|
//! | instructions to record a value | 140 | 200 |
//! | memory of a series, and of each further shard | 128 bytes (14 buckets) | 1.4 KiB more for 160 buckets |
//! | a range beyond 160 buckets | one bucket for all the rest | half the resolution: 1.3 KiB more each time, six times at most |
//! | formats that show them | all | [`Format::Protobuf`] |
//!
//! That they take ten times the memory, and help only those whose Prometheus asks for them, is why
//! none has them unasked. Values below 0 have 160 buckets of their own, once there are any; what
//! is not farther from 0 than 2^-128 is in the bucket of zeros.
//!
//! Prometheus asks for them with `--enable-feature=native-histograms` (2.40 to 3.8) or
//! `scrape_native_histograms: true` (from 3.8). Of a histogram that has both kinds it takes the
//! native one; `scrape_classic_histograms` (2.45 to 2.55) or `always_scrape_classic_histograms`
//! (from 3.0) makes it take both. Queries change: it is
//! `histogram_quantile(0.99, rate(http_server_request_duration_seconds[5m]))` then, without
//! `_bucket` and without `le`, and `histogram_count(..)` and `histogram_sum(..)` instead of
//! `.._count` and `.._sum`. Exemplars come with them; 2.42 keeps, of those of one native histogram,
//! the ones that happen to come in the order of their times.
//!
//! # Points by OTLP
//!
//! With the feature `otlp-http` or `otlp-grpc`, all that a scrape would show is sent to a collector too,
//! once a minute and at the end ([`Metrics::end_export`]): counters as monotonic sums, gauges,
//! histograms with exemplars of sampled traces since the last time; those that have native buckets as
//! exponential histograms. Metrics and labels of the semantic conventions have their names with dots,
//! others the names of the page, counters without `_total`. Points are counted: delivered, or dropped for
//! a reason. `target_info` is the resource. A recorder of another crate cannot be read, and is not sent.
//!
//! # Environment
//!
//! [`MetricsConfig::with_env`] reads these; they beat what the program sets. Words are known in any
//! case. What is not allowed in a variable of OpenTelemetry's is ignored, and told by
//! [`Env::findings`](meshwise_core::Env::findings); with `MESHWISE_STRICT=true` it is an error, as it
//! always is for `MESHWISE_*`.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `OTEL_SDK_DISABLED` | `true`: record and show nothing | `false` |
//! | `OTEL_METRICS_EXPORTER` | `none`: record and show nothing; `prometheus`: to be scraped; `otlp`: sent by OTLP too, with the page as before | `prometheus` |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_METRIC_EXPORT_TIMEOUT` | how often points are sent, and how long that may take with all retries, ms | 60000, 30000 |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta`, `lowmemory` (as `delta`) | `cumulative` |
//! | `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` | `explicit_bucket_histogram`, or `base2_exponential_bucket_histogram`: all histograms have native buckets | the first |
//! | `OTEL_EXPORTER_OTLP_*`, `OTEL_EXPORTER_OTLP_METRICS_*` | the collector, as `meshwise-otlp` lists them; an endpoint for metrics alone is enough to send points | |
//! | `OTEL_METRICS_EXEMPLAR_FILTER` | `always_off`: no exemplars; `trace_based`, `always_on`: of sampled traces | `trace_based` |
//! | `MESHWISE_METRICS_BUCKETS` | bounds of histograms of seconds, such as `0.1,1,10` | OpenTelemetry's for calls |
//! | `MESHWISE_METRICS_NATIVE_HISTOGRAMS` | histograms that have [native buckets](#native-histograms) too, such as `http_*_seconds,queue_wait` | none |
//! | `MESHWISE_METRICS_MAX_LABEL_SETS` | label sets of one metric | 2000 |
//! | `MESHWISE_METRICS_ISTIO` | `true`: the map's edges under Istio's names too, for Kiali | `false` |
//! | `MESHWISE_METRICS_IDLE_TIMEOUT` | after which time an idle series is hidden, such as `10m`; `0s` for never | `0s` |
//!
//! # Features
//!
//! None is on by default.
//!
//! - `otlp-grpc`, `otlp-http`, `otlp-http-json`: points by OTLP over gRPC, over HTTP as protobuf or JSON;
//!   `tls` for `https://`.
//! - `tokio`: `Metrics::watch_runtime` shows a tokio runtime.
//! - `exporter-prometheus`: `MetricsConfig::with_exporter_prometheus` keeps numbers there.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "_otlp"),
    allow(clippy::clone_on_copy, clippy::unused_self, reason = "without OTLP its handle is empty")
)]

mod backend;
mod buckets;
mod call;
mod catalogue;
mod collect;
mod config;
mod error;
mod exemplar;
mod expose;
mod guard;
mod hub;
#[doc(hidden)]
pub mod internal;
mod key;
mod kind;
#[doc(hidden)]
pub mod names;
mod push;
mod recorder;
mod registry;
#[cfg(feature = "_otlp")]
mod rename;
mod table;
mod thread_clock;
mod upkeep;

pub use config::MetricsConfig;
pub use error::MetricsError;
pub use exemplar::{Exemplar, with_exemplar};
pub use expose::{Exposition, ExpositionStream, Format};
pub use hub::Metrics;
pub use recorder::SharedRecorder;
pub use registry::RefusedMetric;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
