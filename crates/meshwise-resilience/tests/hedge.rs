//! Which calls are made twice at a time, who wins, and what becomes of the other.

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture, stream};
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use meshwise_core::Attempt;
use meshwise_resilience::{
    AnyRetries, HedgeConfig, HedgeLayer, Idempotent, ReplayBody, RetryBudget, RetryConfig,
    RetryLayer,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{
    error::Error,
    future::{pending, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type BoxError = Box<dyn Error + Send + Sync>;
type Sent = Request<ReplayBody<Full<Bytes>>>;
type Answer = Result<Response<Full<Bytes>>, BoxError>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn layer() -> HedgeLayer {
    let config = HedgeConfig::new(RetryBudget::default()).with_waits(ms(2), ms(50));
    HedgeLayer::new("stock", config).unwrap()
}

fn request(method: Method) -> Request<Full<Bytes>> {
    Request::builder().method(method).body(Full::from("x")).unwrap()
}

fn answer(status: u16, text: &'static str) -> Answer {
    Ok(Response::builder().status(status).body(Full::from(text)).unwrap())
}

/// Answers by the number of the attempt; counts the attempts, and those in flight.
fn stock(
    answers: fn(u32) -> BoxFuture<'static, Answer>,
) -> (
    impl Service<Sent, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send> + Clone,
    Arc<AtomicU32>,
    Arc<()>,
) {
    let (calls, held) = (Arc::new(AtomicU32::new(0)), Arc::new(()));
    let (counted, mine) = (Arc::clone(&calls), Arc::clone(&held));
    let service = service_fn(move |_: Sent| {
        let n = counted.fetch_add(1, SeqCst);
        let in_flight = Arc::clone(&mine);
        async move {
            let answer = answers(n).await;
            drop(in_flight);
            answer
        }
    });
    (service, calls, held)
}

fn hang() -> BoxFuture<'static, Answer> {
    pending().boxed()
}

fn after(millis: u64, answer: Answer) -> BoxFuture<'static, Answer> {
    async move {
        sleep(ms(millis)).await;
        answer
    }
    .boxed()
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_made_twice_and_the_first_good_answer_wins() {
    let (stock, calls, held) =
        stock(|n| if n == 0 { hang() } else { after(5, answer(200, "two")) });
    let mut service = layer().layer(stock);
    let idle = Arc::strong_count(&held);
    let start = Instant::now();
    let mut call = task::spawn(service.ready().await.unwrap().call(request(Method::GET)));
    let response = loop {
        if let std::task::Poll::Ready(response) = call.poll() {
            break response.unwrap();
        }
        advance(ms(1)).await;
    };
    assert_eq!(response.status(), 200);
    assert!((ms(55)..ms(60)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(calls.load(SeqCst), 2);
    let left = Arc::strong_count(&held);
    assert_eq!(left, idle, "the loser is dropped though the future still stands");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_quick_is_made_once() {
    let (stock, calls, _) = stock(|_| after(40, answer(200, "one")));
    assert!(layer().layer(stock).oneshot(request(Method::GET)).await.is_ok());
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_safe_and_lies_ready_is_hedged() {
    let marked = |mut request: Request<Full<Bytes>>, mark| {
        request.extensions_mut().insert(Idempotent(mark));
        request
    };
    for (request, times) in [
        (request(Method::GET), 2),
        (request(Method::HEAD), 2),
        (request(Method::PUT), 1),
        (request(Method::DELETE), 1),
        (request(Method::POST), 1),
        (marked(request(Method::POST), true), 2),
        (marked(request(Method::GET), false), 1),
    ] {
        let (stock, calls, _) = stock(|_| after(100, answer(200, "")));
        layer().layer(stock).oneshot(request).await.unwrap();
        assert_eq!(calls.load(SeqCst), times);
    }
    // A stream cannot be read by two.
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let slow = service_fn(move |_: Request<ReplayBody<_>>| {
        counted.fetch_add(1, SeqCst);
        after(100, answer(200, ""))
    });
    let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, BoxError>>());
    layer().layer(slow).oneshot(Request::get("/").body(body).unwrap()).await.unwrap();
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_waits_for_the_other_and_a_failure_without_one_is_handed_on() {
    // The hedge fails at once: the first still answers.
    let (one, ..) = stock(|n| match n {
        0 => after(100, answer(200, "first")),
        _ => after(1, answer(503, "second")),
    });
    let service = layer().layer(one);
    assert_eq!(service.oneshot(request(Method::GET)).await.unwrap().status(), 200);
    // The first fails while the hedge is in flight.
    let (one, ..) = stock(|n| match n {
        0 => after(60, answer(503, "first")),
        _ => after(50, answer(200, "second")),
    });
    let service = layer().layer(one);
    assert_eq!(service.oneshot(request(Method::GET)).await.unwrap().status(), 200);
    // Both fail.
    let (one, ..) = stock(|n| match n {
        0 => after(60, answer(503, "first")),
        _ => after(50, Err(io::Error::other("second").into())),
    });
    let service = layer().layer(one);
    assert_eq!(service.oneshot(request(Method::GET)).await.unwrap().status(), 503);
    // The first fails before there is a hedge: that is for retries.
    let (one, calls, _) = stock(|_| after(10, answer(503, "first")));
    let service = layer().layer(one);
    assert_eq!(service.oneshot(request(Method::GET)).await.unwrap().status(), 503);
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn hedges_are_paid_from_the_retry_budget_and_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let budget = RetryBudget::ratio(0.0, 1).unwrap();
    let config = HedgeConfig::new(budget.clone()).with_waits(ms(2), ms(50));
    let layer =
        metrics::with_local_recorder(&recorder, || HedgeLayer::new("stock", config)).unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    // All at once: ten of a hundred can be hedged. Every hedge hangs, or answers at once.
    let slow = service_fn(move |request: Sent| {
        counted.fetch_add(1, SeqCst);
        match request.extensions().get::<Attempt>() {
            Some(_) if counted.load(SeqCst).is_multiple_of(2) => ready(answer(200, "")).boxed(),
            Some(_) => hang(),
            None => after(100, answer(200, "")),
        }
    });
    let service = layer.layer(slow);
    let all = (0..100).map(|_| service.clone().oneshot(request(Method::GET)));
    assert!(futures_util::future::join_all(all).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(calls.load(SeqCst), 110);
    assert_eq!((budget.available(), layer.handle().budget().available()), (0, 0));
    let mut counts: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            assert_eq!(key.key().name(), "meshwise_hedges_total");
            let result = key.key().labels().find(|label| label.key() == "result").unwrap();
            let DebugValue::Counter(count) = value else { panic!("a counter") };
            (result.value().to_owned(), count)
        })
        .collect();
    counts.sort();
    assert_eq!(counts, [("lost".to_owned(), 5), ("won".to_owned(), 5)]);
}

#[tokio::test(start_paused = true)]
async fn good_calls_pay_for_hedges_once_with_retries_or_without() {
    let echo = service_fn(async |n: u32| Ok::<_, BoxError>(n));
    let any = AnyRetries::default;
    for with_retries in [false, true] {
        let budget = RetryBudget::ratio(0.1, 0).unwrap();
        let hedge = HedgeLayer::new("stock", HedgeConfig::new(budget.clone())).unwrap();
        let hedged = hedge.with_calls(any()).layer(echo);
        let retry = RetryConfig::new().with_budget(budget.clone());
        for n in 0..1000 {
            if with_retries {
                let retry = RetryLayer::new("stock", retry.clone()).unwrap().with_calls(any());
                retry.layer(hedged.clone()).oneshot(n).await.unwrap();
            } else {
                hedged.clone().oneshot(n).await.unwrap();
            }
        }
        assert_eq!(budget.available(), 100, "{with_retries}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_follows_what_most_calls_take_and_it_can_be_switched_off() {
    let config = HedgeConfig::new(RetryBudget::default()).with_waits(ms(2), ms(1000));
    let layer = HedgeLayer::new("stock", config).unwrap();
    let handle = layer.handle();
    assert_eq!(handle.wait(), ms(1000), "nothing is known yet");
    let (stock, calls, _) = stock(|_| after(20, answer(200, "")));
    let service = layer.layer(stock);
    for _ in 0..100 {
        service.clone().oneshot(request(Method::GET)).await.unwrap();
    }
    assert!((ms(17)..ms(24)).contains(&handle.wait()), "{:?}", handle.wait());
    handle.switch(false);
    assert!(!handle.is_on());
    let before = calls.load(SeqCst);
    service.oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(calls.load(SeqCst), before + 1);
    assert_eq!(handle.peer(), "stock");
}

#[tokio::test(start_paused = true)]
async fn cancelling_at_any_await_point_loses_no_budget_and_holds_nothing() {
    // The first attempt, the hedge becoming ready, both in flight.
    for point in 0..3 {
        let budget = RetryBudget::default();
        let config = HedgeConfig::new(budget.clone()).with_waits(ms(2), ms(50));
        let layer = HedgeLayer::new("stock", config).unwrap();
        // The mock panics if it is called without having been ready; clones are not.
        let (mut service, mut handle) =
            mock::spawn_with(|mock: mock::Mock<Sent, Response<Full<Bytes>>>| layer.layer(mock));
        handle.allow(1);
        assert_ready_ok!(service.poll_ready());
        let mut call = task::spawn(service.call(request(Method::GET)));
        assert_pending!(call.poll());
        let _first = handle.next_request().await.unwrap();
        if point > 0 {
            advance(ms(51)).await;
            assert_pending!(call.poll());
            assert_eq!(budget.available(), 99);
            assert!(handle.next_request().now_or_never().is_none(), "not ready");
        }
        if point > 1 {
            handle.allow(1);
            assert!(call.is_woken());
            assert_pending!(call.poll());
            assert!(handle.next_request().await.is_some());
        }
        drop(call);
        assert_eq!(budget.available(), 100 - u64::from(point == 2), "point {point}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_service_s_calls_can_be_hedged() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let flaky = service_fn(move |n: u32| {
        let first = counted.fetch_add(1, SeqCst) == 0;
        async move {
            if first {
                pending::<()>().await;
            }
            Ok::<_, BoxError>(n)
        }
    });
    let service = layer().with_calls(AnyRetries).layer(flaky);
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
}

#[test]
fn settings_that_make_no_sense_say_what_is_allowed() {
    let new = || HedgeConfig::new(RetryBudget::default());
    let text = |config| HedgeLayer::new("stock", config).unwrap_err().to_string();
    assert_eq!(
        text(new().with_quantile(95.0)),
        "hedge.quantile is 95: set it to at least 0.5 and at most 0.999"
    );
    assert_eq!(
        text(new().with_waits(ms(10), ms(5))),
        "hedge.most_wait is 5ms: set it to at least 10ms and at most 365 days"
    );
}
