//! Settings, and where they come from.

mod support;

use meshwise_core::{Env, Resource, Service, SpanId, TraceId};
use meshwise_metrics::{
    Exemplar, Metrics, MetricsConfig, MetricsError, internal::HttpServerMetrics, names,
};
use metrics::{counter, histogram};
use support::{exposed, open_metrics};

fn config() -> MetricsConfig {
    MetricsConfig::new(Service::new("orders", "1.0.0"))
}

fn with(variables: &[(&str, &str)]) -> Result<MetricsConfig, MetricsError> {
    config().with_env(&Env::from_pairs(variables.iter().copied()))
}

fn record(metrics: &Metrics) {
    metrics::with_local_recorder(&metrics.recorder(), || {
        histogram!("wait").record(1.0);
        for id in 0..5 {
            counter!("x", "id" => id.to_string()).increment(1);
        }
    });
}

fn buckets(metrics: &Metrics) -> usize {
    exposed(metrics).family("wait").samples.len() - 2
}

#[test]
fn the_environment_beats_the_program() {
    let variables =
        [("MESHWISE_METRICS_BUCKETS", "0.1, 1 ,10"), ("MESHWISE_METRICS_MAX_LABEL_SETS", "3")];
    let metrics = with(&variables).unwrap().build().unwrap();
    record(&metrics);
    assert_eq!(buckets(&metrics), 4);
    assert_eq!(exposed(&metrics).series("x_total"), 4);
    let env = Env::from_pairs(variables);
    // In any order.
    for metrics in [
        config().with_duration_buckets(&[1.0]).with_max_label_sets(10).with_env(&env).unwrap(),
        config().with_env(&env).unwrap().with_duration_buckets(&[1.0]).with_max_label_sets(10),
    ] {
        let metrics = metrics.build().unwrap();
        record(&metrics);
        assert_eq!(buckets(&metrics), 4);
        assert_eq!(exposed(&metrics).series("x_total"), 4);
    }
}

/// What is told of OpenTelemetry's variables, and whether anything is recorded then.
fn told(variables: &[(&str, &str)]) -> (Vec<String>, bool) {
    let env = Env::from_pairs(variables.iter().copied());
    let metrics = config().with_env(&env).unwrap().build().unwrap();
    record(&metrics);
    let told = env.findings().iter().map(ToString::to_string).collect();
    (told, metrics.render_text().contains("wait_count"))
}

#[test]
fn opentelemetry_s_variables_never_stop_a_service() {
    let sent = cfg!(any(feature = "otlp-grpc", feature = "otlp-http"));
    for (value, records, words) in [
        ("otlp", true, (!sent).then_some("asks for `otlp`, which is not compiled in")),
        ("prometheus,otlp", true, (!sent).then_some("asks for `otlp`")),
        ("Prometheus", true, None),
        ("console", true, Some("(`console` is not known)")),
        ("nonsense", true, Some("(`nonsense` is not known)")),
        ("none,otlp", true, Some("(`none` is not alone)")),
        ("None", false, None),
    ] {
        let variable = ("OTEL_METRICS_EXPORTER", value);
        let (told, shown) = told(&[variable]);
        assert_eq!(shown, records, "{value}: {told:?}");
        assert_eq!(told.is_empty(), words.is_none(), "{value}: {told:?}");
        if let Some(words) = words {
            assert!(
                told[0].starts_with("OTEL_METRICS_EXPORTER ") && told[0].contains(words),
                "{told:?}"
            );
            let strict = with(&[variable, ("MESHWISE_STRICT", "true")]);
            assert!(strict.and_then(MetricsConfig::build).is_err(), "{value}");
        }
        // Switched off, nothing else is asked.
        let off = [variable, ("OTEL_SDK_DISABLED", "true"), ("MESHWISE_STRICT", "true")];
        assert!(with(&off).is_ok(), "{value}");
    }
    let (told, shown) = told(&[("OTEL_SDK_DISABLED", "1"), ("OTEL_METRICS_EXEMPLAR_FILTER", "on")]);
    assert!(shown && told[0].starts_with("OTEL_SDK_DISABLED is `1`; allowed: true or false"));
    assert!(told[1].ends_with("allowed: always_on, always_off or trace_based"), "{told:?}");
}

