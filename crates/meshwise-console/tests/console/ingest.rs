//! All signals, in all encodings, are kept once and shown.

use crate::support::{
    Answer, data, export, failed, get, nanos, of_service, order, post, send, send_h2, span, start,
    text,
};
use flate2::{Compression, write::GzEncoder};
use meshwise_console::Console;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest,
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{
        AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;
use serde_json::{Value, json};
use std::io::Write as _;

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn frame(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("small");
    [&[compressed][..], &length.to_be_bytes(), message].concat()
}

async fn grpc(console: &Console, path: &str, body: Vec<u8>, gzip: bool) -> Answer {
    let uri = format!("http://{}{path}", console.grpc());
    let mut request = post(console.grpc(), &uri, "application/grpc", body);
    request.headers_mut().insert("te", "trailers".parse().expect("a value"));
    if gzip {
        request.headers_mut().insert("grpc-encoding", "gzip".parse().expect("a value"));
    }
    send_h2(console.grpc(), request).await
}

fn spans_of(view: &Value) -> Vec<(&str, &str, bool)> {
    let tree = view["tree"].as_array().expect("spans");
    tree.iter()
        .map(|span| {
            let text = |key: &str| span[key].as_str().expect("text");
            (text("service"), text("name"), span["failed"] == true)
        })
        .collect()
}

#[tokio::test]
async fn a_trace_is_kept_and_shown_as_a_tree() {
    let console = start().await;
    assert_eq!(export(&console, &order(TRACE)).await.status, 200);
    let view = data(&console, &format!("traces/{TRACE:032x}")).await;
    let expected = [
        ("gateway", "POST /orders", false),
        ("gateway", "POST", false),
        ("orders", "POST /orders", false),
        ("orders", "POST", true),
        ("stock", "POST /items/{item}/reserve", true),
        ("orders", "SELECT", false),
    ];
    // In the order of their beginnings, children after their parents.
    assert_eq!(spans_of(&view), expected);
    let depths: Vec<_> =
        view["tree"].as_array().expect("spans").iter().map(|s| s["depth"].clone()).collect();
    assert_eq!(depths, [0, 1, 2, 3, 4, 3]);
    assert_eq!(view["tree"][4]["message"], "out of stock");
    assert_eq!(
        view["tree"][4]["more"]["attributes"],
        json!([["http.route", "/items/{item}/reserve"]])
    );
    assert_eq!(view["tree"][4]["more"]["resource"][0], json!(["service.name", "stock"]));
    assert_eq!((view["errors"].clone(), view["orphans"].clone()), (json!(2), json!(0)));
}

#[tokio::test]
async fn every_encoding_is_taken_and_nothing_is_kept_twice() {
    let console = start().await;
    let encoded = |trace| order(trace).encode_to_vec();
    let json = |trace| serde_json::to_vec(&order(trace)).expect("JSON");
    let (protobuf_type, json_type) = ("application/x-protobuf", "application/json; charset=utf-8");
    let http = console.http();
    for (kind, body) in [(protobuf_type, encoded(1)), (json_type, json(2))] {
        let answer = send(http, post(http, "/v1/traces", kind, body)).await;
        assert_eq!(answer.status, 200, "{kind}");
    }
    for (kind, body) in [(protobuf_type, encoded(3)), (json_type, json(4))] {
        let mut request = post(http, "/v1/traces", kind, gzip(&body));
        request.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
        assert_eq!(send(http, request).await.status, 200, "{kind}, gzip");
    }
    let plain = grpc(&console, TRACES, frame(0, &encoded(5)), false).await;
    let zipped = grpc(&console, TRACES, frame(1, &gzip(&encoded(6))), true).await;
    for answer in [&plain, &zipped] {
        assert_eq!(answer.trailers["grpc-status"], "0", "{:?}", answer.headers);
        let message = ExportTraceServiceResponse::decode(&answer.body[5..]).expect("an answer");
        assert_eq!(message.partial_success, None);
    }
    // A sender that heard no answer sends again.
    assert_eq!(export(&console, &order(1)).await.status, 200);
    let status = data(&console, "status").await;
    assert_eq!((status["traces"].clone(), status["spans"].clone()), (6.into(), 36.into()));
    assert_eq!(status["came"]["duplicates"], 6);
    let first = data(&console, "traces/00000000000000000000000000000001").await;
    for trace in 2..=6 {
        let other = data(&console, &format!("traces/{trace:032x}")).await;
        assert_eq!(spans_of(&other), spans_of(&first), "{trace}");
    }
}

#[tokio::test]
async fn the_map_pairs_both_sides_of_a_call() {
    let console = start().await;
    for trace in 1..=5 {
        export(&console, &order(trace)).await;
    }
    let seen = data(&console, "map").await;
    let edges: Vec<_> = seen["map"]["edges"]
        .as_array()
        .expect("edges")
        .iter()
        .map(|edge| {
            format!("{} {} {} {}", edge["client"], edge["server"], edge["calls"], edge["failed"])
        })
        .collect();
    let expected =
        [r#""gateway" "orders" 5 0"#, r#""orders" "stock" 5 5"#, r#""user" "gateway" 5 0"#];
    assert_eq!(edges, expected, "the database's waits for its other side");
    let first = &seen["problems"][0];
    assert_eq!(
        (&first["kind"], &first["subject"], &first["client"]),
        (&json!("edge"), &json!("stock"), &json!("orders"))
    );
    for (query, count) in [
        ("edge:orders%3Estock", 5),
        ("edge:orders%3Estock+status:error", 5),
        ("edge:gateway%3Eorders", 5),
        ("edge:gateway%3Eorders+status:error", 0),
        ("edge:gateway%3Estock", 0),
        ("edge:orders%3Epostgresql", 5),
        ("edge:user%3Egateway", 5),
        ("service:stock+status:ok", 0),
        ("service:nowhere", 0),
        ("%3E5ms", 5),
        ("%3E5s", 0),
        ("http.route=/items/%7Bitem%7D/reserve", 5),
        ("http.route=/items", 0),
        ("service.version=1.0", 5),
        ("OUT+OF+STOCK", 5),
        ("ghost", 0),
        ("name:%22POST+/orders%22", 5),
        ("kind:client+service:stock", 0),
    ] {
        let list = data(&console, &format!("traces?q={query}")).await;
        assert_eq!(list["traces"].as_array().expect("a list").len(), count, "{query}");
    }
}

#[tokio::test]
async fn an_answer_of_4xx_is_no_failure_of_the_peer() {
    let console = start().await;
    let mut calling = failed(span(1, 1, 0, 3, "GET"), "404");
    let status = Some(AnyValue { value: Some(Any::IntValue(404)) });
    calling.attributes = vec![KeyValue { value: status, ..text("http.response.status_code", "") }];
    let resource_spans = vec![
        of_service("gateway", vec![calling]),
        of_service("orders", vec![span(1, 2, 1, 2, "GET /orders/{id}")]),
    ];
    export(&console, &ExportTraceServiceRequest { resource_spans }).await;
    let edge = data(&console, "map").await["map"]["edges"][0].clone();
    assert_eq!((&edge["calls"], &edge["failed"]), (&json!(1), &json!(0)));
    // Nor is it one in the lists; it is shown, and Jaeger's page has the conventions' word for it.
    assert_eq!(data(&console, "traces").await["traces"][0]["errors"], 0);
    assert_eq!(data(&console, "traces?q=status:error").await["traces"], json!([]));
    let view = data(&console, &format!("traces/{:032x}", 1)).await;
    let first = &view["tree"][0];
    assert_eq!((&first["failed"], &first["refused"]), (&json!(false), &json!(true)));
    assert_eq!(first["message"], "404");
    let jaeger = get(console.page(), "/api/traces/1").await.json();
    let tags = jaeger["data"][0]["spans"][0]["tags"].as_array().expect("tags");
    assert!(tags.iter().any(|tag| tag["key"] == "error"), "{tags:?}");
}

#[tokio::test]
async fn log_records_are_listed_and_stand_in_their_trace() {
    let console = start().await;
    export(&console, &order(TRACE)).await;
    let record = |body: &str, severity: i32, traced: bool| LogRecord {
        time_unix_nano: nanos(),
        severity_number: severity,
        body: Some(AnyValue { value: Some(Any::StringValue(body.to_owned())) }),
        attributes: vec![text("item", "tea")],
        trace_id: if traced { TRACE.to_be_bytes().to_vec() } else { Vec::new() },
        span_id: if traced { 5_u64.to_be_bytes().to_vec() } else { Vec::new() },
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: vec![text("service.name", "stock")],
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records: vec![record("started", 9, false), record("sold out", 17, true)],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let http = console.http();
    let json = serde_json::to_vec(&request).expect("JSON");
    send(http, post(http, "/v1/logs", "application/json", json)).await;
    let body = frame(0, &request.encode_to_vec());
    let path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    assert_eq!(grpc(&console, path, body, false).await.trailers["grpc-status"], "0");

    let bodies = |list: &Value| -> Vec<String> {
        let records = list["records"].as_array().expect("records");
        records.iter().map(|record| record["body"].as_str().expect("text").to_owned()).collect()
    };
    let all = data(&console, "logs").await;
    assert_eq!(bodies(&all), ["started", "sold out", "started", "sold out"]);
    assert_eq!(
        bodies(&data(&console, "logs?q=level:error+item%3Dtea").await),
        ["sold out", "sold out"]
    );
    assert_eq!(bodies(&data(&console, "logs?q=SOLD+service:stock").await).len(), 2);
    assert_eq!(bodies(&data(&console, "logs?q=service:orders").await).len(), 0);
    let newest = all["newest"].as_u64().expect("a number");
    assert_eq!(bodies(&data(&console, &format!("logs?after={}", newest - 1)).await), ["sold out"]);
    let view = data(&console, &format!("traces/{TRACE:032x}")).await;
    assert_eq!(bodies(&view), ["sold out", "sold out"]);
    assert_eq!(view["records"][0]["span"], "0000000000000005");
}

#[tokio::test]
async fn metrics_are_kept_as_series() {
    let console = start().await;
    for value in [3, 7] {
        let point = NumberDataPoint {
            attributes: vec![text("peer", "stock")],
            value: Some(number_data_point::Value::AsInt(value)),
            ..NumberDataPoint::default()
        };
        let sum = Sum {
            data_points: vec![point],
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        };
        let metric = Metric {
            name: "calls".to_owned(),
            unit: "{call}".to_owned(),
            data: Some(Data::Sum(sum)),
            ..Metric::default()
        };
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource {
                    attributes: vec![text("service.name", "orders")],
                    ..Resource::default()
                }),
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![metric],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        let body = request.encode_to_vec();
        let http = console.http();
        assert_eq!(
            send(http, post(http, "/v1/metrics", "application/x-protobuf", body)).await.status,
            200
        );
    }
    let metrics = data(&console, "services/orders/metrics?name=calls").await;
    assert_eq!(metrics[0]["shape"], "counter");
    assert_eq!(metrics[0]["lines"][0]["labels"], json!([["peer", "stock"]]));
    assert_eq!(metrics[0]["lines"][0]["last"], 7.0);
}

#[tokio::test]
async fn one_reading_is_shown_as_what_it_is() {
    let console = start().await;
    let metrics = json!([
        {"name": "bytes", "gauge": {"dataPoints": [{"timeUnixNano": "1", "asInt": "5"}, {"timeUnixNano": "1",
            "attributes": [{"key": "empty", "value": {"boolValue": true}}]}]}},
        {"name": "length", "histogram": {"aggregationTemporality": 2, "dataPoints": [{"count": "4", "sum": 2.0}]}},
        {"name": "nothing", "histogram": {"aggregationTemporality": 2, "dataPoints": [{"count": "0", "sum": 0.0}]}},
        {"name": "quantiles", "summary": {"dataPoints": [{"count": "7", "sum": 3.5}]}},
    ]);
    let body = json!({"resourceMetrics": [{"resource": {"attributes": [{"key": "service.name",
        "value": {"stringValue": "orders"}}]}, "scopeMetrics": [{"metrics": metrics}]}]});
    let http = console.http();
    let answer = send(http, post(http, "/v1/metrics", "application/json", body.to_string())).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({})));
    let seen = data(&console, "services/orders/metrics").await;
    let last = |at: usize| seen[at]["lines"][0]["last"].clone();
    assert_eq!(
        (seen[0]["series"].clone(), last(0)),
        (json!(1), json!(5.0)),
        "a point without a value is none"
    );
    assert_eq!(
        [last(1), last(2), last(3)],
        [json!(0.5), json!(null), json!(0.5)],
        "means, not counts"
    );
}

