//! Connections that break, go stale or are not there.

use super::*;

/// A peer that breaks its first connections in a way, and answers 200 on those after.
struct Breaks {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    /// Reads the request, and closes.
    Fin,
    /// Reads the request, and resets.
    Rst,
    /// Sends half of a head, and closes.
    HalfHead,
    /// Closes as soon as the connection is there.
    AtOnce,
}

impl Breaks {
    async fn start(first: usize, how: Break) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (connections, requests) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let breaks = count.fetch_add(1, SeqCst) < first;
                if breaks && how == Break::AtOnce {
                    continue;
                }
                read_request(&mut stream).await;
                seen.fetch_add(1, SeqCst);
                if !breaks {
                    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                    drop(stream.write_all(ok).await);
                    continue;
                }
                match how {
                    Break::Rst => drop(stream.set_zero_linger()),
                    Break::HalfHead => drop(stream.write_all(b"HTTP/1.1 200").await),
                    Break::Fin | Break::AtOnce => {}
                }
            }
        });
        Self { url, connections, requests, task }
    }
}

impl Drop for Breaks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_before_the_head_is_tried_again() {
    for how in [Break::Fin, Break::Rst, Break::HalfHead, Break::AtOnce] {
        for method in ["GET", "PUT", "DELETE"] {
            let peer = Breaks::start(1, how).await;
            let mesh = TestMesh::new("orders");
            let client = client(&mesh, &peer.url, as_it_is);
            let method = method.parse().expect("a method");
            let answer = client.request(method, "/").send().await;
            assert_eq!(answer.expect("an answer").status(), 200, "{how:?}");
            assert_eq!(peer.connections.load(SeqCst), 2, "{how:?}");
            let spans = mesh.spans().with_attribute("error.type", "reset");
            spans.assert_count(1);
        }
    }
    // What may not be repeated is not, once the peer may have seen it.
    let peer = Breaks::start(1, Break::Fin).await;
    let mesh = TestMesh::new("orders");
    client(&mesh, &peer.url, as_it_is).post("/").send().await.expect_err("sent once");
    assert_eq!(peer.requests.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_not_there_for_a_moment_is_waited_for() {
    // A port that is free, and taken a little later.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, format!("http://{address}"), as_it_is);
    let calls = async { client.post("/").send().await.map(|answer| answer.status().as_u16()) };
    let comes = async {
        let attempts = || mesh.spans().of_kind(&SpanKind::Client).data().len();
        eventually("three attempts were refused", || attempts() >= 3).await;
        let listener = TcpListener::bind(address).await.expect("the port");
        let app = Router::new().route("/", any(async || "here"));
        tokio::spawn(async move { axum::serve(listener, app).await });
    };
    let (answer, ()) = tokio::join!(calls, comes);
    assert_eq!(answer.expect("an answer"), 200, "a POST, too: none was sent before");
    let refused = mesh.spans().with_attribute("error.type", "connect");
    assert!(refused.data().len() >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooled_connection_that_went_stale_costs_no_call() {
    // Answers once on each connection, keeps it open, and resets it when it is used again.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_request(&mut stream).await;
                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                drop(stream.write_all(ok).await);
                read_request(&mut stream).await;
                drop(stream.set_zero_linger());
            });
        }
    });
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, url, as_it_is);
    // Fewer than a breaker judges by: each second attempt breaks.
    for _ in 0..9 {
        let answer = client.get("/").send().await.expect("an answer");
        assert_eq!(answer.bytes().await.expect("a body"), "ok");
    }
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_call_whose_connection_is_cut_is_tried_again_if_it_may_be() {
    // A proxy that cuts its first connection once the request has passed.
    let echo = serve(Routes::new(EchoServer::new(Echo)).into_axum_router()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let proxy = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let task = tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let cut = counted.fetch_add(1, SeqCst) == 0;
            let address = echo.address;
            tokio::spawn(async move {
                if cut {
                    // HTTP/2's preface, settings and the request itself.
                    let mut piece = [0; 4096];
                    while from.read(&mut piece).await.is_ok_and(|n| n > 0 && n < 150) {}
                    return;
                }
                let mut to = TcpStream::connect(address).await.expect("the service");
                drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
            });
        }
    });
    let mesh = TestMesh::new("orders");
    let client = mesh.grpc_client("stock").with_endpoint(format!("http://{proxy}"));
    let mut client = EchoClient::new(client.build().expect("a client"));
    let mut request = tonic::Request::new(Ask { text: "x".into(), ..Ask::default() });
    request.extensions_mut().insert(Idempotent(true));
    let answer = timeout(PATIENCE, client.unary(request)).await.expect("in time");
    assert_eq!(answer.expect("an answer").into_inner().text, "x");
    assert_eq!(connections.load(SeqCst), 2);
    task.abort();
}

#[tokio::test]
async fn what_could_not_be_sent_says_nothing_of_the_peer() {
    let served = serve(Router::new().route("/fine", get(async || "fine"))).await;
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, served.url(""), as_it_is);
    for path in ["check", "no slash", ""] {
        for _ in 0..30 {
            let error = client.get(path).send().await.expect_err("no path");
            assert!(!error.to_string().contains("no answer from the peer"), "{error}");
        }
    }
    // Bodies of our own that break while they are sent.
    for _ in 0..30 {
        let pieces = [Ok(Bytes::from_static(b"x")), Err(io::Error::other("lost"))];
        let body = reqwest::Body::wrap_stream(tokio_stream::iter(pieces));
        let mut request = Request::put("/fine").body(body).expect("a request");
        request.extensions_mut().insert(Deadline::after(Instant::now(), PATIENCE));
        client.clone().oneshot(request).await.map(|answer| answer.status()).expect_err("broken");
    }
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0));
    assert_eq!(client.get("/fine").send().await.expect("an answer").status(), 200);
}
