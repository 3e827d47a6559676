//! What each error of reqwest, hyper and h2 is translated into, as it comes off real sockets.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::BodyExt;
use meshwise_core::outcome::{Fault, FaultKind, Faults, Phase};
use meshwise_reqwest::{ReqwestService, fault, reqwest};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt;

fn faults() -> Faults {
    let mut faults = Faults::new();
    faults.view::<reqwest::Error>();
    faults.rule(fault);
    faults
}

fn get(address: SocketAddr) -> Request<reqwest::Body> {
    Request::get(format!("http://{address}/")).body(reqwest::Body::default()).expect("a request")
}

/// Sends a request, reads the body, and returns what went wrong.
async fn failed(client: reqwest::Client, request: Request<reqwest::Body>) -> Fault {
    let call = async {
        match ReqwestService::new(client).oneshot(request).await {
            Err(error) => error,
            Ok(response) => response.into_body().collect().await.expect_err("it breaks"),
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), call).await.expect("it ends");
    let fault = faults().of(&error);
    assert_ne!(fault.error_type().as_str(), "_OTHER", "{error:?}");
    fault
}

fn http1() -> reqwest::Client {
    reqwest::Client::new()
}

fn http2() -> reqwest::Client {
    let builder = reqwest::Client::builder().http2_prior_knowledge();
    builder.retry(reqwest::retry::never()).build().expect("a client")
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn read_head(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let n = stream.read(&mut piece).await.expect("a request");
        assert!(n > 0, "a whole head");
        seen.extend_from_slice(&piece[..n]);
    }
}

#[tokio::test]
async fn no_connection_is_a_connect_fault_and_nothing_was_sent() {
    let (listener, closed) = listen().await;
    drop(listener);
    // Speaks no TLS.
    let (plain, not_tls) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
    });
    let unresolved = Request::get("http://no-such-host.invalid/");
    let tls = Request::get(format!("https://{not_tls}/"));
    for request in [
        get(closed),
        unresolved.body(reqwest::Body::default()).expect("a request"),
        tls.body(reqwest::Body::default()).expect("a request"),
    ] {
        let uri = request.uri().to_string();
        let fault = failed(http1(), request).await;
        assert_eq!(fault, Fault::new(FaultKind::Connect), "{uri}");
        assert_eq!((fault.sent, fault.phase), (Some(false), Some(Phase::Connecting)));
    }
    // A full backlog does not answer; nor does a reserved network.
    let client = reqwest::Client::builder().connect_timeout(Duration::from_millis(1));
    let request = get(([192, 0, 2, 1], 9).into());
    let fault = failed(client.build().expect("a client"), request).await;
    assert_eq!(fault.kind, FaultKind::Connect, "a connect that times out is one");
}

#[tokio::test]
async fn what_can_t_be_sent_as_it_is_is_this_side_s_fault() {
    for uri in ["check", "/check", "ftp://auth/", "http://"] {
        let Ok(uri) = uri.parse::<http::Uri>() else { continue };
        let mut request = Request::new(reqwest::Body::default());
        *request.uri_mut() = uri;
        let fault = failed(http1(), request).await;
        assert_eq!((fault.kind, fault.sent), (FaultKind::Request, Some(false)));
    }
    let (_listener, address) = listen().await;
    let mut request = get(address);
    *request.version_mut() = Version::HTTP_3;
    assert_eq!(failed(http1(), request).await.kind, FaultKind::Request, "it speaks no HTTP/3");
}

#[tokio::test]
async fn a_request_that_came_in_by_another_version_is_sent_all_the_same() {
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("sent");
        });
        let mut request = get(address);
        *request.version_mut() = version;
        let answer = ReqwestService::new(http1()).oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), 204, "{version:?}");
    }
}

#[tokio::test]
async fn a_request_body_that_fails_is_this_side_s_fault() {
    let body = || {
        let pieces = [Ok(Bytes::from_static(b"x")), Err(io::Error::other("disk on fire"))];
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut sink = Vec::new();
        let _ended = stream.read_to_end(&mut sink).await;
    });
    // With GET, hyper sends no body of unknown length.
    let post = |address| {
        let mut request = get(address).map(|_| body());
        *request.method_mut() = http::Method::POST;
        request
    };
    assert_eq!(failed(http1(), post(address)).await.kind, FaultKind::RequestBody, "HTTP/1");
    let address = h2_server(|_, _| {}).await;
    assert_eq!(failed(http2(), post(address)).await.kind, FaultKind::RequestBody, "HTTP/2");
}

#[tokio::test]
async fn what_the_source_of_a_request_body_met_is_not_the_peer_s_doing() {
    type Piece = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;
    let late: fn() -> _ = || io::Error::from(io::ErrorKind::TimedOut).into();
    let (listener, closed) = listen().await;
    drop(listener);
    let not_reached = reqwest::get(format!("http://{closed}/")).await.expect_err("no one is there");
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ended = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    for error in [late(), not_reached.into()] {
        let pieces: [Piece; 2] = [Ok(Bytes::from_static(b"x")), Err(error)];
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let mut request = get(address).map(|_| body);
        *request.method_mut() = http::Method::POST;
        assert_eq!(failed(http1(), request).await.kind, FaultKind::RequestBody);
    }
}

