//! What a successful call allocates on its way through deadline, retry, timeout, rate limit and all
//! guards of a peer: nothing of their own.
#![cfg(not(loom))]

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use meshwise_resilience::{
    DeadlineConfig, DeadlineLayer, PeerConfig, PeerLayer, RateConfig, RateLimitLayer, ReplayBody,
    RetryConfig, RetryLayer, TimeoutLayer,
};
use std::{
    error::Error,
    hash::Hasher,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower::{Layer, Service, service_fn};

type BoxError = Box<dyn Error + Send + Sync>;

/// Reads the request's body as a transport does, and answers at the second poll.
///
/// What answers at the first sets no timer; this one has all timers set.
fn stock<B>()
-> impl Service<Request<B>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send> + Clone
where
    B: Body<Error: Into<BoxError>> + Send + Unpin + 'static,
    B::Data: Send,
{
    service_fn(async |request: Request<B>| {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(Into::into)?;
        }
        tokio::task::yield_now().await;
        Ok::<_, BoxError>(Response::new(Full::from("well")))
    })
}

/// Makes many calls, each by a clone of the service; returns the allocations of one.
fn allocations<S, B, RB>(service: &S, request: impl Fn() -> Request<B>) -> f64
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    RB: Body,
{
    const CALLS: u32 = 100;
    // Two timers at once, thrice the usual waits.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = |request: Request<B>| {
        let mut service = service.clone();
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = pin!(service.call(request));
        let response = loop {
            if let Poll::Ready(response) = future.as_mut().poll(&mut cx) {
                break response.ok().expect("a response");
            }
        };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
            assert!(frame.is_ok());
        }
    };
    // What is built only once.
    call(request());
    let mut requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
    let counted = allocation_counter::measure(|| requests.drain(..).for_each(&mut call));
    counted.count_total as f64 / f64::from(CALLS)
}

fn empty() -> Request<Empty<Bytes>> {
    Request::new(Empty::new())
}

fn full() -> Request<Full<Bytes>> {
    Request::put("/").body(Full::new(Bytes::from_static(b"as a whole"))).unwrap()
}

#[test]
fn a_successful_call_allocates_nothing_in_any_layer() {
    assert_eq!(allocations(&stock(), empty), 0.0, "the bare service");

    let config = DeadlineConfig::new().with_total(Duration::from_secs(10));
    let deadline = DeadlineLayer::new("stock", config).unwrap();
    assert_eq!(allocations(&deadline.layer(stock()), empty), 0.0);

    let timeout = TimeoutLayer::new("stock", Duration::from_secs(3)).unwrap();
    assert_eq!(allocations(&timeout.layer(stock()), empty), 0.0);

    let retry = RetryLayer::new("stock", RetryConfig::new()).unwrap();
    assert_eq!(allocations(&retry.layer(stock()), empty), 0.0);
    assert_eq!(allocations(&retry.layer(stock()), full), 0.0, "kept by reference");

    let rate = RateConfig::new(1_000_000, Duration::from_secs(1));
    let one = RateLimitLayer::new("stock", rate.clone()).unwrap();
    assert_eq!(allocations(&one.layer(stock()), empty), 0.0);
    let key = |_: &Request<Empty<Bytes>>, hasher: &mut dyn Hasher| hasher.write_u8(7);
    let keyed = RateLimitLayer::per_key("stock", rate, 100, key).unwrap();
    assert_eq!(allocations(&keyed.layer(stock()), empty), 0.0);
}

#[test]
fn nor_does_it_in_all_guards_of_a_peer_together() {
    for config in [
        PeerConfig::new(),
        PeerConfig::new().with_rate_limit(RateConfig::new(1000, Duration::from_secs(1))),
        PeerConfig::new().until_head(),
    ] {
        let layer = PeerLayer::new("stock", config).unwrap();
        assert_eq!(allocations(&layer.layer(stock()), empty), 0.0);
        assert_eq!(allocations(&layer.layer(stock()), full), 0.0);
    }
}

#[test]
fn a_request_s_headers_are_copied_as_its_clone_would_and_a_stream_costs_two() {
    let retry = RetryLayer::new("stock", RetryConfig::new()).unwrap();
    let with_headers = || {
        let mut request = empty();
        for name in ["accept", "user-agent", "x-request-id"] {
            request.headers_mut().insert(name, HeaderValue::from_static("x"));
        }
        request
    };
    let clone = allocation_counter::measure(|| drop(with_headers().headers().clone())).count_total
        - allocation_counter::measure(|| drop(with_headers())).count_total;
    assert_eq!(allocations(&retry.layer(stock()), with_headers), clone as f64);

    let stream = || {
        let frames = [b"a", b"b", b"c"]
            .map(|piece| Ok::<_, BoxError>(http_body::Frame::data(Bytes::from_static(piece))));
        Request::put("/").body(StreamBody::new(futures_util::stream::iter(frames))).unwrap()
    };
    // The shared stream, and the list of what is kept of it.
    let stock = stock::<ReplayBody<_>>();
    assert_eq!(allocations(&retry.layer(stock), stream), 2.0);
}
