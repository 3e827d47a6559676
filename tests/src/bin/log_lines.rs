//! Logs all that a service and the libraries below it may log, for those who judge the lines:
//! `cargo xtask interop ecs`. The format is that of `MESHWISE_LOG_FORMAT`.

use axum::{Router, body::Body, http::StatusCode, routing::get};
use meshwise::trace::{OtlpConfig, SpanExport};
use meshwise_tests::{raw, serve};
use std::{error::Error, io, net::SocketAddr, time::Duration};
use tracing::field::Empty;
use tracing_log::log;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mesh = meshwise::builder("orders", "1.2.3")
        .logs(|logs| logs.with_filter("info,meshwise_resilience=debug"))
        // Nothing listens there: spans are lost, and that is said.
        .traces(|traces| {
            let nowhere = OtlpConfig::new().with_endpoint("http://127.0.0.1:1");
            traces.with_exporter(SpanExport::otlp(nowhere))
        })
        .install()?;

    let app = Router::new()
        .route("/orders/{id}", get(handle))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/panic", get(|| async { panic!("on purpose") as () }))
        .route("/cut", get(cut))
        .route("/forever", get(std::future::pending::<()>))
        .layer(mesh.server_layer());
    let served = serve(app).await;
    for path in ["/orders/7", "/nowhere", "/broken", "/panic", "/cut"] {
        // Some of these break the connection off; that is a panic in there.
        let _ = tokio::spawn(get_raw(served.address, path)).await;
    }
    // A client that leaves.
    let forever = get_raw(served.address, "/forever");
    let _ = tokio::time::timeout(Duration::from_millis(200), forever).await;

    // Breakers open, and calls fail.
    let client = mesh.client("stock").with_base_url("http://127.0.0.1:1").build()?;
    for _ in 0..30 {
        let _ = client.get("/items/7").send().await;
    }

    users();
    libraries();
    let _ = std::thread::spawn(|| panic!("a thread's")).join();
    eprintln!("{}", mesh.shutdown().await);
    Ok(())
}

async fn get_raw(address: SocketAddr, path: &'static str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n");
    raw(address, request.as_bytes()).await
}

async fn handle() -> &'static str {
    tracing::info!(order = 7, "looking up");
    "an order"
}

/// Answers with a body that breaks off.
async fn cut() -> Body {
    let pieces = [Ok("begun"), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
    Body::from_stream(tokio_stream::iter(pieces))
}

/// Logs as users do, names that schemas know with values that they do not expect included.
fn users() {
    #[tracing::instrument]
    fn greet(name: &str, error: &str) {
        let span = tracing::info_span!("inner", user = "ada", user.id = 7, process = Empty);
        span.record("process", "x");
        let _entered = span.entered();
        tracing::info!("hello");
    }
    greet("ada", "none");
    let failed = io::Error::from(io::ErrorKind::NotFound);
    tracing::error!(error = %failed, "as text");
    tracing::error!(error = &failed as &dyn Error, "as an error");
    tracing::error!(err = ?failed, "as Debug");
    tracing::error!(error = 5, "as a number");
    tracing::error!({ error = &failed as &dyn Error, error.message = "mine", error.type = "mine" }, "as both");
    tracing::info!(
        { user = "ada", host = "db-1", url = "http://x/y", client = "10.0.0.1", event = "paid",
          service = "x", process = 5, http = true, network = "n", log = "l", trace = "t", span = "s",
          labels = "l", tags = "t", ecs = 9, agent = "a", file = "f", server = "s", source = "s" },
        "objects"
    );
    tracing::info!(
        { network.protocol.version = "1.1", log.file = "a.txt", log.file.path = "/x", log.offset = 7,
          log.level = "boss", http.response.status_code = "OK", http.response.body.size = 5,
          event.duration = "long", event.start = "soon", source.ip = "unknown", client.port = u64::MAX,
          event.risk_score = "high", event.outcome = "sold", message.text = "m", tags.a = "b" },
        "below and beside"
    );
    tracing::info!({ order = 7, order.id = "o-1", labels.order = true, a.b = 1, a = 2, a = "x" }, "twice");
    // The same name with other types than before.
    tracing::info!({ order = "seven", count = 1 }, "one");
    tracing::info!({ order = true, count = "many", a.b = "c" }, "other");
    let target = "worker";
    tracing::warn!({ target, name = "n", level = 3, spans = 1, fields = 2, suppressed = 3 }, "reserved");
    tracing::info!(long = "x".repeat(20_000), odd = "\u{202e}\u{85}\u{0}", empty = "", "odd");
    tracing::info!({ "" = 1, "." = 2, "a b" = 3, "a*b" = 4, "..x" = 5, "\"" = 6 }, "names");
}

/// Logs as libraries do that know the `log` crate only.
fn libraries() {
    log::warn!(target: "rdkafka", "disconnected");
    log::error!("no target of its own");
    for _ in 0..150 {
        log::warn!(target: "chatty", "again");
    }
}
