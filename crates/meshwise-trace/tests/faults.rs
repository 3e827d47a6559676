//! Collectors that are absent, hang, refuse, lie or die: spans are lost only where there is no
//! other way, and every one of them is counted. Nothing ever waits longer than it was told.

mod support;

use meshwise_core::DropReason;
use meshwise_trace::{BatchConfig, FlushError, OtlpConfig, OtlpProtocol, SpanExport, Tracing};
use opentelemetry::trace::Tracer as _;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use std::{
    io::Write as _,
    net::TcpListener,
    sync::{Mutex, atomic::Ordering::SeqCst, mpsc},
    thread,
    time::{Duration, Instant},
};
use support::{
    LONG, assert_accounted, end_spans, grpc, http, names, numbered, quick, shutdown, tracing, wait,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const BOTH: [OtlpProtocol; 2] = [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf];

fn to(url: &str, protocol: OtlpProtocol, batch: BatchConfig) -> Tracing {
    let config = OtlpConfig::new().with_endpoint(url).with_protocol(protocol);
    tracing(SpanExport::otlp(config), batch)
}

/// An address on which nothing listens.
fn unused_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A server that takes connections and never answers.
fn mute() -> (String, TcpListener) {
    // The kernel completes the handshakes; nothing has to accept.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}

#[test]
fn absent_collector_costs_counted_drops_and_no_time_at_shutdown() {
    for protocol in BOTH {
        let tracing = to(&unused_address(), protocol, quick());
        end_spans(&tracing, 300);
        let start = Instant::now();
        let report = shutdown(&tracing);
        // Refused at once, and no other try is waited for while the program ends.
        assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
        assert_accounted(&report, 300);
        assert_eq!(report.dropped_because(DropReason::ExportFailed), 300, "{report}");
    }
}

#[test]
fn absent_collector_is_given_up_when_the_export_timeout_ends() {
    let batch = quick().with_export_timeout(Duration::from_millis(300));
    let tracing = to(&unused_address(), OtlpProtocol::Grpc, batch);
    end_spans(&tracing, 10);
    let report = wait(tracing.flush(LONG)).unwrap();
    assert_eq!(report.dropped_because(DropReason::ExportFailed), 10, "{report}");
}

#[test]
fn mute_collector_is_given_up_when_the_export_timeout_ends() {
    for protocol in BOTH {
        let (url, _listener) = mute();
        let tracing = to(&url, protocol, quick().with_export_timeout(Duration::from_millis(200)));
        end_spans(&tracing, 64);
        let report = wait(tracing.flush(LONG)).unwrap();
        assert_eq!(report.dropped_because(DropReason::ExportTimeout), 64, "{report}");
    }
}

#[test]
fn shutdown_returns_in_time_from_a_mute_collector_and_counts_what_is_lost() {
    for protocol in BOTH {
        let (url, _listener) = mute();
        let tracing = to(&url, protocol, quick());
        end_spans(&tracing, 500);
        let start = Instant::now();
        let report = wait(tracing.shutdown(Duration::from_millis(300)));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert_eq!(report.dropped_because(DropReason::Shutdown), 500, "{report}");
        assert_accounted(&report, 500);
        end_spans(&tracing, 7);
        assert_accounted(&tracing.report(), 507);
    }
}

#[test]
fn the_provider_s_own_shutdown_is_bounded_too() {
    let (url, _listener) = mute();
    let tracing = to(&url, OtlpProtocol::Grpc, quick());
    end_spans(&tracing, 50);
    let start = Instant::now();
    assert!(tracing.provider().shutdown_with_timeout(Duration::from_millis(200)).is_err());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_accounted(&tracing.report(), 50);
}

#[test]
fn shutdown_without_any_time_returns_at_once() {
    let (url, _listener) = mute();
    let tracing = to(&url, OtlpProtocol::Grpc, quick());
    end_spans(&tracing, 50);
    assert_accounted(&wait(tracing.shutdown(Duration::ZERO)), 50);
}

#[test]
fn flush_gives_up_in_time_and_loses_nothing() {
    let (url, _listener) = mute();
    let tracing = to(&url, OtlpProtocol::HttpProtobuf, quick());
    end_spans(&tracing, 5);
    let timeout = Duration::from_millis(100);
    assert_eq!(wait(tracing.flush(timeout)), Err(FlushError::Timeout(timeout)));
    assert_accounted(&tracing.report(), 0);
    assert_accounted(&wait(tracing.shutdown(Duration::ZERO)), 5);
}

#[test]
fn flush_waits_for_what_is_on_its_way() {
    let (came, is_there) = mpsc::channel();
    let (let_go, until) = mpsc::channel::<()>();
    let until = Mutex::new(until);
    let collector = http::Collector::start(move |_| {
        let _ = came.send(());
        let _ = until.lock().unwrap().recv();
        http::Reply::Accept(Vec::new())
    });
    let slow = quick().with_delay(Duration::from_secs(3600)).with_batch_size(64);
    let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, slow);
    end_spans(&tracing, 64);
    is_there.recv_timeout(LONG).unwrap();
    // Nothing is queued, but the batch has not arrived.
    assert!(wait(tracing.flush(Duration::from_millis(100))).is_err());
    drop(let_go);
    assert_eq!(wait(tracing.flush(LONG)).unwrap().delivered, 64);
}

#[test]
fn retry_after_is_honoured_and_nothing_is_lost_or_doubled() {
    let collector = http::Collector::start(|n| match n {
        0 => http::Reply::Refuse(503, Some("1")),
        1 => http::Reply::Refuse(429, Some("0")),
        2 => http::Reply::Refuse(502, None),
        _ => http::Reply::Accept(Vec::new()),
    });
    let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, quick());
    let start = Instant::now();
    end_spans(&tracing, 100);
    let report = shutdown(&tracing);
    assert!(start.elapsed() >= Duration::from_secs(1), "asked for a second: {:?}", start.elapsed());
    assert_eq!(report.delivered, 100, "{report}");
    assert_accounted(&report, 100);
    assert_eq!(names(&collector.requests), numbered(100));
}

