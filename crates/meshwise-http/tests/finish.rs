//! A call finishes exactly once, however it ends.

mod support;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody, channel::Channel};
use meshwise_core::{Classifier, outcome::Verdict};
use meshwise_http::{ClientLayer, ServerLayer};
use opentelemetry::trace::Status;
use std::{
    convert::Infallible,
    future::{pending, ready},
    io,
    panic::AssertUnwindSafe,
    pin::pin,
    task::Poll,
    time::Duration,
};
use support::{assert_attribute, attribute, get, observed, ok};
use tower::{Layer, Service, ServiceExt, service_fn};

const COUNT: &str = "http_server_request_duration_seconds_count";

type Answer<B> = Result<Response<B>, Infallible>;

#[tokio::test]
async fn a_read_body_ends_the_call() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| Answer::Ok(ok("hello")));
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    assert!(o.spans.spans().is_empty(), "the body is still to be read");
    assert_eq!(o.metric(&["http_server_active_requests", "GET"]), 1.0);
    let body = response.expect("an answer").into_body().collect().await.expect("a body");
    assert_eq!(body.to_bytes(), "hello");
    let span = o.span();
    assert_attribute(&span, "http.response.status_code", 200);
    assert_attribute(&span, "http.response.body.size", 5);
    assert_eq!(o.metric(&[COUNT, "200"]), 1.0);
    o.assert_idle();
}

#[tokio::test]
async fn an_empty_body_ends_the_call_with_its_head() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        Answer::Ok(Response::new(Empty::<Bytes>::new()))
    });
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    assert_attribute(&o.span(), "http.response.status_code", 200);
    drop(response);
    assert_eq!(o.metric(&[COUNT]), 1.0);
    o.assert_idle();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure_despite_its_200() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let (mut sender, body) = Channel::<Bytes, io::Error>::new(2);
        sender.send_data(Bytes::from_static(b"half")).await.expect("room");
        sender.abort(io::Error::other("disk on fire"));
        Answer::Ok(Response::new(body))
    });
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    response.expect("an answer").into_body().collect().await.expect_err("it breaks");
    let span = o.span();
    assert_attribute(&span, "error.type", "body");
    assert_attribute(&span, "http.response.status_code", 200);
    assert_eq!(span.status, Status::error("disk on fire"));
    assert_eq!(o.metric(&[COUNT, "error_type=\"body\""]), 1.0);
    o.assert_idle();
}

