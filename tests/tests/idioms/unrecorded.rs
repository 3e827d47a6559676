//! What is not sampled, not exported or switched off.

use super::*;

/// Asks at several depths; tells the trace and the flags that a peer is sent from there.
async fn ask_from_below(mesh: &TestMesh) -> (String, Vec<String>) {
    #[instrument]
    async fn below(client: meshwise::client::Client) -> Vec<String> {
        let agree = || {
            let now = Context::current().span().span_context().clone();
            assert_eq!(*Span::current().context().span().span_context(), now);
            assert!(Span::current().context().get::<CallInfo>().is_some());
            assert!(Context::current().baggage().get("tenant").is_some());
            now
        };
        let mut told = vec![agree().trace_id().to_string()];
        let inner = tracing::info_span!("inner");
        let asked = async {
            told.push(agree().trace_id().to_string());
            let spawned =
                tokio::spawn(async move { agree().trace_id().to_string() }.in_current_span());
            told.push(spawned.await.expect("it ends"));
            told.push(client.get("/").send().await.expect("an answer").text().await.expect("text"));
        };
        asked.instrument(inner).await;
        told
    }
    let echo = echo_headers().await;
    let client = mesh.client("echo").with_base_url(echo.url("")).build().expect("a client");
    let handler = async move || below(client.clone()).await.join("|");
    let served = serve_with(mesh, Router::new().route("/", get(handler))).await;
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                   baggage: tenant=acme\r\nContent-Length: 0\r\n\r\n";
    let answer = raw(served.address, request.as_bytes()).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let mut told: Vec<String> = body.split('|').map(str::to_owned).collect();
    (told.pop().expect("the echo"), told)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn what_is_not_sampled_has_a_context_at_every_depth() {
    let mesh = TestMesh::with("unsampled", |builder| {
        builder.traces(|traces| traces.with_sampler(SamplerConfig::always_off()))
    });
    let (sent, told) = ask_from_below(&mesh).await;
    assert_eq!(told, [TRACE; 3]);
    let traceparent = crate::told(&sent, "traceparent");
    assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
    assert!(traceparent.ends_with("-00"), "{traceparent}");
    assert!(!traceparent.contains("00f067aa0ba902b7"), "a span id of this side: {traceparent}");
    mesh.spans().assert_none();
}

#[tokio::test]
async fn what_nothing_exports_is_not_recorded_and_its_flag_goes_on() {
    let mesh = meshwise::builder("unseen", "0").with_env(Env::empty()).with_tracing_span(true);
    let lines = LogLines::new();
    let to_lines = lines.clone();
    let mesh = mesh
        .logs(move |logs| {
            logs.with_output(LogOutput::memory(&to_lines)).with_format(LogFormat::Json)
        })
        .build()
        .expect("a mesh");
    let echo = echo_headers().await;
    let client = mesh.client("echo").with_base_url(echo.url("")).build().expect("a client");
    let handler = async move || {
        assert!(!Context::current().span().is_recording());
        let ids = ids();
        assert!(ids.is_sampled());
        let span = tracing::info_span!("own");
        let own = span.context().span().span_context().clone();
        assert!(own.is_valid() && own.is_sampled() && own.span_id() != ids.span_id());
        assert!(!span.context().span().is_recording());
        let ask = async { client.get("/").send().await.expect("an answer").text().await };
        ask.instrument(span).await.expect("text")
    };
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    for flags in ["01", "03"] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\ntraceparent: \
             00-{TRACE}-00f067aa0ba902b7-{flags}\r\n\r\n"
        );
        let answer = raw(served.address, request.as_bytes()).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let traceparent = told(body, "traceparent");
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
        assert!(traceparent.ends_with(&format!("-{flags}")), "{traceparent}");
    }
    let body = call(&served, "/").await;
    assert!(told(&body, "traceparent").ends_with("-03"), "a new trace is sampled: {body}");
}

#[tokio::test]
async fn with_tracing_off_the_caller_s_trace_is_current() {
    let mesh = TestMesh::with("off", |builder| {
        builder.with_env(Env::from_pairs([("OTEL_SDK_DISABLED", "true")]))
    });
    let (sent, told) = ask_from_below(&mesh).await;
    assert_eq!(told, [TRACE; 3]);
    let traceparent = crate::told(&sent, "traceparent");
    assert_eq!(traceparent, format!("00-{TRACE}-00f067aa0ba902b7-01"), "as it came");
    assert_eq!(crate::told(&sent, "baggage"), "tenant=acme");
}

#[tokio::test]
async fn without_tracing_spans_the_rest_is_the_same() {
    #[instrument]
    async fn work() -> SpanContext {
        ids()
    }
    async fn handler() -> String {
        assert!(Span::current().is_none());
        tracing::error!("in the handler");
        let of_task = meshwise::spawn(async {
            tracing::info!("in a task");
            Context::current().span().span_context().clone()
        });
        let here = Context::current().span().span_context().clone();
        assert_eq!(of_task.await.expect("it ends"), here);
        assert_eq!(work().await.trace_id(), here.trace_id());
        here.span_id().to_string()
    }
    let mesh = TestMesh::with("plain", |builder| builder.with_tracing_span(false));
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    let told = call(&served, "/").await;
    let span = mesh.spans().named("GET /").one();
    assert_eq!(span.span_id(), told);
    assert!(span.data().events.events.is_empty());
    span.assert_not_failed();
    mesh.spans().named("work").one().assert_child_of(&span);
    mesh.lines().containing("in a task").one().assert_in_span(&span);
}

#[tokio::test]
async fn a_filter_of_spans_that_lets_nothing_through_leaves_the_idioms() {
    #[instrument(fields(secret = 1))]
    async fn work() -> SpanContext {
        Span::current().set_attribute("user.id", "ada");
        ids()
    }
    let mesh = TestMesh::with("filtered", |builder| builder.with_span_filter("off"));
    let handler = async || {
        let here = ids();
        assert_eq!(work().await, here);
        here.span_id().to_string()
    };
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    let told = call(&served, "/").await;
    let span = mesh.spans().one();
    assert_eq!(span.span_id(), told);
    span.assert_attribute("user.id", "ada").assert_no_attribute("secret");
}
