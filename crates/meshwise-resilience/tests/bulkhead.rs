//! The bulkhead as a tower layer: its queue, its contract, and what a dropped future leaves behind.
#![cfg(not(loom))]

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use meshwise_core::{Refused, outcome::Rule};
use meshwise_resilience::{
    AdaptiveConfig, AnyCalls, BulkheadConfig, BulkheadHandle, BulkheadLayer,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{
    convert::Infallible,
    future::{Pending, pending, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::Semaphore, time::advance};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type Calls = AnyCalls;
type Gate = Arc<Semaphore>;

const WAIT: Duration = Duration::from_millis(200);

/// Two at a time, two in the queue, for 200 ms.
fn config() -> BulkheadConfig {
    BulkheadConfig::new().with_limit(2).with_queue(2, WAIT)
}

fn layer(config: BulkheadConfig) -> (BulkheadLayer<Calls>, BulkheadHandle) {
    let layer = BulkheadLayer::new("stock", config).unwrap().with_calls(Calls::default());
    let handle = layer.handle();
    (layer, handle)
}

/// A service whose calls end one by one, as the gate lets them; and how many reached it.
fn gated(
    gate: &Gate,
) -> (
    impl Service<(), Response = &'static str, Error = BoxError, Future: Send> + Clone + use<>,
    Arc<AtomicUsize>,
) {
    let begun = Arc::new(AtomicUsize::new(0));
    let (gate, count) = (Arc::clone(gate), Arc::clone(&begun));
    let service = service_fn(move |(): ()| {
        count.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await?.forget();
            Ok("yes")
        }
    });
    (service, begun)
}

fn rule(error: &BoxError) -> Rule {
    error.downcast_ref::<Refused>().expect("a refusal").rule()
}

fn use_of(bulkhead: &BulkheadHandle) -> (u32, u32) {
    let now = bulkhead.snapshot();
    (now.in_use, now.waiting)
}

#[tokio::test(start_paused = true)]
async fn so_many_are_in_flight_so_many_wait_and_the_rest_are_refused_at_once() {
    let (layer, bulkhead) = layer(config());
    let gate = Gate::new(Semaphore::new(0));
    let (inner, begun) = gated(&gate);
    let stock = layer.layer(inner);
    let mut calls: Vec<_> = (0..4).map(|_| task::spawn(stock.clone().oneshot(()))).collect();
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    assert_eq!((use_of(&bulkhead), begun.load(Ordering::SeqCst)), ((2, 2), 2));
    let error = stock.clone().oneshot(()).now_or_never().unwrap().unwrap_err();
    assert_eq!(rule(&error), Rule::BulkheadFull);
    assert_eq!(error.downcast_ref::<Refused>().unwrap().retry_after(), Some(WAIT));
    // One ends: the first who waits goes, and only that one is woken.
    gate.add_permits(1);
    assert_ready_ok!(calls[0].poll());
    assert!(calls[2].is_woken() && !calls[3].is_woken());
    assert_eq!(use_of(&bulkhead), (2, 1));
    // A newcomer does not get past the queue, though the permit is not in use yet.
    let mut newcomer = task::spawn(stock.clone().oneshot(()));
    assert_pending!(newcomer.poll());
    assert_eq!(use_of(&bulkhead), (2, 2));
    assert_pending!(calls[2].poll());
    assert_eq!(begun.load(Ordering::SeqCst), 3);
    gate.add_permits(10);
    assert_ready_ok!(calls[1].poll());
    assert_ready_ok!(calls[2].poll());
    assert_ready_ok!(calls[3].poll());
    assert_ready_ok!(newcomer.poll());
    assert_eq!(use_of(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused() {
    let (layer, bulkhead) = layer(config());
    let stock = layer.layer(service_fn(|()| pending::<Result<&'static str, BoxError>>()));
    let mut calls: Vec<_> = (0..3).map(|_| task::spawn(stock.clone().oneshot(()))).collect();
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    advance(WAIT - Duration::from_millis(1)).await;
    assert_pending!(calls[2].poll());
    advance(Duration::from_millis(2)).await;
    assert!(calls[2].is_woken());
    assert_eq!(rule(&assert_ready_err!(calls[2].poll())), Rule::BulkheadFull);
    assert_eq!(use_of(&bulkhead), (2, 0));
    drop(calls);
    assert_eq!(use_of(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_comes_with_the_last_moment_is_used() {
    let (layer, bulkhead) = layer(config().with_limit(1));
    let gate = Gate::new(Semaphore::new(0));
    let stock = layer.layer(gated(&gate).0);
    let mut first = task::spawn(stock.clone().oneshot(()));
    let mut second = task::spawn(stock.clone().oneshot(()));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    advance(WAIT * 2).await;
    gate.add_permits(2);
    assert_ready_ok!(first.poll());
    assert_eq!(assert_ready_ok!(second.poll()), "yes");
    assert_eq!(use_of(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_gives_back_what_it_holds_wherever_it_waits() {
    let (layer, bulkhead) = layer(config().with_limit(1));
    let gate = Gate::new(Semaphore::new(0));
    let (inner, begun) = gated(&gate);
    let stock = layer.layer(inner);
    let mut clone = stock.clone();
    // With a permit, before it was polled.
    let unpolled = clone.ready().await.unwrap().call(());
    assert_eq!(use_of(&bulkhead), (1, 0));
    // In the queue, before it was polled.
    let queued = clone.ready().await.unwrap().call(());
    assert_eq!(use_of(&bulkhead), (1, 1));
    drop(queued);
    assert_eq!(use_of(&bulkhead), (1, 0));
    drop(unpolled);
    assert_eq!(use_of(&bulkhead), (0, 0));

    let mut calls: Vec<_> = (0..3).map(|_| task::spawn(stock.clone().oneshot(()))).collect();
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    // The middle of the queue goes: its place is free for another, behind the last.
    let last = calls.pop().unwrap();
    drop(calls.pop());
    assert_eq!(use_of(&bulkhead), (1, 1));
    let mut newcomer = task::spawn(stock.clone().oneshot(()));
    assert_pending!(newcomer.poll());
    // In flight: the permit goes to the one who waits longest.
    drop(calls.pop());
    assert!(last.is_woken() && !newcomer.is_woken());
    assert_eq!(use_of(&bulkhead), (1, 1));
    // Given a permit and dropped before it knew.
    let reached = begun.load(Ordering::SeqCst);
    drop(last);
    assert!(newcomer.is_woken());
    assert_eq!(begun.load(Ordering::SeqCst), reached);
    assert_pending!(newcomer.poll());
    assert_eq!((use_of(&bulkhead), begun.load(Ordering::SeqCst)), ((1, 0), reached + 1));
    drop(newcomer);
    assert_eq!(use_of(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn trap_a_service_that_is_ready_only_once_per_clone() {
    let (layer, _) = layer(config().with_limit(1));
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<u8, &'static str>| layer.layer(mock));
    // Backpressure of the inner service comes through.
    handle.allow(0);
    assert_pending!(service.poll_ready());
    // The mock panics if a service is called that was not asked, or was called since.
    handle.allow(2);
    assert_ready_ok!(service.poll_ready());
    let mut first = task::spawn(service.call(1));
    assert_ready_ok!(service.poll_ready());
    let mut second = task::spawn(service.call(2));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    let (request, respond) = assert_ready!(task::spawn(handle.next_request()).poll()).unwrap();
    assert_eq!(request, 1);
    assert_pending!(task::spawn(handle.next_request()).poll());
    respond.send_response("one");
    assert_eq!(assert_ready_ok!(first.poll()), "one");
    assert_pending!(second.poll());
    let (request, respond) = assert_ready!(task::spawn(handle.next_request()).poll()).unwrap();
    assert_eq!(request, 2);
    respond.send_response("two");
    assert_eq!(assert_ready_ok!(second.poll()), "two");
}

type Frames = stream::Chain<
    stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 1>>,
    stream::Pending<Result<Frame<Bytes>, Infallible>>,
>;

/// A response that streams forever.
fn streams(_: Request<()>) -> std::future::Ready<Result<Response<StreamBody<Frames>>, BoxError>> {
    let data = Ok(Frame::data(Bytes::from_static(b"data")));
    ready(Ok(Response::new(StreamBody::new(stream::iter([data]).chain(stream::pending())))))
}

#[tokio::test]
async fn a_permit_is_held_until_the_body_ends_or_is_dropped_or_by_choice_until_the_head() {
    for (until_head, held) in [(false, 1), (true, 0)] {
        let layer = BulkheadLayer::new("stock", config()).unwrap();
        let layer = if until_head { layer.until_head() } else { layer };
        let bulkhead = layer.handle();
        let mut response =
            layer.layer(service_fn(streams)).oneshot(Request::new(())).await.unwrap();
        assert_eq!(bulkhead.snapshot().in_use, held);
        assert!(response.body_mut().frame().await.unwrap().is_ok());
        assert_eq!(bulkhead.snapshot().in_use, held);
        drop(response);
        assert_eq!(bulkhead.snapshot().in_use, 0);
        let whole = layer.layer(service_fn(async |_: Request<()>| {
            Ok::<_, BoxError>(Response::new("all of it".to_owned()))
        }));
        let response = whole.oneshot(Request::new(())).await.unwrap();
        assert_eq!(bulkhead.snapshot().in_use, held);
        let read = response.into_body().collect();
        assert_eq!(bulkhead.snapshot().in_use, held);
        assert_eq!(read.await.unwrap().to_bytes(), "all of it");
        assert_eq!(bulkhead.snapshot().in_use, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn settings_change_at_run_time() {
    let (layer, bulkhead) = layer(config().with_limit(1));
    let gate = Gate::new(Semaphore::new(0));
    let stock = layer.layer(gated(&gate).0);
    let mut calls: Vec<_> = (0..3).map(|_| task::spawn(stock.clone().oneshot(()))).collect();
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    // A higher limit lets those who wait go.
    bulkhead.set_config(bulkhead.config().with_limit(3)).unwrap();
    assert!(calls[1].is_woken() && calls[2].is_woken());
    assert_eq!(use_of(&bulkhead), (3, 0));
    assert_pending!(calls[1].poll());
    // A lower one takes nothing away, and is kept from then on.
    bulkhead.set_config(bulkhead.config().with_limit(1)).unwrap();
    assert_eq!(use_of(&bulkhead), (3, 0));
    let mut waits = task::spawn(stock.clone().oneshot(()));
    assert_pending!(waits.poll());
    gate.add_permits(2);
    assert_ready_ok!(calls[0].poll());
    assert_ready_ok!(calls[1].poll());
    assert!(!waits.is_woken());
    drop(calls);
    assert!(waits.is_woken());
    bulkhead.set_config(bulkhead.config().without_queue()).unwrap();
    assert_pending!(waits.poll());
    assert!(stock.clone().oneshot(()).now_or_never().unwrap().is_err());
    let wrong = bulkhead.config().with_limit(0);
    assert_eq!(bulkhead.set_config(wrong).unwrap_err().setting(), "bulkhead.limit");
    assert_eq!(bulkhead.snapshot().limit, 1);
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_follows_the_time_that_calls_take() {
    let adaptive = AdaptiveConfig::gradient2()
        .with_limits(40, 5, 100)
        .with_samples(Duration::from_millis(100), 5);
    let (layer, bulkhead) = layer(config().with_adaptive_limit(adaptive.clone()));
    let stock = layer.layer(service_fn(|wait: u64| async move {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if wait == 999 {
            Err(BoxError::from(Refused::new(Rule::TimedOut, "stock")))
        } else {
            Ok("yes")
        }
    }));
    let load = async |wait: u64, rounds: u32| {
        for _ in 0..rounds {
            let calls = (0..bulkhead.snapshot().limit).map(|_| stock.clone().oneshot(wait));
            futures_util::future::join_all(calls).await;
        }
        bulkhead.snapshot().limit
    };
    let well = load(10, 120).await;
    assert!(well > 50, "{well}");
    let slow = load(100, 20).await;
    assert!(slow < well, "{slow}");
    let after = load(999, 30).await;
    assert_eq!(after, 5, "timeouts lower it to the floor and no further");
    assert!(bulkhead.snapshot().adaptive);
    // The same settings again leave it where it is; a fixed limit takes its place at once.
    bulkhead.set_config(bulkhead.config().with_queue(7, WAIT)).unwrap();
    assert_eq!(bulkhead.snapshot().limit, 5);
    bulkhead.set_config(bulkhead.config().with_limit(33)).unwrap();
    load(10, 40).await;
    assert_eq!(bulkhead.snapshot().limit, 33);
    bulkhead.set_config(bulkhead.config().with_adaptive_limit(adaptive.clone())).unwrap();
    assert_eq!(bulkhead.snapshot().limit, 40);
    assert_eq!(bulkhead.config(), bulkhead.config().with_adaptive_limit(adaptive));
    assert_eq!(use_of(&bulkhead), (0, 0));
}

#[tokio::test]
async fn an_inner_service_that_panics_keeps_no_permit() {
    struct Panics;
    impl Clone for Panics {
        fn clone(&self) -> Self {
            Self
        }
    }
    impl Service<()> for Panics {
        type Response = &'static str;
        type Error = BoxError;
        type Future = Pending<Result<&'static str, BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, (): ()) -> Self::Future {
            panic!("in call")
        }
    }
    let (layer, bulkhead) = layer(config());
    let mut service = layer.layer(Panics);
    let call = std::panic::AssertUnwindSafe(|| drop(service.call(())));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(use_of(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_metrics_say_what_is_in_use_and_what_was_refused() {
    let recorder = DebuggingRecorder::new();
    let (layer, _) =
        metrics::with_local_recorder(&recorder, || layer(config().with_limit(1).without_queue()));
    let metrics = || {
        let all = recorder.snapshotter().snapshot().into_vec().into_iter();
        let mut lines: Vec<_> = all
            .map(|(key, _, _, value)| {
                let key = key.key();
                let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
                let value = match value {
                    DebugValue::Counter(value) => value as f64,
                    DebugValue::Gauge(value) => value.into_inner(),
                    DebugValue::Histogram(_) => unreachable!(),
                };
                format!("{} {} {value}", key.name(), labels.join(","))
            })
            .collect();
        lines.sort();
        lines
    };
    let stock = layer.layer(service_fn(|()| pending::<Result<&'static str, BoxError>>()));
    let mut call = task::spawn(stock.clone().oneshot(()));
    assert_pending!(call.poll());
    stock.oneshot(()).await.unwrap_err();
    assert_eq!(
        metrics(),
        ["meshwise_bulkhead_in_use stock 1", "meshwise_calls_refused_total stock,bulkhead_full 1"]
    );
    drop(call);
    assert_eq!(metrics()[0], "meshwise_bulkhead_in_use stock 0");
}