#[tokio::test]
async fn a_dropped_future_is_a_cancelled_call() {
    let o = observed();
    let service = service_fn(|_: Request<Empty<Bytes>>| pending::<Answer<Full<Bytes>>>());
    {
        let mut future =
            pin!(ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")));
        assert!(futures_poll(future.as_mut()).is_pending());
        assert_eq!(o.metric(&["http_server_active_requests"]), 1.0);
    }
    let span = o.span();
    assert_attribute(&span, "error.type", "cancelled");
    assert_attribute(&span, "meshwise.ended_by", "caller");
    assert_eq!(attribute(&span, "http.response.status_code"), None);
    assert_eq!(span.status, Status::Unset, "a client that leaves is not the server's fault");
    assert_eq!(o.metric(&[COUNT, "error_type=\"cancelled\""]), 1.0);
    assert_eq!(o.events.all()[0]["outcome"], "cancelled");
    o.assert_idle();
}

#[tokio::test]
async fn a_call_that_is_never_polled_still_finishes() {
    let o = observed();
    let service = service_fn(|_: Request<Empty<Bytes>>| pending::<Answer<Full<Bytes>>>());
    let mut service = ServerLayer::new(o.telemetry.clone()).layer(service);
    drop(service.ready().await.expect("ready").call(get("/")));
    assert_attribute(&o.span(), "error.type", "cancelled");
    o.assert_idle();
}

/// A body of which half has come, and that neither ends nor fails.
async fn half() -> Channel<Bytes, Infallible> {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(2);
    sender.send_data(Bytes::from_static(b"half")).await.expect("room");
    std::mem::forget(sender);
    body
}

#[tokio::test]
async fn a_body_that_is_dropped_leaves_what_the_head_says() {
    for (status, server, client) in [
        (200, None, None),
        (404, None, Some("404")),
        (500, Some("500"), Some("500")),
        (503, Some("503"), Some("503")),
    ] {
        for frames in [0, 1] {
            for (side, expected) in [("server", server), ("client", client)] {
                let o = observed();
                let service = service_fn(move |_: Request<Empty<Bytes>>| async move {
                    Answer::Ok(Response::builder().status(status).body(half().await).expect("one"))
                });
                let request = get("http://auth/");
                let response = match side {
                    "server" => {
                        let layer = ServerLayer::new(o.telemetry.clone());
                        layer.layer(service).oneshot(request).await
                    }
                    _ => {
                        let layer = ClientLayer::new(o.telemetry.clone(), "auth");
                        layer.layer(service).oneshot(request).await
                    }
                };
                let mut body = response.expect("an answer").into_body();
                for _ in 0..frames {
                    body.frame().await.expect("a frame").expect("data");
                }
                drop(body);
                let span = o.span();
                let error = attribute(&span, "error.type").map(|value| value.to_string());
                assert_eq!(error.as_deref(), expected, "{side} {status} {frames}");
                assert_attribute(&span, "http.response.status_code", i64::from(status));
                assert_attribute(&span, "meshwise.ended_by", "caller");
                assert_eq!(span.status != Status::Unset, expected.is_some(), "{side} {status}");
                o.assert_idle();
            }
        }
    }
}

#[tokio::test]
async fn an_error_page_in_the_place_of_a_body_leaves_the_error() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let mut response = ok("panicked at src/secret.rs");
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Answer::Ok(response)
    });
    let service = ServerLayer::new(o.telemetry.clone()).layer(service);
    let page = service.map_response(|response| response.map(|_| "an error page"));
    page.oneshot(get("/")).await.expect("an answer");
    assert_attribute(&o.span(), "error.type", "500");
    assert_eq!(o.metric(&[COUNT, "error_type=\"500\""]), 1.0);
    let line = &o.events.all()[0];
    assert_eq!((&*line["outcome"], &*line["meshwise.ended_by"]), ("failure", "caller"));
}

#[tokio::test]
async fn a_body_of_known_size_is_complete_without_an_end_mark() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        // As over HTTP/1.1 without trailers: who sends it stops after the bytes.
        let body = Full::new(Bytes::from_static(b"abc")).with_trailers(ready(None));
        Answer::Ok(Response::new(body))
    });
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    let mut body = response.expect("an answer").into_body();
    body.frame().await.expect("a frame").expect("data");
    drop(body);
    let span = o.span();
    assert_eq!(attribute(&span, "error.type"), None);
    assert_eq!(attribute(&span, "meshwise.ended_by"), None, "all of it has gone out");
}

#[tokio::test]
async fn a_drop_at_an_outer_timeout_or_at_a_deadline_is_a_timeout() {
    type Change = fn(ServerLayer) -> ServerLayer;
    let none: Change = |layer| layer;
    let outer: Change = |layer| layer.with_outer_timeout(Duration::from_millis(1));
    let later: Change = |layer| layer.with_outer_timeout(Duration::from_secs(60));
    for (change, header, expected, by) in [
        (none, None, "cancelled", "caller"),
        (later, None, "cancelled", "caller"),
        (outer, None, "timeout", "own_limit"),
        (none, Some("1"), "timeout", "foreign_deadline"),
        (none, Some("60000"), "cancelled", "caller"),
    ] {
        let o = observed();
        let service = service_fn(|_: Request<Empty<Bytes>>| pending::<Answer<Full<Bytes>>>());
        let mut request = get("/");
        if let Some(header) = header {
            request.headers_mut().insert("x-request-timeout-ms", header.parse().expect("one"));
        }
        drop(
            change(ServerLayer::new(o.telemetry.clone()))
                .layer(service)
                .oneshot(request)
                .now_or_never(),
        );
        let span = o.span();
        assert_attribute(&span, "error.type", expected);
        assert_attribute(&span, "meshwise.ended_by", by);
        assert_eq!(span.status != Status::Unset, expected == "timeout");
        o.assert_idle();
    }
}

