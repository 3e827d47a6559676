//! What is the caller's doing, and not the peer's.

use super::*;

/// Answers after 60 ms, over HTTP and gRPC.
async fn slow_peer() -> Served {
    let http = Router::new().route(
        "/",
        get(async || {
            // Real time: one side of a real socket takes its time.
            tokio::time::sleep(ms(60)).await;
            "late"
        }),
    );
    let grpc = Routes::new(EchoServer::new(Echo)).into_axum_router().reset_fallback();
    serve(http.merge(grpc)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_with_little_time_do_not_open_the_breaker_for_others() {
    #[derive(Clone)]
    struct Peers(Client, EchoClient<meshwise::GrpcClient>);
    let stock = slow_peer().await;
    let mesh = TestMesh::new("orders");
    let http = client(&mesh, stock.url(""), as_it_is);
    let grpc = mesh.grpc_client("stock").with_endpoint(stock.url("")).build().expect("a client");
    let app = Router::new()
        .route(
            "/http",
            get(async |State(Peers(stock, _)): State<Peers>| match stock.get("/").send().await {
                Ok(answer) => answer.status(),
                Err(_) => StatusCode::ACCEPTED,
            }),
        )
        .route(
            "/grpc",
            get(async |State(Peers(_, mut stock)): State<Peers>| {
                let ask = Ask { text: "x".into(), delay_ms: 60, ..Ask::default() };
                match stock.unary(ask).await {
                    Ok(_) => StatusCode::OK,
                    Err(_) => StatusCode::ACCEPTED,
                }
            }),
        )
        .with_state(Peers(http, EchoClient::new(grpc)));
    let orders = serve(app.layer(mesh.server_layer())).await;
    for path in ["/http", "/grpc"] {
        let mut hurried = JoinSet::new();
        for _ in 0..60 {
            let (url, caller) = (orders.url(path), reqwest::Client::new());
            hurried.spawn(async move {
                caller.get(url).header("x-request-timeout-ms", "20").send().await
            });
        }
        while let Some(answer) = hurried.join_next().await {
            let answer = answer.expect("joined").expect("an answer");
            assert_eq!(answer.status(), 202, "{path}: its time was up");
        }
        let seen = breaker(&mesh);
        assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0), "{path}");
        let unhurried = reqwest::get(orders.url(path)).await.expect("an answer");
        assert_eq!(unhurried.status(), 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_hands_http_2_requests_on_reaches_a_peer_that_speaks_http_1() {
    let stock = serve(Router::new().route("/fine", any(async || "fine"))).await;
    let mesh = TestMesh::new("gateway");
    let client = client(&mesh, stock.url(""), as_it_is);
    async fn hand_on(State(stock): State<Client>, mut request: Request) -> Response {
        *request.uri_mut() = request.uri().path().parse().expect("a path");
        match stock.oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
    let app = Router::new().fallback(hand_on).with_state(client).layer(mesh.server_layer());
    let gateway = serve(app).await;
    let h2 = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    for _ in 0..25 {
        let answer = h2.get(gateway.url("/fine")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(reqwest::get(gateway.url("/fine")).await.expect("an answer").status(), 200);
    assert_eq!(breaker(&mesh).failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_answers_cancelled_though_no_caller_left_is_not_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = Server::builder().timeout(ms(30)).add_service(EchoServer::new(Echo));
    let task = tokio::spawn(async move { server.serve_with_incoming(incoming).await });
    let mesh = TestMesh::new("orders");
    let client = mesh.grpc_client("stock").with_endpoint(format!("http://{address}"));
    let mut client = EchoClient::new(client.build().expect("a client"));
    for _ in 0..20 {
        let ask = Ask { text: "x".into(), delay_ms: 5000, ..Ask::default() };
        assert_eq!(client.unary(ask).await.expect_err("late").code(), Code::Cancelled);
    }
    assert_eq!(breaker(&mesh).state, BreakerState::Open);
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_is_set_as_tonic_s_users_do_covers_all_attempts() {
    let echo = serve(Routes::new(EchoServer::new(Echo)).into_axum_router()).await;
    let mesh = TestMesh::new("orders");
    for guarded in [true, false] {
        let client = mesh.grpc_client(if guarded { "stock" } else { "bare" });
        let client = if guarded { client } else { client.without_guards() };
        let client = client.with_endpoint(echo.url("")).build().expect("a client");
        let mut client = EchoClient::new(client);
        let ask = Ask { text: "x".into(), delay_ms: 5000, ..Ask::default() };
        let mut request = tonic::Request::new(ask.clone());
        request.extensions_mut().insert(Idempotent(true));
        request.set_timeout(ms(300));
        let began = Instant::now();
        let error = client.unary(request).await.expect_err("late");
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(began.elapsed() < ms(700), "{guarded}: {:?}", began.elapsed());
        // And of a stream whose server dawdles before its end.
        let mut request = tonic::Request::new(Ask { answers: 1, ..ask });
        request.set_timeout(ms(300));
        let began = Instant::now();
        let mut stream = client.server_stream(request).await.expect("a head").into_inner();
        let ended = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert_eq!(ended.expect_err("late").code(), Code::DeadlineExceeded, "{guarded}");
        assert!(began.elapsed() < ms(700), "{guarded}: {:?}", began.elapsed());
    }
    let seen = breaker(&mesh);
    assert_eq!(seen.failed, 0, "300 ms are less than 0.4 of an attempt's 3 s");
}

/// Makes a piece every 100 ms, so many of them.
fn upload(count: usize) -> reqwest::Body {
    let pieces = tokio_stream::iter(0..count).then(async |_| {
        // Real time: one side of a real socket takes its time.
        tokio::time::sleep(ms(100)).await;
        Ok::<_, io::Error>(Bytes::from_static(b"piece"))
    });
    reqwest::Body::wrap_stream(pieces)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_sends_slowly_is_not_cut_and_the_peer_not_blamed() {
    let served = serve(
        Router::new()
            .route("/", any(async |body: Bytes| body.len().to_string()))
            .merge(Routes::new(EchoServer::new(Echo)).into_axum_router().reset_fallback()),
    )
    .await;
    let mesh = TestMesh::new("orders");
    let judged = |guards: PeerConfig| {
        let breaker = BreakerConfig::new()
            .with_slow_calls(ms(600), 0.1)
            .with_consecutive_failures(1, Duration::ZERO);
        guards.with_timeout(ms(800)).with_breaker(breaker)
    };
    let http = client(&mesh, served.url(""), judged);
    let answer = http.post("/").body(upload(20)).send().await.expect("not cut");
    assert_eq!(answer.text().await.expect("a body"), "100");
    let grpc = mesh.grpc_client("stock").with_endpoint(served.url("")).with_guards(judged);
    let mut grpc = EchoClient::new(grpc.build().expect("a client"));
    let asks = tokio_stream::iter(0..20).then(async |_| {
        // Real time: one side of a real socket takes its time.
        tokio::time::sleep(ms(100)).await;
        Ask { text: "x".into(), ..Ask::default() }
    });
    grpc.client_stream(asks).await.expect("not cut");
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed, seen.slow), (BreakerState::Closed, 0, 0));
    // What was set on purpose holds, and blames no one.
    let late = http.post("/").body(upload(100)).timeout(ms(500)).send().await;
    late.expect_err("its time was up");
    assert_eq!(breaker(&mesh).failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_shorter_than_its_length_says_is_the_peer_s_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort";
            drop(stream.write_all(short).await);
        }
    });
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, url, as_it_is);
    let answer = client.get("/").send().await.expect("a head");
    answer.bytes().await.expect_err("a body that breaks off");
    eventually("the failure is counted", || breaker(&mesh).failed == 1).await;
    let spans = mesh.spans().of_kind(&SpanKind::Client).one();
    let ended = spans.data().attributes.iter().find(|one| one.key.as_str() == "error.type");
    let ended = ended.map(|one| one.value.to_string());
    assert!(matches!(ended.as_deref(), Some("reset" | "body")), "{ended:?}");
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_classifier_judges_for_guards_spans_and_metrics() {
    let (pot, down) = (StatusCode::IM_A_TEAPOT, StatusCode::NOT_FOUND);
    let judge = Classifier::new().with_status(pot, Verdict::Success);
    let judge = judge.with_status(down, Verdict::Failure).with_retried_status(down, true);
    let peer = serve(Router::new().route("/{code}/{kind}", any(answer))).await;
    for by_guards in [false, true] {
        let (mesh, judge) = (TestMesh::new("orders"), judge.clone());
        let client = mesh.client("stock").with_base_url(peer.url(""));
        let client = match by_guards {
            true => client.with_guards(|guards| guards.with_classifier(judge)),
            false => client.with_classifier(judge),
        };
        let client = client.build().expect("a client");
        let answer = client.get("/418/empty").send().await.expect("an answer");
        assert_eq!(answer.status(), pot);
        assert_eq!((breaker(&mesh).calls, breaker(&mesh).failed), (1, 0));
        mesh.spans().of_kind(&SpanKind::Client).one().assert_not_failed();
        mesh.metric("http_client_request_duration_seconds_count")
            .label("http_response_status_code", "418")
            .assert_value(1.0);
        mesh.metric("http_client_request_duration_seconds_count")
            .label("error_type", "418")
            .assert_none();
        let answer = client.get("/404/empty").send().await.expect("an answer");
        assert_eq!(answer.status(), down);
        assert!(breaker(&mesh).failed > 1, "it was tried again, and each time was a failure");
        mesh.metric("http_client_request_duration_seconds_count")
            .label("error_type", "404")
            .assert_value(breaker(&mesh).failed as f64);
    }
}
