//! Ops pages are read of listed services and of those on loopback that name their address, and of no
//! others.

use crate::support::{config, data, export, of_service, span, start, text, until};
use meshwise_console::{Console, OpsTarget};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const RESILIENCE: &str = r#"{"server":null,"peers":[{"peer":"stock","deadline":3.0,"timeout":0.4,"breaker":{"state":"open","calls":20,"failed":15,"slow":0,"failure_rate":0.75,"slow_rate":0.0,"trials_in_flight":0,"open_for":0.7},"bulkhead":{"limit":100,"adaptive":false,"in_use":3,"waiting":0,"queue":0},"retry":{"attempts":3,"budget":10},"rate_limit":null}]}"#;
const APIS: &str = r#"{"schema":1,"service":{"name":"orders","contacts":[]},"today":"2026-01-01","provides":[{"api":"orders","scheme":"main-minor","transport":"http","current":[{"version":"1.0","state":"deprecated"}],"plan":[],"history":[]}],"requires":[]}"#;

/// Serves ops pages; its counters grow with each reading.
async fn ops_pages() -> (SocketAddr, Arc<AtomicUsize>) {
    ops_pages_of(0).await
}

/// Serves the ops pages of an instance that has counted so many calls before.
async fn ops_pages_of(calls: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 2048];
            let length = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let nth = count.fetch_add(1, Ordering::SeqCst);
            let body = match head.split(' ').nth(1) {
                Some("/metrics") => format!(
                    "# TYPE traces_service_graph_request_total counter\n\
                     traces_service_graph_request_total{{client=\"orders\",server=\"stock\"}} {}\n\
                     # TYPE meshwise_api_undeclared_calls_total counter\n\
                     meshwise_api_undeclared_calls_total{{peer=\"stock\",api=\"stock\"}} {nth}\n\
                     # TYPE meshwise_api_calls_total counter\n\
                     meshwise_api_calls_total{{api=\"orders\",version=\"1.0\",state=\"deprecated\",caller=\"gateway\",caller_verified=\"false\"}} {nth}\n",
                    calls + nth * 10
                ),
                Some("/resilience") => RESILIENCE.to_owned(),
                _ => APIS.to_owned(),
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, read)
}

#[tokio::test]
async fn guards_apis_and_counts_of_a_listed_service_are_shown() {
    let (address, _) = ops_pages().await;
    let console = Console::start(config().with_target(OpsTarget::new("orders", address)))
        .await
        .expect("free ports");
    let guards = until("guards", async || {
        let guards = data(&console, "guards").await;
        guards[0]["page"].is_object().then_some(guards)
    })
    .await;
    assert_eq!(guards[0]["page"]["peers"][0]["breaker"]["state"], "open");
    assert_eq!(guards[0]["breakers"]["stock"][0][1], "open");
    let edge = until("an edge that is counted", async || {
        let map = data(&console, "map").await;
        let edges = map["map"]["edges"].as_array()?.clone();
        edges.into_iter().find(|edge| edge["server"] == "stock" && edge["undeclared"] == true)
    })
    .await;
    assert_eq!((&edge["counted"], &edge["breaker"]), (&json!(true), &json!("open")));
    let problems = data(&console, "map").await["problems"].clone();
    assert_eq!(
        (&problems[0]["kind"], &problems[0]["subject"]),
        (&json!("breaker"), &json!("stock"))
    );
    let apis = data(&console, "apis").await;
    assert_eq!(apis[0]["page"]["provides"][0]["current"][0]["state"], "deprecated");
    assert_eq!(apis[0]["calls"][0]["caller"], "gateway");
}