#[tokio::test]
async fn timers_are_timeouts() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            if open.len() % 2 == 1 {
                read_head(&mut stream).await;
                let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
                stream.write_all(half).await.expect("sent");
            }
            open.push(stream);
        }
    });
    let limit = Duration::from_millis(50);
    let total = || reqwest::Client::builder().timeout(limit).build().expect("a client");
    let read = || reqwest::Client::builder().read_timeout(limit).build().expect("a client");
    for (client, what) in [(total(), "head"), (total(), "body"), (read(), "head"), (read(), "body")]
    {
        assert_eq!(failed(client, get(address)).await.kind, FaultKind::Timeout, "{what}");
    }
}

#[tokio::test]
async fn connections_that_break_are_resets() {
    for (bytes, linger) in [
        (&b""[..], false),
        (b"", true),
        (b"HTTP/1.1 200", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhalf", false),
    ] {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read_head(&mut stream).await;
            stream.write_all(bytes).await.expect("sent");
            if linger {
                stream.set_zero_linger().expect("linger");
            }
        });
        let fault = failed(http1(), get(address)).await;
        let text = String::from_utf8_lossy(bytes);
        assert_eq!((fault.kind, fault.sent), (FaultKind::Reset, None), "{text:?}");
        let in_body = bytes.ends_with(b"half");
        assert_eq!(fault.phase, in_body.then_some(Phase::Body), "{text:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_has_a_word() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    ] {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read_head(&mut stream).await;
            stream.write_all(bytes).await.expect("sent");
        });
        let fault = failed(http1(), get(address)).await;
        assert_eq!(fault.error_type().as_str(), "protocol", "{fault:?}");
    }
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_has_sent_nothing_or_is_not_used() {
    // hyper tries such a request again by itself on another connection, if it was not sent.
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("sent");
    });
    let client = http1();
    ReqwestService::new(client.clone()).oneshot(get(address)).await.expect("an answer");
    // Whichever comes first, the close or the second request.
    let fault = failed(client, get(address)).await;
    let expected = [FaultKind::Reset, FaultKind::Connect];
    assert!(expected.contains(&fault.kind), "{fault:?}");
}

type Respond = h2::server::SendResponse<Bytes>;

/// Serves one HTTP/2 connection; `then` answers its one request.
async fn h2_server(
    then: impl FnOnce(&mut h2::server::Connection<TcpStream, Bytes>, Respond) + Send + 'static,
) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = h2::server::handshake(stream).await.expect("a handshake");
        let (request, respond) = connection.accept().await.expect("a call").expect("a request");
        then(&mut connection, respond);
        let _whole = request;
        while let Some(Ok(_)) = connection.accept().await {}
    });
    address
}

#[tokio::test]
async fn streams_that_the_peer_gives_up_are_resets() {
    for (reason, sent) in [
        (h2::Reason::REFUSED_STREAM, Some(false)),
        (h2::Reason::CANCEL, None),
        (h2::Reason::INTERNAL_ERROR, None),
        (h2::Reason::ENHANCE_YOUR_CALM, None),
        (h2::Reason::NO_ERROR, None),
    ] {
        let address = h2_server(move |_, mut respond| respond.send_reset(reason)).await;
        let fault = failed(http2(), get(address)).await;
        assert_eq!((fault.kind, fault.sent), (FaultKind::Reset, sent), "{reason}");
    }
    // In the body.
    let address = h2_server(|_, mut respond| {
        let head = http::Response::new(());
        let mut body = respond.send_response(head, false).expect("sent");
        body.send_data(Bytes::from_static(b"half"), false).expect("sent");
        body.send_reset(h2::Reason::INTERNAL_ERROR);
    })
    .await;
    assert_eq!(failed(http2(), get(address)).await.kind, FaultKind::Reset);
}

#[tokio::test]
async fn a_call_past_the_last_one_of_a_goaway_was_not_seen() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.expect("a preface");
        // SETTINGS; and, once there is a request, GOAWAY with the last stream 0, NO_ERROR.
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("sent");
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.expect("a frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut rest = vec![0; length as usize];
            stream.read_exact(&mut rest).await.expect("a frame");
            if head[3] == 1 {
                break;
            }
        }
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        stream.write_all(&goaway).await.expect("sent");
        let mut sink = Vec::new();
        let _ended = stream.read_to_end(&mut sink).await;
    });
    let fault = failed(http2(), get(address)).await;
    assert_eq!((fault.kind, fault.sent), (FaultKind::Reset, Some(false)));
}

#[tokio::test]
async fn an_http_2_connection_that_breaks_is_a_reset() {
    for linger in [false, true] {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            if linger {
                stream.set_zero_linger().expect("linger");
            }
            let mut connection = h2::server::handshake::<_>(stream).await.expect("a handshake");
            connection.accept().await.expect("a call").expect("a request");
        });
        let fault = failed(http2(), get(address)).await;
        assert_eq!((fault.kind, fault.sent), (FaultKind::Reset, None), "linger: {linger}");
    }
}

#[test]
fn what_is_not_known_is_left_to_others() {
    assert_eq!(fault(&std::fmt::Error), None);
    assert_eq!(fault(&io::Error::other("x")), None);
}
