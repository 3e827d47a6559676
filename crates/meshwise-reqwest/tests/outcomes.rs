//! How a call over a real socket ended, on both of its sides.

#[path = "../../meshwise-http/tests/support/mod.rs"]
mod support;

use axum::{Router, body::Body, extract::Path, response::Response, routing::get};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, StatusCode};
use meshwise_core::Deadline;
use meshwise_http::ServerLayer;
use meshwise_reqwest::Client;
use opentelemetry_sdk::trace::SpanData;
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use support::{Observed, attribute, observed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

const PATIENCE: Duration = Duration::from_secs(20);

struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(app: Router) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("serving") });
    Served { address, task }
}

fn client(o: &Observed, address: SocketAddr) -> Client {
    let builder = Client::builder(&o.telemetry, "peer").with_base_url(format!("http://{address}"));
    builder.build().expect("a client")
}

/// Waits for the one span of a side.
async fn span(o: &Observed) -> SpanData {
    let wait = async {
        while o.spans.spans().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the call ends");
    o.span()
}

/// What a span says of the end: `error.type`, and who ended it.
fn end(span: &SpanData) -> (Option<String>, Option<String>) {
    let text = |key| attribute(span, key).map(|value| value.to_string());
    (text("error.type"), text("meshwise.ended_by"))
}

/// Answers with a status and a body that ends, flows without end, or breaks.
async fn answer(Path((status, kind)): Path<(u16, String)>) -> Response {
    let pieces = futures_util::stream::repeat_with(|| {
        Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 16 * 1024]))
    })
    .then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    let body = match kind.as_str() {
        "empty" => Body::empty(),
        "short" => Body::from("a text"),
        "endless" => Body::from_stream(pieces),
        "breaks" => {
            let broken = futures_util::stream::iter([Err(io::Error::other("disk on fire"))]);
            Body::from_stream(pieces.take(1).chain(broken))
        }
        other => panic!("{other}"),
    };
    Response::builder().status(status).body(body).expect("a response")
}

