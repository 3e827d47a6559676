//! The call instruments, as a scrape sees them.

use meshwise_core::{ErrorType, GrpcCode, Service};
use meshwise_metrics::{
    BodySizes, HttpClientLabels, HttpClientMetrics, HttpServerLabels, HttpServerMetrics, Metrics,
    MetricsConfig, RpcLabels, RpcMetrics,
};
use std::time::Duration;

const OK: HttpServerLabels<'static> = HttpServerLabels {
    method: "GET",
    route: Some("/orders/{id}"),
    status: Some(200),
    scheme: "http",
    error_type: None,
};

fn metrics() -> Metrics {
    MetricsConfig::new(Service::new("orders", "1.0.0")).build().expect("metrics")
}

/// Returns the lines of a metric, without comments.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.render_text();
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

#[test]
fn a_served_call_is_in_flight_and_then_counted() {
    let metrics = metrics();
    let server = HttpServerMetrics::new(&metrics);
    let in_flight = server.started("GET", "http");
    let active = "http_server_active_requests{http_request_method=\"GET\",url_scheme=\"http\"}";
    assert_eq!(lines(&metrics, "http_server_active"), [format!("{active} 1")]);
    drop(in_flight);
    assert_eq!(lines(&metrics, "http_server_active"), [format!("{active} 0")]);
    server.finished(&OK, Duration::from_millis(30), BodySizes::default());
    let lines = lines(&metrics, "http_server_request_duration_seconds");
    let has = |part: &str, value: &str| {
        let found = lines.iter().any(|l| l.contains(part) && l.ends_with(&format!(" {value}")));
        assert!(found, "{part} {value} in {lines:#?}");
    };
    has("_count{", "1");
    has("_sum{", "0.03");
    has("le=\"0.025\"", "0");
    has("le=\"0.05\"", "1");
    has("le=\"+Inf\"", "1");
    has("http_route=\"/orders/{id}\"", "1");
    assert_eq!(lines.len(), 17, "{lines:#?}");
}

#[test]
fn sizes_are_recorded_only_if_asked_for() {
    for wanted in [false, true] {
        let metrics = MetricsConfig::new(Service::new("orders", "1.0.0"))
            .with_body_sizes(wanted)
            .build()
            .expect("metrics");
        let server = HttpServerMetrics::new(&metrics);
        server.finished(&OK, Duration::ZERO, BodySizes { request: Some(7), response: Some(5000) });
        assert_eq!(!lines(&metrics, "http_server_request_body_size_bytes").is_empty(), wanted);
        let sum = lines(&metrics, "http_server_response_body_size_bytes_sum");
        assert_eq!(sum.iter().any(|line| line.ends_with(" 5000")), wanted);
    }
}

#[test]
fn a_call_to_a_neighbour_names_it() {
    let metrics = metrics();
    let client = HttpClientMetrics::new(&metrics);
    drop(client.started("POST", "auth"));
    let labels = HttpClientLabels {
        method: "POST",
        address: "auth.internal",
        port: Some(8080),
        status: None,
        error_type: Some(ErrorType::TIMEOUT),
        peer: "auth",
    };
    client.finished(&labels, Duration::from_secs(1), BodySizes::default());
    let count = lines(&metrics, "http_client_request_duration_seconds_count").remove(0);
    for label in [
        "http_request_method=\"POST\"",
        "server_address=\"auth.internal\"",
        "server_port=\"8080\"",
        "error_type=\"timeout\"",
        "service_peer_name=\"auth\"",
    ] {
        assert!(count.contains(label), "{label} in {count}");
    }
    assert!(!count.contains("status"), "{count}");
    assert_eq!(lines(&metrics, "http_client_active_requests").len(), 1);
}

#[test]
fn rpc_calls_carry_their_code() {
    let metrics = metrics();
    let labels = RpcLabels {
        method: "shop.Stock/Take",
        code: GrpcCode::Unavailable,
        error_type: Some(ErrorType::new("UNAVAILABLE")),
        peer: Some("stock"),
    };
    RpcMetrics::client(&metrics).finished(&labels, Duration::ZERO);
    RpcMetrics::server(&metrics).finished(&RpcLabels { peer: None, ..labels }, Duration::ZERO);
    for side in ["rpc_client_call_duration_seconds_count", "rpc_server_call_duration_seconds_count"]
    {
        let count = lines(&metrics, side).remove(0);
        for label in [
            "rpc_system_name=\"grpc\"",
            "rpc_method=\"shop.Stock/Take\"",
            "rpc_response_status_code=\"UNAVAILABLE\"",
            "error_type=\"UNAVAILABLE\"",
        ] {
            assert!(count.contains(label), "{label} in {count}");
        }
        assert_eq!(count.contains("service_peer_name"), side.starts_with("rpc_client"));
    }
}