/// What one instance has counted is no restart of the other, and what it had counted before is no call of now.
#[tokio::test]
async fn two_instances_of_a_service_are_counted_together() {
    let (long_there, _) = ops_pages_of(1_000_000).await;
    let (new, _) = ops_pages_of(5).await;
    let targets = config()
        .with_target(OpsTarget::new("orders", long_there))
        .with_target(OpsTarget::new("orders", new));
    let console = Console::start(targets).await.expect("free ports");
    let edge = until("an edge with calls of both", async || {
        let map = data(&console, "map").await;
        let edge = map["map"]["edges"].as_array()?.first()?.clone();
        (edge["calls"].as_u64() >= Some(60)).then_some(edge)
    })
    .await;
    assert!(edge["calls"].as_u64() < Some(1000), "{edge}");
    assert!(edge["rate"].as_f64() < Some(100.0), "{edge}");
}

#[tokio::test]
async fn a_service_whose_ops_pages_fall_silent_is_told() {
    let (address, _) = ops_pages().await;
    // One connection is answered, and no further one.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = listener.local_addr().expect("an address");
    let proxy = tokio::spawn(async move {
        for _ in 0..3 {
            let Ok((mut from, _)) = listener.accept().await else { return };
            let Ok(mut to) = tokio::net::TcpStream::connect(address).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
        }
    });
    let console =
        Console::start(config().with_target(OpsTarget::new("orders", gone))).await.expect("ports");
    proxy.await.expect("three pages");
    // Real time: it is missed after 5 s.
    let problem = until("it is missed", async || {
        let problems = data(&console, "map").await["problems"].clone();
        problems.as_array()?.iter().find(|problem| problem["kind"] == "gone").cloned()
    })
    .await;
    assert_eq!((&problem["subject"], &problem["severity"]), (&json!("orders"), &json!(2)));
    assert_eq!(problem["detail"], gone.to_string());
}

/// A port of another kind, most likely: what listens there answers, and nothing of it is shown.
#[tokio::test]
async fn an_address_that_has_no_ops_pages_is_told() {
    const HTML: &str = "200 OK\r\ncontent-type: text/html; charset=utf-8\r\n";
    let serve = async |head: &'static str, body: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 2048]).await;
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {head}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    };
    for (head, body, wanted) in [
        (HTML, "<html>", "is a page for people"),
        ("404 Not Found\r\n", "", "neither /metrics nor /resilience"),
        ("200 OK\r\n", "odd", "/resilience is no JSON"),
    ] {
        let address = serve(head, body).await;
        let target = OpsTarget::new("orders", address);
        let console = Console::start(config().with_target(target)).await.expect("ports");
        let problem = until("it is told", async || {
            let guards = data(&console, "guards").await;
            guards[0]["problem"].as_str().map(str::to_owned)
        })
        .await;
        assert!(problem.contains(wanted), "{problem}");
        assert_eq!(data(&console, "guards").await[0]["answered"], json!(null), "{problem}");
    }
}

#[tokio::test]
async fn an_address_is_believed_only_on_loopback() {
    let (address, read) = ops_pages().await;
    let console = start().await;
    for (id, told) in [
        (1, "10.0.0.1:80"),
        (2, "[::ffff:10.0.0.1]:80"),
        (3, "localhost:1"),
        (4, "169.254.169.254:80"),
    ] {
        let mut of = of_service("liar", vec![span(u128::from(id), id, 0, 2, "GET")]);
        of.resource
            .as_mut()
            .expect("a resource")
            .attributes
            .push(text("meshwise.ops.address", told));
        export(&console, &ExportTraceServiceRequest { resource_spans: vec![of] }).await;
    }
    let status = data(&console, "status").await;
    assert_eq!((&status["targets"], &status["refused"]["targets"]), (&json!([]), &json!(4)));
    let mut of = of_service("orders", vec![span(9, 9, 0, 2, "GET")]);
    of.resource
        .as_mut()
        .expect("a resource")
        .attributes
        .push(text("meshwise.ops.address", &address.to_string()));
    export(&console, &ExportTraceServiceRequest { resource_spans: vec![of] }).await;
    until("the pages are read", async || (read.load(Ordering::SeqCst) >= 3).then_some(())).await;
}
