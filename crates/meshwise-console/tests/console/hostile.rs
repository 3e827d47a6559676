//! What a sender may do wrong, by mistake or on purpose: all is bounded, and counted.

use crate::support::{
    config, data, export, get, nanos, of_service, post, send, send_h2, span, start, text,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::Request;
use http_body_util::Full;
use meshwise_console::Console;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use std::io::Write as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const SCRIPT: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";

#[tokio::test]
async fn services_past_the_limit_share_one_place() {
    let console = start().await;
    for batch in 0..20_u64 {
        let of = |at: u64| {
            let id = batch * 1000 + at + 1;
            of_service(&format!("service-{id}"), vec![span(u128::from(id), id, 0, 2, "GET")])
        };
        let resource_spans = (0..1000).map(of).collect();
        export(&console, &ExportTraceServiceRequest { resource_spans }).await;
    }
    let status = data(&console, "status").await;
    let services = status["services"].as_array().expect("services");
    assert!(services.len() <= 500, "{}", services.len());
    assert!(services.iter().any(|service| service["name"] == "_other"));
    assert!(status["refused"]["services"].as_u64() > Some(19_000), "{}", status["refused"]);
    assert_eq!(status["spans"], 20_000);
    let map = data(&console, "map").await;
    assert!(map["map"]["edges"].as_array().expect("edges").len() <= 500);
    assert!(status["memory"].as_u64() < status["budget"].as_u64());
}

#[tokio::test]
async fn a_noisy_service_evicts_its_own() {
    let console = Console::start(config().with_memory(8_000_000)).await.expect("free ports");
    let quiet = of_service("quiet", vec![span(7, 7, 0, 2, "GET /quiet")]);
    export(&console, &ExportTraceServiceRequest { resource_spans: vec![quiet] }).await;
    for batch in 0..60_u64 {
        let of = |at: u64| {
            let id = 1000 + batch * 1000 + at;
            let mut span = span(u128::from(id), id, 0, 2, "GET /noisy");
            span.attributes = vec![text("unique", &format!("{id:0200}"))];
            span
        };
        let noisy = of_service("noisy", (0..1000).map(of).collect());
        export(&console, &ExportTraceServiceRequest { resource_spans: vec![noisy] }).await;
    }
    let status = data(&console, "status").await;
    assert!(status["memory"].as_u64() <= Some(8_000_000), "{}", status["memory"]);
    let evicted = |name: &str| {
        let services = status["services"].as_array().expect("services");
        let found = services.iter().find(|service| service["name"] == name).expect("a service");
        (found["spans"].as_u64(), found["evicted_spans"].as_u64())
    };
    assert_eq!(evicted("quiet"), (Some(1), Some(0)));
    let (kept, gone) = evicted("noisy");
    assert!(
        gone > Some(0) && kept.zip(gone).map(|(a, b)| a + b) == Some(60_000),
        "{kept:?} {gone:?}"
    );
    // What was evicted is found no more, and what is kept is.
    assert_eq!(get(console.page(), &format!("/data/traces/{:032x}", 1000)).await.status, 404);
    assert_eq!(get(console.page(), &format!("/data/traces/{:032x}", 60_999)).await.status, 200);
    assert_eq!(status["traces"], status["spans"]);
}

#[tokio::test]
async fn large_texts_are_cut_and_many_parts_left_out() {
    let console = start().await;
    let mut large = span(1, 1, 0, 2, &"n".repeat(1_000_000));
    large.attributes = vec![text("large", &"é".repeat(500_000)), text(SCRIPT, SCRIPT)];
    large.attributes.extend((0..5000).map(|at| text(&format!("key-{at}"), "x")));
    let request =
        ExportTraceServiceRequest { resource_spans: vec![of_service(SCRIPT, vec![large])] };
    assert_eq!(export(&console, &request).await.status, 200);
    let view = data(&console, &format!("traces/{:032x}", 1)).await;
    let attributes = view["tree"][0]["more"]["attributes"].as_array().expect("attributes");
    assert_eq!(attributes.len(), 256);
    assert!(attributes[0][1].as_str().is_some_and(|text| text.len() < 20_000));
    assert!(view["tree"][0]["name"].as_str().is_some_and(|name| name.len() <= 1000));
    let status = data(&console, "status").await;
    assert!(status["came"]["cut"].as_u64() >= Some(3));
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_decoded() {
    let console = start().await;
    let http = console.http();
    // A body that announces too much, and one that is too much without announcing it.
    let mut stream = TcpStream::connect(http).await.expect("a listener");
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: {http}\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    // 64 MiB of zeros in 64 KiB of gzip.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).expect("memory");
    }
    let bomb = encoder.finish().expect("memory");
    let mut request = post(http, "/v1/traces", "application/x-protobuf", bomb);
    request.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
    assert_eq!(send(http, request).await.status, 413);
    // A million empty spans in 2 MiB are counted, one at a time.
    let empty = [0x12, 0].repeat(1 << 20);
    let mut scope = vec![0x12];
    prost::encoding::encode_varint(empty.len() as u64, &mut scope);
    scope.extend(empty);
    let mut group = vec![0x0a];
    prost::encoding::encode_varint(scope.len() as u64, &mut group);
    group.extend(scope);
    let answer = send(http, post(http, "/v1/traces", "application/x-protobuf", group)).await;
    let told = ExportTraceServiceResponse::decode(&answer.body[..]).expect("an answer");
    assert_eq!(told.partial_success.map(|partial| partial.rejected_spans), Some(1 << 20));
}

#[tokio::test]
async fn what_is_no_otlp_is_refused_and_says_why() {
    let console = start().await;
    let http = console.http();
    let deep = format!("{{\"resourceSpans\":{}", "[".repeat(1_000_000));
    let nested = format!(
        "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"attributes\":[{{\"key\":\"k\",\"value\":{}1{}}}]}}]}}]}}]}}",
        "{\"arrayValue\":{\"values\":[".repeat(20_000),
        "]}}".repeat(20_000),
    );
    let json = "application/json";
    for (kind, path, body, status) in [
        (json, "/v1/traces", deep, 400),
        (json, "/v1/traces", "[]".to_owned(), 400),
        (json, "/v1/traces", "{\"resourceSpans\": 7}".to_owned(), 400),
        (json, "/v1/traces", "\u{0}".to_owned(), 400),
        (json, "/v1/traces", "{}".to_owned(), 200),
        ("Application/JSON; charset=UTF-8", "/v1/traces", "{}".to_owned(), 200),
        ("APPLICATION/X-PROTOBUF", "/v1/traces", String::new(), 200),
        (json, "/v1/traces", nested, 200),
        (json, "/v1/nothing", "{}".to_owned(), 404),
        ("text/html", "/v1/traces", String::new(), 415),
        ("application/x-protobuf", "/v1/logs", "\u{a}\u{7f}".to_owned(), 400),
        ("application/x-protobuf", "/v1/metrics", "plain text".to_owned(), 400),
    ] {
        let head: String = body.chars().take(40).collect();
        let answer = send(http, post(http, path, kind, body)).await;
        assert_eq!(answer.status, status, "{path} {head}: {:?}", answer.body);
        assert!(status == 200 || !answer.body.is_empty(), "{path} {head}");
    }
    // OTLP: what is wrong is said as `google.rpc.Status`, in the encoding that was asked in.
    let answer = send(http, post(http, "/v1/logs", "application/x-protobuf", "\u{a}\u{7f}")).await;
    assert_eq!(answer.headers["content-type"], "application/x-protobuf");
    let said = b"the request is cut off: a field is longer than what is left";
    let length = u8::try_from(said.len()).expect("short");
    assert_eq!(answer.body, [&[0x08, 3, 0x12, length], &said[..]].concat());
    let grpc = console.grpc();
    for (path, body, code) in [
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", vec![], "3"),
        (
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            vec![0, 0, 0, 0, 9, 1],
            "3",
        ),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", vec![1, 0, 0, 0, 0], "12"),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", vec![0, 0, 0, 0, 0], "12"),
    ] {
        let uri = format!("http://{grpc}{path}");
        let answer = send_h2(grpc, post(grpc, &uri, "application/grpc", body)).await;
        assert_eq!(answer.headers["grpc-status"], code, "{path}");
    }
}

