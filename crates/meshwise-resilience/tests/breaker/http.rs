//! What counts as a failure over HTTP and gRPC, and when.

use super::config;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use meshwise_resilience::{
    BreakerConfig, BreakerLayer, BreakerState, PeerConfig, PeerLayer, ReplayBody,
};
use std::{
    future::ready,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::advance;
use tower::{BoxError, Layer, ServiceExt, service_fn};

type Body = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, io::Error>>>>;

fn answer(
    status: u16,
    headers: &[(&'static str, &str)],
    frames: Vec<io::Result<Frame<Bytes>>>,
) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

fn data() -> io::Result<Frame<Bytes>> {
    Ok(Frame::data(Bytes::from_static(b"data")))
}

/// Calls through a breaker that is opened by one failure; returns its state after the head, and
/// after the body was read as far as it goes.
async fn http(grpc: bool, respond: fn() -> Response<Body>) -> [BreakerState; 2] {
    let config = BreakerConfig::new().with_consecutive_failures(1, Duration::ZERO);
    let layer = BreakerLayer::new("stock", config).unwrap();
    let stock = layer.layer(service_fn(move |_: Request<()>| ready(Ok::<_, BoxError>(respond()))));
    let mut request = Request::new(());
    if grpc {
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    }
    let mut response = stock.oneshot(request).await.unwrap();
    let head = layer.handle().state();
    while let Some(Ok(_)) = response.body_mut().frame().await {}
    [head, layer.handle().state()]
}

#[tokio::test]
async fn trap_a_200_whose_body_breaks_later_is_a_failure() {
    let breaks = || answer(200, &[], vec![data(), Err(io::ErrorKind::ConnectionReset.into())]);
    let well = || answer(200, &[], vec![data(), data()]);
    use BreakerState::{Closed, Open};
    assert_eq!(http(false, breaks).await, [Closed, Open]);
    assert_eq!(http(false, well).await, [Closed, Closed]);
    assert_eq!(http(false, || answer(500, &[], vec![])).await[1], Open);
    assert_eq!(http(false, || answer(404, &[], vec![])).await[1], Closed);
}

#[tokio::test]
async fn trap_a_grpc_status_in_the_trailers_is_the_verdict() {
    fn ends(code: &'static str) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().unwrap());
        answer(200, &[], vec![data(), Ok(Frame::trailers(trailers))])
    }
    use BreakerState::{Closed, Open};
    assert_eq!(http(true, || ends("14")).await, [Closed, Open]);
    assert_eq!(http(true, || ends("0")).await, [Closed, Closed]);
    assert_eq!(http(true, || ends("5")).await, [Closed, Closed]);
    let headers_only = || answer(200, &[("grpc-status", "14")], vec![]);
    assert_eq!(http(true, headers_only).await[1], Open);
    let no_status = || answer(200, &[], vec![data()]);
    assert_eq!(http(true, no_status).await, [Closed, Open]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_read_slowly_holds_its_trial_and_gives_it_back() {
    let layer = BreakerLayer::new("stock", config()).unwrap();
    let breaker = layer.handle();
    let body = || StreamBody::new(stream::iter([data()]).chain(stream::pending()));
    let stock = layer.layer(service_fn(move |fail: Request<bool>| async move {
        if *fail.body() { Err(BoxError::from("no")) } else { Ok(Response::new(body())) }
    }));
    for _ in 0..2 {
        stock.clone().oneshot(Request::new(true)).await.unwrap_err();
    }
    advance(Duration::from_secs(1)).await;
    let response = stock.clone().oneshot(Request::new(false)).await.unwrap();
    assert_eq!(breaker.snapshot().trials_in_flight, 1, "the head is not the end");
    drop(response);
    assert_eq!(breaker.snapshot().trials_in_flight, 0);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

/// Calls 100 times through a breaker, and drops each response without reading its body.
async fn unread(respond: fn() -> Response<Body>) -> (BreakerState, u64, u64) {
    let layer = BreakerLayer::new("stock", BreakerConfig::new()).unwrap();
    let stock = layer.layer(service_fn(move |_: Request<()>| ready(Ok::<_, BoxError>(respond()))));
    for _ in 0..100 {
        drop(stock.clone().oneshot(Request::new(())).await);
    }
    let now = layer.handle().snapshot();
    (now.state, now.calls, now.failed)
}

#[tokio::test]
async fn a_body_that_is_not_read_leaves_the_head_s_verdict() {
    assert_eq!(unread(|| answer(503, &[], vec![data()])).await.0, BreakerState::Open);
    assert_eq!(unread(|| answer(200, &[], vec![data()])).await, (BreakerState::Closed, 100, 0));
    assert_eq!(unread(|| answer(404, &[], vec![data()])).await, (BreakerState::Closed, 100, 0));
    assert_eq!(unread(|| answer(429, &[], vec![data()])).await, (BreakerState::Closed, 100, 0));
}

#[tokio::test]
async fn a_breaker_closes_by_answers_that_are_looked_at_and_not_read() {
    tokio::time::pause();
    let layer = BreakerLayer::new("stock", BreakerConfig::new()).unwrap();
    let well = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now_well = Arc::clone(&well);
    let stock = layer.layer(service_fn(move |_: Request<()>| {
        let status = if now_well.load(std::sync::atomic::Ordering::Relaxed) { 200 } else { 503 };
        ready(Ok::<_, BoxError>(answer(status, &[], vec![data()])))
    }));
    for _ in 0..20 {
        drop(stock.clone().oneshot(Request::new(())).await);
    }
    assert_eq!(layer.handle().state(), BreakerState::Open);
    well.store(true, std::sync::atomic::Ordering::Relaxed);
    advance(Duration::from_secs(10)).await;
    for _ in 0..3 {
        drop(stock.clone().oneshot(Request::new(())).await.unwrap());
    }
    assert_eq!(layer.handle().state(), BreakerState::Closed);
}

/// Answers with messages, as fast as they are read.
fn messages(count: usize) -> Response<Body> {
    let message = || Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x01x")));
    let status = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let mut frames: Vec<_> = (0..count).map(|_| message()).collect();
    frames.push(Ok(Frame::trailers(status)));
    answer(200, &[("content-type", "application/grpc")], frames)
}

fn grpc() -> Request<Empty<Bytes>> {
    let request = Request::post("/a.B/C").header("content-type", "application/grpc");
    request.body(Empty::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_grpc_answer_that_goes_on_is_a_stream_however_slowly_it_is_read() {
    let layer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    let stock = layer.layer(service_fn(|_: Request<ReplayBody<Empty<Bytes>>>| {
        ready(Ok::<_, BoxError>(messages(200)))
    }));
    let mut body = stock.oneshot(grpc()).await.unwrap().into_body();
    let bulkhead = layer.handle().bulkhead().unwrap();
    let mut held = Vec::new();
    // For longer than the default total.
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        held.push(bulkhead.snapshot().in_use);
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!((held.len(), held.iter().max()), (201, Some(&0)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_one_message_of_a_stream_and_leaves_closes_a_breaker() {
    let config = BreakerConfig::new().with_consecutive_failures(1, Duration::ZERO);
    let layer = BreakerLayer::new("stock", config.with_trials(3, 3)).unwrap();
    let fail = layer.layer(service_fn(|_: Request<_>| {
        ready(Ok::<_, BoxError>(answer(200, &[("grpc-status", "14")], vec![])))
    }));
    drop(fail.oneshot(grpc()).await.unwrap());
    assert_eq!(layer.handle().state(), BreakerState::Open);
    advance(Duration::from_secs(60)).await;
    let stock = layer.layer(service_fn(|_: Request<_>| ready(Ok::<_, BoxError>(messages(5)))));
    for looks in [0, 1, 1, 1] {
        assert_eq!(layer.handle().snapshot().trials_in_flight, 0);
        let mut body = stock.clone().oneshot(grpc()).await.unwrap().into_body();
        for _ in 0..looks {
            body.frame().await.unwrap().unwrap();
        }
        // One that leaves before the first message says nothing.
        assert_eq!(layer.handle().state(), BreakerState::HalfOpen);
    }
    assert_eq!(layer.handle().state(), BreakerState::Closed);
}

/// Makes calls whose answer has one message, and ends after some time as it is told to.
async fn after_one_message(
    time: Duration,
    end: impl Fn() -> Option<Result<Frame<Bytes>, BoxError>>,
) -> (BreakerState, u64, u64) {
    let config =
        BreakerConfig::new().with_min_calls(5).with_slow_calls(Duration::from_secs(1), 0.5);
    let layer = PeerLayer::new("stock", PeerConfig::new().with_breaker(config)).unwrap();
    let mut in_use = 0;
    for _ in 0..5 {
        let (more, mut frames) = tokio::sync::mpsc::unbounded_channel();
        let body = Arc::new(Mutex::new(Some(stream::poll_fn(move |cx| frames.poll_recv(cx)))));
        let stock = layer.layer(service_fn(move |_: Request<ReplayBody<Empty<Bytes>>>| {
            let answer = Response::builder().header("content-type", "application/grpc");
            let body = StreamBody::new(body.lock().unwrap().take().unwrap());
            ready(answer.body(body).map_err(BoxError::from))
        }));
        let mut body = stock.oneshot(grpc()).await.unwrap().into_body();
        more.send(Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x01x")))).unwrap();
        body.frame().await.unwrap().unwrap();
        let mut frame = tokio_test::task::spawn(body.frame());
        tokio_test::assert_pending!(frame.poll());
        in_use += layer.handle().bulkhead().unwrap().snapshot().in_use;
        advance(time).await;
        match end() {
            Some(end) => {
                more.send(end).unwrap();
                drop(tokio_test::assert_ready!(frame.poll()));
            }
            // Its reader leaves.
            None => drop(frame),
        }
    }
    let now = layer.handle().breaker().unwrap().snapshot();
    (now.state, now.failed, u64::from(in_use))
}

/// Whether the end comes with the only message or after it is a matter of packets; that of a stream, which may
/// come hours later, says nothing of the peer's health.
#[tokio::test(start_paused = true)]
async fn a_grpc_answer_of_one_message_is_judged_by_its_end_and_a_stream_is_not() {
    let status = |code: &'static str| {
        let status =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())]);
        move || Some(Ok(Frame::trailers(status.clone())))
    };
    let broken = || Some(Err(BoxError::from(io::Error::from(io::ErrorKind::ConnectionReset))));
    let soon = Duration::from_millis(150);
    assert_eq!(after_one_message(soon, status("13")).await, (BreakerState::Open, 0, 0));
    assert_eq!(after_one_message(soon, broken).await, (BreakerState::Open, 0, 0));
    assert_eq!(after_one_message(soon, status("0")).await, (BreakerState::Closed, 0, 0));
    assert_eq!(after_one_message(soon, || None).await, (BreakerState::Closed, 0, 0));
    // Nor is one slow that has nothing to say.
    let later = Duration::from_secs(20);
    assert_eq!(after_one_message(later, status("0")).await, (BreakerState::Closed, 0, 0));
    let hours = Duration::from_secs(7_200);
    assert_eq!(after_one_message(hours, status("14")).await, (BreakerState::Closed, 0, 0));
    assert_eq!(after_one_message(hours, broken).await, (BreakerState::Closed, 0, 0));
}
