//! A collector that speaks another protocol than it is asked in: the line says so, and what to do.

mod support;

use meshwise_core::{Env, SignalReport};
use meshwise_trace::TraceConfig;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use support::{end_spans, grpc, http, wait};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

const GRPC_PORT: &str =
    "this looks like a gRPC port; set OTEL_EXPORTER_OTLP_PROTOCOL=grpc or use port 4318";
const HTTP_PORT: &str = "this looks like an HTTP port; set \
                         OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf or use port 4317";

/// Collects the pipeline's own log lines.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "meshwise::trace" {
            let mut text = String::new();
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                text.push_str(&format!("{field}={value:?} "));
            });
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
}

/// Lines of this test binary's only subscriber.
fn lines() -> &'static Lines {
    static LINES: std::sync::OnceLock<Lines> = std::sync::OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        lines
    })
}

/// Exports a span there.
fn export(protocol: &str, endpoint: &str) -> SignalReport {
    let env = Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
    ]);
    let service = meshwise_core::Service::new("orders", "1");
    let tracing = TraceConfig::new(service).with_env(&env).unwrap().build().unwrap();
    end_spans(&tracing, 1);
    wait(tracing.shutdown(Duration::from_secs(5)))
}

/// Exports a span there, and returns the line that says what came of it.
fn line(protocol: &str, endpoint: &str) -> String {
    let lines = lines();
    let report = export(protocol, endpoint);
    assert_eq!((report.delivered, report.total_dropped()), (0, 1), "{report}");
    let lines = lines.0.lock().unwrap();
    let line = lines.iter().rev().find(|line| line.contains(endpoint));
    line.unwrap_or_else(|| panic!("{lines:#?}")).clone()
}

/// Listens, and does this with each connection.
fn server(with: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(with));
    address
}

#[test]
fn http_to_a_grpc_port() {
    let collector = grpc::Collector::accepting();
    let line = line("http/protobuf", &collector.url);
    assert!(line.contains(GRPC_PORT), "{line}");
    assert!(line.contains(r#"protocol="http/protobuf""#), "{line}");
    assert!(line.contains(&format!("endpoint=\"{}/v1/traces\"", collector.url)), "{line}");
    assert_eq!(collector.requests.try_iter().count(), 0);
}

/// Some gRPC servers take HTTP/1.1 too, and say 200 to whatever they do not know.
#[test]
fn http_to_a_grpc_server_that_answers() {
    let address = server(|mut stream| {
        let _ = stream.read(&mut [0; 8192]);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 12\r\n\
                      content-length: 0\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
    });
    let line = line("http/json", &format!("http://{address}"));
    assert!(line.contains(GRPC_PORT), "{line}");
}

/// A proxy that wants a password says 200 to all.
#[test]
fn http_to_a_page_to_sign_in_at() {
    let address = server(|mut stream| {
        let _ = stream.read(&mut [0; 8192]);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: Text/HTML; charset=utf-8\r\n\
                      content-length: 14\r\n\r\n<html>Sign in ";
        let _ = stream.write_all(answer.as_bytes());
    });
    let line = line("http/protobuf", &format!("http://{address}"));
    assert!(line.contains("answered with a page (text/html)"), "{line}");
}

/// A health check's port, or a proxy that takes everything.
#[test]
fn http_to_something_that_says_ok_to_all() {
    let address = server(|mut stream| {
        let _ = stream.read(&mut [0; 8192]);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nOK";
        let _ = stream.write_all(answer.as_bytes());
    });
    let line = line("http/protobuf", &format!("http://{address}"));
    assert!(line.contains("what is no collector's answer (text/plain)"), "{line}");
}

/// The status has said that the records were taken, and the type that a collector says so.
#[test]
fn an_answer_that_breaks_off_or_does_not_end() {
    let with = |content_type: &'static str, ends: bool| {
        let (asked, requests) = std::sync::mpsc::channel();
        let address = server(move |mut stream| {
            let _ = stream.read(&mut [0; 8192]);
            let _ = asked.send(());
            let head = format!("HTTP/1.1 200 OK\r\n{content_type}content-length: 9\r\n\r\n{{");
            let _ = stream.write_all(head.as_bytes());
            if ends {
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
            while stream.read(&mut [0; 8192]).is_ok_and(|read| read > 0) {}
        });
        (format!("http://{address}"), requests)
    };
    for (protocol, content_type, delivered) in [
        ("http/protobuf", "content-type: application/x-protobuf\r\n", 1),
        ("http/json", "content-type: Application/json; charset=utf-8\r\n", 1),
        ("http/protobuf", "content-type: application/json\r\n", 0),
        ("http/json", "content-type: text/plain\r\n", 0),
        ("http/json", "", 0),
    ] {
        for ends in [true, false] {
            let (endpoint, requests) = with(content_type, ends);
            let report = export(protocol, &endpoint);
            let case = format!("{protocol} {content_type:?} {ends}: {report}");
            assert_eq!(
                (report.delivered, report.total_dropped()),
                (delivered, 1 - delivered),
                "{case}"
            );
            assert_eq!(requests.try_iter().count(), 1, "{case}");
        }
    }
}

#[test]
fn grpc_to_an_http_port() {
    // An HTTP/1.1 server, as most collectors' HTTP receivers and all proxies are.
    let address = server(|mut stream| {
        let _ = stream.read(&mut [0; 8192]);
        let answer = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
        // Closing on what is unread would throw the answer away.
        while stream.read(&mut [0; 8192]).is_ok_and(|read| read > 0) {}
    });
    let line = line("grpc", &format!("http://{address}"));
    assert!(line.contains(HTTP_PORT), "{line}");
    assert!(line.contains(r#"protocol="grpc""#), "{line}");
}

/// Some speak HTTP/2 as well, and know no such path.
#[test]
fn grpc_to_an_http_server_that_answers() {
    let collector = http::Collector::start(|_| http::Reply::Refuse(404, None));
    let line = line("grpc", &collector.url);
    assert!(line.contains(HTTP_PORT), "{line}");
}

#[test]
fn a_collector_that_is_not_there_or_says_no_is_no_mismatch() {
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusing = http::Collector::start(|_| http::Reply::Refuse(400, None));
    for (protocol, endpoint) in [
        ("grpc", format!("http://{absent}")),
        ("http/protobuf", format!("http://{absent}")),
        ("http/protobuf", refusing.url.clone()),
    ] {
        let line = line(protocol, &endpoint);
        assert!(!line.contains("looks like"), "{line}");
        assert!(line.contains(&format!("protocol={protocol:?}")), "{line}");
    }
}