#[tokio::test]
async fn clocks_that_are_years_off_are_told_and_hide_nothing() {
    let console = start().await;
    let year = 365 * 24 * 3600 * 1_000_000_000_u64;
    for (service, id, start) in [
        ("ahead", 1, nanos() + 10 * year),
        ("behind", 2, nanos() - 10 * year),
        ("broken", 3, u64::MAX),
        ("zero", 4, 0),
        ("right", 5, nanos()),
    ] {
        let mut span = span(u128::from(id), id, 0, 2, "GET");
        (span.start_time_unix_nano, span.end_time_unix_nano) =
            (start, start.saturating_add(1_000_000));
        let resource_spans = vec![of_service(service, vec![span])];
        export(&console, &ExportTraceServiceRequest { resource_spans }).await;
    }
    let list = data(&console, "traces").await;
    let order: Vec<_> =
        list["traces"].as_array().expect("a list").iter().map(|t| t["service"].clone()).collect();
    assert_eq!(order, ["right", "zero", "broken", "behind", "ahead"], "in the order of arrival");
    let map = data(&console, "map").await;
    let told: Vec<_> =
        map["problems"].as_array().expect("a list").iter().map(|p| p["subject"].clone()).collect();
    for service in ["ahead", "behind", "broken", "zero"] {
        assert!(told.contains(&service.into()), "{service}: {told:?}");
    }
    assert!(!told.contains(&"right".into()));
}

