//! A call finishes exactly once, however it ends.

mod support;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody, channel::Channel};
use meshwise_http::{ClientLayer, ServerLayer};
use opentelemetry::trace::Status;
use std::{
    convert::Infallible, future::pending, io, panic::AssertUnwindSafe, pin::pin, task::Poll,
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

#[tokio::test]
async fn a_server_body_dropped_midway_is_a_client_gone() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(2);
        sender.send_data(Bytes::from_static(b"half")).await.expect("room");
        std::mem::forget(sender); // neither ends nor fails
        Answer::Ok(Response::new(body))
    });
    let response = ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(get("/")).await;
    let mut body = response.expect("an answer").into_body();
    body.frame().await.expect("a frame").expect("data");
    drop(body);
    let span = o.span();
    assert_attribute(&span, "error.type", "cancelled");
    assert_attribute(&span, "http.response.status_code", 200);
    assert_attribute(&span, "http.response.body.size", 4);
    o.assert_idle();
}

#[tokio::test]
async fn a_body_that_nobody_has_to_read_is_complete() {
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
        let error = io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens");
        Err::<Response<Full<Bytes>>, _>(error)
    });
    let client = ClientLayer::new(o.telemetry.clone(), "auth").layer(service);
    let error = client.oneshot(get("http://auth/")).await.expect_err("refused");
    assert_eq!(error.to_string(), "nobody listens");
    let span = o.span();
    assert_attribute(&span, "error.type", "connect");
    assert_eq!(span.status, Status::error("nobody listens"));
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
        Answer::Ok(Response::new(body))
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