/// How a client treats what it gets.
#[derive(Clone, Copy, Debug)]
enum Reader {
    /// Reads to the end, or to where it breaks.
    Whole,
    /// Looks at the status.
    Head,
    /// Reads one piece.
    Half,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_what_its_head_says_however_much_of_it_is_read() {
    for (status, server_says, client_says) in [
        (200, None, None),
        (404, None, Some("404")),
        (429, None, Some("429")),
        (500, Some("500"), Some("500")),
        (503, Some("503"), Some("503")),
    ] {
        for (kind, reader, both_leave, broken) in [
            ("empty", Reader::Whole, false, false),
            ("short", Reader::Whole, false, false),
            ("short", Reader::Head, false, false),
            ("endless", Reader::Head, true, false),
            ("endless", Reader::Half, true, false),
            ("breaks", Reader::Whole, false, true),
        ] {
            let (server, caller) = (observed(), observed());
            let layer = ServerLayer::new(server.telemetry.clone());
            let app = Router::new().route("/{status}/{kind}", get(answer)).layer(layer);
            let served = serve(app).await;
            let client = client(&caller, served.address);
            let path = format!("/{status}/{kind}");
            let mut response = client.get(&path).send().await.expect("a head");
            match reader {
                Reader::Whole => assert_eq!(response.bytes().await.is_err(), broken, "{path}"),
                Reader::Head => drop(response),
                Reader::Half => {
                    response.chunk().await.expect("a piece");
                    drop(response);
                }
            }
            drop(client);
            let leaves = |leaves: bool| leaves.then(|| "caller".to_owned());
            let said = |word: Option<&str>, broke: &str| {
                if broken { Some(broke.to_owned()) } else { word.map(ToOwned::to_owned) }
            };
            let what = format!("{path} {reader:?}");
            // Of a short text, hyper may have all before it is dropped.
            let unread = both_leave || matches!((kind, reader), ("short", Reader::Head));
            let seen = span(&caller).await;
            assert_eq!(end(&seen), (said(client_says, "reset"), leaves(unread)), "client: {what}");
            let seen = span(&server).await;
            assert_eq!(
                end(&seen),
                (said(server_says, "body"), leaves(both_leave)),
                "server: {what}"
            );
            server.assert_idle();
            caller.assert_idle();
        }
    }
}

/// Sends a request and hangs up once the handler runs.
async fn hang_up(served: &Served, running: tokio::sync::oneshot::Receiver<()>, headers: &str) {
    let mut stream = TcpStream::connect(served.address).await.expect("a connection");
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    running.await.expect("the handler runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_before_the_head_cancels_unless_its_time_was_up() {
    for (headers, expected) in [
        ("", ("cancelled", "caller")),
        ("x-request-timeout-ms: 60000\r\n", ("cancelled", "caller")),
        ("x-request-timeout-ms: 0\r\n", ("timeout", "foreign_deadline")),
    ] {
        let server = observed();
        let (tell, running) = tokio::sync::oneshot::channel();
        let tell = std::sync::Arc::new(std::sync::Mutex::new(Some(tell)));
        let hang = get(move || {
            tell.lock().expect("not poisoned").take().expect("one call").send(()).expect("heard");
            std::future::pending::<StatusCode>()
        });
        let layer = ServerLayer::new(server.telemetry.clone());
        let served = serve(Router::new().route("/", hang).layer(layer)).await;
        hang_up(&served, running, headers).await;
        let (error, by) = end(&span(&server).await);
        assert_eq!((error.as_deref(), by.as_deref()), (Some(expected.0), Some(expected.1)));
    }
}

#[tokio::test]
async fn timeouts_outside_and_inside_are_timeouts() {
    let limit = Duration::from_millis(50);
    let timeout = || TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limit);
    let hang = || get(std::future::pending::<StatusCode>);
    for (what, expected) in [
        ("inside", (Some("504"), None)),
        ("outside", (Some("timeout"), Some("own_limit"))),
        ("outside, not told", (Some("cancelled"), Some("caller"))),
    ] {
        let server = observed();
        let layer = ServerLayer::new(server.telemetry.clone());
        let routes = Router::new().route("/", hang());
        let app = match what {
            "inside" => routes.layer(timeout()).layer(layer),
            "outside" => routes.layer(layer.with_outer_timeout(limit)).layer(timeout()),
            _ => routes.layer(layer).layer(timeout()),
        };
        let served = serve(app).await;
        let caller = observed();
        let answer = client(&caller, served.address).get("/").send().await.expect("an answer");
        assert_eq!(answer.status(), 504);
        let (error, by) = end(&span(&server).await);
        assert_eq!((error.as_deref(), by.as_deref()), expected, "{what}");
    }
}

#[tokio::test]
async fn a_panic_is_one_where_it_is_caught_outside_and_a_500_where_inside() {
    async fn panics() -> StatusCode {
        panic!("on purpose")
    }
    for (inside, expected) in [(true, "500"), (false, "panic")] {
        let server = observed();
        let layer = ServerLayer::new(server.telemetry.clone());
        let routes = Router::new().route("/", get(panics));
        let app = match inside {
            true => routes.layer(CatchPanicLayer::new()).layer(layer),
            false => routes.layer(layer).layer(CatchPanicLayer::new()),
        };
        let served = serve(app).await;
        let caller = observed();
        let answer = client(&caller, served.address).get("/").send().await.expect("an answer");
        assert_eq!(answer.status(), 500);
        assert_eq!(end(&span(&server).await).0.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn an_outer_layer_that_replaces_the_body_leaves_the_error() {
    let server = observed();
    let layer = ServerLayer::new(server.telemetry.clone());
    let page = tower::util::MapResponseLayer::new(|response: Response| {
        response.map(|_| Body::from("an error page"))
    });
    let app = Router::new().route("/{status}/{kind}", get(answer)).layer(layer).layer(page);
    let served = serve(app).await;
    let caller = observed();
    let answer = client(&caller, served.address).get("/500/short").send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("a text"), "an error page");
    assert_eq!(end(&span(&server).await).0.as_deref(), Some("500"));
}

#[tokio::test]
async fn a_deadline_ends_a_body_that_does_not_unless_a_guard_sees_to_it() {
    let never = get(async || {
        let piece = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]);
        Body::from_stream(piece.chain(futures_util::stream::pending()))
    });
    let served = serve(Router::new().route("/", never)).await;
    let caller = observed();
    let client = client(&caller, served.address);
    // A header set by hand is a deadline, too.
    let mut response =
        client.get("/").header("x-request-timeout-ms", "100").send().await.expect("a head");
    response.chunk().await.expect("a piece");
    let ended = tokio::time::timeout(PATIENCE, response.chunk()).await.expect("in time");
    ended.expect_err("its time is up");
    let (error, by) = end(&span(&caller).await);
    assert_eq!((error.as_deref(), by.as_deref()), (Some("timeout"), Some("own_limit")));

    // Where a guard has set it, no timer runs here.
    let now = Instant::now();
    let deadline = Deadline::after(now, Duration::from_millis(50));
    let limits = meshwise_core::internal::Limits::new(now).with_told(deadline);
    let mut request = Request::get("/").body(reqwest::Body::default()).expect("a request");
    request.extensions_mut().insert(deadline);
    let mut client = client;
    let future = {
        let _entered = limits.enter();
        tower::Service::call(&mut client, request)
    };
    let body = future.await.expect("a head").into_body();
    let mut pieces = http_body_util::BodyExt::into_data_stream(body);
    pieces.next().await.expect("a piece").expect("data");
    let more = tokio::time::timeout(Duration::from_millis(200), pieces.next()).await;
    assert!(more.is_err(), "it still waits: {more:?}");
}

#[tokio::test]
async fn a_transport_of_one_s_own_follows_no_redirects() {
    let (tell, mut told) = tokio::sync::mpsc::channel::<()>(8);
    let other = get(move || {
        let tell = tell.clone();
        async move { tell.send(()).await.expect("heard") }
    });
    let other = serve(Router::new().route("/", other)).await;
    let there = format!("http://{}/", other.address);
    let redirect = get(move || async move { (StatusCode::FOUND, [("location", there)]) });
    let served = serve(Router::new().route("/", redirect)).await;
    let caller = observed();
    let transport = reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(10));
    let client = Client::builder(&caller.telemetry, "peer")
        .with_base_url(format!("http://{}", served.address))
        .with_transport(transport)
        .build()
        .expect("a client");
    assert_eq!(client.get("/").send().await.expect("an answer").status(), 302);
    assert!(told.try_recv().is_err(), "the other host heard nothing");
}