#[test]
fn grpc_retry_info_is_honoured_and_nothing_is_lost_or_doubled() {
    let collector = grpc::Collector::start(|n| match n {
        0 => {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(600)));
            grpc::Reply::Refuse(Status::with_error_details(
                Code::ResourceExhausted,
                "later",
                details,
            ))
        }
        1 => grpc::Reply::Refuse(Status::unavailable("not yet")),
        _ => grpc::Reply::Accept(ExportTraceServiceResponse::default()),
    });
    let tracing = to(&collector.url, OtlpProtocol::Grpc, quick());
    let start = Instant::now();
    end_spans(&tracing, 100);
    let report = shutdown(&tracing);
    assert!(start.elapsed() >= Duration::from_millis(600), "{:?}", start.elapsed());
    assert_eq!(report.delivered, 100, "{report}");
    assert_eq!(names(&collector.requests), numbered(100));
}

#[test]
fn a_retry_that_would_come_too_late_is_not_waited_for() {
    let collector = http::Collector::start(|_| http::Reply::Refuse(503, Some("3600")));
    let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, quick());
    end_spans(&tracing, 10);
    let report = wait(tracing.flush(LONG)).unwrap();
    assert_eq!(report.dropped_because(DropReason::ExportFailed), 10, "{report}");
}

