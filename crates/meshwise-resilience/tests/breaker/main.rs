//! The circuit breaker as a tower layer: its contract, the traps it must not fall into, and what
//! it tells the world.
#![cfg(not(loom))]

mod http;
mod told;

use ::http::{Request, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use meshwise_core::{Classifier, Refused, outcome::Rule};
use meshwise_resilience::{
    AnyCalls, BreakerConfig, BreakerHandle, BreakerLayer, BreakerMode, BreakerState, GuardError,
    GuardErrorLayer,
};
use std::{
    future::{Pending, pending, ready},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type Calls = AnyCalls;

/// Opens at two failures in a row, for a second; three trials.
fn config() -> BreakerConfig {
    BreakerConfig::new()
        .with_consecutive_failures(2, Duration::ZERO)
        .with_open_time(Duration::from_secs(1), Duration::from_secs(8))
        .with_open_jitter(0.0)
}

fn layer(config: BreakerConfig) -> (BreakerLayer<Calls>, BreakerHandle) {
    let layer = BreakerLayer::new("stock", config).unwrap().with_calls(Calls::default());
    let handle = layer.handle();
    (layer, handle)
}

fn refused(error: &BoxError) -> &Refused {
    error.downcast_ref::<Refused>().expect("a refusal")
}

/// Opens a breaker by two failures.
async fn open(layer: &BreakerLayer<Calls>) {
    for _ in 0..2 {
        let fails = service_fn(async |(): ()| Err::<&str, BoxError>("no".into()));
        layer.layer(fails).oneshot(()).await.unwrap_err();
    }
    assert_eq!(layer.handle().state(), BreakerState::Open);
}

async fn succeed(layer: &BreakerLayer<Calls>) -> Result<&'static str, BoxError> {
    layer.layer(service_fn(async |(): ()| Ok("yes"))).oneshot(()).await
}

fn hangs(_: ()) -> Pending<Result<&'static str, BoxError>> {
    pending()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_fails_is_left_alone_and_tried_and_taken_back() {
    let (layer, breaker) = layer(config());
    open(&layer).await;
    let error = succeed(&layer).await.unwrap_err();
    assert_eq!(refused(&error).rule(), Rule::BreakerOpen);
    assert_eq!(refused(&error).peer(), "stock");
    assert_eq!(refused(&error).retry_after(), Some(Duration::from_secs(1)));
    advance(Duration::from_millis(999)).await;
    assert!(succeed(&layer).await.is_err());
    assert_eq!(breaker.snapshot().open_for, Some(Duration::from_millis(1)));
    advance(Duration::from_millis(1)).await;
    for state in [BreakerState::HalfOpen, BreakerState::HalfOpen, BreakerState::Closed] {
        assert_eq!(succeed(&layer).await.unwrap(), "yes");
        assert_eq!(breaker.state(), state);
    }
    assert_eq!(breaker.snapshot().calls, 0, "the trials are not counted twice");
}

#[tokio::test(start_paused = true)]
async fn trap_a_cancelled_trial_call_gives_its_slot_back() {
    let (layer, breaker) = layer(config());
    open(&layer).await;
    advance(Duration::from_secs(1)).await;
    let service = layer.layer(service_fn(hangs));
    // Dropped before it was polled, and after.
    for polled in [false, true] {
        let mut trials: Vec<_> = (0..3).map(|_| Box::pin(service.clone().oneshot(()))).collect();
        for trial in &mut trials {
            assert!(trial.as_mut().now_or_never().is_none());
        }
        assert_eq!(breaker.snapshot().trials_in_flight, 3);
        let error = succeed(&layer).await.unwrap_err();
        assert_eq!(refused(&error).retry_after(), Some(Duration::from_secs(1)), "in a while");
        drop(trials);
        assert_eq!(breaker.snapshot().trials_in_flight, 0);
        let mut unpolled = service.clone();
        let future = unpolled.ready().await.unwrap().call(());
        assert_eq!(breaker.snapshot().trials_in_flight, 1, "polled: {polled}");
        drop(future);
        assert_eq!(breaker.snapshot().trials_in_flight, 0);
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen, "they count neither way");
    for _ in 0..3 {
        succeed(&layer).await.unwrap();
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn trap_a_trial_that_never_answers_is_waited_for_so_long_and_no_longer() {
    let (layer, breaker) = layer(config().with_half_open_max_wait(Duration::from_secs(4)));
    open(&layer).await;
    advance(Duration::from_secs(1)).await;
    let mut trials: Vec<_> =
        (0..3).map(|_| task::spawn(layer.layer(service_fn(hangs)).oneshot(()))).collect();
    for trial in &mut trials {
        assert_pending!(trial.poll());
    }
    advance(Duration::from_millis(3999)).await;
    succeed(&layer).await.unwrap_err();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    advance(Duration::from_millis(1)).await;
    let error = succeed(&layer).await.unwrap_err();
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(refused(&error).retry_after(), Some(Duration::from_secs(2)), "twice as long");
    // The next trials are not held up by the old ones, nor by their end.
    advance(Duration::from_secs(2)).await;
    succeed(&layer).await.unwrap();
    drop(trials);
    assert_eq!(breaker.snapshot().trials_in_flight, 0);
    succeed(&layer).await.unwrap();
    succeed(&layer).await.unwrap();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn trials_that_no_one_waits_for_do_not_reopen() {
    let (layer, breaker) = layer(config());
    open(&layer).await;
    advance(Duration::from_secs(1)).await;
    // A call every half an hour: each is as good a trial as any.
    for _ in 0..3 {
        succeed(&layer).await.unwrap();
        advance(Duration::from_secs(1800)).await;
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn trap_calls_from_before_the_opening_count_nowhere_and_free_nothing() {
    let (layer, breaker) = layer(config());
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<(), &'static str>| layer.layer(mock));
    handle.allow(10);
    let mut old = vec![];
    for _ in 0..4 {
        assert_ready_ok!(service.poll_ready());
        let mut call = task::spawn(service.call(()));
        assert_pending!(call.poll());
        old.push((call, assert_ready!(task::spawn(handle.next_request()).poll()).unwrap().1));
    }
    open(&layer).await;
    advance(Duration::from_secs(1)).await;
    let mut trials: Vec<_> =
        (0..3).map(|_| task::spawn(layer.layer(service_fn(hangs)).oneshot(()))).collect();
    for trial in &mut trials {
        assert_pending!(trial.poll());
    }
    // Old successes do not close, old failures do not re-open, old drops free no place.
    for (at, (mut call, respond)) in old.into_iter().enumerate() {
        match at {
            0 => respond.send_error("late"),
            1 => drop(respond),
            _ => respond.send_response("late"),
        }
        if at < 3 {
            assert!(call.poll().is_ready());
        }
        drop(call);
        let now = breaker.snapshot();
        assert_eq!((now.state, now.trials_in_flight), (BreakerState::HalfOpen, 3));
        assert!(succeed(&layer).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn trap_a_thousand_callers_at_half_open_send_three_trials() {
    let (layer, breaker) = layer(config());
    open(&layer).await;
    advance(Duration::from_secs(1)).await;
    let (at_peer, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&at_peer), Arc::clone(&most));
    let stock = layer.layer(service_fn(move |(): ()| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        pending::<Result<&'static str, BoxError>>()
    }));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (stock, runtime) = (stock.clone(), tokio::runtime::Handle::current());
            std::thread::spawn(move || {
                // Its clock is the paused one.
                let _runtime = runtime.enter();
                let mut trials = vec![];
                for _ in 0..250 {
                    let mut call = Box::pin(stock.clone().oneshot(()));
                    match call.as_mut().now_or_never() {
                        None => trials.push(call),
                        Some(answer) => {
                            assert_eq!(refused(&answer.unwrap_err()).rule(), Rule::BreakerOpen);
                        }
                    }
                }
                trials
            })
        })
        .collect();
    let trials: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!((trials.len(), most.load(Ordering::SeqCst)), (3, 3));
    assert_eq!(breaker.snapshot().trials_in_flight, 3);
}

#[tokio::test(start_paused = true)]
async fn trap_a_service_that_is_ready_only_once_per_clone() {
    let (layer, breaker) = layer(config());
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<(), &'static str>| layer.layer(mock));
    // Not ready: no call, and the clone has to ask for itself (the mock panics otherwise).
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    // The mock panics if a clone is called that was not asked itself.
    let mut clone = service.clone();
    assert_ready_ok!(clone.poll_ready());
    let mut call = task::spawn(service.call(()));
    assert_pending!(call.poll());
    assert_ready!(task::spawn(handle.next_request()).poll()).unwrap().1.send_response("yes");
    assert_eq!(assert_ready_ok!(call.poll()), "yes");
    // An open breaker does not wait for a service that is not ready, and does not call it.
    breaker.set_mode(BreakerMode::ForcedOpen);
    assert_ready_ok!(service.poll_ready());
    // Not even if it closes between the two.
    breaker.set_mode(BreakerMode::Automatic);
    let mut call = task::spawn(service.call(()));
    assert_eq!(refused(&assert_ready_err!(call.poll())).rule(), Rule::BreakerOpen);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    // Nor does a clone take for its own what the other was told.
    let mut clone = service.clone();
    breaker.set_mode(BreakerMode::ForcedOpen);
    assert_ready_ok!(clone.poll_ready());
    breaker.set_mode(BreakerMode::Automatic);
    assert_ready_err!(task::spawn(clone.call(())).poll());
    // What is ready stays so while calls are refused.
    breaker.set_mode(BreakerMode::ForcedOpen);
    assert_ready_err!(task::spawn(service.call(())).poll());
    breaker.set_mode(BreakerMode::Automatic);
    assert_ready_ok!(service.poll_ready());
    assert_pending!(task::spawn(service.call(())).poll());
}

#[tokio::test]
async fn a_caller_that_does_not_ask_is_the_inner_service_s_business() {
    let (layer, breaker) = layer(config());
    let mut stock = layer.layer(service_fn(async |(): ()| Ok::<_, BoxError>("yes")));
    assert_eq!(stock.call(()).await.unwrap(), "yes");
    breaker.set_mode(BreakerMode::ForcedOpen);
    assert_eq!(refused(&stock.call(()).await.unwrap_err()).rule(), Rule::BreakerOpen);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_even_if_their_callers_gave_up() {
    let config =
        BreakerConfig::new().with_min_calls(4).with_slow_calls(Duration::from_millis(100), 0.5);
    let (layer, breaker) = layer(config);
    let stock = layer.layer(service_fn(|wait: u64| async move {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok::<_, BoxError>("yes")
    }));
    for wait in [10, 100, 101] {
        stock.clone().oneshot(wait).await.unwrap();
    }
    let now = breaker.snapshot();
    assert_eq!((now.calls, now.slow, now.failed), (3, 1, 0));
    // Given up early: nothing. Given up late: slow, and that makes two of four.
    for (patience, state) in [(50, BreakerState::Closed), (150, BreakerState::Open)] {
        let call = stock.clone().oneshot(10_000);
        let patience = Duration::from_millis(patience);
        assert!(tokio::time::timeout(patience, call).await.is_err());
        assert_eq!(breaker.state(), state);
    }
}

#[tokio::test]
async fn what_another_guard_refused_says_nothing_of_the_peer() {
    let refuses = |rule| Refused::new(rule, "stock");
    for (rule, failed) in [
        (Rule::BulkheadFull, 0),
        (Rule::RateLimited, 0),
        (Rule::DeadlineExceeded, 0),
        (Rule::TimedOut, 1),
    ] {
        let (layer, breaker) = layer(config());
        let inner = service_fn(move |(): ()| ready(Err::<&str, BoxError>(refuses(rule).into())));
        layer.layer(inner).oneshot(()).await.unwrap_err();
        assert_eq!(breaker.snapshot().failed, failed, "{rule:?}");
        // And the same through an error type of its own.
        let classifier = Classifier::new().with_error::<GuardError<io::Error>>();
        let layer = BreakerLayer::new("stock", config()).unwrap().with_classifier(classifier);
        let inner = service_fn(move |_: Request<()>| {
            ready(Err::<Response<Full<Bytes>>, _>(GuardError::<io::Error>::from(refuses(rule))))
        });
        let error = layer.layer(inner).oneshot(Request::new(())).await.unwrap_err();
        assert_eq!(error.refused().map(Refused::rule), Some(rule));
        assert_eq!(layer.handle().snapshot().failed, failed, "{rule:?}");
    }
}

#[tokio::test]
async fn a_foreign_error_is_told_from_a_refusal() {
    let layer = BreakerLayer::new("stock", config()).unwrap().with_calls(AnyCalls::new());
    let fails = service_fn(async |(): ()| Err::<(), _>(io::Error::other("broken")));
    let mut stock = layer.layer(GuardErrorLayer.layer(fails));
    let error = stock.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(error.to_string(), "broken");
    assert_eq!(error.into_inner().unwrap().kind(), io::ErrorKind::Other);
    layer.handle().set_mode(BreakerMode::ForcedOpen);
    let error = stock.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(error.to_string(), "call to stock refused: its circuit breaker is open");
    assert_eq!(error.refused().and_then(Refused::retry_after), None, "nobody knows how long");
}

#[tokio::test]
async fn an_inner_service_that_panics_leaves_no_trial_behind() {
    let (layer, breaker) = layer(config().with_consecutive_failures(1, Duration::ZERO));
    tokio::time::pause();
    open(&layer).await;
    advance(Duration::from_secs(1)).await;
    struct Panics;
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
    let mut service = layer.layer(Panics);
    service.ready().await.unwrap();
    let call = std::panic::AssertUnwindSafe(|| drop(service.call(())));
    assert!(std::panic::catch_unwind(call).is_err());
    let now = breaker.snapshot();
    // The trial failed, as one does whose future panics.
    assert_eq!((now.state, now.trials_in_flight), (BreakerState::Open, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_does_not_reach_the_peer() {
    let (layer, _) = layer(config());
    open(&layer).await;
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let stock = layer.layer(service_fn(move |(): ()| {
        count.fetch_add(1, Ordering::SeqCst);
        ready(Ok::<_, BoxError>("yes"))
    }));
    let mut call = pin!(stock.oneshot(()));
    assert!(call.as_mut().await.is_err());
    assert_eq!(called.load(Ordering::SeqCst), 0);
}