#[tokio::test]
async fn a_path_without_a_slash_is_refused_before_it_is_sent() {
    let caller = observed();
    let client = client(&caller, ([127, 0, 0, 1], 9).into());
    for path in ["check", "http://other/check", "check?x=1", ""] {
        let error = client.get(path).send().await.expect_err("refused").to_string();
        assert!(error.contains("slash") || error.contains("path"), "{error}");
    }
    assert!(caller.spans.spans().is_empty());
}

#[tokio::test]
async fn errors_name_no_secret_of_the_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let caller = observed();
    let client = client(&caller, address);
    let error = client.get("/check").query("token", "s3cr3t").send().await.expect_err("no one");
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    let span = span(&caller).await;
    assert!(!format!("{span:?}").contains("s3cr3t"), "{span:?}");
}

/// Accepts one connection, reads the request's head, and lets `then` treat it.
async fn raw<F: Future<Output = ()> + Send + 'static>(
    then: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut seen = Vec::new();
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut piece = [0; 1024];
            let n = stream.read(&mut piece).await.expect("a request");
            assert!(n > 0, "a whole head");
            seen.extend_from_slice(&piece[..n]);
        }
        then(stream).await;
    });
    address
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_reset_by_name() {
    #[derive(Clone, Copy, Debug)]
    enum Break {
        Rst,
        Fin,
        HalfHead,
        HalfBody,
        HalfChunk,
        NoHttp,
        NoChunk,
    }
    for (how, expected) in [
        (Break::Rst, "reset"),
        (Break::Fin, "reset"),
        (Break::HalfHead, "reset"),
        (Break::HalfBody, "reset"),
        (Break::HalfChunk, "reset"),
        (Break::NoHttp, "protocol"),
        (Break::NoChunk, "protocol"),
    ] {
        let address = raw(move |mut stream| async move {
            let bytes: &[u8] = match how {
                Break::Rst => {
                    stream.set_zero_linger().expect("linger");
                    return;
                }
                Break::Fin => return,
                Break::HalfHead => b"HTTP/1.1 200 OK\r\ncontent-le",
                Break::HalfBody => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
                Break::HalfChunk => {
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhalf"
                }
                Break::NoHttp => b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
                Break::NoChunk => {
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n"
                }
            };
            stream.write_all(bytes).await.expect("sent");
        })
        .await;
        let caller = observed();
        let answer = client(&caller, address).get("/").send().await;
        if let Ok(answer) = answer {
            answer.bytes().await.expect_err("it breaks");
        }
        let span = span(&caller).await;
        assert_eq!(end(&span).0.as_deref(), Some(expected), "{how:?}: {span:?}");
    }
}