#[test]
fn times_beyond_all_bounds_break_nothing() {
    /// `google.rpc.Status`, `google.protobuf.Any`, `google.rpc.RetryInfo` and
    /// `google.protobuf.Duration`, without the bounds that `tonic_types` keeps to.
    #[derive(prost::Message)]
    struct Outer {
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(prost::Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(message, required, tag = "2")]
        value: RetryInfo,
    }
    #[derive(prost::Message)]
    struct RetryInfo {
        #[prost(message, required, tag = "1")]
        delay: Delay,
    }
    #[derive(prost::Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
    }
    let collector = grpc::Collector::start(|_| {
        let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
        let value = RetryInfo { delay: Delay { seconds: i64::MAX } };
        let details = Outer { details: vec![Any { type_url, value }] }.encode_to_vec();
        grpc::Reply::Refuse(Status::with_details(Code::Unavailable, "", details.into()))
    });
    let config = OtlpConfig::new()
        .with_endpoint(&collector.url)
        .with_protocol(OtlpProtocol::Grpc)
        .with_timeout(Duration::MAX);
    let batch = quick().with_export_timeout(Duration::MAX);
    let tracing = tracing(SpanExport::otlp(config), batch);
    for _ in 0..2 {
        end_spans(&tracing, 10);
        let _ = wait(tracing.flush(Duration::MAX)).unwrap();
    }
    let report = wait(tracing.shutdown(Duration::MAX));
    assert_eq!(report.dropped_because(DropReason::ExportFailed), 20, "{report}");
    let idle = to(&collector.url, OtlpProtocol::Grpc, quick().with_delay(Duration::MAX));
    end_spans(&idle, 1);
    assert_accounted(&shutdown(&idle), 1);
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let over_http = http::Collector::start(|_| http::Reply::Refuse(400, Some("1")));
    let over_grpc = grpc::Collector::start(|_| grpc::Reply::Refuse(Status::invalid_argument("no")));
    for (protocol, url, count) in [
        (OtlpProtocol::HttpProtobuf, &over_http.url, &over_http.count),
        (OtlpProtocol::Grpc, &over_grpc.url, &over_grpc.count),
    ] {
        let slow = quick().with_delay(Duration::from_secs(3600)).with_batch_size(1_000);
        let tracing = to(url, protocol, slow);
        end_spans(&tracing, 100);
        let report = shutdown(&tracing);
        assert_eq!(report.dropped_because(DropReason::ExportFailed), 100, "{report}");
        assert_eq!(count.load(SeqCst), 1);
    }
}

#[test]
fn what_a_collector_rejects_of_a_batch_is_counted() {
    let answer = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 3,
            error_message: "too old".into(),
        }),
    };
    let encoded = answer.encode_to_vec();
    let over_http = http::Collector::start(move |_| http::Reply::Accept(encoded.clone()));
    let over_grpc = grpc::Collector::start(move |_| grpc::Reply::Accept(answer.clone()));
    for (protocol, url) in
        [(OtlpProtocol::HttpProtobuf, &over_http.url), (OtlpProtocol::Grpc, &over_grpc.url)]
    {
        let tracing = to(url, protocol, quick().with_delay(Duration::from_secs(3600)));
        end_spans(&tracing, 10);
        let report = shutdown(&tracing);
        assert_eq!(report.delivered, 7, "{report}");
        assert_eq!(report.dropped_because(DropReason::ExportFailed), 3, "{report}");
    }
}

#[test]
fn a_connection_that_breaks_is_made_anew() {
    let collector = http::Collector::start(|n| match n {
        1 | 3 => http::Reply::HangUp,
        _ => http::Reply::Accept(Vec::new()),
    });
    let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, quick());
    for _ in 0..5 {
        end_spans(&tracing, 20);
        let _ = wait(tracing.flush(LONG)).unwrap();
    }
    let report = shutdown(&tracing);
    assert_eq!(report.delivered, 100, "{report}");
    assert_eq!(names(&collector.requests).len(), 100);
}

#[test]
fn a_collector_that_dies_mid_run_has_what_it_took_and_the_rest_is_counted() {
    let mut collector = http::Collector::accepting();
    let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, quick());
    end_spans(&tracing, 100);
    let _ = wait(tracing.flush(LONG)).unwrap();
    collector.die();
    end_spans(&tracing, 100);
    let report = shutdown(&tracing);
    assert_eq!(names(&collector.requests), numbered(100));
    assert_eq!(report.delivered, 100, "{report}");
    assert_accounted(&report, 200);
}

#[test]
fn a_request_that_hangs_is_tried_again_on_a_new_connection() {
    let over_grpc = grpc::Collector::start(|n| match n {
        0 => grpc::Reply::Hang,
        _ => grpc::Reply::Accept(ExportTraceServiceResponse::default()),
    });
    let config = OtlpConfig::new()
        .with_endpoint(&over_grpc.url)
        .with_protocol(OtlpProtocol::Grpc)
        .with_timeout(Duration::from_millis(200));
    let tracing = tracing(SpanExport::otlp(config), quick());
    end_spans(&tracing, 10);
    let report = wait(tracing.flush(LONG)).unwrap();
    assert_eq!(report.delivered, 10, "{report}");
    assert_eq!(names(&over_grpc.requests), numbered(10));
}

