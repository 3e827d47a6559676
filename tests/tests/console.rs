//! Services tell the console where their ops pages are, by whichever signal they send, and it reads them.

use meshwise::{
    OpsAddr,
    core::Env,
    log::LogOutput,
    trace::{BatchConfig, SpanExport},
};
use meshwise_console::{Console, ConsoleConfig};
use meshwise_tests::{PATIENCE, raw};
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

const SOON: BatchConfig = BatchConfig::new().with_delay(Duration::from_millis(10));

async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    raw(address, request.as_bytes()).await
}

/// Waits until the console has read the ops pages at an address.
async fn read(console: &Console, ops: SocketAddr) {
    let wanted = format!("\"address\":\"{ops}\"");
    let seen = async {
        loop {
            let status = get(console.page(), "/data/status").await;
            let target = status.split(&wanted).nth(1).and_then(|rest| rest.split('}').next());
            if target.is_some_and(|target| !target.contains("\"answered\":null")) {
                return;
            }
            // Real time: another process is asked again, for a bounded time.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{ops} is never read"));
}

async fn console() -> Console {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ConsoleConfig::new().with_page(any).with_otlp(any, any);
    Console::start(config).await.expect("free ports")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_reads_the_ops_pages_of_who_sends_to_it() {
    let console = console().await;
    let signals = [
        ("OTEL_TRACES_EXPORTER", OpsAddr::At(SocketAddr::from(([127, 0, 0, 1], 0)))),
        ("OTEL_LOGS_EXPORTER", OpsAddr::SamePort),
        ("OTEL_METRICS_EXPORTER", OpsAddr::SamePort),
    ];
    for (variable, ops) in signals {
        let endpoint = format!("http://{}", console.grpc());
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "10"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ];
        let env = env.map(|(name, value)| (name, if name == variable { "otlp" } else { value }));
        let mesh = meshwise::builder("orders", "1.0.0")
            .with_env(Env::from_pairs(env))
            .with_ops_addr(ops)
            .logs(|logs| logs.with_output(LogOutput::writer(std::io::sink())))
            .build()
            .expect("a mesh");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = mesh.server().with_shutdown(async move { drop(stopped.await) });
        let serving = tokio::spawn(server.serve(listener, axum::Router::new()));
        // It serves once it answers.
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404 "));
        read(&console, mesh.ops_addr().expect("ops pages")).await;
        stop.send(()).expect("it serves");
        serving.await.expect("joined").expect("served");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_by_an_exporter_named_in_code_is_read_too() {
    let console = console().await;
    let endpoint = format!("http://{}", console.http());
    let otlp = meshwise::trace::OtlpConfig::new().with_endpoint(endpoint);
    let mesh = meshwise::builder("orders", "1.0.0")
        .with_env(Env::empty())
        .logs(|logs| logs.with_output(LogOutput::writer(std::io::sink())))
        .traces(move |traces| traces.with_exporter(SpanExport::otlp(otlp)).with_batch(SOON))
        .build()
        .expect("a mesh");
    // A server of one's own, and ops routes beside it.
    let ops = mesh.serve_ops("127.0.0.1:0").await.expect("a free port");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let app = mesh.wrap(axum::Router::new()).expect("layers");
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404 "));
    read(&console, ops.address()).await;
    serving.abort();
}