#[tokio::test]
async fn what_a_status_means_can_be_set() {
    let classifier = Classifier::new()
        .with_status(StatusCode::NOT_FOUND, Verdict::Failure)
        .with_status(StatusCode::INTERNAL_SERVER_ERROR, Verdict::Success);
    for (status, expected) in [(404, Some("404")), (500, None)] {
        let o = observed();
        let layer = ServerLayer::new(o.telemetry.clone()).with_classifier(classifier.clone());
        let service = service_fn(move |_: Request<Empty<Bytes>>| async move {
            Answer::Ok(Response::builder().status(status).body(Empty::<Bytes>::new()).expect("one"))
        });
        layer.layer(service).oneshot(get("/")).await.expect("an answer");
        let error = attribute(&o.span(), "error.type").map(|value| value.to_string());
        assert_eq!(error.as_deref(), expected);
    }
}

/// Says so when it goes.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        tracing::warn!("given up");
    }
}

#[tokio::test]
async fn what_a_cancelled_handler_leaves_behind_is_dropped_inside_of_its_call() {
    let seen = |o: &support::Observed| {
        let events = o.events.all();
        events.iter().filter(|event| event["message"] == "given up").count()
    };
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let _guard = Guard;
        pending::<Answer<Full<Bytes>>>().await
    });
    drop(ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).now_or_never());
    assert_eq!(seen(&o), 1, "a future");
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let guard = Guard;
        let frame = async move {
            let _guard = guard;
            pending::<Result<Frame<Bytes>, Infallible>>().await
        };
        Answer::Ok(Response::new(StreamBody::new(Once(Box::pin(frame)))))
    });
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    drop(response);
    assert_eq!(seen(&o), 1, "a body");
}

#[tokio::test]
async fn a_body_that_needs_no_reader_is_complete() {
    for (method, status) in [
        (Method::HEAD, StatusCode::OK),
        (Method::GET, StatusCode::NO_CONTENT),
        (Method::GET, StatusCode::NOT_MODIFIED),
        (Method::GET, StatusCode::SWITCHING_PROTOCOLS),
    ] {
        let o = observed();
        let service = service_fn(move |_: Request<Empty<Bytes>>| async move {
            let mut response = ok("never sent");
            *response.status_mut() = status;
            Answer::Ok(response)
        });
        let mut request = get("/");
        *request.method_mut() = method;
        let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(request).await;
        drop(response);
        assert_eq!(attribute(&o.span(), "error.type"), None, "{status}");
        o.assert_idle();
    }
}

#[tokio::test]
async fn a_body_sent_to_its_announced_length_is_complete() {
    // A server stops polling once it has sent Content-Length bytes.
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let frame = async { Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"1234"))) };
        let body = StreamBody::new(Once(Box::pin(frame)));
        Answer::Ok(Response::builder().header("content-length", 4).body(body).expect("a response"))
    });
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    let mut body = response.expect("an answer").into_body();
    body.frame().await.expect("a frame").expect("data");
    drop(body);
    assert_eq!(attribute(&o.span(), "error.type"), None);
}

/// A server breaks such an answer off, or cuts it: its caller has no whole one.
#[tokio::test]
async fn a_served_body_that_is_not_as_long_as_announced_is_a_failure() {
    for (method, status, announced, pieces, whole) in [
        (Method::GET, 200, "10", 1, false),
        (Method::GET, 200, "7", 2, false),
        (Method::GET, 200, "10", 0, false),
        (Method::GET, 200, "10", 2, true),
        (Method::HEAD, 200, "10", 0, true),
        (Method::GET, 304, "10", 0, true),
        (Method::GET, 200, "many", 2, true),
    ] {
        // Whether a server reads on or stops once it has sent what was announced.
        for reads_on in [true, false] {
            let o = observed();
            let service = service_fn(move |_: Request<Empty<Bytes>>| async move {
                let (mut sender, body) = Channel::<Bytes, Infallible>::new(2);
                for _ in 0..pieces {
                    sender.send_data(Bytes::from_static(b"hello")).await.expect("room");
                }
                let response = Response::builder().status(status);
                let response = response.header("content-length", announced).body(body);
                Answer::Ok(response.expect("a response"))
            });
            let request = Request::builder().method(&method).uri("/").body(Empty::new());
            let request = request.expect("a request");
            let layer = ServerLayer::new(o.telemetry.clone());
            let response = layer.layer(service).oneshot(request).await.expect("an answer");
            let mut body = response.into_body();
            for _ in 0..pieces {
                body.frame().await.expect("a frame").expect("data");
            }
            if reads_on {
                assert!(body.frame().await.is_none());
            }
            drop(body);
            let span = o.span();
            // What was dropped before its end may have been enough.
            let failed = !whole && (reads_on || pieces == 2);
            let expected = failed.then(|| "body".into());
            assert_eq!(attribute(&span, "error.type"), expected, "{method} {announced} {pieces}");
            assert_attribute(&span, "http.response.status_code", i64::from(status));
            o.assert_idle();
        }
    }
}

