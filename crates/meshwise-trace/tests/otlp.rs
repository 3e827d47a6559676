//! Spans over real sockets to a collector that works: each arrives exactly once.

mod support;

use meshwise_core::{Env, Resource, Service};
use meshwise_trace::{Compression, OtlpConfig, OtlpProtocol, SpanExport, TraceConfig, Tracing};
use opentelemetry::{
    Context, KeyValue,
    trace::{Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use std::{
    sync::{atomic::Ordering::SeqCst, mpsc},
    time::Duration,
};
use support::{LONG, Seen, end_spans, grpc, http, names, numbered, quick, shutdown, tracing, wait};

/// Ends `n` spans on several threads at once, with names as [`numbered`] has them.
fn end_spans_everywhere(tracing: &Tracing, n: usize) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for i in (thread..n).step_by(4) {
                    drop(tracing.tracer().start(format!("span {i}")));
                }
            });
        }
    });
}

#[track_caller]
fn assert_each_once(tracing: &Tracing, requests: &mpsc::Receiver<Seen>, n: usize) {
    end_spans_everywhere(tracing, n);
    let report = shutdown(tracing);
    assert_eq!((report.delivered, report.total_dropped()), (n as u64, 0), "{report}");
    assert_eq!(names(requests), numbered(n));
}

#[test]
fn every_span_arrives_once_over_grpc() {
    let collector = grpc::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let tracing = tracing(SpanExport::otlp(config.with_protocol(OtlpProtocol::Grpc)), quick());
    assert_each_once(&tracing, &collector.requests, 2_000);
    assert!(collector.count.load(SeqCst) >= 2_000 / 64, "batches are bounded");
}

#[test]
fn every_span_arrives_once_over_http_as_protobuf() {
    let collector = http::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let config = config.with_protocol(OtlpProtocol::HttpProtobuf);
    assert_each_once(&tracing(SpanExport::otlp(config), quick()), &collector.requests, 2_000);
}

#[test]
fn every_span_arrives_once_over_http_as_json() {
    let collector = http::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let config = config.with_protocol(OtlpProtocol::HttpJson);
    assert_each_once(&tracing(SpanExport::otlp(config), quick()), &collector.requests, 2_000);
}

#[test]
fn every_span_arrives_once_compressed() {
    let (over_grpc, over_http) = (grpc::Collector::accepting(), http::Collector::accepting());
    for (protocol, url, requests) in [
        (OtlpProtocol::Grpc, &over_grpc.url, &over_grpc.requests),
        (OtlpProtocol::HttpProtobuf, &over_http.url, &over_http.requests),
        (OtlpProtocol::HttpJson, &over_http.url, &over_http.requests),
    ] {
        let config = OtlpConfig::new()
            .with_endpoint(url)
            .with_protocol(protocol)
            .with_compression(Compression::Gzip);
        let tracing = tracing(SpanExport::otlp(config), quick());
        end_spans(&tracing, 200);
        assert_eq!(shutdown(&tracing).delivered, 200);
        let seen = requests.try_recv().unwrap();
        let encoding = ["content-encoding", "grpc-encoding"].map(|name| seen.headers.get(name));
        assert!(encoding.into_iter().flatten().any(|value| value == "gzip"), "{protocol:?}");
        let rest = 200 - seen.spans().count();
        assert_eq!(names(requests).len(), rest);
    }
}

#[test]
fn a_span_arrives_with_all_that_is_in_it() {
    for protocol in [OtlpProtocol::HttpProtobuf, OtlpProtocol::HttpJson] {
        let collector = http::Collector::accepting();
        let config = OtlpConfig::new()
            .with_endpoint(format!("{}/base/", collector.url))
            .with_protocol(protocol)
            .with_header("x-tenant", "shop");
        let tracing = tracing(SpanExport::otlp(config), quick());
        let tracer = tracing.tracer();
        let parent = tracer.start("parent");
        let context = Context::new().with_span(parent);
        let mut child = tracer.start_with_context("child", &context);
        {
            use opentelemetry::trace::Span as _;
            child.set_attribute(KeyValue::new("number", 7));
            child.set_attribute(KeyValue::new("text", "ä"));
            child.add_event("happened", vec![KeyValue::new("ok", true)]);
            child.set_status(Status::error("broken"));
            child.end();
        }
        drop(context);
        assert_eq!(shutdown(&tracing).delivered, 2);

        let seen = collector.requests.recv_timeout(LONG).unwrap();
        assert_eq!(seen.path, "/base/v1/traces");
        assert_eq!(seen.headers["x-tenant"], "shop");
        assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("meshwise-otlp/"));
        let resource = &seen.request.resource_spans[0];
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        let name = attributes.iter().find(|kv| kv.key == "service.name").unwrap();
        let name = name.value.as_ref().and_then(|value| value.value.clone());
        assert_eq!(name, Some(Value::StringValue("orders".into())));
        let scope = resource.scope_spans[0].scope.as_ref().unwrap();
        assert_eq!(
            (scope.name.as_str(), scope.version.as_str()),
            ("meshwise", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(resource.scope_spans[0].schema_url, meshwise_trace::SCHEMA_URL);
        let spans: Vec<_> = seen.spans().collect();
        let (child, parent) = (spans[0], spans[1]);
        assert_eq!(child.parent_span_id, parent.span_id);
        assert_eq!(child.trace_id, parent.trace_id);
        assert_eq!(child.status.as_ref().unwrap().message, "broken");
        assert_eq!(child.events[0].name, "happened");
        assert_eq!(child.attributes.len(), 2);
        assert!(child.end_time_unix_nano >= child.start_time_unix_nano);
    }
}

/// The OTLP/JSON encoding: hexadecimal ids, 64-bit numbers as strings, enums as numbers, and
/// lowerCamelCase keys (OTLP 1.9, "JSON Protobuf Encoding").
#[test]
fn json_is_as_the_specification_has_it() {
    let collector = http::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let tracing = tracing(SpanExport::otlp(config.with_protocol(OtlpProtocol::HttpJson)), quick());
    end_spans(&tracing, 1);
    assert_eq!(shutdown(&tracing).delivered, 1);
    let seen = collector.requests.recv_timeout(LONG).unwrap();
    assert_eq!(seen.headers["content-type"], "application/json");
    let json: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let hex = |value: &serde_json::Value, digits: usize| {
        let text = value.as_str().unwrap();
        text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    assert!(hex(&span["traceId"], 32) && hex(&span["spanId"], 16), "{span}");
    assert!(span["startTimeUnixNano"].as_str().unwrap().parse::<u64>().is_ok());
    assert_eq!(span["kind"], 2);
    let number = span["attributes"].as_array().unwrap().iter().find(|kv| kv["key"] == "i").unwrap();
    assert_eq!(number["value"]["intValue"], "0");
}

#[test]
fn the_environment_alone_makes_an_exporter() {
    let (over_grpc, over_http) = (grpc::Collector::accepting(), http::Collector::accepting());
    for (protocol, url, requests) in [
        ("grpc", &over_grpc.url, &over_grpc.requests),
        ("http/protobuf", &over_http.url, &over_http.requests),
        ("http/json", &over_http.url, &over_http.requests),
    ] {
        let env = Env::from_pairs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ]);
        let resource = Resource::builder(Service::new("orders", "1")).with_env(&env).unwrap();
        let config = TraceConfig::new(resource.build()).with_env(&env).unwrap();
        let tracing = config.build().unwrap();
        end_spans(&tracing, 3);
        assert_eq!(shutdown(&tracing).delivered, 3, "{protocol}");
        let seen = requests.recv_timeout(LONG).unwrap();
        assert_eq!(seen.headers["api-key"], "a b", "{protocol}");
        let attributes = &seen.request.resource_spans[0].resource.as_ref().unwrap().attributes;
        assert!(attributes.iter().any(|kv| kv.key == "deployment.environment.name"));
    }
}

