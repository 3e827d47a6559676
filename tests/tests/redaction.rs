//! No secret leaves by any signal: a service as people write it, its log, and a collector.

use axum::{Router, body::Bytes, extract::State, routing};
use meshwise::{
    Mesh, MeshBuilder,
    core::{Env, Redaction},
    log::{LogFormat, LogLines, LogOutput},
    opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SpanData, SpanExporter},
    },
    trace::{OtlpConfig, OtlpProtocol, SpanExport},
};
use meshwise_tests::{Served, serve};
use std::{
    error::Error,
    sync::{Arc, Mutex},
};
use tracing::Instrument as _;

type Bodies = Arc<Mutex<Vec<Bytes>>>;

/// Keeps the spans that an exporter of one's own is handed.
#[derive(Clone, Debug, Default)]
struct Own(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Own {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("no panic").extend(batch);
        Ok(())
    }
}

/// A mesh with a JSON log, an OTLP collector, and an exporter of one's own.
struct Watched {
    mesh: Mesh,
    lines: LogLines,
    bodies: Bodies,
    own: Own,
    _collector: Served,
}

/// All that left, as text.
struct Left {
    lines: String,
    otlp: String,
    own: String,
}

async fn watched(change: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Watched {
    let (lines, bodies, own) = (LogLines::new(), Bodies::default(), Own::default());
    async fn take(State(bodies): State<Bodies>, body: Bytes) {
        bodies.lock().expect("no panic").push(body);
    }
    let routes = Router::new().route("/v1/traces", routing::post(take));
    let collector = serve(routes.with_state(Arc::clone(&bodies))).await;
    let otlp = OtlpConfig::new()
        .with_endpoint(collector.url(""))
        .with_protocol(OtlpProtocol::HttpProtobuf);
    let builder = meshwise::builder("orders", "1.0.0")
        .with_env(Env::empty())
        .logs({
            let lines = lines.clone();
            move |logs| {
                let logs = logs.with_output(LogOutput::memory(&lines));
                logs.with_format(LogFormat::Json).with_filter("info,meshwise=trace")
            }
        })
        .traces({
            let own = own.clone();
            move |traces| {
                let traces = traces.with_exporter(SpanExport::otlp(otlp));
                traces.with_exporter(SpanExport::custom(own))
            }
        });
    let mesh = change(builder).build().expect("a mesh");
    Watched { mesh, lines, bodies, own, _collector: collector }
}

impl Watched {
    /// Ends the mesh, and returns what left it.
    async fn left(self) -> Left {
        let report = self.mesh.shutdown().await;
        assert_eq!(report.traces.total_dropped(), 0, "{report}");
        let bodies = self.bodies.lock().expect("no panic");
        assert!(!bodies.is_empty(), "the collector got spans");
        // Protobuf has texts as they are.
        let otlp = bodies.iter().map(|body| String::from_utf8_lossy(body)).collect();
        let own = format!("{:?}", self.own.0.lock().expect("no panic"));
        Left { lines: self.lines.lines().join("\n"), otlp, own }
    }
}

impl Left {
    #[track_caller]
    fn assert_nowhere(&self, secrets: &[&str]) {
        for (signal, text) in [("log", &self.lines), ("OTLP", &self.otlp), ("own", &self.own)] {
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} in {signal}:\n{text}");
            }
        }
    }

    #[track_caller]
    fn assert_everywhere(&self, texts: &[&str]) {
        for (signal, text) in [("log", &self.lines), ("OTLP", &self.otlp), ("own", &self.own)] {
            for wanted in texts {
                assert!(text.contains(wanted), "no {wanted} in {signal}:\n{text}");
            }
        }
    }
}

#[tracing::instrument]
async fn login(user: &str, password: &str, authorization: &str, db_url: &str) {
    let api_key = "k-123";
    tracing::info!(
        api_key,
        pan = 4_111_111_111_111_111_u64,
        "sent Bearer abcdefgh12345 card 4111111111111111 12/27"
    );
    tracing::warn!(creds = ?Some(("password", "hunter2")), "Creds {{ db_password: \"hunter2\" }}");
    tracing::error!("jwt=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghij refused");
}

