//! The call instruments, as a scrape sees them.

mod support;

use allocation_counter::measure;
use meshwise_core::{ErrorType, GrpcCode};
use meshwise_metrics::{
    Metrics,
    internal::{
        BodySizes, HttpClientMetrics, HttpClientSeries, HttpClientTarget, HttpServerMetrics,
        HttpServerSeries, LabelGuard, RpcLabels, RpcMetrics,
    },
    names,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{sync::Arc, time::Duration};
use support::{config, exposed, metrics, strict::Exposed};

const TARGET: HttpClientTarget<'static> =
    HttpClientTarget { address: "auth.internal", port: Some(8080), peer: "auth" };
const RPC: RpcLabels<'static> = RpcLabels {
    method: "shop.Stock/Take",
    code: GrpcCode::Unavailable,
    error_type: Some(ErrorType::new("UNAVAILABLE")),
    peer: Some("stock"),
};
const NO_SIZES: BodySizes = BodySizes { request: None, response: None };

/// Calls of one route, as a server layer counts them.
fn orders(server: &HttpServerMetrics) -> HttpServerSeries {
    server.series("GET", Some(server.routes().intern("/orders/{id}")), "http")
}

fn ends_well(series: &HttpServerSeries, duration: Duration, sizes: BodySizes) {
    series.finished(Some(200), None, duration, sizes);
}

fn times_out(series: &HttpClientSeries, duration: Duration, sizes: BodySizes) {
    series.finished("POST", None, Some(ErrorType::TIMEOUT), duration, sizes);
}

#[track_caller]
fn overflow(exposed: &Exposed, metric: &str, label: &str) -> f64 {
    exposed.value(names::LABEL_OVERFLOW, &[("metric", metric), ("label", label)])
}

#[test]
fn a_served_call_is_in_flight_and_then_counted() {
    let metrics = metrics();
    let server = HttpServerMetrics::new(&metrics);
    let active = |expected: f64| {
        let labels = [("http_request_method", "GET"), ("url_scheme", "http")];
        let found = exposed(&metrics).value(names::HTTP_SERVER_ACTIVE_REQUESTS, &labels);
        assert_eq!(found, expected);
    };
    orders(&server).inc_active();
    orders(&server.clone()).inc_active();
    active(2.0);
    orders(&server).dec_active();
    active(1.0);
    // Its route was found later.
    server.series("GET", None, "http").dec_active();
    active(0.0);
    ends_well(&orders(&server), Duration::from_millis(30), NO_SIZES);
    let exposed = exposed(&metrics);
    let family = exposed.family("http_server_request_duration_seconds");
    assert_eq!((family.kind.as_str(), family.samples.len()), ("histogram", 17));
    let labels: Vec<_> = family.samples[16].labels.iter().collect();
    let expected = [
        ("http_request_method", "GET"),
        ("http_response_status_code", "200"),
        ("http_route", "/orders/{id}"),
        ("url_scheme", "http"),
    ];
    assert_eq!(
        labels,
        expected
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .iter()
            .map(|(k, v)| (k, v))
            .collect::<Vec<_>>()
    );
    let value = |suffix: &str, labels: &[(&str, &str)]| {
        exposed.value(&format!("http_server_request_duration_seconds_{suffix}"), labels)
    };
    assert_eq!(value("bucket", &[("le", "0.025")]), 0.0);
    assert_eq!(value("bucket", &[("le", "0.05")]), 1.0);
    assert_eq!(value("sum", &[]), 0.03);
    let bounds = family.samples.iter().filter_map(|sample| sample.labels.get("le"));
    let bounds: Vec<f64> =
        bounds.filter_map(|le| le.parse().ok()).filter(|le: &f64| le.is_finite()).collect();
    let expected =
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    assert_eq!(bounds, expected);
}