#[tokio::test]
async fn a_span_that_names_no_end_says_nothing_of_its_clock() {
    let console = start().await;
    let mut endless = span(1, 1, 0, 2, "GET");
    endless.end_time_unix_nano = 0;
    let resource_spans = vec![of_service("endless", vec![endless])];
    export(&console, &ExportTraceServiceRequest { resource_spans }).await;
    assert_eq!(data(&console, "map").await["problems"], serde_json::json!([]));
    assert_eq!(data(&console, "traces").await["traces"][0]["duration"], 0.0);
}

#[tokio::test]
async fn odd_questions_are_answered_or_refused_and_none_is_cut() {
    let console = start().await;
    let resource_spans = vec![of_service("s", vec![span(7, 7, 0, 2, "GET")])];
    export(&console, &ExportTraceServiceRequest { resource_spans }).await;
    let long = "a".repeat(9000);
    for (path, status) in [
        ("/data/traces?q=%27%20OR%201%3D1%20--&limit=99999999999999999999&window=0", 200),
        ("/data/traces?q=%3Cscript%3E%00%ff%fe%22&limit=-1", 200),
        ("/data/logs?after=18446744073709551615&q=trace%3A0", 200),
        ("/data/map?window=18446744073709551615", 200),
        ("/data/services/s/heat?window=x&operation=%00", 404),
        ("/api/traces?service=s&start=9999999999999999&end=1&limit=18446744073709551615", 200),
        ("/api/traces?service=s&limit=99999999999999999999", 400),
        ("/api/traces?service=s&maxDuration=1m30s&minDuration=0", 200),
        (&format!("/data/traces?q={long}&limit=1"), 414),
        ("/data/traces/0x7", 404),
        ("/data/traces/7/spans/zz", 404),
        ("/data/traces/%2e%2e%2fstatus", 404),
        ("/data/../status", 404),
    ] {
        let answer = get(console.page(), path).await;
        let head: String = path.chars().take(80).collect();
        assert_eq!(answer.status, status, "{head}");
        assert_ne!(answer.headers["content-type"], "text/html", "{head}");
    }
}

#[tokio::test]
async fn what_may_be_written_otherwise_is_taken() {
    let console = start().await;
    let http = console.http();
    let json = |more: &str, outer: &str| {
        format!(
            "{{{outer}\"resourceSpans\":[{{\"resource\":null,\"scopeSpans\":[{{\"scope\":null,\"spans\":[{{\
             \"traceId\":\"0AF7651916CD43DD8448EB211C80319C\",\"spanId\":\"B7AD6B7169203331\",\
             \"startTimeUnixNano\":\"1000\",\"endTimeUnixNano\":2000{more}}}]}}]}}]}}"
        )
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json("", "").as_bytes()).expect("memory");
    let gzipped = encoder.finish().expect("memory");
    let nulls = ",\"attributes\":null,\"links\":null,\"status\":null,\"name\":null";
    for (name, body, coding) in [
        ("ids in capitals", json("", "").into_bytes(), "identity"),
        ("null for what is left out", json(nulls, "").into_bytes(), "identity"),
        ("a field of tomorrow", json(",\"next\":{\"a\":[1]}", "").into_bytes(), "identity"),
        ("a name with an escape", json("", "\"a\\\"b\":1,").into_bytes(), "identity"),
        ("the older name of gzip", gzipped.clone(), "x-gzip"),
        ("gzip", gzipped, "GZIP"),
    ] {
        let mut request = post(http, "/v1/traces", "application/json", body);
        request.headers_mut().insert("content-encoding", coding.parse().expect("a value"));
        let answer = send(http, request).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"{}"[..]), "{name}");
    }
    let status = data(&console, "status").await;
    assert_eq!((&status["came"]["spans"], &status["came"]["duplicates"]), (&1.into(), &5.into()));
}

