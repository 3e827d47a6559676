//! Lines of the schemas of others: ECS, Google Cloud Logging.

mod strict;

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput};
use serde_json::{Value, json};
use tracing::subscriber::with_default;
use tracing_subscriber::{Registry, layer::SubscriberExt};

fn line(format: LogFormat, log: impl FnOnce()) -> Value {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1.2.3")).with_format(format);
    let (layer, _logs) =
        config.with_output(LogOutput::memory(&lines)).build::<Registry>().expect("logs");
    with_default(tracing_subscriber::registry().with(layer), log);
    let lines = lines.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    strict::json(&lines[0])
}

#[test]
fn what_ecs_knows_stands_at_its_place_and_all_else_is_a_label() {
    let line = line(LogFormat::Ecs, || {
        tracing::info!(
            { error = %"boom", user = "ada", user.id = 7, host = "db-1", url = "http://x/y",
              client = "10.0.0.1", event = "paid", service = "x", process = 5, http = true,
              count = 2, network.protocol.version = "1.1", order.id = "o-1", order = 7,
              "http.request.body.size" = 5, faas.invocation_id = "f-1", tags = "a" },
            "x"
        );
    });
    for (name, value) in [
        ("error.message", json!("boom")),
        ("user.id", json!(7)),
        ("http.request.body.bytes", json!(5)),
        ("faas.execution", json!("f-1")),
        ("tags", json!("a")),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!(
        line["labels"],
        json!({"user": "ada", "host": "db-1", "url": "http://x/y", "client": "10.0.0.1", "event": "paid",
               "service": "x", "process": "5", "http": "true", "count": "2",
               "network_protocol_version": "1.1", "order_id": "o-1", "order": "7"})
    );
}

#[test]
fn a_value_that_is_not_of_ecs_type_is_a_label_too() {
    let fitting = line(LogFormat::Ecs, || {
        tracing::info!(
            { event.duration = 5_u64, source.ip = "::1", event.start = "2026-11-28T09:00:00Z",
              client.port = 80, event.risk_score = 0.5, host.cpu.usage = 1, user.id = true,
              event.end = 1_795_236_660_123_u64, http.response.status_code = 200_i64 },
            "x"
        );
    });
    assert_eq!(fitting.get("labels"), None, "{fitting}");
    let other = line(LogFormat::Ecs, || {
        tracing::info!(
            { event.duration = "long", source.ip = "unknown", event.start = "soon", client.port = u64::MAX,
              event.risk_score = "high", event.end = true, http.response.status_code = 2.5,
              destination.ip = 5, event.sequence = u128::MAX, gen_ai.usage.input_tokens = 3_000_000_000_u64,
              event.severity = f64::NAN, log.syslog = "x", data_stream.dataset = "y" },
            "x"
        );
    });
    assert_eq!(
        other["labels"],
        json!({"event_duration": "long", "source_ip": "unknown", "event_start": "soon",
               "client_port": u64::MAX.to_string(), "event_risk_score": "high", "event_end": "true",
               "http_response_status_code": "2.5", "destination_ip": "5",
               "event_sequence": u128::MAX.to_string(), "gen_ai_usage_input_tokens": "3000000000",
               "event_severity": "NaN", "log_syslog": "x", "data_stream_dataset": "y"})
    );
}

fn access() {
    tracing::info!(
        target: "meshwise::access",
        { http.request.method = "GET", http.route = "/orders/{id}", url.path = "/orders/7",
          http.response.status_code = 200_u16, network.protocol.version = "1.1", duration_ms = 1500.25,
          http.request.body.size = 3_u64, http.response.body.size = 8_u64, caller = "gateway",
          outcome = "cancelled", user_agent.original = "curl/8", client.address = "10.0.0.1" },
        "GET /orders/7"
    );
}

#[test]
fn an_access_line_is_ecs() {
    let line = line(LogFormat::Ecs, access);
    for (name, value) in [
        ("http.request.method", json!("GET")),
        ("url.path", json!("/orders/7")),
        ("http.response.status_code", json!(200)),
        ("http.version", json!("1.1")),
        ("event.duration", json!(1_500_250_000_u64)),
        ("http.request.body.bytes", json!(3)),
        ("http.response.body.bytes", json!(8)),
        ("event.outcome", json!("unknown")),
        ("user_agent.original", json!("curl/8")),
        ("client.address", json!("10.0.0.1")),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!(line["labels"], json!({"http_route": "/orders/{id}", "caller": "gateway"}));
}

#[test]
fn an_access_line_fills_cloud_logging_s_http_request() {
    let line = line(LogFormat::Gcp, access);
    assert_eq!(
        line["httpRequest"],
        json!({"requestMethod": "GET", "requestUrl": "/orders/7", "status": 200, "protocol": "HTTP/1.1",
               "latency": "1.500250s", "requestSize": "3", "responseSize": "8", "userAgent": "curl/8",
               "remoteIp": "10.0.0.1"})
    );
    assert_eq!(
        (&line["http.route"], &line["outcome"]),
        (&json!("/orders/{id}"), &json!("cancelled"))
    );
    let others = ordinary();
    assert_eq!(others.get("httpRequest"), None);
    assert_eq!(others["http.request.method"], "GET", "only the access log's own are moved");
}

fn ordinary() -> Value {
    line(LogFormat::Gcp, || tracing::info!(http.request.method = "GET", "x"))
}

#[test]
fn latency_is_written_as_protobuf_has_durations() {
    for (milliseconds, text) in [
        (1500.0, "1.500s"),
        (0.0, "0s"),
        (0.007, "0.000007s"),
        (2000.0, "2s"),
        (7.293, "0.007293s"),
        (86_400_000.0, "86400s"),
    ] {
        let line = line(LogFormat::Gcp, || {
            tracing::info!(target: "meshwise::access", duration_ms = milliseconds, "x");
        });
        assert_eq!(line["httpRequest"]["latency"], text);
    }
    let odd = line(LogFormat::Gcp, || {
        tracing::info!(target: "meshwise::access", { duration_ms = -1.0, status = "x" }, "x");
    });
    assert_eq!(odd["fields"], json!({"duration_ms": -1.0}));
}
