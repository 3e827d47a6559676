//! Tasks, streams and outgoing calls of a handler.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_tasks_are_in_the_call_by_each_idiom() {
    async fn handler() {
        let _of_handler = ids();
        tokio::spawn(async { tracing::info!("by in_current_span") }.in_current_span())
            .await
            .expect("it ends");
        let work = async {
            let _agrees = ids();
            tracing::info!("by instrument");
        };
        tokio::spawn(work.instrument(Span::current())).await.expect("it ends");
        let work = async { tracing::info!("by context") }.with_current_context();
        tokio::spawn(work).await.expect("it ends");
        let mut set = JoinSet::new();
        set.spawn(async { tracing::info!("by JoinSet") }.in_current_span());
        assert!(set.join_next().await.expect("one").is_ok());
        let span = Span::current();
        // As on a thread of rayon's.
        std::thread::spawn(move || span.in_scope(|| tracing::info!("by in_scope")))
            .join()
            .expect("it ends");
        let span = Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| tracing::info!("by spawn_blocking")))
            .await
            .expect("it ends");
        meshwise::spawn(async {
            let _agrees = ids();
            tracing::info!("by meshwise::spawn");
        })
        .await
        .expect("it ends");
        meshwise::spawn_blocking(|| {
            let _agrees = ids();
            tracing::info!("by meshwise::spawn_blocking");
        })
        .await
        .expect("it ends");
        assert!(tokio::spawn(async { Span::current().is_none() }).await.expect("it ends"));
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/spawned", get(handler))).await;
    call(&served, "/spawned").await;
    let span = world.span("GET /spawned").await;
    let all = [
        "by in_current_span",
        "by instrument",
        "by context",
        "by JoinSet",
        "by in_scope",
        "by spawn_blocking",
        "by meshwise::spawn",
        "by meshwise::spawn_blocking",
    ];
    for message in all {
        world.assert_line_of(message, &span).await;
    }
    let events = event_names(&span);
    // Without its `tracing` span, a task has no span to add events to.
    let expected: Vec<&str> = all.into_iter().filter(|name| *name != "by context").collect();
    assert_eq!(events, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_spawned_tasks_carry_baggage_request_id_and_deadline() {
    let world = installed();
    let echo = echo_headers().await;
    let client = world.mesh.client("echo").with_base_url(echo.url("")).build().expect("a client");
    let handler = async move || {
        let ask = {
            let client = client.clone();
            async move || {
                client.get("/").send().await.expect("an answer").text().await.expect("text")
            }
        };
        let spawned = meshwise::spawn({
            let ask = ask.clone();
            async move { ask().await }
        });
        let instrumented = tokio::spawn({
            let ask = ask.clone();
            async move { ask().await }.in_current_span()
        });
        let runtime = tokio::runtime::Handle::current();
        let blocking = meshwise::spawn_blocking(move || runtime.block_on(ask()));
        let (a, b) = (spawned.await.expect("it ends"), instrumented.await.expect("it ends"));
        [a, b, blocking.await.expect("it ends")].join("---\n")
    };
    let served = serve_with(&world.mesh, Router::new().route("/carried", get(handler))).await;
    let request = "GET /carried HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                   baggage: tenant=acme\r\nx-request-id: from-afar\r\n\
                   x-request-timeout-ms: 60000\r\n\r\n";
    let answer = raw(served.address, request.as_bytes()).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let parts: Vec<&str> = body.split("---\n").collect();
    assert_eq!(parts.len(), 3, "{answer}");
    for part in parts {
        assert!(told(part, "traceparent").starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert_eq!(told(part, "baggage"), "tenant=acme");
        assert_eq!(told(part, "x-request-id"), "from-afar");
        let left: u64 = told(part, "x-request-timeout-ms").parse().expect("milliseconds");
        assert!((1..=60_000).contains(&left), "{left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_depth_there_is_a_context() {
    #[instrument(name = "outer work")]
    async fn outer() -> [SpanContext; 4] {
        let own = ids();
        tracing::error!("in the outer work");
        let (mid, ids_inside, deep) = middle().await;
        [own, mid, ids_inside, deep]
    }
    // The span filter lets nothing below INFO through, the log filter does.
    #[instrument(level = "debug", fields(secret = "not for the outer span", later))]
    async fn middle() -> (SpanContext, SpanContext, SpanContext) {
        Span::current().record("later", "neither");
        Span::current().set_attribute("told", "by hand");
        let own = ids();
        let inside = tracing::info_span!("inner work").in_scope(ids);
        let deep =
            tokio::spawn(async { ids() }.instrument(tracing::debug_span!("deep", otel.name = "x")));
        (own, inside, deep.await.expect("it ends"))
    }
    let world = installed();
    let seen: Arc<Mutex<Vec<SpanContext>>> = Arc::default();
    let handler = {
        let seen = Arc::clone(&seen);
        async move || {
            let all = outer().await;
            let mut seen = seen.lock().expect("not poisoned");
            seen.push(ids());
            seen.extend(all);
        }
    };
    let served = serve_with(&world.mesh, Router::new().route("/depth", get(handler))).await;
    call(&served, "/depth").await;
    let (server, outer) = (world.span("GET /depth").await, world.span("outer work").await);
    let inner = world.span("inner work").await;
    let seen = seen.lock().expect("not poisoned").clone();
    let [handler, in_outer, middle, in_inner, deep] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(handler.span_id(), server.span_context.span_id());
    assert_eq!(in_outer.span_id(), outer.span_context.span_id());
    assert_eq!(
        middle.span_id(),
        outer.span_context.span_id(),
        "an unwanted span stands for its parent"
    );
    assert_eq!(in_inner.span_id(), inner.span_context.span_id());
    assert_eq!(deep.span_id(), outer.span_context.span_id());
    assert_eq!(outer.parent_span_id, server.span_context.span_id());
    assert_eq!(inner.parent_span_id, outer.span_context.span_id());
    assert!(seen.iter().all(|ids| ids.trace_id() == server.span_context.trace_id()));
    // The status of one's own spans is what is logged there, as everywhere.
    assert!(matches!(outer.status, Status::Error { .. }), "{outer:?}");
    assert_eq!(server.status, Status::Unset);
    assert_eq!(attribute(&outer, "told"), Some(&"by hand".into()));
    assert_eq!((attribute(&outer, "secret"), attribute(&outer, "later")), (None, None));
    assert!(!world.spans.spans().iter().any(|span| ["middle", "deep", "x"].contains(&&*span.name)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_s_body_is_the_call_s_own_code() {
    async fn handler() -> Body {
        Body::from_stream(stream::iter(0..3).map(|n| {
            let ids = ids();
            Span::current().set_attribute(format!("piece.{n}"), n);
            tracing::warn!("piece {n}");
            Ok::<_, Infallible>(format!("{}\n", ids.span_id()))
        }))
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/stream", get(handler))).await;
    let pieces = call(&served, "/stream").await;
    let span = world.span("GET /stream").await;
    let own = span.span_context.span_id().to_string();
    assert_eq!(pieces.lines().collect::<Vec<_>>(), [&*own; 3]);
    assert_eq!(event_names(&span), ["piece 0", "piece 1", "piece 2"]);
    assert_eq!(attribute(&span, "piece.2"), Some(&2.into()));
    world.assert_line_of("piece 1", &span).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_an_outgoing_call_the_current_span_is_that_call_s() {
    #[instrument(name = "ask stock")]
    async fn ask(layer: meshwise::http::ClientLayer) -> (SpanContext, SpanContext) {
        let own = ids();
        let transport = service_fn(|_: Request<String>| async {
            let before = ids();
            tokio::task::yield_now().await;
            Span::current().set_attribute("pool", "warm");
            tracing::error!("a first try failed");
            Span::current().add_link(remote());
            tokio::spawn(async { tracing::info!("in the transport's task") }.in_current_span())
                .await
                .expect("it ends");
            let work = async { tracing::info!("in an instrumented task of the transport") };
            tokio::spawn(work.instrument(Span::current())).await.expect("it ends");
            let answer = Response::new(before.span_id().to_string());
            Ok::<_, Infallible>(answer)
        });
        let request = Request::get("http://stock/items").body(String::new()).expect("a request");
        let answer = layer.layer(transport).oneshot(request).await.expect("an answer");
        let within = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a body");
        let within = String::from_utf8(within.to_bytes().to_vec()).expect("hex");
        assert_eq!(ids(), own, "what was current is so again");
        let within = SpanId::from_hex(&within).expect("hex");
        (
            own.clone(),
            SpanContext::new(own.trace_id(), within, own.trace_flags(), false, TraceState::NONE),
        )
    }
    let world = installed();
    let layer = world.mesh.client_layer("stock of the idioms");
    let seen: Arc<Mutex<Option<(SpanContext, SpanContext)>>> = Arc::default();
    let handler = {
        let seen = Arc::clone(&seen);
        async move || {
            let ids = ask(layer.clone()).await;
            *seen.lock().expect("not poisoned") = Some(ids);
        }
    };
    let served = serve_with(&world.mesh, Router::new().route("/ask", get(handler))).await;
    call(&served, "/ask").await;
    let (server, ask) = (world.span("GET /ask").await, world.span("ask stock").await);
    let (own, within) = seen.lock().expect("not poisoned").clone().expect("asked");
    let spans = world.spans.spans();
    let client = spans.iter().find(|span| span.span_context.span_id() == within.span_id());
    let client = client.expect("the client's span");
    assert_eq!(client.span_kind, SpanKind::Client);
    assert_eq!(
        (client.parent_span_id, ask.parent_span_id),
        (own.span_id(), server.span_context.span_id())
    );
    assert_eq!(own.span_id(), ask.span_context.span_id());
    assert_eq!(client.status, Status::Unset);
    assert_eq!(attribute(client, "pool"), Some(&"warm".into()));
    assert_eq!(client.links.links[0].span_context, remote());
    let in_tasks = ["in the transport's task", "in an instrumented task of the transport"];
    assert_eq!(event_names(client), ["a first try failed", in_tasks[0], in_tasks[1]]);
    for line in in_tasks {
        world.assert_line_of(line, client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_outside_of_any_call_has_a_span_too() {
    let world = installed();
    let transport = service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::new(ids().trace_id().to_string()))
    });
    let request = Request::get("http://lonely/").body(String::new()).expect("a request");
    let layer = world.mesh.client_layer("lonely");
    let answer = layer.layer(transport).oneshot(request).await.expect("an answer");
    drop(answer);
    assert!(Span::current().is_none());
    assert!(!Context::current().has_active_span());
}

/// A request id that came in is the call's at every depth, with a header of any case.
#[tokio::test]
async fn lines_of_spawned_tasks_have_the_request_id_that_came_in() {
    let mesh = TestMesh::new("ids");
    let _entered = mesh.enter();
    let handler = async || {
        let task = async { tracing::info!("in a task") }.in_current_span();
        tokio::spawn(task).await.expect("it ends");
    };
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    let request = reqwest::Client::new().get(served.url("/"));
    let id = HeaderValue::from_static("from-afar");
    let answer = request.header("X-Request-Id", id).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    mesh.lines().containing("in a task").one().assert_field("request_id", "from-afar");
}