#[test]
fn what_is_not_known_is_no_label_but_the_route_is_empty() {
    let metrics = metrics();
    let unknown = HttpServerMetrics::new(&metrics).series("GET", None, "http");
    unknown.finished(None, Some(ErrorType::CANCELLED), Duration::ZERO, NO_SIZES);
    let exposed = exposed(&metrics);
    let labels = &exposed.family(names::HTTP_SERVER_REQUEST_DURATION).samples[16].labels;
    let names: Vec<&str> = labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["error_type", "http_request_method", "http_route", "url_scheme"]);
    assert_eq!(labels["http_route"], "");
    assert_eq!(labels["error_type"], "cancelled");
}

#[test]
fn sizes_are_recorded_only_if_asked_for() {
    for wanted in [false, true] {
        let metrics = config().with_body_sizes(wanted).build().expect("metrics");
        let server = orders(&HttpServerMetrics::new(&metrics));
        let client = HttpClientMetrics::new(&metrics).series(&TARGET);
        let sizes = BodySizes { request: None, response: Some(5000) };
        ends_well(&server, Duration::ZERO, sizes);
        times_out(&client, Duration::ZERO, sizes);
        let exposed = exposed(&metrics);
        for (request, response) in [
            (names::HTTP_SERVER_REQUEST_BODY_SIZE, names::HTTP_SERVER_RESPONSE_BODY_SIZE),
            (names::HTTP_CLIENT_REQUEST_BODY_SIZE, names::HTTP_CLIENT_RESPONSE_BODY_SIZE),
        ] {
            assert_eq!(exposed.find(response).is_some(), wanted);
            if wanted {
                assert_eq!(exposed.value(&format!("{request}_count"), &[]), 0.0);
                assert_eq!(exposed.value(&format!("{response}_sum"), &[]), 5000.0);
                assert_eq!(exposed.value(&format!("{response}_bucket"), &[("le", "4096.0")]), 0.0);
                assert_eq!(exposed.value(&format!("{response}_bucket"), &[("le", "16384.0")]), 1.0);
            }
        }
    }
}

