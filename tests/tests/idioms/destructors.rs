//! What ends while it is under the call: dropped, aborted, panicked.

use super::*;

/// Logs what it sees when it is dropped.
struct Guard(&'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        let _agrees = ids();
        tracing::warn!("{}", self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destructors_of_what_is_given_up_run_inside_the_call() {
    let world = installed();
    let began = Arc::new(Notify::new());
    let handler = |began: Arc<Notify>| async move {
        let _guard = Guard("a handler was given up");
        let _task = meshwise::spawn(async { tracing::info!("beside the handler") }).await;
        began.notify_one();
        std::future::pending::<()>().await;
    };
    let body = |began: Arc<Notify>| async move {
        let guard = Guard("a body was given up");
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"first")) });
        let rest = stream::once(async move {
            let _guard = guard;
            began.notify_one();
            std::future::pending().await
        });
        Body::from_stream(first.chain(rest))
    };
    let (of_handler, of_body) = (Arc::clone(&began), Arc::clone(&began));
    let routes = Router::new()
        .route("/given-up", get(move || handler(Arc::clone(&of_handler))))
        .route("/given-up-body", get(move || body(Arc::clone(&of_body))));
    let served = serve_with(&world.mesh, routes).await;
    for (path, message) in
        [("/given-up", "a handler was given up"), ("/given-up-body", "a body was given up")]
    {
        let address = served.address;
        let mut caller = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut caller, request.as_bytes()).await.expect("sent");
        timeout(PATIENCE, began.notified()).await.expect("it begins");
        drop(caller);
        let span = world.span(&format!("GET {path}")).await;
        world.assert_line_of(message, &span).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_call_that_is_given_up_is_dropped_inside_that_call() {
    let world = installed();
    let layer = world.mesh.client_layer("stock that is given up");
    let handler = move || {
        let layer = layer.clone();
        async move {
            let began = Arc::new(Notify::new());
            let of_transport = Arc::clone(&began);
            let transport = service_fn(move |_: Request<String>| {
                let began = Arc::clone(&of_transport);
                async move {
                    let _guard = Guard("a client call was given up");
                    began.notify_one();
                    std::future::pending::<Result<Response<String>, Infallible>>().await
                }
            });
            let request = Request::get("http://stock/").body(String::new()).expect("a request");
            let call = layer.layer(transport).oneshot(request);
            tokio::select! {
                _ = call => unreachable!("nothing answers"),
                () = began.notified() => {}
            }
        }
    };
    let served = serve_with(&world.mesh, Router::new().route("/gives-up", get(handler))).await;
    call(&served, "/gives-up").await;
    let server = world.span("GET /gives-up").await;
    let spans = world.spans.spans();
    let client = spans.iter().find(|span| {
        span.span_kind == SpanKind::Client && span.parent_span_id == server.span_context.span_id()
    });
    world.assert_line_of("a client call was given up", client.expect("the client's span")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_aborted_is_dropped_inside_the_call() {
    async fn handler() {
        let began = Arc::new(Notify::new());
        let task = meshwise::spawn({
            let began = Arc::clone(&began);
            async move {
                let _guard = Guard("a task was aborted");
                began.notify_one();
                std::future::pending::<()>().await;
            }
        });
        began.notified().await;
        task.abort();
        assert!(task.await.expect_err("aborted").is_cancelled());
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/aborted", get(handler))).await;
    call(&served, "/aborted").await;
    let span = world.span("GET /aborted").await;
    world.assert_line_of("a task was aborted", &span).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_leaves_nothing_behind() {
    async fn handler(State(of): State<&'static str>) {
        let _agrees = ids();
        let joined = meshwise::spawn(async { panic!("in a task") }).await;
        assert!(joined.expect_err("it panicked").is_panic());
        panic!("in the handler of {of}");
    }
    let world = installed();
    let routes = Router::new().route("/panics", get(handler)).with_state("the idioms");
    let routes = routes.route("/after", get(|| async { ids().trace_id().to_string() }));
    let served = serve_with(&world.mesh, routes).await;
    let request = b"GET /panics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    raw(served.address, request).await;
    let span = world.span("GET /panics").await;
    assert_eq!(attribute(&span, "error.type"), Some(&"panic".into()));
    assert!(matches!(span.status, Status::Error { .. }));
    assert_ne!(call(&served, "/after").await, span.span_context.trace_id().to_string());
    assert!(Span::current().is_none() && !Context::current().has_active_span());
}
