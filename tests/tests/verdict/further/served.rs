//! Served calls, gateways' too, and clients that leave at any moment.

use super::*;

/// When a client leaves, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leave {
    /// Having read all that comes.
    AtEnd,
    /// Once it is served it says that it sends no more, and reads all that comes.
    HalfClosed,
    /// Once the head is there: its connection is closed, or reset.
    AtHead(bool),
    /// Once it is served.
    Served(bool),
}
use Leave::{AtEnd, AtHead, HalfClosed, Served as WhenServed};

async fn hand_on(State(stock): State<Client>, request: Request) -> Response {
    match stock.oneshot(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Never ends.
fn endless(content_type: &'static str) -> Response {
    let pieces = tokio_stream::iter([Ok::<_, io::Error>("data: 1\n\n")]);
    let body = Body::from_stream(pieces.chain(tokio_stream::pending()));
    ([("content-type", content_type)], body).into_response()
}

fn routes(stock: Client) -> Router {
    let panics = async || {
        let pieces = tokio_stream::iter(0..2).then(async |n| {
            // So that the head has gone out.
            tokio::task::yield_now().await;
            assert_eq!(n, 0, "on purpose");
            Ok::<_, io::Error>("piece")
        });
        Body::from_stream(pieces)
    };
    Router::new()
        .route("/{code}/{kind}", any(answer))
        .route("/hang", any(async || std::future::pending::<()>().await))
        .route("/panics", any(panics))
        .route("/text", any(async || "text"))
        .route("/204", any(async || (StatusCode::NO_CONTENT, "text")))
        .route("/304", any(async || (StatusCode::NOT_MODIFIED, "text")))
        .route("/events", any(async || endless("text/event-stream")))
        .route("/endless", any(async || endless("text/plain")))
        .route("/refuses", any(async || StatusCode::PAYLOAD_TOO_LARGE))
        .fallback(hand_on)
        .with_state(stock)
}

/// Asks as said and leaves, and returns the status that came.
async fn ask(mesh: &TestMesh, served: &Served, request: &str, leave: Leave) -> String {
    let mut stream = TcpStream::connect(served.address).await.expect("a connection");
    // More is announced than is sent.
    let length = if request.starts_with("POST") { "content-length: 9\r\n" } else { "" };
    let wire = format!("{request} HTTP/1.1\r\nhost: x\r\n{length}connection: close\r\n\r\n");
    stream.write_all(wire.as_bytes()).await.expect("sent");
    let mut got = String::new();
    if let WhenServed(_) | HalfClosed = leave {
        let active = || mesh.metric("http_server_active_requests").value() == Some(1.0);
        eventually("it is served", active).await;
    }
    if leave == HalfClosed {
        stream.shutdown().await.expect("half closed");
    }
    if !matches!(leave, WhenServed(_)) {
        let head = timeout(PATIENCE, read_head(&mut stream)).await.expect("in time");
        got = head.unwrap_or_default();
    }
    match leave {
        AtEnd | HalfClosed => {
            let mut rest = Vec::new();
            drop(timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time"));
        }
        AtHead(reset) | WhenServed(reset) => {
            if reset {
                stream.set_zero_linger().expect("a socket");
            }
        }
    }
    got.get(9..12).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handler_said_stands_whenever_its_client_leaves() {
    let stock = Raw::start(&[ok()]).await;
    // What the client got, and `error.type` of span, metric and access line.
    for (request, leave, expected) in [
        ("GET /200/whole", AtEnd, "200 | -"),
        ("GET /200/whole", AtHead(false), "200 | -"),
        ("GET /200/whole", AtHead(true), "200 | -"),
        ("GET /500/whole", AtHead(false), "500 | 500"),
        ("GET /500/whole", AtHead(true), "500 | 500"),
        ("HEAD /text", AtEnd, "200 | -"),
        ("HEAD /200/breaks", AtEnd, "200 | -"),
        ("HEAD /500/whole", AtEnd, "500 | 500"),
        ("HEAD /endless", AtEnd, "200 | -"),
        ("GET /204", AtEnd, "204 | -"),
        ("GET /304", AtEnd, "304 | -"),
        ("GET /200/breaks", AtEnd, "200 | body"),
        ("GET /panics", AtEnd, "200 | panic"),
        ("GET /events", AtHead(false), "200 | -"),
        ("GET /endless", AtHead(true), "200 | -"),
        ("GET /hang", WhenServed(false), " | cancelled"),
        ("GET /hang", WhenServed(true), " | cancelled"),
        ("GET /hang", HalfClosed, " | cancelled"),
        ("POST /refuses", AtHead(false), "413 | -"),
        ("POST /refuses", AtEnd, "413 | -"),
        ("GET /handed-on", AtEnd, "200 | -"),
        ("HEAD /handed-on", AtEnd, "200 | -"),
    ] {
        let mesh = TestMesh::new("orders");
        let stock = client(&mesh, &stock.url, as_it_is);
        let served = serve(mesh.wrap(routes(stock)).expect("layers")).await;
        let status = ask(&mesh, &served, request, leave).await;
        let words = error_types(&mesh, &SpanKind::Server, 1).await;
        assert_eq!(format!("{status} | {}", words.join(" ")), expected, "{request} {leave:?}");
        agrees(&mesh, "server", &words);
        let lines = || mesh.lines().of_target("meshwise::access");
        eventually("the line after the span", || !lines().json().is_empty()).await;
        let line = lines().one();
        let of_line = line.json()["error.type"].as_str().unwrap_or("-");
        assert_eq!(of_line, words[0], "{request} {leave:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_s_peer_is_judged_by_what_it_did_whatever_the_gateway_s_client_does() {
    let head = "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nok";
    let sick = "HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\nno";
    // What the client got, what is told of the call to the peer, and `error.type` of the served one.
    for (request, says, then, leave, expected) in [
        ("GET /", head, Silent, AtHead(false), "200 | - | 1/0 | -"),
        ("GET /", head, Silent, AtHead(true), "200 | - | 1/0 | -"),
        ("GET /", sick, Silent, AtHead(false), "500 | 500 | 1/1 | 500"),
        ("GET /", head, Fin, AtEnd, "200 | reset | 1/1 | reset"),
        // The rest of the request never comes.
        ("POST /", "", Silent, HalfClosed, "502 | request | 0/0 | 502"),
    ] {
        let stock = Raw::start(&[Turn { at_once: false, says: says.to_owned(), then }]).await;
        let mesh = TestMesh::new("orders");
        let client = client(&mesh, &stock.url, as_it_is);
        let served = serve(mesh.wrap(routes(client)).expect("layers")).await;
        let status = ask(&mesh, &served, request, leave).await;
        let told = told(&mesh, &status, 1).await;
        let words = error_types(&mesh, &SpanKind::Server, 1).await;
        assert_eq!(
            format!("{told} | {}", words.join(" ")),
            expected,
            "{request} {says:?} {leave:?}"
        );
        agrees(&mesh, "server", &words);
    }
}