#[test]
fn bad_values_are_named_with_what_is_allowed() {
    for (variable, value, allowed) in [
        (
            "MESHWISE_METRICS_BUCKETS",
            "1,1",
            "a list of 1 to 200 ascending numbers, with commas between",
        ),
        (
            "MESHWISE_METRICS_BUCKETS",
            "1,inf",
            "a list of 1 to 200 ascending numbers, with commas between",
        ),
        ("MESHWISE_METRICS_MAX_LABEL_SETS", "0", "a whole number from 1 to 10000000"),
        (
            "MESHWISE_METRICS_IDLE_TIMEOUT",
            "60",
            "a duration with its unit, such as \"250ms\", \"10s\" or \"5m\", from 0s to 365d",
        ),
    ] {
        let error = with(&[(variable, value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{variable} is `{value}`; allowed: {allowed}"));
    }
}

#[test]
fn switched_off_it_records_and_shows_nothing() {
    for variable in [("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "none")] {
        let metrics = with(&[variable]).unwrap().build().unwrap();
        record(&metrics);
        HttpServerMetrics::new(&metrics).series("GET", None, "http").inc_active();
        assert_eq!(metrics.render_text(), "");
        assert!(metrics.refused().is_empty());
    }
    for variable in [("OTEL_SDK_DISABLED", "false"), ("OTEL_METRICS_EXPORTER", "prometheus")] {
        let metrics = with(&[variable]).unwrap().build().unwrap();
        record(&metrics);
        assert_eq!(exposed(&metrics).value("wait_count", &[]), 1.0);
    }
}

#[test]
fn exemplars_can_be_switched_off() {
    for (filter, expected) in [("Always_Off", 0), ("always_on", 1), ("trace_based", 1)] {
        let exemplar = Exemplar::new(TraceId::from_int(1), SpanId::from_int(2));
        let metrics = with(&[("OTEL_METRICS_EXEMPLAR_FILTER", filter)])
            .unwrap()
            .with_exemplars(move || Some(exemplar))
            .build()
            .unwrap();
        record(&metrics);
        let open = open_metrics(&metrics);
        let found = open.family("wait").samples.iter().filter(|s| s.exemplar.is_some()).count();
        assert_eq!(found, expected, "{filter}");
    }
}

#[test]
fn an_idle_timeout_of_zero_means_never() {
    let metrics = with(&[("MESHWISE_METRICS_IDLE_TIMEOUT", "0s")]).unwrap().build().unwrap();
    record(&metrics);
    for _ in 0..3 {
        assert_eq!(exposed(&metrics).value("wait_count", &[]), 1.0);
    }
}

#[test]
fn senseless_buckets_are_an_error_that_says_so() {
    let error = config().with_buckets("wait.time", &[1.0, 0.5]).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the buckets of `wait_time` are not in ascending order; give 1 to 200 finite upper bounds, \
         each larger than the one before"
    );
    assert!(config().with_duration_buckets(&[]).build().is_err());
    assert!(config().with_size_buckets(&[f64::NAN]).build().is_err());
}

#[test]
fn the_service_is_shown() {
    let service = Service::new("orders", "1.4.2").with_namespace("shop").with_instance("i-1");
    let metrics = MetricsConfig::new(service).build().unwrap();
    let exposed = exposed(&metrics);
    let who =
        [("service_name", "orders"), ("service_version", "1.4.2"), ("service_namespace", "shop")];
    assert_eq!(exposed.value(names::BUILD_INFO, &who), 1.0);
    assert_eq!(exposed.value(names::TARGET_INFO, &who), 1.0);
    assert_eq!(exposed.value(names::TARGET_INFO, &[("service_instance_id", "i-1")]), 1.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(exposed.value(names::BUILD_INFO, &version), 1.0);
}

#[test]
fn target_info_is_the_whole_resource() {
    let resource = Resource::builder(Service::new("orders", "").with_instance("i-1"))
        .with_attribute("deployment.environment.name", "prod")
        .with_attribute("process.pid", 7)
        .with_attribute("a.b", "1")
        .with_attribute("a_b", "2")
        .with_attribute("0\"{", "odd")
        .build();
    let metrics = MetricsConfig::new(resource).build().unwrap();
    let exposed = exposed(&metrics);
    for label in [
        ("service_instance_id", "i-1"),
        ("deployment_environment_name", "prod"),
        ("process_pid", "7"),
        ("a_b", "1;2"),
        ("_0__", "odd"),
        ("telemetry_distro_name", "meshwise"),
    ] {
        assert_eq!(exposed.value(names::TARGET_INFO, &[label]), 1.0, "{label:?}");
    }
    assert!(!metrics.render_text().contains("service_version=\"\""), "none is not shown as one");
    // A service that makes metrics and traces apart is the same process all the same.
    let one = Resource::from(Service::new("a", "1"));
    let text = MetricsConfig::new(Service::new("a", "1")).build().unwrap().render_text();
    assert!(text.contains(one.service().instance().unwrap()), "{text}");
}

#[test]
fn the_process_can_be_left_out() {
    let shown = |on| {
        let metrics = config().with_process_metrics(on).build().unwrap();
        let names = exposed(&metrics).names().join(" ");
        names.contains("process_") || names.contains("cgroup_")
    };
    assert!(!shown(false));
    #[cfg(target_os = "linux")]
    assert!(shown(true));
}

#[cfg(feature = "tokio")]
#[test]
fn a_runtime_is_shown() {
    let metrics = config().build().unwrap();
    for workers in [2, 1] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().unwrap();
        let (started, wait) = std::sync::mpsc::channel();
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let task = runtime.spawn(async move {
            let _ = started.send(());
            let _ = held.await;
        });
        wait.recv().unwrap();
        metrics.watch_runtime(runtime.handle().clone());
        let exposed = exposed(&metrics);
        let number = u32::try_from(workers).map(f64::from).unwrap();
        assert_eq!(exposed.value(names::TOKIO_WORKERS, &[]), number);
        assert_eq!(exposed.value(names::TOKIO_ALIVE_TASKS, &[]), 1.0);
        assert_eq!(exposed.value(names::TOKIO_GLOBAL_QUEUE_DEPTH, &[]), 0.0);
        assert!(exposed.value(names::TOKIO_WORKER_BUSY, &[("worker", "0")]) >= 0.0);
        assert_eq!(exposed.family(names::TOKIO_WORKER_PARKS).kind, "counter");
        drop(release);
        runtime.block_on(task).unwrap();
    }
    let metrics = config().with_runtime_metrics(false).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    metrics.watch_runtime(runtime.handle().clone());
    assert!(exposed(&metrics).find(names::TOKIO_WORKERS).is_none());
}
