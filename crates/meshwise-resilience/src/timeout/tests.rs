//! Time limits that are counted by a clock that lies behind.

use super::{
    CoverHttp, DeadlineConfig, DeadlineLayer, TimeoutConfig, TimeoutLayer,
    limit::{Ends, LATE},
    not_the_neighbour, timed_out,
};
use crate::clock::{self, LAG};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody};
use std::{
    cell::RefCell,
    convert::Infallible,
    future::{Future, pending, ready},
    pin::pin,
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};
use tower::{BoxError, Layer, ServiceExt, service_fn};

const LIMIT: Duration = Duration::from_millis(200);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Tells after how long a future ends.
async fn length(future: impl Future) -> Duration {
    let began = clock::now();
    future.await;
    clock::now() - began
}

async fn hangs(_: Request<Empty<Bytes>>) -> Result<Response<Empty<Bytes>>, BoxError> {
    pending().await
}

fn request() -> Request<Empty<Bytes>> {
    Request::new(Empty::new())
}

/// Answers at once, with a body that never ends.
async fn drips(
    _: Request<Empty<Bytes>>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible> + Unpin>, BoxError> {
    Ok(Response::new(StreamBody::new(futures_util::stream::pending())))
}

/// Answers at once, with a body that always has more.
async fn floods(
    _: Request<Empty<Bytes>>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible> + Unpin>, BoxError> {
    let frame = || Some((Ok(Frame::data(Bytes::from_static(b"more"))), ()));
    Ok(Response::new(StreamBody::new(futures_util::stream::unfold((), move |()| ready(frame())))))
}

fn deadline() -> DeadlineLayer {
    DeadlineLayer::new("stock", DeadlineConfig::new().with_total(LIMIT)).unwrap()
}

fn timeout() -> TimeoutLayer<CoverHttp> {
    let layer = TimeoutLayer::new("stock", TimeoutConfig::new(LIMIT)).unwrap();
    layer.covering(CoverHttp::whole())
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_lies_behind_breaks_no_call_off_early() {
    for lag in [millis(1), millis(10), millis(30)] {
        LAG.set(lag);
        let call = deadline().layer(service_fn(hangs)).oneshot(request());
        assert_eq!(length(call).await, LIMIT, "{lag:?}");
        let call = timeout().layer(service_fn(hangs)).oneshot(request());
        assert_eq!(length(call).await, LIMIT, "{lag:?}");
    }
    LAG.set(Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nor_a_body() {
    for lag in [millis(1), millis(10), millis(30)] {
        LAG.set(lag);
        let call = deadline().layer(service_fn(drips)).oneshot(request());
        let whole = async { call.await.unwrap().into_body().collect().await.unwrap_err() };
        assert_eq!(length(whole).await, LIMIT, "{lag:?}");
        let call = timeout().layer(service_fn(drips)).oneshot(request());
        let whole = async { call.await.unwrap().into_body().collect().await.unwrap_err() };
        assert_eq!(length(whole).await, LIMIT, "{lag:?}");
    }
    LAG.set(Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nor_one_that_always_has_more() {
    LAG.set(millis(30));
    let call = deadline().layer(service_fn(floods)).oneshot(request());
    let mut body = pin!(call.await.unwrap().into_body());
    // It was counted from 30 ms before.
    LAG.set(millis(1));
    for (step, goes_on) in [(LIMIT - millis(29), true), (millis(28), true), (LATE, false)] {
        tokio::time::advance(step).await;
        assert_eq!(body.frame().await.unwrap().is_ok(), goes_on, "{step:?}");
    }
    LAG.set(Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_late_is_not_given_all_of_its_time_anew() {
    LAG.set(millis(10));
    let mut service = deadline().layer(service_fn(hangs));
    let began = clock::now();
    let mut call = pin!(tower::Service::call(&mut service, request()));
    tokio::time::advance(millis(150)).await;
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    call.await.unwrap_err();
    let took = clock::now() - began;
    assert!((LIMIT..=LIMIT + LATE).contains(&took), "{took:?}");
    LAG.set(Duration::ZERO);
}

#[test]
fn an_end_becomes_exact_once_and_never_early() {
    let begun = Instant::now() + Duration::from_secs(3600);
    for lag in [0, 1, 10, 50].map(millis) {
        for waited in [0, 1, 30, 100, 5000].map(millis) {
            let mut ends = Ends::roughly(begun - lag, LIMIT);
            ends.settle_at(begun + waited);
            let late = ends.moment - (begun + LIMIT);
            assert_eq!(late, waited.min(LATE - lag), "{lag:?} {waited:?}");
            let settled = ends.moment;
            assert_eq!(ends.settle(), settled);
        }
    }
}

#[test]
fn a_call_may_be_dropped_as_its_thread_ends() {
    struct Call;
    impl Drop for Call {
        fn drop(&mut self) {
            assert!(!timed_out("stock"));
            not_the_neighbour();
        }
    }
    thread_local! {
        static HELD: RefCell<Option<Call>> = const { RefCell::new(None) };
    }
    // What is used first goes last: the call, after the thread's note of what timed out.
    let thread = thread::spawn(|| {
        HELD.set(Some(Call));
        timed_out("stock")
    });
    assert!(!thread.join().unwrap());
}
