//! Logs, metrics, traces, and what they have in common.

use super::otlp::{
    LogBatchSettings, LogOtlpSettings, MetricOtlpSettings, TraceBatchSettings, TraceOtlpSettings,
};
use super::outputs::{
    LogBulkSettings, LogFileSettings, LogFluentSettings, LogPrivateSettings, LogSpoolSettings,
};
use crate::settings::{
    forms::{
        BOOL, CALLS, COUNT, FILTER, LABEL, LIMIT, NAME, POSITIVE, PREFIXES, PROPAGATORS,
        ROUTE_PATH, SAMPLERS, SHARE, TEXT, TEXTS, WAIT,
    },
    kind::{Range, SettingKind},
    part::{Map, Spec, section},
    units::Size,
    value::Setting,
    variables as read,
};
use std::time::Duration;

section! {
    /// Who the service is, and what describes this process: the same for logs, metrics and traces.
    ServiceSettings {
        /// The name of the service (`service.name`).
        name: Setting<String> = Spec::of(NAME).from(&["OTEL_SERVICE_NAME"], read::text);
        /// The version of its code (`service.version`).
        version: Setting<String> = Spec::of(NAME).from(read::ATTRIBUTES, read::service_version);
        /// The group that the name is unique in (`service.namespace`).
        namespace: Setting<String> = Spec::of(NAME).from(read::ATTRIBUTES, read::service_namespace);
        /// What tells this process from its replicas (`service.instance.id`); random otherwise.
        instance: Setting<String> = Spec::of(NAME).from(read::ATTRIBUTES, read::service_instance);
        /// Whether host, process, container and pod are described too.
        detect: Setting<bool> = Spec::of(BOOL).or("true");
        /// Other attributes, such as `"deployment.environment.name" = "prod"`.
        attributes: Map<Setting<String>> = Spec::of(TEXT).from(read::ATTRIBUTES, read::attributes);
    }
}

const OUTPUTS: SettingKind =
    SettingKind::List(&SettingKind::Word(&["stdout", "stderr", "file", "fluent", "bulk"]));

section! {
    /// How log lines are written.
    LogSettings {
        /// What lines look like; `pretty` on a terminal and `json` elsewhere unless set.
        format: Setting<String> =
            Spec::of(SettingKind::Word(&["json", "pretty", "logfmt", "ecs", "gcp"]));
        /// Which events are logged, as `target=level` with commas between.
        filter: Setting<String> = Spec::of(FILTER).or("info").from(&["RUST_LOG"], read::plain_text);
        /// Where lines go; what code has set, unless set: standard output by default. The first is
        /// the one that errors are waited for at.
        outputs: Setting<Vec<String>> = Spec::of(OUTPUTS);
        /// The file of the output `file`.
        file: LogFileSettings;
        /// The output `fluent`.
        fluent: LogFluentSettings;
        /// The output `bulk`.
        bulk: LogBulkSettings;
        /// Where lines for `fluent` and `bulk` wait on disk.
        spool: LogSpoolSettings;
        /// Fields that not all who read logs may see.
        private: LogPrivateSettings;
        /// How much of lines may wait to be written.
        queue: Setting<Size> = Spec::of(SettingKind::Size(256 << 10, 1 << 40)).or("8MiB");
        /// What becomes of a line that finds the queue full: it is dropped and counted, or its thread
        /// waits.
        full: Setting<String> = Spec::of(SettingKind::Word(&["drop", "wait"])).or("drop");
        /// How long a thread that logs an error waits until it is written.
        error_wait: Setting<Duration> = Spec::of(WAIT).or("500ms");
        /// How often one call site may warn or complain.
        rate_limit: LogRateSettings;
        /// Whether lines list the spans around them, with their fields.
        span_fields: Setting<bool> = Spec::of(BOOL).or("true");
        /// Whether lines have colours; on a terminal unless set, and never where `NO_COLOR` is set.
        colour: Setting<bool> = Spec::of(BOOL).from(&["NO_COLOR"], read::no_colour);
        /// The Google Cloud project that traces are in, for the format `gcp`.
        gcp_project: Setting<String> =
            Spec::of(NAME).from(&["GOOGLE_CLOUD_PROJECT"], read::plain_text);
        /// Where records go besides: `otlp` sends them to a collector. Lines are written in any case.
        exporters: Setting<Vec<String>> =
            Spec::of(SettingKind::List(&SettingKind::Word(&["otlp", "console"])))
                .from(&["OTEL_LOGS_EXPORTER"], read::logs_exporters);
        /// The way to the collector.
        otlp: LogOtlpSettings;
        /// The queue before the exporter.
        batch: LogBatchSettings;
    }
}