/// As protobuf's JSON has it, and so the file exporter of a collector; `null` is JavaScript's.
#[tokio::test]
async fn what_is_no_number_costs_no_more_than_itself() {
    let console = start().await;
    let resource = json!({"attributes": [
        {"key": "service.name", "value": {"stringValue": "orders"}},
        {"key": "load", "value": {"doubleValue": "NaN"}},
    ]});
    let metrics = json!([
        {"name": "gauge", "gauge": {"dataPoints": [{"timeUnixNano": "1", "asDouble": "NaN"},
            {"timeUnixNano": "2", "asDouble": "2.5"}]}},
        {"name": "none", "gauge": {"dataPoints": [{"timeUnixNano": 1e3, "asDouble": null}]}},
        {"name": "bounds", "histogram": {"aggregationTemporality": 2, "dataPoints": [{"count": "2",
            "sum": "Infinity", "min": null, "bucketCounts": ["1", "1"], "explicitBounds": ["0.5"]}]}},
        {"name": "quantiles", "summary": {"dataPoints": [{"count": "0", "sum": 0,
            "quantileValues": [{"quantile": 0.5, "value": "NaN"}, {"value": null}],
            "attributes": [{"key": "peer", "value": {"stringValue": "NaN"}}]}]}},
    ]);
    let spans = json!([{"traceId": format!("{TRACE:032x}"), "spanId": "00000000000000aa", "name": "GET",
        "startTimeUnixNano": 1.5e18, "endTimeUnixNano": "1500000000000000001",
        "attributes": [{"key": "ratio", "value": {"doubleValue": "-Infinity"}}]}]);
    for (path, signal, scopes, items, list) in [
        ("/v1/metrics", "resourceMetrics", "scopeMetrics", "metrics", metrics),
        ("/v1/traces", "resourceSpans", "scopeSpans", "spans", spans),
    ] {
        let body = json!({signal: [{"resource": resource, scopes: [{items: list}]}]}).to_string();
        let http = console.http();
        let answer = send(http, post(http, path, "application/json", body)).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({})), "{path}");
    }
    let seen = data(&console, "services/orders/metrics").await;
    let named = |name: &str| seen.as_array()?.iter().find(|metric| metric["name"] == name).cloned();
    let last = |name: &str| named(name).map(|metric| metric["lines"][0]["last"].clone());
    assert_eq!(last("gauge"), Some(json!(2.5)));
    assert!(named("bounds").is_some());
    let quantiles = named("quantiles").expect("a metric");
    assert_eq!(quantiles["lines"][0]["labels"], json!([["peer", "NaN"]]));
    let trace = data(&console, &format!("traces/{TRACE:032x}")).await;
    assert_eq!(spans_of(&trace), [("orders", "GET", false)]);
    // A metric whose data cannot be read is refused, not left out.
    let body =
        json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "x", "gauge": 5}]}]}]});
    let http = console.http();
    let answer = send(http, post(http, "/v1/metrics", "application/json", body.to_string())).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedDataPoints"], "1", "{}", answer.json());
    // What is no OTLP at all is refused as before, with its place.
    let body =
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}).to_string();
    let http = console.http();
    let answer = send(http, post(http, "/v1/traces", "application/json", body)).await.json();
    let message = answer["partialSuccess"]["errorMessage"].as_str().expect("a message");
    assert!(message.contains("column"), "{message}");
}

