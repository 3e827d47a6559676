//! What this side does wrong, and answers that come before all of it is sent.

use super::{
    Reader::{Drops, ReadsAll},
    frames::outcome,
    *,
};
use axum::extract::rejection::BytesRejection;
use tonic::{Status, service::interceptor::InterceptedService};

fn stream<const N: usize>(pieces: [io::Result<&'static str>; N]) -> reqwest::Body {
    reqwest::Body::wrap_stream(tokio_stream::iter(pieces))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_not_as_it_says_blames_no_peer() {
    // Tells in its status how much has come.
    let counts = async |body: Result<Bytes, BytesRejection>| match body {
        Ok(body) => StatusCode::from_u16(200 + body.len() as u16).expect("a status"),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let peer = serve(Router::new().route("/", any(counts))).await;
    let broken = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
    for (length, body, expected) in [
        ("9", "x".into(), "201 | - | 1/0"),
        ("1", "xyz".into(), "203 | - | 1/0"),
        ("x", "xyz".into(), "203 | - | 1/0"),
        ("9", "".into(), "200 | - | 1/0"),
        ("9", stream([Ok("x")]), "request | request | 0/0"),
        ("9", stream([Ok("x"), broken()]), "request | request | 0/0"),
        ("", stream([Ok("x"), broken()]), "request | request | 0/0"),
        ("", stream([broken()]), "request | request | 0/0"),
    ] {
        let mesh = TestMesh::new("orders");
        let client = client(&mesh, peer.url(""), as_it_is);
        let mut request = Request::put("/").body(body).expect("a request");
        if !length.is_empty() {
            request.headers_mut().insert("content-length", length.parse().expect("text"));
        }
        let caller = call(&client, None, request, ReadsAll).await;
        assert_eq!(told(&mesh, &caller, 1).await, expected, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_before_all_is_sent_is_the_answer() {
    for (status, expected) in [
        (200, "200 | - | 1/0 | 1/1"),
        (413, "413 | 413 | 1/0 | 1/1"),
        (503, "503 | 503 | 1/1 | 1/1"),
    ] {
        for then in [Fin, LateRst, Silent] {
            let says = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            let peer = Raw::start(&[Turn { at_once: false, says, then }, ok()]).await;
            let mesh = TestMesh::new("orders");
            let client = client(&mesh, &peer.url, as_it_is);
            // More than a socket takes, and than is kept for another attempt.
            let request = Request::put("/").body(vec![b'x'; 16 << 20].into());
            let caller = call(&client, Some(&peer), request.expect("a request"), Drops).await;
            let told = told(&mesh, &caller, 1).await;
            assert_eq!(format!("{told} | {}", peer.seen()), expected, "{then:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grpc_s_own_side_refuses_blames_no_peer() {
    let echo = serve(Routes::new(EchoServer::new(Echo)).into_axum_router()).await;
    let long = || Ask { text: "long".into(), ..Ask::default() };
    for (case, expected) in [
        ("an interceptor", "Unauthenticated |  | 0/0"),
        ("too long to send", "Internal | request | 0/0"),
        ("too long to take", "OutOfRange | cancelled | 1/0"),
        ("a stream that panics", "Internal | request | 0/0"),
    ] {
        let mesh = TestMesh::new("orders");
        let client = mesh.grpc_client("stock").with_endpoint(echo.url(""));
        let client = client.build().expect("a client");
        let mut plain = EchoClient::new(client.clone());
        let caller = match case {
            "an interceptor" => {
                let refuses = |_: tonic::Request<()>| Err(Status::unauthenticated("no token"));
                outcome(EchoClient::new(InterceptedService::new(client, refuses)).unary(long()))
                    .await
            }
            "too long to send" => outcome(plain.max_encoding_message_size(1).unary(long())).await,
            "too long to take" => outcome(plain.max_decoding_message_size(1).unary(long())).await,
            _ => {
                let asks = tokio_stream::iter(0..2).map(move |n| {
                    assert_eq!(n, 0, "on purpose");
                    long()
                });
                outcome(plain.client_stream(asks)).await
            }
        };
        let attempts = usize::from(case != "an interceptor");
        assert_eq!(told(&mesh, &caller, attempts).await, expected, "{case}");
    }
}