#[tokio::test]
async fn a_login_tells_no_secret_by_any_signal() {
    let watched = watched(|builder| builder).await;
    let dispatch = watched.mesh.dispatch().clone();
    let _default = tracing::dispatcher::set_default(&dispatch);
    login("ada", "hunter2", "Basic dXNlcjpwYXNz", "postgres://me:pa/ss@db/x").await;
    let span = tracing::info_span!("work", otel.name = "pay 4111 1111 1111 1111");
    async { tracing::info!("within") }.instrument(span).await;
    let left = watched.left().await;
    left.assert_nowhere(&[
        "hunter2",
        "dXNlcjpwYXNz",
        "pa/ss",
        "k-123",
        "abcdefgh12345",
        "4111111111111111",
        "4111 1111 1111 1111",
        "eyJhbGciOiJIUzI1NiJ9",
    ]);
    left.assert_everywhere(&["login", "ada", "[redacted]", "postgres://me:[redacted]@db/x"]);
    left.assert_everywhere(&["sent Bearer [redacted] card [redacted] 12/27"]);
    assert!(left.otlp.contains("pay [redacted]"), "{}", left.otlp);
}

#[tokio::test]
async fn a_failed_call_tells_no_secret_of_its_url() {
    let watched = watched(|builder| builder).await;
    let dispatch = watched.mesh.dispatch().clone();
    let _default = tracing::dispatcher::set_default(&dispatch);
    // Bound and closed again: no one listens.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://me:b4se-pw@{}", closed.local_addr().expect("an address"));
    drop(closed);
    let client = watched.mesh.client("stock").with_base_url(base).build().expect("a client");
    let call = client
        .get("/x")
        .query("token", "s3cret-token")
        .query("X-Amz-Security-Token", "s3cret-token");
    let error = call.send().await.expect_err("nobody listens");
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!("{cause} {cause:?}");
        next = cause.source();
    }
    assert!(!text.contains("s3cret-token") && !text.contains("b4se-pw"), "{text}");
    tracing::warn!(error = &error as &dyn Error, "no stock: {error:?}");
    let left = watched.left().await;
    left.assert_nowhere(&["s3cret-token", "b4se-pw"]);
    assert!(left.otlp.contains("/x?token=REDACTED&X-Amz-Security-Token=REDACTED"), "{}", left.otlp);
    assert!(left.own.contains("status: Error"), "{}", left.own);
}

#[tokio::test]
async fn a_served_call_tells_no_secret_of_its_url() {
    let watched = watched(|builder| builder).await;
    let routes = Router::new().fallback(|| async { "here" }).layer(watched.mesh.server_layer());
    let served = serve(routes).await;
    let http = meshwise::client::reqwest::Client::new();
    let path = "/cards/4111111111111111?to%6ben=s3cret-token&X-Amz-Credential=s3cret-token&page=2";
    http.get(served.url(path)).send().await.expect("an answer").bytes().await.expect("a body");
    let lines = watched.lines.clone();
    meshwise_tests::eventually("the call ends", || lines.lines().join("").contains("/cards/"))
        .await;
    let left = watched.left().await;
    left.assert_nowhere(&["s3cret-token", "4111111111111111"]);
    left.assert_everywhere(&["/cards/[redacted]"]);
    assert!(
        left.otlp.contains("to%6ben=REDACTED&X-Amz-Credential=REDACTED&page=2"),
        "{}",
        left.otlp
    );
}

#[tokio::test]
async fn what_the_builder_adds_is_hidden_in_all_signals() {
    let own = Redaction::default().with_name("iban").with_parameter("ref").with_prefix("acme_");
    let watched = watched(|builder| builder.with_redaction(own)).await;
    let dispatch = watched.mesh.dispatch().clone();
    let _default = tracing::dispatcher::set_default(&dispatch);
    let span = tracing::info_span!("transfer", customer_iban = "DE89s3cret", key = "acme_s3cret99");
    span.in_scope(|| {
        tracing::info!(iban = "DE89s3cret", "to {{ iban: \"DE89s3cret\" }} with acme_s3cret99");
    });
    drop(span);
    let routes = Router::new().fallback(|| async { "here" });
    let peer = serve(routes).await;
    let client = watched.mesh.client("bank").with_base_url(peer.url("")).build().expect("one");
    let call = client.get("/x").query("iban", "DE89s3cret").query("ref", "s3cret").query("a", "1");
    call.send().await.expect("an answer").bytes().await.expect("a body");
    let left = watched.left().await;
    left.assert_nowhere(&["s3cret"]);
    left.assert_everywhere(&["transfer", "[redacted]"]);
    assert!(left.otlp.contains("/x?iban=REDACTED&ref=REDACTED&a=1"), "{}", left.otlp);
}