#[tokio::test]
async fn circles_chains_and_endless_traces_are_shown() {
    let console = start().await;
    // Two spans that are each other's parents, one that is its own, and a chain of 15,000.
    let mut spans = vec![span(1, 1, 2, 1, "a"), span(1, 2, 1, 1, "b"), span(1, 3, 3, 1, "c")];
    spans.extend((10..15_010).map(|id| span(1, id, id - 1, 1, "link")));
    export(&console, &ExportTraceServiceRequest { resource_spans: vec![of_service("s", spans)] })
        .await;
    let view = data(&console, &format!("traces/{:032x}", 1)).await;
    assert_eq!(view["tree"].as_array().map(Vec::len), Some(15_003));
    for batch in 0..3_u64 {
        let many =
            (0..10_000).map(|at| span(2, 100_000 + batch * 10_000 + at, 0, 1, "x")).collect();
        export(
            &console,
            &ExportTraceServiceRequest { resource_spans: vec![of_service("s", many)] },
        )
        .await;
    }
    let status = data(&console, "status").await;
    assert_eq!(status["came"]["trace_full"], 10_000);
}

#[tokio::test]
async fn ids_that_are_none_are_refused() {
    let console = start().await;
    let mut none = span(0, 1, 0, 2, "GET");
    let mut short = span(1, 1, 0, 2, "GET");
    none.span_id = vec![0; 8];
    short.trace_id.truncate(8);
    let resource_spans = vec![of_service("s", vec![none, short])];
    let answer = export(&console, &ExportTraceServiceRequest { resource_spans }).await;
    let told = ExportTraceServiceResponse::decode(&answer.body[..]).expect("an answer");
    assert_eq!(told.partial_success.map(|partial| partial.rejected_spans), Some(2));
    assert_eq!(data(&console, "status").await["came"]["invalid"], 2);
}

/// Reads the first line of an answer.
async fn status_line(stream: &mut TcpStream) -> String {
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_at_the_limit_or_in_time() {
    let console = start().await;
    let http = console.http();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: {http}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    // As much as there is room for, and without end.
    let stream = TcpStream::connect(http).await.expect("a listener");
    let (mut from, mut to) = stream.into_split();
    to.write_all(head.as_bytes()).await.expect("sent");
    let endless = tokio::spawn(async move {
        let chunk = [b"10000\r\n", &[b' '; 0x10000][..], b"\r\n"].concat();
        while to.write_all(&chunk).await.is_ok() {}
    });
    let mut answer = [0; 12];
    from.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(from);
    endless.await.expect("it is told");
    // A byte now and then: the clock passes where no one sends.
    let mut stream = TcpStream::connect(http).await.expect("a listener");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(b"1\r\n{\r\n").await.expect("sent");
    tokio::time::pause();
    assert_eq!(status_line(&mut stream).await, "HTTP/1.1 408");
    tokio::time::resume();
    let status = data(&console, "status").await;
    assert_eq!(status["refused"]["requests"], 2, "{}", status["refused"]);
}

#[tokio::test]
async fn a_sender_that_never_ends_holds_up_no_one() {
    let console = start().await;
    let http = console.http();
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(http).await.expect("a listener");
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: {http}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        slow.push(stream);
    }
    let resource_spans = vec![of_service("s", vec![span(1, 1, 0, 2, "GET")])];
    assert_eq!(export(&console, &ExportTraceServiceRequest { resource_spans }).await.status, 200);
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_is_closed() {
    let console = start().await;
    let silent = async |first: &'static str, address| {
        let mut stream = TcpStream::connect(address).await.expect("a listener");
        stream.write_all(first.as_bytes()).await.expect("sent");
        // Real time: it is closed after 10 s.
        let mut rest = Vec::new();
        let read =
            tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut rest));
        assert!(read.await.is_ok(), "{first:?}");
    };
    tokio::join!(
        silent("", console.http()),
        silent("PRI * HT", console.http()),
        silent("PRI", console.page()),
    );
}

#[tokio::test]
async fn only_known_hosts_are_answered() {
    let console = start().await;
    for (host, status) in [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("evil.example", 421),
        ("127.0.0.1.nip.io:4320", 421),
    ] {
        let request = Request::get("/data/status").header("host", host);
        let answer =
            send(console.page(), request.body(Full::<Bytes>::default()).expect("a request")).await;
        assert_eq!(answer.status, status, "{host}");
        let mut request = post(console.http(), "/v1/traces", "application/json", "{}");
        request.headers_mut().insert("host", host.parse().expect("a value"));
        assert_eq!(send(console.http(), request).await.status, status, "{host}");
    }
}