#[tokio::test]
async fn jaegers_query_api_reads_the_same() {
    let console = start().await;
    export(&console, &order(TRACE)).await;
    let ask = async |path: &str| get(console.page(), path).await.json();
    assert_eq!(ask("/api/services").await["data"], json!(["gateway", "orders", "stock"]));
    assert_eq!(
        ask("/api/services/stock/operations").await["data"],
        json!(["POST /items/{item}/reserve"])
    );
    assert_eq!(ask("/api/operations?service=stock").await["data"][0]["spanKind"], "server");
    let path = "/api/traces?service=orders&operation=POST&limit=20&tags=%7B%22error%22%3A%22true%22%7D&minDuration=1ms";
    let found = ask(path).await;
    let trace = &found["data"][0];
    assert_eq!(trace["traceID"], format!("{TRACE:032x}"));
    assert_eq!(trace["spans"].as_array().map(Vec::len), Some(6));
    let stock = &trace["spans"][5];
    assert_eq!(stock["references"][0]["spanID"], "0000000000000004");
    assert_eq!(
        trace["processes"][stock["processID"].as_str().expect("a name")]["serviceName"],
        "stock"
    );
    assert_eq!(stock["duration"], 10_000);
    assert_eq!(ask("/api/traces?service=orders&minDuration=1s").await["data"], json!([]));
    assert_eq!(
        ask(&format!("/api/traces/{TRACE:x}")).await["data"][0]["traceID"],
        format!("{TRACE:032x}")
    );
    let counted = async |path: &str| ask(path).await["data"].as_array().map(Vec::len);
    for (search, found) in [
        ("tags=%7B%22span.kind%22%3A%22server%22%7D", 1),
        ("tags=%7B%22span.kind%22%3A%22consumer%22%7D", 0),
        ("tag=span.kind:server", 1),
        ("operation=POST&tag=db.system.name:postgresql", 0),
    ] {
        let path = format!("/api/traces?service=orders&{search}");
        assert_eq!(counted(&path).await, Some(found), "{search}");
    }
    let kinds =
        async |kind| counted(&format!("/api/operations?service=orders&spanKind={kind}")).await;
    assert_eq!((kinds("server").await, kinds("client").await), (Some(1), Some(2)));
    // A filter that cannot be read is said, rather than passed over.
    for odd in
        ["minDuration=x", "maxDuration=100", "limit=-1", "start=a", "end=b", "tags=x", "tag=y"]
    {
        let answer = get(console.page(), &format!("/api/traces?service=orders&{odd}")).await;
        let name = odd.split('=').next().expect("a name");
        assert_eq!(answer.status, 400, "{odd}");
        let said = answer.json()["errors"][0]["msg"].as_str().expect("text").to_owned();
        assert!(said.ends_with(name), "{said}");
    }
    let end = nanos() / 1_000_000;
    assert_eq!(ask("/api/dependencies?endTs=1&lookback=600000").await["data"], json!([]));
    let edges = ask(&format!("/api/dependencies?endTs={end}&lookback=86400000")).await;
    assert_eq!(
        edges["data"],
        json!([
            {"parent": "gateway", "child": "orders", "callCount": 1},
            {"parent": "orders", "child": "stock", "callCount": 1},
        ])
    );
    assert_eq!(get(console.page(), "/api/traces/abc").await.status, 404);
}

