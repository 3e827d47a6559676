//! Connections that end at every moment, over HTTP/1.1.

use super::{
    Reader::{Drops, ReadsAll as All, ReadsHalf as Half},
    *,
};
use tower::util::MapFutureLayer;

const BROKEN: &str = "200, broken | reset | 1/1 | 1/1";
const FAILED: &str = "503 | 503 | 1/1 | 1/1";
const UPGRADED: &str = "101 | - | 1/0 | 1/1";

fn chunked(body: &str) -> String {
    format!("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_at_any_moment_tells_one_story() {
    // What a peer says on its first connection, what becomes of that, how the answer is read; and what is told of it,
    // connections and requests at the peer.
    for (method, says, then, reader, expected) in [
        // The head breaks, or there is none: what may be repeated is.
        ("GET", "HTTP/1.1 200 X\r\ncontent-le", Rst, All, "200 | reset - | 2/1 | 2/2"),
        ("POST", "HTTP/1.1 200 X\r\ncontent-le", Rst, All, "reset | reset | 1/1 | 1/1"),
        ("PUT", "HTTP/1.1 100 X\r\n\r\n", Fin, All, "200 | reset - | 2/1 | 2/2"),
        ("DELETE", "HTTP/1.1 103 X\r\nx-a: b\r\n\r\n", Fin, All, "200 | reset - | 2/1 | 2/2"),
        ("GET", "SSH-2.0-OpenSSH_9\r\n\r\n", Fin, All, "protocol | protocol | 1/1 | 1/1"),
        // The body breaks, or does not.
        ("GET", "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n", Fin, All, BROKEN),
        ("GET", "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nok", LateRst, All, BROKEN),
        ("GET", "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nok", Fin, Half, "200 | - | 1/0 | 1/1"),
        ("GET", "HTTP/1.1 200 X\r\n\r\nok", Fin, All, "200 | - | 1/0 | 1/1"),
        ("GET", "HTTP/1.1 200 X\r\n\r\nok", LateRst, All, BROKEN),
        ("GET", &chunked("2\r\nok\r\n"), Fin, All, BROKEN),
        ("GET", &chunked("2\r\nok\r\n0\r\nx-a: b"), Fin, All, BROKEN),
        ("GET", &chunked("2\r\nok\r\n0\r\nx-a: b\r\n\r\n"), Fin, All, "200 | - | 1/0 | 1/1"),
        ("GET", &chunked("zz\r\n"), Silent, All, "200, broken | protocol | 1/1 | 1/1"),
        // The head said it.
        (
            "GET",
            "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 503 X\r\n\r\n",
            Fin,
            All,
            "200 | 503 - | 2/1 | 2/2",
        ),
        ("POST", "HTTP/1.1 503 X\r\ncontent-length: 9\r\n\r\nno", LateRst, Drops, FAILED),
        (
            "POST",
            &chunked("2\r\nno\r\n0\r\nx-a: b\r\n\r\n").replace("200", "503"),
            Fin,
            Drops,
            FAILED,
        ),
        // A body without an end, which a retry gives up.
        (
            "GET",
            &chunked("2\r\nno\r\n").replace("200", "503"),
            Silent,
            All,
            "200 | 503 - | 2/1 | 2/2",
        ),
        ("HEAD", "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n", Fin, All, "200 | - | 1/0 | 1/1"),
        (
            "HEAD",
            "HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\n",
            Fin,
            Drops,
            "500 | 500 | 1/1 | 1/1",
        ),
        ("GET", "HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n", Fin, All, "304 | - | 1/0 | 1/1"),
        ("POST", "HTTP/1.1 204 X\r\n\r\n", Fin, Drops, "204 | - | 1/0 | 1/1"),
        (
            "GET",
            "HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx",
            Silent,
            Drops,
            UPGRADED,
        ),
    ] {
        let first = Turn { at_once: false, says: says.to_owned(), then };
        let peer = Raw::start(&[first, ok()]).await;
        let mesh = TestMesh::new("orders");
        let client = client(&mesh, &peer.url, as_it_is);
        let request = Request::builder().method(method).uri("/").body("".into());
        let caller = call(&client, Some(&peer), request.expect("a request"), reader).await;
        let told = told(&mesh, &caller, attempts(expected)).await;
        assert_eq!(format!("{told} | {}", peer.seen()), expected, "{method} {says:?} {then:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_counts_once_and_is_tried_for_a_second() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let refused = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let at_once = |says: &str| Turn { at_once: true, says: says.to_owned(), then: Fin };
    let plain = Raw::start(&[at_once("HTTP/1.1 400 X\r\n\r\n")]).await;
    let hangs_up = Raw::start(&[at_once("")]).await;
    let [plain, hangs_up] = [&plain, &hangs_up].map(|peer| peer.url.replace("http", "https"));
    let mut calls = JoinSet::new();
    for url in [refused, "http://stock.invalid".to_owned(), plain, hangs_up] {
        for method in ["GET", "POST"] {
            let url = url.clone();
            calls.spawn(async move {
                let mesh = TestMesh::new("orders");
                let client = client(&mesh, &url, as_it_is);
                let request = Request::builder().method(method).uri("/").body("x".into());
                let caller = call(&client, None, request.expect("a request"), All).await;
                let told = told(&mesh, &caller, 3).await;
                assert!(told.starts_with("connect | connect connect connect"), "{url}: {told}");
                assert!(told.ends_with(" | 1/1"), "{url}: {told}");
            });
        }
    }
    while let Some(done) = calls.join_next().await {
        done.expect("one story");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_on_an_idle_connection_is_no_answer_and_nothing_was_sent() {
    // As servers do that give a connection up at the moment at which a call takes it.
    let says = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n".to_owned();
    for method in ["GET", "POST"] {
        let early = Turn { at_once: true, says: says.clone(), then: Fin };
        let peer = Raw::start(&[early, ok()]).await;
        let mesh = TestMesh::new("orders");
        let seen = Arc::clone(&peer.seen);
        let waits = MapFutureLayer::new(move |connects| {
            let seen = Arc::clone(&seen);
            async move {
                let connected = connects.await;
                drop(seen.go.acquire().await);
                connected
            }
        });
        let transport = reqwest::Client::builder().connector_layer(waits);
        let client = mesh.client("stock").with_base_url(&peer.url).with_transport(transport);
        let client = client.build().expect("a client");
        let request = Request::builder().method(method).uri("/").body("x".into());
        let caller = call(&client, None, request.expect("a request"), All).await;
        let told = told(&mesh, &caller, 2).await;
        assert_eq!(format!("{told} | {}", peer.seen()), "200 | reset - | 1/0 | 2/1", "{method}");
    }
}