#[test]
fn flush_returns_once_the_spans_are_there() {
    let collector = grpc::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let slow = quick().with_delay(Duration::from_secs(3600)).with_batch_size(10_000);
    let tracing = tracing(SpanExport::otlp(config.with_protocol(OtlpProtocol::Grpc)), slow);
    for round in 1..=3 {
        end_spans(&tracing, 100);
        let report = wait(tracing.flush(LONG)).unwrap();
        assert_eq!(report.delivered, 100 * round);
        assert_eq!(names(&collector.requests).len(), 100);
    }
}

#[test]
fn the_delay_alone_sends_spans() {
    let collector = http::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let tracing = tracing(SpanExport::otlp(config), quick());
    end_spans(&tracing, 3);
    let seen = collector.requests.recv_timeout(LONG).unwrap();
    assert!(seen.spans().count() >= 1);
}

#[test]
fn a_full_batch_does_not_wait_for_the_delay() {
    let collector = http::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let slow = quick().with_delay(Duration::from_secs(3600));
    let tracing = tracing(SpanExport::otlp(config), slow);
    end_spans(&tracing, 64);
    assert_eq!(collector.requests.recv_timeout(LONG).unwrap().spans().count(), 64);
}

#[test]
fn dropping_the_last_handle_delivers_what_is_queued() {
    let collector = grpc::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let slow = quick().with_delay(Duration::from_secs(3600));
    let tracing = tracing(SpanExport::otlp(config.with_protocol(OtlpProtocol::Grpc)), slow);
    end_spans(&tracing, 10);
    drop(tracing);
    assert_eq!(names(&collector.requests), numbered(10));
}

/// The app's only thread waits for the flush, and the exporter works all the same.
#[tokio::test]
async fn a_current_thread_runtime_does_not_deadlock() {
    let collector = http::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let tracing = tracing(SpanExport::otlp(config), quick());
    end_spans(&tracing, 10);
    assert_eq!(tracing.flush(LONG).await.unwrap().delivered, 10);
    end_spans(&tracing, 10);
    tracing.provider().force_flush().unwrap();
    end_spans(&tracing, 10);
    assert_eq!(tracing.shutdown(LONG).await.delivered, 30);
    assert_eq!(tracing.shutdown(LONG).await.delivered, 30, "shutdown is idempotent");
}

/// The runtime has no timer: ours does not need it.
#[test]
fn a_runtime_without_a_timer_will_do() {
    let collector = http::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(async {
        let tracing = tracing(SpanExport::otlp(config), quick());
        end_spans(&tracing, 10);
        let _ = tracing.flush(LONG).await.unwrap();
        tracing.shutdown(LONG).await
    });
    assert_eq!(report.delivered, 10);
}

#[test]
fn each_of_several_exporters_gets_every_span() {
    let (one, two) = (grpc::Collector::accepting(), http::Collector::accepting());
    let to_one = OtlpConfig::new().with_endpoint(&one.url).with_protocol(OtlpProtocol::Grpc);
    let to_two = OtlpConfig::new().with_endpoint(&two.url);
    let tracing = TraceConfig::new(Service::new("orders", "1"))
        .with_exporter(SpanExport::otlp(to_one))
        .with_exporter(SpanExport::otlp(to_two))
        .build()
        .unwrap();
    end_spans(&tracing, 20);
    assert_eq!(shutdown(&tracing).delivered, 40);
    assert_eq!(names(&one.requests), numbered(20));
    assert_eq!(names(&two.requests), numbered(20));
}