#[test]
fn a_call_to_a_peer_names_it() {
    let metrics = metrics();
    let client = HttpClientMetrics::new(&metrics);
    let series = client.series(&TARGET);
    series.inc_active();
    client.series(&HttpClientTarget { port: None, ..TARGET }).inc_active();
    times_out(&series, Duration::from_secs(1), NO_SIZES);
    let exposed = exposed(&metrics);
    let labels = [("server_service_name", "auth"), ("server_port", "8080")];
    assert_eq!(exposed.value(names::HTTP_CLIENT_ACTIVE_REQUESTS, &labels), 1.0);
    let active = &exposed.family(names::HTTP_CLIENT_ACTIVE_REQUESTS).samples;
    assert!(active.iter().all(|sample| sample.labels["server_address"] == "auth.internal"));
    assert_eq!(active.len(), 2);
    series.dec_active();
    let labels = &exposed.family(names::HTTP_CLIENT_REQUEST_DURATION).samples[16].labels;
    let pairs: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected = [
        ("error_type", "timeout"),
        ("http_request_method", "POST"),
        ("server_address", "auth.internal"),
        ("server_port", "8080"),
        ("server_service_name", "auth"),
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn rpc_calls_carry_their_code() {
    let metrics = metrics();
    RpcMetrics::client(&metrics).finished(&RPC, Duration::ZERO);
    RpcMetrics::server(&metrics).finished(&RpcLabels { peer: None, ..RPC }, Duration::ZERO);
    let exposed = exposed(&metrics);
    for (side, peer) in
        [(names::RPC_CLIENT_CALL_DURATION, Some("stock")), (names::RPC_SERVER_CALL_DURATION, None)]
    {
        let labels = &exposed.family(side).samples[16].labels;
        let value = |name: &str| labels.get(name).map(String::as_str);
        assert_eq!(value("rpc_system_name"), Some("grpc"));
        assert_eq!(value("rpc_method"), Some("shop.Stock/Take"));
        assert_eq!(value("rpc_status_code"), Some("UNAVAILABLE"));
        assert_eq!(value("error_type"), Some("UNAVAILABLE"));
        assert_eq!(value("server_service_name"), peer);
    }
}

#[test]
fn status_codes_that_http_does_not_have_share_a_label() {
    let metrics = metrics();
    let server = orders(&HttpServerMetrics::new(&metrics));
    for status in [99, 600, 999] {
        server.finished(Some(status), None, Duration::ZERO, NO_SIZES);
    }
    let labels = [("http_response_status_code", "_other")];
    let count = "http_server_request_duration_seconds_count";
    assert_eq!(exposed(&metrics).value(count, &labels), 3.0);
}

#[test]
fn a_hundred_thousand_routes_are_a_thousand_and_one() {
    let metrics = metrics();
    let server = HttpServerMetrics::new(&metrics);
    let serve = |route: usize| {
        let route = server.routes().intern(&format!("/{route}"));
        ends_well(&server.series("GET", Some(route), "http"), Duration::ZERO, NO_SIZES);
    };
    (0..2_000).for_each(serve);
    let grown = measure(|| (2_000..100_000).for_each(serve));
    assert_eq!(grown.bytes_current, 0);
    let exposed = exposed(&metrics);
    assert_eq!(exposed.series(names::HTTP_SERVER_REQUEST_DURATION), 1001);
    let other = [("http_route", "_other"), ("http_request_method", "GET")];
    let count = "http_server_request_duration_seconds_count";
    assert_eq!(exposed.value(count, &other), 99_000.0);
    assert_eq!(exposed.value(count, &[("http_route", "/999")]), 1.0);
    let routes = overflow(&exposed, names::HTTP_SERVER_REQUEST_DURATION, "http_route");
    assert_eq!(routes, 99_000.0);
    assert_eq!(overflow(&exposed, names::HTTP_SERVER_REQUEST_DURATION, "*"), 0.0);
}

#[test]
fn a_hundred_thousand_hosts_and_peers_are_a_few_hundred() {
    let metrics = metrics();
    let client = HttpClientMetrics::new(&metrics);
    for host in 0..100_000 {
        let (address, peer) = (format!("h{host}"), format!("p{}", host / 2));
        let port = Some(u16::try_from(host % 60_000).expect("a port"));
        let series = client.series(&HttpClientTarget { address: &address, port, peer: &peer });
        series.inc_active();
        series.dec_active();
        times_out(&series, Duration::ZERO, NO_SIZES);
    }
    let exposed = exposed(&metrics);
    // 200 hosts of their own, and the rest without ports.
    let other = [("server_address", "_other"), ("server_service_name", "_other")];
    let count = "http_client_request_duration_seconds_count";
    assert_eq!(exposed.value(count, &other), 99_600.0);
    assert_eq!(exposed.series(names::HTTP_CLIENT_REQUEST_DURATION), 301);
    assert_eq!(exposed.series(names::HTTP_CLIENT_ACTIVE_REQUESTS), 301);
    let addresses = overflow(&exposed, names::HTTP_CLIENT_REQUEST_DURATION, "server_address");
    // Told of both, by the one guard that they share.
    assert_eq!(addresses, 2.0 * 99_800.0);
}

#[test]
fn label_sets_beyond_the_limit_share_one() {
    let metrics = config().with_max_label_sets(10).build().expect("metrics");
    let server = HttpServerMetrics::new(&metrics);
    let rpc = RpcMetrics::client(&metrics);
    let orders = orders(&server);
    for i in 0..500 {
        orders.finished(Some(100 + i), None, Duration::ZERO, NO_SIZES);
        let method = Box::leak(format!("M{i}").into_boxed_str());
        let series = server.series(method, None, "http");
        series.inc_active();
        series.dec_active();
        let method = format!("s.S/M{i}");
        rpc.finished(&RpcLabels { method: &method, ..RPC }, Duration::ZERO);
    }
    let exposed = exposed(&metrics);
    for (metric, count) in [
        (names::HTTP_SERVER_REQUEST_DURATION, "http_server_request_duration_seconds_count"),
        (names::RPC_CLIENT_CALL_DURATION, "rpc_client_call_duration_seconds_count"),
    ] {
        assert_eq!(exposed.series(metric), 11);
        assert_eq!(exposed.value(count, &[("error_type", "_other")]), 490.0);
        assert_eq!(overflow(&exposed, metric, "*"), 490.0);
    }
    let active = names::HTTP_SERVER_ACTIVE_REQUESTS;
    assert_eq!(exposed.series(active), 11);
    assert_eq!(overflow(&exposed, active, "*"), 490.0);
}

#[test]
fn a_guard_counts_what_it_turns_away() {
    let metrics = metrics();
    let callers = LabelGuard::new(&metrics, "meshwise_api_calls_total", "caller", 3);
    let overflow = || overflow(&exposed(&metrics), "meshwise_api_calls_total", "caller");
    assert_eq!(overflow(), 0.0);
    for caller in ["a", "b", "c", "d", "e", "a"] {
        let _ = callers.intern(caller);
    }
    assert_eq!(overflow(), 2.0);
}

#[test]
fn what_is_known_allocates_nothing() {
    let metrics = config().with_body_sizes(true).build().expect("metrics");
    let server = orders(&HttpServerMetrics::new(&metrics));
    let client = HttpClientMetrics::new(&metrics).series(&TARGET);
    let rpc = RpcMetrics::server(&metrics);
    let sizes = BodySizes { request: Some(1), response: Some(2) };
    let all = || {
        server.inc_active();
        client.inc_active();
        ends_well(&server, Duration::from_millis(3), sizes);
        times_out(&client, Duration::from_millis(2), sizes);
        // More ends than the series have places for.
        for status in 400..420 {
            server.finished(Some(status), None, Duration::ZERO, sizes);
            client.finished("GET", Some(status), None, Duration::ZERO, sizes);
        }
        rpc.finished(&RPC, Duration::from_millis(1));
        server.dec_active();
        client.dec_active();
    };
    all();
    let info = measure(|| (0..1000).for_each(|_| all()));
    assert_eq!(info.count_total, 0);
}

/// The exporter keeps raw samples in blocks, which it allocates now and then.
#[cfg(feature = "exporter-prometheus")]
#[test]
fn with_the_exporter_allocations_are_few() {
    let metrics = config().with_exporter_prometheus().build().expect("metrics");
    let server = orders(&HttpServerMetrics::new(&metrics));
    let call = || {
        server.inc_active();
        server.dec_active();
        ends_well(&server, Duration::from_millis(3), NO_SIZES);
    };
    call();
    let info = measure(|| (0..10_000).for_each(|_| call()));
    assert!(info.count_total < 10_000 / 32, "{} allocations", info.count_total);
}

#[test]
fn a_recorder_of_another_crate_gets_it_all() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let metrics = Metrics::from_recorder(Arc::new(recorder));
    ends_well(&orders(&HttpServerMetrics::new(&metrics)), Duration::from_secs(2), NO_SIZES);
    metrics.on_scrape(|recorder| {
        metrics::with_local_recorder(recorder, || metrics::gauge!("hooked").set(1.0));
    });
    metrics.collect();
    let all = snapshotter.snapshot().into_vec();
    let find = |name: &str| {
        let found = all.iter().find(|(key, ..)| key.key().name() == name);
        found.unwrap_or_else(|| panic!("no {name} in {all:#?}"))
    };
    let (_, unit, help, value) = find(names::HTTP_SERVER_REQUEST_DURATION);
    assert_eq!(*unit, Some(metrics::Unit::Seconds));
    assert_eq!(help.as_deref(), Some("Duration of HTTP server requests."));
    assert!(matches!(value, DebugValue::Histogram(v) if v.len() == 1 && v[0].0 == 2.0));
    find("hooked");
    #[cfg(target_os = "linux")]
    assert!(matches!(find(names::PROCESS_CPU).3, DebugValue::Counter(_)));
    assert_eq!(metrics.render_text(), "");
}