#[tokio::test]
async fn a_client_that_drops_the_body_has_seen_enough() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| Answer::Ok(ok("unread")));
    let client = ClientLayer::new(o.telemetry.clone(), "auth").layer(service);
    drop(client.oneshot(get("http://auth/")).await);
    let span = o.span();
    assert_eq!(attribute(&span, "error.type"), None);
    assert_attribute(&span, "http.response.status_code", 200);
    o.assert_idle();
}

#[tokio::test]
async fn a_service_error_is_named_and_passed_on() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let error = io::Error::new(io::ErrorKind::ConnectionRefused, "no one listens");
        Err::<Response<Full<Bytes>>, _>(error)
    });
    let client = ClientLayer::new(o.telemetry.clone(), "auth").layer(service);
    let error = client.oneshot(get("http://auth/")).await.expect_err("refused");
    assert_eq!(error.to_string(), "no one listens");
    let span = o.span();
    assert_attribute(&span, "error.type", "connect");
    assert_eq!(span.status, Status::error("no one listens"));
    assert_eq!(
        o.metric(&["http_client_request_duration_seconds_count", "error_type=\"connect\""]),
        1.0
    );
    o.assert_idle();
}

#[tokio::test]
async fn a_panic_is_a_failed_call_wherever_it_is_caught() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| -> Answer<Full<Bytes>> {
        panic!("on purpose")
    });
    let mut future =
        Box::pin(ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")));
    let caught = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _ = futures_poll(future.as_mut());
    }));
    assert!(caught.is_err());
    assert_attribute(&o.span(), "error.type", "panic");
    drop(future);
    assert_eq!(o.metric(&[COUNT, "error_type=\"panic\""]), 1.0);
    o.assert_idle();
}

#[tokio::test]
async fn trailers_and_hints_pass_through() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let trailers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("x-sum"),
            http::HeaderValue::from_static("7"),
        )]);
        let body =
            Full::new(Bytes::from_static(b"abc")).with_trailers(async { Some(Ok(trailers)) });
        Answer::Ok(Response::new(body))
    });
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    let body = response.expect("an answer").into_body();
    assert!(!body.is_end_stream());
    let collected = body.collect().await.expect("a body");
    assert_eq!(collected.trailers().expect("trailers")["x-sum"], "7");
    assert_eq!(o.spans.spans().len(), 1);

    let service = service_fn(async |_: Request<Empty<Bytes>>| Answer::Ok(ok("hello")));
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    assert_eq!(response.expect("an answer").body().size_hint().exact(), Some(5));
}

#[tokio::test]
async fn a_grpc_call_is_judged_by_its_trailers() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let trailers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            http::HeaderValue::from_static("13"),
        )]);
        let body =
            Full::new(Bytes::from_static(b"abc")).with_trailers(async { Some(Ok(trailers)) });
        let response = Response::builder().header("content-type", "application/grpc");
        Answer::Ok(response.body(body).expect("a response"))
    });
    let mut request = get("/auth.v1.Auth/Check");
    request
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/grpc"));
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(request).await;
    response.expect("an answer").into_body().collect().await.expect("a body");
    let span = o.span();
    assert_eq!(span.name, "auth.v1.Auth/Check");
    assert_attribute(&span, "rpc.status_code", "INTERNAL");
    assert_attribute(&span, "error.type", "INTERNAL");
    let series = ["rpc_server_call_duration_seconds_count", "rpc_status_code=\"INTERNAL\""];
    assert_eq!(o.metric(&series), 1.0);
}

/// Polls once.
fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

/// A stream of one item, then never anything again.
struct Once<F>(std::pin::Pin<Box<F>>);

impl<F: Future> futures_core::Stream for Once<F> {
    type Item = F::Output;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<F::Output>> {
        self.0.as_mut().poll(cx).map(Some)
    }
}