section! {
    /// How often one call site may log at `WARN` or `ERROR`.
    LogRateSettings {
        /// Whether there is a limit.
        enabled: Setting<bool> = Spec::of(BOOL).or("true");
        /// Lines at once.
        burst: Setting<u32> = Spec::of(POSITIVE).or("100");
        /// Lines a second after that.
        per_second: Setting<f64> = Spec::of(SettingKind::Number(Range {
            least: 0.0, least_in: true, most: 1e9, most_in: true,
        })).or("10");
    }
}

section! {
    /// How metrics are kept and shown.
    MetricsSettings {
        /// Whether there are any.
        enabled: Setting<bool> = Spec::of(BOOL).or("true")
            .from(&["OTEL_SDK_DISABLED", "OTEL_METRICS_EXPORTER"], read::metrics_enabled);
        /// Upper bounds of the buckets of histograms that have no others, in seconds.
        buckets: Setting<Vec<f64>> = Spec::of(SettingKind::Ascending)
            .or("0.005,0.01,0.025,0.05,0.075,0.1,0.25,0.5,0.75,1,2.5,5,7.5,10");
        /// Upper bounds of the buckets of histograms whose names end with `_bytes`.
        size_buckets: Setting<Vec<f64>> = Spec::of(SettingKind::Ascending)
            .or("256,1024,4096,16384,65536,262144,1048576,4194304,16777216,67108864");
        /// Upper bounds of the buckets of single histograms, by their names.
        histograms: Map<Setting<Vec<f64>>> = Spec::of(SettingKind::Ascending);
        /// Histograms that have native buckets too; `*` stands for anything.
        native_histograms: Setting<Vec<String>> = Spec::of(SettingKind::List(&NAME)).or("none");
        /// How fine native buckets are at first: 2^schema to a power of two.
        native_schema: Setting<i64> = Spec::of(SettingKind::Whole(-4, 8)).or("3");
        /// Labels that every series has.
        labels: Map<Setting<String>> = Spec::of(LABEL);
        /// How many label sets of one metric are told apart.
        max_label_sets: Setting<i64> = Spec::of(SettingKind::Whole(1, 10_000_000)).or("2000");
        /// How long a series is shown to which no one writes; `0s` for ever.
        idle_timeout: Setting<Duration> = Spec::of(WAIT).or("0s");
        /// Whether histograms of calls' body sizes are recorded too.
        body_sizes: Setting<bool> = Spec::of(BOOL).or("false");
        /// Whether the map's edges are counted under Istio's names too, for Kiali.
        istio: Setting<bool> = Spec::of(BOOL).or("false");
        /// Whether the process and its cgroup are shown.
        process: Setting<bool> = Spec::of(BOOL).or("true");
        /// Whether the tokio runtime is shown.
        runtime: Setting<bool> = Spec::of(BOOL).or("true");
        /// Whether histograms link to sampled traces.
        exemplars: Setting<bool> = Spec::of(BOOL).or("true")
            .from(&["OTEL_METRICS_EXEMPLAR_FILTER"], read::exemplars);
        /// Where points go: `prometheus` is the page to be scraped, which is there in any case; `otlp`
        /// sends them to a collector.
        exporters: Setting<Vec<String>> =
            Spec::of(SettingKind::List(&SettingKind::Word(&["otlp", "prometheus"])))
                .from(&["OTEL_METRICS_EXPORTER"], read::metrics_exporters);
        /// The way to the collector.
        otlp: MetricOtlpSettings;
        /// How often points are collected and sent.
        export_interval: Setting<Duration> =
            Spec::of(LIMIT).or("60s").from(&["OTEL_METRIC_EXPORT_INTERVAL"], read::millis_within);
        /// How long sending them may take, retries included.
        export_timeout: Setting<Duration> =
            Spec::of(WAIT).or("30s").from(&["OTEL_METRIC_EXPORT_TIMEOUT"], read::timeout);
        /// What sums and histograms that are sent count from: `cumulative` from the start, `delta` and
        /// `lowmemory` from the last time.
        temporality: Setting<String> =
            Spec::of(SettingKind::Word(&["cumulative", "delta", "lowmemory"])).or("cumulative")
                .from(&["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], read::word);
        /// Which buckets are sent: those with fixed bounds (of histograms with native buckets these), or
        /// native ones of all histograms.
        histogram_aggregation: Setting<String> = Spec::of(SettingKind::Word(&[
            "explicit_bucket_histogram",
            "base2_exponential_bucket_histogram",
        ]))
        .or("explicit_bucket_histogram")
        .from(&["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"], read::word);
    }
}

section! {
    /// Which traces are recorded, and where their spans go.
    TracesSettings {
        /// Whether any are; without, a caller's trace is still handed on.
        enabled: Setting<bool> =
            Spec::of(BOOL).or("true").from(&["OTEL_SDK_DISABLED"], read::traces_enabled);
        /// The sampler, by its name in `OTEL_TRACES_SAMPLER`.
        sampler: Setting<String> = Spec::of(SAMPLERS).or("parentbased_always_on")
            .from(&["OTEL_TRACES_SAMPLER"], read::sampler);
        /// The share of traces that `traceidratio` samples, and `keep_errors` besides what it keeps.
        ratio: Setting<f64> = Spec::of(SHARE)
            .from(&["OTEL_TRACES_SAMPLER_ARG"], read::sampler_ratio);
        /// The traces a second that `ratelimited` samples.
        rate: Setting<f64> = Spec::of(SettingKind::Number(Range {
            least: 0.0, least_in: false, most: 1e9, most_in: true,
        })).from(&["OTEL_TRACES_SAMPLER_ARG"], read::sampler_rate);
        /// From which duration on `keep_errors` keeps a trace as slow.
        slow: Setting<Duration> = Spec::of(WAIT).or("1s")
            .from(&["OTEL_TRACES_SAMPLER_ARG", "MESHWISE_TRACES_SLOW"], read::sampler_slow);
        /// How much `keep_errors` holds back until it decides.
        held: HeldSettings;
        /// Where spans go.
        exporters: Setting<Vec<String>> = Spec::of(SettingKind::List(&SettingKind::Word(&["otlp", "console"])))
            .from(&["OTEL_TRACES_EXPORTER"], read::traces_exporters);
        /// The way to the collector.
        otlp: TraceOtlpSettings;
        /// The queue before each exporter.
        batch: TraceBatchSettings;
        /// How much one span holds.
        limits: SpanLimitSettings;
        /// Which `tracing` spans become OpenTelemetry spans, as `target=level` with commas between.
        span_filter: Setting<String> = Spec::of(FILTER).or("info");
        /// Whether `tracing`'s current span is the call's span inside of handlers.
        tracing_span: Setting<bool> = Spec::of(BOOL).or("true");
    }
}

section! {
    /// How much the sampler `keep_errors` holds back until it decides.
    HeldSettings {
        /// Undecided traces.
        traces: Setting<i64> = Spec::of(SettingKind::Whole(16, 100_000_000)).or("10000");
        /// Spans of one trace.
        spans_per_trace: Setting<i64> = Spec::of(SettingKind::Whole(1, 100_000_000)).or("1000");
        /// Memory of all spans held back.
        memory: Setting<Size> = Spec::of(SettingKind::Size(1 << 10, 1 << 40)).or("32MiB");
    }
}

section! {
    /// How much one span holds.
    SpanLimitSettings {
        /// Attributes of a span.
        attributes: Setting<u32> = Spec::of(COUNT).or("128")
            .from(&["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], read::whole);
        /// Events of a span.
        events: Setting<u32> =
            Spec::of(COUNT).or("128").from(&["OTEL_SPAN_EVENT_COUNT_LIMIT"], read::whole);
        /// Links of a span.
        links: Setting<u32> =
            Spec::of(COUNT).or("128").from(&["OTEL_SPAN_LINK_COUNT_LIMIT"], read::whole);
        /// Attributes of an event.
        event_attributes: Setting<u32> = Spec::of(COUNT).or("128")
            .from(&["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], read::whole);
        /// Attributes of a link.
        link_attributes: Setting<u32> = Spec::of(COUNT).or("128")
            .from(&["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], read::whole);
        /// Characters of an attribute's text; without limit unless set.
        value_length: Setting<u32> = Spec::of(COUNT).from(
            &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
            read::whole,
        );
    }
}

section! {
    /// How the context of a call travels.
    PropagationSettings {
        /// Wire formats: all are written, the first that yields a trace is read.
        formats: Setting<Vec<String>> = Spec::of(PROPAGATORS).or("tracecontext,baggage")
            .from(&["OTEL_PROPAGATORS"], read::propagators);
        /// The longest header value that is read.
        value_size: Setting<Size> = Spec::of(SettingKind::Size(1, 1 << 20)).or("1KiB");
        /// The longest `tracestate` that is handed on.
        tracestate_size: Setting<Size> = Spec::of(SettingKind::Size(512, 1 << 20)).or("8KiB");
        /// The most members of baggage.
        baggage_members: Setting<i64> = Spec::of(SettingKind::Whole(0, 10_000)).or("64");
        /// The most baggage.
        baggage_size: Setting<Size> = Spec::of(SettingKind::Size(0, 1 << 20)).or("8KiB");
    }
}

section! {
    /// What is hidden in log lines and spans, beside what the author hides.
    RedactionSettings {
        /// Whether anything is hidden.
        enabled: Setting<bool> = Spec::of(BOOL).or("true");
        /// Whether texts are looked through for secrets.
        values: Setting<bool> = Spec::of(BOOL).or("true");
        /// Names of fields, attributes, headers and parameters that are hidden too.
        names: Setting<Vec<String>> = Spec::of(TEXTS).or("none");
        /// Names of URL and form parameters that are hidden too.
        parameters: Setting<Vec<String>> = Spec::of(TEXTS).or("none");
        /// Names that are shown all the same.
        shown: Setting<Vec<String>> = Spec::of(TEXTS).or("none");
        /// What secrets begin with, such as `acme_`.
        prefixes: Setting<Vec<String>> = Spec::of(PREFIXES).or("none");
    }
}

section! {
    /// The shedding of load: requests beyond a limit are answered at once.
    ShedSettings {
        /// Whether load is shed.
        enabled: Setting<bool> = Spec::of(BOOL).or("false");
        /// Requests in flight.
        limit: Setting<u32> = Spec::of(CALLS).or("1000");
        /// A limit that finds itself, in the place of the fixed one.
        adaptive: super::peers::AdaptiveSettings;
        /// Paths that are served however much there is to do.
        exempt_paths: Setting<Vec<String>> =
            Spec::of(ROUTE_PATH).or("none");
    }
}