#[tokio::test]
async fn a_message_is_an_edge_by_its_link() {
    let console = start().await;
    let (producer, consumer) = (4, 5);
    let mut sent = span(1, 1, 0, producer, "send order.placed");
    sent.attributes =
        vec![text("messaging.system", "nats"), text("messaging.destination.name", "order.placed")];
    let mut processed = span(2, 9, 0, consumer, "process order.placed");
    processed.links = vec![opentelemetry_proto::tonic::trace::v1::span::Link {
        trace_id: 1_u128.to_be_bytes().to_vec(),
        span_id: 1_u64.to_be_bytes().to_vec(),
        ..Default::default()
    }];
    // It is delivered twice.
    let again = opentelemetry_proto::tonic::trace::v1::Span {
        span_id: 10_u64.to_be_bytes().to_vec(),
        ..processed.clone()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![
            of_service("mailer", vec![processed, again]),
            of_service("orders", vec![sent]),
        ],
    };
    export(&console, &request).await;
    let seen = data(&console, "map").await;
    let edge = &seen["map"]["edges"][0];
    assert_eq!(
        (&edge["client"], &edge["server"], &edge["kind"]),
        (&json!("orders"), &json!("mailer"), &json!("messaging"))
    );
    assert_eq!(edge["calls"], 2);
}
