//! Deadlines and timeouts: what is begun, what is broken off, and what is left behind.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use meshwise_core::{Deadline, internal::Limits};
use meshwise_resilience::{
    AnyCalls, BreakerConfig, BreakerLayer, DeadlineConfig, DeadlineLayer, PeerConfig, PeerLayer,
    Refused, ReplayBody, Rule, TimeoutLayer,
};
use std::{
    cell::Cell,
    error::Error,
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type BoxError = Box<dyn Error + Send + Sync>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn current_deadline() -> Option<Deadline> {
    Limits::current().and_then(|limits| limits.end()).map(Deadline::at)
}

fn rule(error: &BoxError) -> Rule {
    error.downcast_ref::<Refused>().expect("a refusal").rule()
}

fn timeout(millis: u64) -> TimeoutLayer {
    TimeoutLayer::new("stock", ms(millis)).unwrap()
}

/// Never answers; each call in flight holds a clone of the `Arc`.
fn hang(held: &Arc<()>) -> impl Service<(), Response = (), Error = BoxError> + Clone + use<> {
    let held = Arc::clone(held);
    service_fn(move |(): ()| {
        let held = Arc::clone(&held);
        async move {
            pending::<()>().await;
            drop(held);
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_broken_off_at_its_limit_and_its_future_dropped() {
    let held = Arc::new(());
    let mut service = timeout(100).layer(hang(&held));
    let idle = Arc::strong_count(&held);
    let mut call = task::spawn(service.ready().await.unwrap().call(()));
    assert_pending!(call.poll());
    advance(ms(99)).await;
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&held), idle + 1);
    advance(ms(2)).await;
    assert!(call.is_woken(), "by the timer");
    let error = assert_ready_err!(call.poll());
    assert_eq!(rule(&error), Rule::TimedOut);
    assert_eq!(Arc::strong_count(&held), idle, "gone though the outer future still stands");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_time_passes_untouched() {
    let (mut service, mut handle) = mock::spawn_layer::<(), u8, _>(timeout(100));
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(()));
    assert_pending!(call.poll());
    let (_, respond) = handle.next_request().await.unwrap();
    advance(ms(99)).await;
    respond.send_response(7);
    assert_eq!(assert_ready_ok!(call.poll()), 7);

    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(()));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_error("broken");
    assert_eq!(assert_ready_err!(call.poll()).to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn a_service_ready_only_once_per_clone_is_asked_before_each_call() {
    let (mut service, mut handle) = mock::spawn_layer::<(), (), _>(timeout(100));
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let _call = service.call(());
    assert_pending!(service.poll_ready(), "readiness is not kept beyond a call");
    let mut clone = service.clone();
    assert_pending!(clone.poll_ready(), "nor shared with a clone");
}

#[tokio::test(start_paused = true)]
async fn an_inner_future_that_spends_tokio_s_budget_cannot_hold_up_the_timer() {
    // Never waits for anything but the next share of the budget.
    let greedy = service_fn(|(): ()| async {
        loop {
            tokio::task::coop::consume_budget().await;
        }
        #[allow(unreachable_code, reason = "says what the service would return")]
        Ok::<(), BoxError>(())
    });
    let call = timeout(5).layer(greedy).oneshot(());
    let driver = async {
        for _ in 0..50 {
            advance(ms(1)).await;
        }
    };
    tokio::select! {
        result = call => assert_eq!(rule(&result.unwrap_err()), Rule::TimedOut),
        () = driver => panic!("the timer was never seen"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_can_be_changed_and_taken_away_at_run_time() {
    let layer = timeout(100);
    let handle = layer.handle();
    let call = || layer.layer(service_fn(|(): ()| pending::<Result<(), BoxError>>())).oneshot(());
    handle.set_limit(Some(ms(10))).unwrap();
    let start = Instant::now();
    call().await.unwrap_err();
    assert!((ms(10)..ms(20)).contains(&start.elapsed()));
    handle.set_limit(None).unwrap();
    assert!(tokio::time::timeout(ms(100_000), call()).await.is_err(), "no limit");
    let error = handle.set_limit(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout.limit is 0ns: set it to at least 1ms and at most 365 days"
    );
    assert_eq!((handle.peer(), handle.limit()), ("stock", None));
    assert!(TimeoutLayer::new("stock", Duration::MAX).is_err());
    let config = DeadlineConfig::new().with_total(Duration::from_nanos(1));
    assert_eq!(DeadlineLayer::new("stock", config).unwrap_err().setting(), "deadline.total");
}

/// Answers with a body whose frames come `gap` apart.
async fn slow_body(
    frames: usize,
    gap: Duration,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = BoxError>>, BoxError> {
    let frames = stream::iter(0..frames).then(move |_| async move {
        tokio::time::sleep(gap).await;
        Ok(Frame::data(Bytes::from_static(b"x")))
    });
    Ok(Response::new(StreamBody::new(frames)))
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_body_unless_told_otherwise() {
    let config = DeadlineConfig::new().with_total(ms(250));
    let whole = DeadlineLayer::new("stock", config).unwrap();
    let head = DeadlineLayer::new("stock", config.until_head()).unwrap();
    let service = service_fn(|_: Request<()>| slow_body(4, ms(100)));

    let start = Instant::now();
    let response = whole.layer(service).oneshot(Request::new(())).await.unwrap();
    let mut body = Box::pin(response.into_body());
    for _ in 0..2 {
        assert!(body.frame().await.unwrap().is_ok());
    }
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(rule(&error), Rule::TimedOut);
    assert!((ms(250)..ms(260)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(body.frame().await.is_none(), "a body that broke off has ended");

    let response = head.layer(service).oneshot(Request::new(())).await.unwrap();
    assert_eq!(Box::pin(response.into_body()).collect().await.unwrap().to_bytes(), "xxxx");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_s_timeout_covers_the_body_on_demand() {
    let service = service_fn(|_: Request<()>| slow_body(4, ms(100)));
    let response = timeout(250).layer(service).oneshot(Request::new(())).await.unwrap();
    assert!(Box::pin(response.into_body()).collect().await.is_ok());
    let whole = timeout(250).covering_body();
    let response = whole.layer(service).oneshot(Request::new(())).await.unwrap();
    let error = Box::pin(response.into_body()).collect().await.unwrap_err();
    assert_eq!(rule(&error), Rule::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_around_limits_the_calls_of_a_guarded_client_to_their_heads() {
    let breaker = BreakerLayer::new("stock", BreakerConfig::new()).unwrap();
    let peer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let stock = timeout(250).layer(breaker.layer(peer.layer(service_fn(
        move |request: Request<ReplayBody<Empty<Bytes>>>| {
            seen.fetch_add(1, SeqCst);
            async move {
                if request.uri().path() == "/hangs" {
                    pending::<()>().await;
                }
                slow_body(4, ms(100)).await
            }
        },
    ))));
    let request = |path: &str| Request::get(path).body(Empty::<Bytes>::new()).unwrap();
    let response = stock.clone().oneshot(request("/")).await.unwrap();
    assert_eq!(Box::pin(response.into_body()).collect().await.unwrap().to_bytes(), "xxxx");
    let seen = breaker.handle().snapshot();
    assert_eq!((seen.calls, seen.failed), (1, 0));

    let start = Instant::now();
    assert_eq!(rule(&stock.oneshot(request("/hangs")).await.unwrap_err()), Rule::TimedOut);
    assert!((ms(250)..ms(260)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(calls.load(SeqCst), 2, "it is not tried again past that limit");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_hangs_counts_alike_in_a_fused_stack_and_in_one_made_by_hand() {
    let hangs = || {
        let frames = stream::pending::<Result<Frame<Bytes>, BoxError>>();
        ready(Ok::<_, BoxError>(Response::new(StreamBody::new(frames))))
    };
    let request = || Request::new(Empty::<Bytes>::new());
    let peer = PeerLayer::new("stock", PeerConfig::new().with_total(ms(500))).unwrap();
    let stock = peer.layer(service_fn(move |_: Request<ReplayBody<_>>| hangs()));
    stock.oneshot(request()).await.unwrap().into_body().collect().await.unwrap_err();
    let fused = peer.handle().breaker().unwrap().snapshot();
    assert_eq!((fused.calls, fused.failed), (1, 1));

    let breaker = BreakerLayer::new("stock", BreakerConfig::new()).unwrap();
    let stock = breaker.layer(service_fn(move |_: Request<Empty<Bytes>>| hangs()));
    let deadline = DeadlineLayer::new("stock", DeadlineConfig::new().with_total(ms(500))).unwrap();
    let within = deadline.layer(stock.clone()).oneshot(request()).await.unwrap();
    within.into_body().collect().await.unwrap_err();
    let covering = timeout(500).covering_body().layer(stock);
    let within = covering.oneshot(request()).await.unwrap();
    within.into_body().collect().await.unwrap_err();
    let by_hand = breaker.handle().snapshot();
    assert_eq!((by_hand.calls, by_hand.failed), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_always_has_more_does_not_outrun_its_deadline() {
    let service = service_fn(|_: Request<()>| async {
        let frames =
            stream::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"x"))));
        Ok::<_, BoxError>(Response::new(StreamBody::new(frames)))
    });
    let config = DeadlineConfig::new().with_total(ms(250));
    let layer = DeadlineLayer::new("stock", config).unwrap();
    let body = layer.layer(service).oneshot(Request::new(())).await.unwrap().into_body();
    let mut body = Box::pin(body);
    assert!(body.frame().await.unwrap().is_ok());
    advance(ms(251)).await;
    assert_eq!(rule(&body.frame().await.unwrap().unwrap_err()), Rule::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_call_past_its_deadline_is_not_begun() {
    thread_local!(static INCOMING: Cell<Option<Deadline>> = const { Cell::new(None) });

    let config = DeadlineConfig::new().with_total(ms(1000)).with_incoming(|| INCOMING.get());
    let layer = DeadlineLayer::new("stock", config).unwrap();
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<Request<()>, Response<Empty<Bytes>>>| layer.layer(mock));

    // By its extension, by the incoming call, and by an enclosing deadline that only just passed.
    advance(ms(10)).await;
    let mut request = Request::new(());
    request.extensions_mut().insert(Deadline::at(now() - ms(1)));
    assert_ready_ok!(service.poll_ready());
    let error = service.call(request).await.unwrap_err();
    assert_eq!(rule(&error), Rule::DeadlineExceeded);

    INCOMING.set(Some(Deadline::at(now())));
    assert_ready_ok!(service.poll_ready());
    let error = service.call(Request::new(())).await.unwrap_err();
    assert_eq!(rule(&error), Rule::DeadlineExceeded);
    assert!(handle.next_request().now_or_never().is_none(), "nothing was sent");

    // One that is still to come is, and the earliest counts.
    INCOMING.set(Some(Deadline::after(now(), ms(30))));
    let mut request = Request::new(());
    request.extensions_mut().insert(Deadline::after(now(), ms(20)));
    let start = Instant::now();
    assert_ready_ok!(service.poll_ready());
    let error = service.call(request).await.unwrap_err();
    assert_eq!(rule(&error), Rule::TimedOut);
    assert!((ms(20)..ms(25)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(handle.next_request().now_or_never().is_some());
    INCOMING.set(None);
}

#[tokio::test(start_paused = true)]
async fn layers_within_see_the_deadline_and_no_others_do() {
    let seen = service_fn(|_: Request<()>| {
        let at_call = current_deadline();
        async move {
            tokio::task::yield_now().await;
            assert_eq!(current_deadline(), at_call, "polled as called");
            Ok::<_, BoxError>(at_call)
        }
    });
    let total = |millis| {
        let config = DeadlineConfig::new().with_total(ms(millis));
        DeadlineLayer::new("stock", config).unwrap().with_calls(AnyCalls::new())
    };
    let inner = total(500).layer(seen);
    let outer = total(200).layer(inner.clone());
    let call = |service: tower::util::BoxCloneService<_, _, _>| service.oneshot(Request::new(()));
    let after = |millis| Some(Deadline::after(now(), ms(millis)));
    assert_eq!(call(inner.clone().boxed_clone()).await.unwrap(), after(500));
    assert_eq!(
        call(outer.boxed_clone()).await.unwrap(),
        after(200),
        "the enclosing one is earlier"
    );
    assert_eq!(current_deadline(), None);

    // Two calls polled by turns on one thread do not see each other's.
    let other = total(300).layer(inner.clone());
    let (a, b) = tokio::join!(call(inner.boxed_clone()), call(other.boxed_clone()));
    assert_eq!((a.unwrap(), b.unwrap()), (after(500), after(300)));
}

#[tokio::test(start_paused = true)]
async fn deadlines_in_headers_count_as_the_extension_does() {
    let layer = DeadlineLayer::new("stock", DeadlineConfig::new()).unwrap();
    let grpc = ("content-type", "application/grpc");
    for (headers, limit) in [
        (vec![("x-request-timeout-ms", "300")], Some(300)),
        (vec![grpc, ("grpc-timeout", "300m")], Some(300)),
        (vec![grpc, ("grpc-timeout", "300m"), ("x-request-timeout-ms", "200")], Some(200)),
        (vec![("grpc-timeout", "300m")], None),
        (vec![("x-request-timeout-ms", "soon")], None),
        (vec![grpc, ("grpc-timeout", "5x")], None),
    ] {
        let mut request = Request::new(());
        for (name, value) in &headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let hangs =
            service_fn(|_: Request<()>| pending::<Result<Response<Empty<Bytes>>, BoxError>>());
        let start = Instant::now();
        let call = layer.layer(hangs).oneshot(request);
        let ended = tokio::time::timeout(ms(10_000), call).await;
        let took = ended.is_ok().then(|| start.elapsed().as_millis());
        assert_eq!(took.map(|took| took / 10 * 10), limit, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_limit_a_call_may_take_for_ever() {
    let layer = DeadlineLayer::new("stock", DeadlineConfig::new()).unwrap();
    let service = service_fn(|_: Request<()>| slow_body(2, ms(100_000_000)));
    let response = layer.layer(service).oneshot(Request::new(())).await.unwrap();
    assert!(Box::pin(response.into_body()).collect().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_at_any_await_point_leaves_nothing_behind() {
    let held = Arc::new(());
    let config = DeadlineConfig::new().with_total(ms(1000));
    let outer = DeadlineLayer::new("stock", config).unwrap().with_calls(AnyCalls::new());
    let mut service = outer.layer(timeout(100).layer(hang(&held)));
    let idle = Arc::strong_count(&held);
    // Before the first poll, and after it, when the timer is set.
    for polls in 0..3 {
        let mut call = task::spawn(service.ready().await.unwrap().call(()));
        for _ in 0..polls {
            assert_pending!(call.poll());
        }
        assert_eq!(Arc::strong_count(&held), idle + 1);
        drop(call);
        assert_eq!(Arc::strong_count(&held), idle);
        assert_eq!(current_deadline(), None);
    }
}

/// A process that stood still (a handler that blocks, a quota of the processor, SIGSTOP) finds its timers over
/// before it has read what came meanwhile.
#[tokio::test(start_paused = true)]
async fn a_timer_that_fires_late_leaves_time_to_read_what_has_come() {
    for answers in [true, false] {
        let (mut service, mut handle) = mock::spawn_layer::<(), u8, _>(timeout(100));
        assert_ready_ok!(service.poll_ready());
        let mut call = task::spawn(service.call(()));
        assert_pending!(call.poll());
        let (_, respond) = handle.next_request().await.unwrap();
        advance(ms(3_400)).await;
        assert!(call.is_woken());
        assert_pending!(call.poll());
        if answers {
            respond.send_response(7);
            assert_eq!(assert_ready_ok!(call.poll()), 7);
        } else {
            advance(ms(49)).await;
            assert_pending!(call.poll());
            // Late or not, it is over now.
            advance(ms(500)).await;
            assert_eq!(rule(&assert_ready_err!(call.poll())), Rule::TimedOut);
            drop(respond);
        }
    }
}