#[test]
fn garbage_is_no_answer() {
    for garbage in
        [&b"what?\r\n\r\n"[..], b"HTTP/1.1 200\r\nContent-Length: 99\r\n\r\nx", b"\0\0\0\0"]
    {
        for protocol in BOTH {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let server = thread::spawn(move || {
                for stream in listener.incoming().take(1) {
                    let _ = stream.and_then(|mut stream| stream.write_all(garbage));
                }
            });
            let tracing = to(&url, protocol, quick().with_export_timeout(Duration::from_secs(1)));
            end_spans(&tracing, 10);
            let report = wait(tracing.shutdown(LONG));
            assert_accounted(&report, 10);
            assert_eq!(report.delivered, 0, "{report}");
            server.join().unwrap();
        }
    }
}

#[test]
fn a_success_that_no_collector_writes_is_none_and_not_tried_again() {
    for answer in [&b"<html>\xff"[..], b"OK", b"{\"status\":\"ok\"}", b"\x0a\x05\x08"] {
        let collector = http::Collector::start(|_| http::Reply::Accept(answer.to_vec()));
        let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, quick());
        end_spans(&tracing, 10);
        let report = shutdown(&tracing);
        assert_eq!(report.dropped_because(DropReason::ExportFailed), 10, "{report}");
        assert_eq!(names(&collector.requests), numbered(10));
    }
}

#[test]
fn a_web_server_is_no_grpc_collector() {
    let collector = http::Collector::start(|_| http::Reply::Refuse(404, None));
    let tracing = to(&collector.url, OtlpProtocol::Grpc, quick());
    end_spans(&tracing, 10);
    let report = wait(tracing.flush(LONG)).unwrap();
    assert_eq!(report.dropped_because(DropReason::ExportFailed), 10, "{report}");
}

#[test]
fn a_flood_never_waits_and_what_finds_no_room_is_counted() {
    let (url, _listener) = mute();
    let batch = BatchConfig::new().with_queue_size(16).with_batch_size(8);
    let tracing = to(&url, OtlpProtocol::Grpc, batch);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| end_spans(&tracing, 5_000));
        }
    });
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    let full = tracing.report().dropped_because(DropReason::QueueFull);
    assert!(full >= 20_000 - 16 - 8, "{full}");
    assert_accounted(&wait(tracing.shutdown(Duration::from_millis(50))), 20_000);
}

/// Spans end on many threads while the pipeline is shut down under them.
#[test]
fn every_span_is_accounted_for_when_shutdown_races_with_ends() {
    for round in 0..20 {
        let collector = http::Collector::accepting();
        let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, quick().with_queue_size(256));
        let report = thread::scope(|scope| {
            let enders: Vec<_> =
                (0..3).map(|_| scope.spawn(|| end_spans(&tracing, 1_000))).collect();
            thread::yield_now();
            let timeout = if round % 2 == 0 { LONG } else { Duration::from_millis(2) };
            let _ = wait(tracing.shutdown(timeout));
            enders.into_iter().for_each(|ender| ender.join().unwrap());
            tracing.report()
        });
        assert_accounted(&report, 3_000);
        if round % 2 == 0 {
            assert_eq!(names(&collector.requests).len() as u64, report.delivered);
        }
    }
}

#[test]
fn spans_started_after_shutdown_have_ids_and_are_counted() {
    let collector = http::Collector::accepting();
    let tracing = to(&collector.url, OtlpProtocol::HttpProtobuf, quick());
    let _ = shutdown(&tracing);
    use opentelemetry::trace::Span as _;
    let span = tracing.tracer().start("late");
    assert!(span.span_context().is_valid());
    drop(span);
    assert_eq!(tracing.report().dropped_because(DropReason::Shutdown), 1);
}
