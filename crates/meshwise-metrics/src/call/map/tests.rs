use super::*;
use crate::MetricsConfig;
use meshwise_core::Service;

fn call(error_type: Option<ErrorType>) -> EdgeCall {
    let status = error_type.is_none().then_some(200);
    EdgeCall { status, code: None, error_type, duration: Duration::from_millis(20) }
}

fn called(map: &ServiceMap, server: &str, kind: EdgeKind, call: &EdgeCall) {
    map.called(&map.edge("orders", server, kind), server, kind, call);
}

fn orders() -> Service {
    Service::new("orders", "1.4").with_namespace("shop")
}

#[test]
fn an_edge_is_counted_with_its_failures_from_the_first_call_on() {
    let metrics = MetricsConfig::new(orders()).build().expect("metrics");
    let map = ServiceMap::new(&metrics);
    called(&map, "stock", EdgeKind::Call, &call(None));
    let text = metrics.render_text();
    let edge = r#"{client="orders",server="stock"}"#;
    assert!(text.contains(&format!("traces_service_graph_request_total{edge} 1\n")), "{text}");
    assert!(text.contains(&format!("traces_service_graph_request_failed_total{edge} 0\n")));
    called(&map, "stock", EdgeKind::Call, &call(Some(ErrorType::TIMEOUT)));
    let text = metrics.render_text();
    assert!(text.contains(&format!("traces_service_graph_request_total{edge} 2\n")));
    assert!(text.contains(&format!("traces_service_graph_request_failed_total{edge} 1\n")));
    assert!(text.contains(&format!("traces_service_graph_request_server_seconds_count{edge} 2\n")));
    assert!(!text.contains("istio_"), "unasked for");
}

#[test]
fn ends_that_say_nothing_and_calls_not_declared_are_edges_of_their_own_kind() {
    let metrics = MetricsConfig::new(orders()).build().expect("metrics");
    let map = ServiceMap::new(&metrics);
    map.served_unnamed(&map.unnamed("orders"), &call(None));
    called(&map, "api.bank.example", EdgeKind::Virtual, &call(None));
    called(&map, "mail", EdgeKind::Undeclared, &call(None));
    let text = metrics.render_text();
    for edge in [
        r#"client="user",connection_type="virtual_node",server="orders""#,
        r#"client="orders",connection_type="virtual_node",server="api.bank.example""#,
        r#"client="orders",connection_type="undeclared",server="mail""#,
    ] {
        let series = format!("traces_service_graph_request_total{{{edge}}} 1\n");
        assert!(text.contains(&series), "{series}{text}");
    }
}

#[test]
fn hosts_without_end_share_one_node() {
    let metrics = MetricsConfig::new(orders()).build().expect("metrics");
    let map = ServiceMap::new(&metrics);
    for i in 0..2 * MAX_SERVERS {
        called(&map, &format!("h{i}"), EdgeKind::Virtual, &call(None));
    }
    let text = metrics.render_text();
    let edges = text.lines().filter(|l| l.starts_with("traces_service_graph_request_total{"));
    assert_eq!(edges.count(), MAX_SERVERS + 1);
}

#[test]
fn kiali_gets_every_label_that_it_asks_for_if_asked() {
    let metrics = MetricsConfig::new(orders()).with_istio_names(true).build().expect("metrics");
    let map = ServiceMap::new(&metrics);
    called(&map, "stock", EdgeKind::Call, &call(None));
    called(&map, "stock", EdgeKind::Call, &call(Some(ErrorType::TIMEOUT)));
    map.served_unnamed(&map.unnamed("orders"), &call(None));
    let grpc = EdgeCall { code: Some(GrpcCode::NotFound), ..call(None) };
    called(&map, "auth", EdgeKind::Call, &grpc);
    let text = metrics.render_text();
    let lines: Vec<_> =
        text.lines().filter(|line| line.starts_with("istio_requests_total{")).collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for line in &lines {
        for wanted in istio::LABELS {
            let has = line.contains(&format!("{wanted}=\""));
            assert!(has || *wanted == "grpc_response_status", "{line} has no {wanted}");
        }
    }
    let has = |parts: &[&str]| {
        let found = lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "{parts:?} in {lines:#?}");
    };
    has(&[r#"reporter="source""#, r#"destination_workload="stock""#, r#"response_code="200""#]);
    has(&[r#"response_code="0""#, r#"response_flags="UT""#]);
    has(&[r#"reporter="destination""#, r#"source_workload="unknown""#]);
    has(&[r#"request_protocol="grpc""#, r#"grpc_response_status="5""#]);
    assert!(text.contains("istio_request_duration_milliseconds_bucket"));
    assert!(text.contains(r#"le="25.0"} 1"#), "{text}");
}

#[test]
fn messages_are_edges_that_the_side_counts_which_processes_them() {
    let metrics = MetricsConfig::new(orders()).build().expect("metrics");
    let map = ServiceMap::new(&metrics);
    map.messages(Some("web"), "orders").processed(3, &call(None));
    map.messages(Some("web"), "orders").processed(2, &call(Some(ErrorType::TIMEOUT)));
    map.messages(None, "orders").processed(1, &call(None));
    let text = metrics.render_text();
    let web = r#"client="web",connection_type="messaging_system",server="orders""#;
    let user = r#"client="user",connection_type="messaging_system",server="orders""#;
    for (what, edge, count) in [("total", web, 5), ("failed_total", web, 2), ("total", user, 1)] {
        let series = format!("traces_service_graph_request_{what}{{{edge}}} {count}\n");
        assert!(text.contains(&series), "{series}{text}");
    }
}
