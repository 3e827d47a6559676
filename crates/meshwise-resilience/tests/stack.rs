//! The guards of a peer together: who does what when the peer is well, slow or dead.

use bytes::Bytes;
use futures_util::{future::join_all, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use meshwise_core::{Classifier, Deadline};
use meshwise_resilience::{
    Backoff, BreakerConfig, BreakerMode, BreakerState, BulkheadConfig, ConfigError, DeadlineConfig,
    GuardError, GuardErrorLayer, Guards, PeerConfig, PeerHandle, PeerLayer, PeerService,
    PeerSnapshot, RateConfig, Refused, ReplayBody, RetryConfig, RouteConfig, Rule,
};
use std::{
    error::Error,
    future::{pending, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};
use tower_test::mock;

type BoxError = Box<dyn Error + Send + Sync>;
type Sent = Request<ReplayBody<Empty<Bytes>>>;
type Answer = Result<Response<Full<Bytes>>, BoxError>;
type Transport = BoxCloneService<Sent, Response<Full<Bytes>>, BoxError>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn get() -> Request<Empty<Bytes>> {
    Request::get("/").body(Empty::new()).unwrap()
}

fn status(status: u16) -> Answer {
    Ok(Response::builder().status(status).body(Full::default()).unwrap())
}

fn rule(answer: Result<impl Sized, BoxError>) -> Option<Rule> {
    answer.err().map(|error| error.downcast_ref::<Refused>().expect("a refusal").rule())
}

/// A peer whose calls are counted.
fn stock(
    config: PeerConfig,
    answer: impl Fn(u32) -> futures_util::future::BoxFuture<'static, Answer> + Clone + Send + 'static,
) -> (PeerService<Transport>, PeerHandle, Arc<AtomicU32>) {
    let layer = PeerLayer::new("stock", config).unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let transport = service_fn(move |_: Sent| answer(counted.fetch_add(1, SeqCst)));
    (layer.layer(BoxCloneService::new(transport)), layer.handle(), calls)
}

fn breaker(least: u32) -> BreakerConfig {
    BreakerConfig::new().with_min_calls(least)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_opens_the_breaker_and_its_callers_go_free() {
    let config =
        PeerConfig::new().with_total(ms(1000)).with_timeout(ms(200)).with_breaker(breaker(4));
    let (service, handle, calls) = stock(config, |_| Box::pin(pending()));
    let start = Instant::now();
    assert_eq!(rule(service.clone().oneshot(get()).await), Some(Rule::TimedOut));
    assert_eq!(calls.load(SeqCst), 3);
    // The fourth attempt is one too many.
    assert_eq!(rule(service.clone().oneshot(get()).await), Some(Rule::BreakerOpen));
    assert_eq!(handle.breaker().unwrap().snapshot().state, BreakerState::Open);
    assert_eq!(calls.load(SeqCst), 4, "an open breaker is not retried");
    let waited = start.elapsed();
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::BreakerOpen));
    assert_eq!(start.elapsed(), waited, "refused at once");
}

#[tokio::test(start_paused = true)]
async fn a_total_of_our_own_tells_the_breaker_and_the_deadline_of_a_hurried_caller_does_not() {
    let config = || PeerConfig::new().without_timeout().with_breaker(breaker(2));
    let open =
        |handle: &PeerHandle| handle.breaker().unwrap().snapshot().state == BreakerState::Open;
    let (service, handle, _) = stock(config().with_total(ms(100)), |_| Box::pin(pending()));
    for _ in 0..2 {
        assert_eq!(rule(service.clone().oneshot(get()).await), Some(Rule::TimedOut));
    }
    assert!(open(&handle));

    let (service, handle, calls) = stock(config(), |_| Box::pin(pending()));
    for _ in 0..5 {
        let mut hurried = get();
        hurried.extensions_mut().insert(Deadline::after(Instant::now().into_std(), ms(1)));
        assert_eq!(rule(service.clone().oneshot(hurried).await), Some(Rule::TimedOut));
    }
    assert_eq!(calls.load(SeqCst), 5);
    assert!(!open(&handle), "a healthy peer is not blamed for a caller in a hurry");
}

#[tokio::test(start_paused = true)]
async fn time_spent_in_our_own_queue_is_not_the_peer_s() {
    let config = PeerConfig::new()
        .with_total(ms(10_000))
        .with_timeout(ms(100))
        .without_retry()
        .with_breaker(breaker(2))
        .with_bulkhead(BulkheadConfig::new().with_limit(1).with_queue(10, ms(5000)));
    // One long call holds the only place, and answers well in the end.
    let (service, handle, calls) = stock(config, |_| Box::pin(pending()));
    handle.timeout().unwrap().set_limit(None).unwrap();
    let mut long = task::spawn(service.clone().oneshot(get()));
    assert_pending!(long.poll());
    handle.timeout().unwrap().set_limit(Some(ms(100))).unwrap();
    let queued = join_all((0..5).map(|_| service.clone().oneshot(get()))).await;
    assert!(queued.into_iter().all(|answer| rule(answer) == Some(Rule::TimedOut)));
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(handle.breaker().unwrap().snapshot().state, BreakerState::Closed);
    assert_eq!(handle.bulkhead().unwrap().snapshot().waiting, 0, "nobody is left in the queue");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_outlasts_the_total_is_a_failure_too() {
    let layer =
        PeerLayer::new("stock", PeerConfig::new().with_total(ms(100)).with_breaker(breaker(1)))
            .unwrap();
    let transport = service_fn(|_: Sent| {
        let body = stream::pending::<Result<Frame<Bytes>, BoxError>>();
        ready(Ok::<_, BoxError>(Response::new(StreamBody::new(body))))
    });
    let response = layer.layer(transport).oneshot(get()).await.unwrap();
    let bulkhead = layer.handle().bulkhead().unwrap().clone();
    assert_eq!(bulkhead.snapshot().in_use, 1);
    let mut body = Box::pin(response.into_body());
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(rule(Err::<(), _>(error)), Some(Rule::TimedOut));
    assert_eq!(bulkhead.snapshot().in_use, 0, "free at once, though the body is still held");
    let breaker = layer.handle().breaker().unwrap().clone();
    assert_eq!(breaker.snapshot().state, BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_one_call_for_the_guards_within() {
    let config = PeerConfig::new();
    let (service, handle, calls) =
        stock(config, |n| Box::pin(ready(status(if n == 0 { 503 } else { 200 }))));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(Box::pin(response.into_body()).collect().await.is_ok());
    assert_eq!(calls.load(SeqCst), 2);
    let snapshot = handle.breaker().unwrap().snapshot();
    assert_eq!((snapshot.calls, snapshot.failed), (2, 1));
    assert_eq!(handle.retry().unwrap().budget().available(), 99);
    assert_eq!(handle.bulkhead().unwrap().snapshot().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn every_guard_can_be_left_out() {
    let bare = || {
        PeerConfig::new()
            .without_total()
            .without_retry()
            .without_timeout()
            .without_breaker()
            .without_bulkhead()
    };
    let (service, handle, calls) = stock(bare(), |_| Box::pin(ready(status(503))));
    for _ in 0..100 {
        assert_eq!(service.clone().oneshot(get()).await.unwrap().status(), 503);
    }
    assert_eq!(calls.load(SeqCst), 100);
    assert!(handle.breaker().is_none() && handle.bulkhead().is_none());
    assert_eq!(
        (handle.deadline().unwrap().limit(), handle.timeout().unwrap().limit()),
        (None, None)
    );
    assert_eq!(
        (handle.retry().unwrap().attempts(), handle.rate_limit().unwrap().config()),
        (1, None)
    );
    assert_eq!(handle.peer(), "stock");
    let (service, ..) = stock(bare(), |_| Box::pin(pending()));
    assert!(tokio::time::timeout(ms(1_000_000), service.oneshot(get())).await.is_err());

    // And each alone does its own.
    let dead = |_| -> futures_util::future::BoxFuture<'static, Answer> { Box::pin(pending()) };
    let failing =
        |_| -> futures_util::future::BoxFuture<'static, Answer> { Box::pin(ready(status(503))) };
    let (service, ..) = stock(bare().with_total(ms(100)), dead);
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::TimedOut));
    let (service, ..) = stock(bare().with_timeout(ms(100)), dead);
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::TimedOut));
    let (service, _, calls) = stock(bare().with_retry(RetryConfig::new()), failing);
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 503);
    assert_eq!(calls.load(SeqCst), 3);
    let (service, ..) = stock(bare().with_breaker(breaker(1)), failing);
    assert!(service.clone().oneshot(get()).await.is_ok());
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::BreakerOpen));
    let one = BulkheadConfig::new().with_limit(1).without_queue();
    let (service, ..) = stock(bare().with_bulkhead(one), dead);
    let mut first = task::spawn(service.clone().oneshot(get()));
    assert_pending!(first.poll());
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::BulkheadFull));
    let rate = RateConfig::new(1, ms(1000));
    let (service, ..) = stock(bare().with_rate_limit(rate), failing);
    assert!(service.clone().oneshot(get()).await.is_ok());
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::RateLimited));
}

#[tokio::test(start_paused = true)]
async fn clones_and_services_of_a_layer_share_state() {
    let layer = PeerLayer::new("stock", PeerConfig::new().with_breaker(breaker(2)).without_retry())
        .unwrap();
    let failing = service_fn(|_: Sent| ready(status(500)));
    let (one, two) = (layer.layer(failing), layer.clone().layer(failing));
    assert!(one.clone().oneshot(get()).await.is_ok());
    assert!(two.oneshot(get()).await.is_ok());
    assert_eq!(rule(one.oneshot(get()).await), Some(Rule::BreakerOpen));
}

#[tokio::test(start_paused = true)]
async fn other_settings_do_not_cut_a_call_off_from_the_incoming_one() {
    let deadline = || Some(Deadline::at(Instant::now().into_std() + ms(100)));
    let config = PeerConfig::new()
        .with_incoming(DeadlineConfig::new().with_incoming(deadline), || 2)
        .with_total(ms(5000))
        .with_retry(RetryConfig::new().with_attempts(3));
    let (service, _, calls) = stock(config.clone(), |_| Box::pin(ready(status(503))));
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 503);
    assert_eq!(calls.load(SeqCst), 1, "a third try has none here");
    let (service, ..) = stock(config, |_| Box::pin(pending()));
    let start = Instant::now();
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::TimedOut));
    assert!(start.elapsed() < ms(110), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_registered_peer_can_be_seen_and_turned() {
    let guards = Guards::new();
    let config = PeerConfig::new().without_bulkhead();
    let layer = guards.share("stock", config.clone(), Classifier::new()).unwrap();
    let service = layer.layer(service_fn(|_: Sent| ready(status(200))));
    guards.breaker("stock").unwrap().set_mode(BreakerMode::ForcedOpen);
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::BreakerOpen));
    assert!(guards.bulkhead("stock").is_none());
    let stock = guards.peer("stock").unwrap();
    assert_eq!(stock.retry().unwrap().attempts(), 3);
    assert_eq!(stock.deadline().unwrap().limit(), Some(ms(10_000)));

    // Another client of the same peer has the same guards, or none.
    let other = guards.share("stock", config, Classifier::new()).unwrap();
    let service = other.layer(service_fn(|_: Sent| ready(status(200))));
    assert_eq!(rule(service.oneshot(get()).await), Some(Rule::BreakerOpen));
    let unequal = PeerConfig::new().without_bulkhead().with_timeout(ms(1000));
    let error = guards.share("stock", unequal, Classifier::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout.limit is 1s, and 3s for another client of `stock`: \
         set it to the same for all clients of a peer, which share its guards"
    );
}

/// A peer whose `/own` has a breaker of its own and `/none` has none; one failure opens either.
fn with_routes() -> (PeerService<Transport>, Guards) {
    let breaker = || BreakerConfig::new().with_consecutive_failures(1, Duration::ZERO);
    let config = PeerConfig::new()
        .with_retry(RetryConfig::new().with_attempts(3))
        .with_breaker(breaker())
        .with_route("GET /own", RouteConfig::new().with_breaker(breaker()).with_attempts(1))
        .with_route("GET /none", RouteConfig::new().without_breaker().with_attempts(3));
    let layer = PeerLayer::new("stock", config).unwrap();
    let guards = Guards::new();
    guards.add(layer.handle());
    let transport = service_fn(|sent: Sent| {
        ready(status(if sent.uri().query() == Some("fail") { 503 } else { 200 }))
    });
    (layer.layer(BoxCloneService::new(transport)), guards)
}

async fn passes(service: &PeerService<Transport>, path: &str) -> bool {
    let request = Request::get(path).body(Empty::new()).unwrap();
    service.clone().oneshot(request).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_route_that_has_its_own_breaker_or_none_is_not_refused_by_the_peer_s() {
    let (service, _) = with_routes();
    passes(&service, "/?fail").await;
    assert!(!passes(&service, "/").await);
    assert!(passes(&service, "/own").await && passes(&service, "/none").await);
    assert!(passes(&service, "/own?fail").await && !passes(&service, "/own").await);
}

#[tokio::test(start_paused = true)]
async fn breakers_of_routes_are_shown_by_name_and_turned_with_the_peer_s() {
    let (service, guards) = with_routes();
    passes(&service, "/own?fail").await;
    let shown = || -> Vec<_> {
        let state = |peer: PeerSnapshot| (peer.peer, peer.breaker.unwrap().state);
        guards.snapshot().into_iter().map(state).collect()
    };
    let both = |peer, own| [("stock".to_owned(), peer), ("stock GET /own".to_owned(), own)];
    assert_eq!(shown(), both(BreakerState::Closed, BreakerState::Open));
    let breaker = guards.breaker("stock").unwrap();
    assert!(breaker.set_mode(BreakerMode::ForcedClosed));
    assert!(passes(&service, "/own?fail").await && passes(&service, "/own").await);
    breaker.set_mode(BreakerMode::ForcedOpen);
    assert_eq!(shown(), both(BreakerState::ForcedOpen, BreakerState::ForcedOpen));
    assert!(!passes(&service, "/").await && !passes(&service, "/own").await);
    breaker.reset();
    assert!(passes(&service, "/own").await);
    guards.breaker("stock GET /own").unwrap().set_mode(BreakerMode::ForcedOpen);
    assert!(passes(&service, "/").await && !passes(&service, "/own").await);
}

#[tokio::test(start_paused = true)]
async fn retries_that_are_turned_off_by_hand_are_off_for_routes_too() {
    let (service, guards) = with_routes();
    let retry = guards.peer("stock").unwrap().retry().unwrap();
    for (attempts, paid) in [(3, 2), (2, 2), (1, 0)] {
        retry.set_attempts(attempts).unwrap();
        let before = retry.budget().available();
        assert!(passes(&service, "/none?fail").await);
        assert_eq!(before - retry.budget().available(), paid);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_ready_only_once_per_clone_is_asked_before_each_attempt() {
    let layer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<Sent, Response<Full<Bytes>>>| layer.layer(mock));
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    // The mock panics when it is called before it was ready.
    let mut call = task::spawn(service.call(get()));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(503).unwrap());
    assert_pending!(call.poll());
    advance(ms(30)).await;
    assert_pending!(call.poll());
    handle.allow(1);
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(200).unwrap());
    assert_eq!(assert_ready_ok!(call.poll()).status(), 200);
    assert_pending!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn cancelling_at_any_await_point_leaves_no_permit_and_no_budget_lost() {
    let config = || {
        let retry = RetryConfig::new().with_backoff(Backoff::new(ms(50), ms(50)).without_jitter());
        PeerConfig::new()
            .with_retry(retry)
            .with_timeout(ms(100))
            .with_bulkhead(BulkheadConfig::new().with_limit(1).with_queue(1, ms(500)))
    };
    // Failing, then hanging: the attempt, the wait, the second attempt, its timeout, and so on; the
    // caller leaves after so many steps of 10 ms each.
    for steps in 0..45 {
        let (service, handle, _) = stock(config(), |n| match n {
            0 => Box::pin(async {
                tokio::time::sleep(ms(40)).await;
                status(503)
            }),
            _ => Box::pin(pending()),
        });
        let mut call = task::spawn(service.clone().oneshot(get()));
        let mut queued = task::spawn(service.clone().oneshot(get()));
        for _ in 0..steps {
            let _polled = (call.poll(), queued.poll());
            advance(ms(10)).await;
        }
        drop(queued);
        drop(call);
        let bulkhead = handle.bulkhead().unwrap().snapshot();
        assert_eq!((bulkhead.in_use, bulkhead.waiting), (0, 0), "after {steps} steps");
        let breaker = handle.breaker().unwrap();
        assert_eq!(breaker.snapshot().state, BreakerState::Closed);
        // Whoever comes next finds a place.
        let mut next = task::spawn(service.oneshot(get()));
        assert_pending!(next.poll());
        assert_eq!(handle.bulkhead().unwrap().snapshot().in_use, 1, "after {steps} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn concrete_errors_are_guarded_through_the_error_layer() {
    let classifier = Classifier::new().with_error::<GuardError<io::Error>>();
    // Twenty attempts within the second, which random waits may bring, would open a breaker.
    let config = PeerConfig::new().with_classifier(classifier).without_breaker();
    let layer = PeerLayer::new("stock", config).unwrap();
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let transport = service_fn(move |_: Sent| {
        counted.fetch_add(1, SeqCst);
        let error = io::Error::from(io::ErrorKind::ConnectionRefused);
        ready(Err::<Response<Full<Bytes>>, _>(error))
    });
    let service = layer.layer(GuardErrorLayer.layer(transport));
    let error: GuardError<io::Error> = service.oneshot(get()).await.unwrap_err();
    assert!(error.into_inner().is_some());
    // The peer never saw it: it is tried for a second, whatever the number of attempts.
    assert!((4..100).contains(&tries.load(SeqCst)), "{tries:?}");
}

#[test]
fn settings_that_make_no_sense_are_errors_that_name_them() {
    let setting = |config| {
        let error: ConfigError = PeerLayer::new("stock", config).unwrap_err();
        error.setting().to_owned()
    };
    let new = PeerConfig::new;
    assert_eq!(setting(new().with_total(Duration::ZERO)), "deadline.total");
    assert_eq!(setting(new().with_timeout(Duration::MAX)), "timeout.limit");
    assert_eq!(setting(new().with_retry(RetryConfig::new().with_attempts(0))), "retry.attempts");
    assert_eq!(setting(new().with_rate_limit(RateConfig::new(0, ms(1000)))), "rate.calls");
    let none = BulkheadConfig::new().with_limit(0);
    assert_eq!(setting(new().with_bulkhead(none)), "bulkhead.limit");
    let rate = BreakerConfig::new().with_failure_rate(50.0);
    assert_eq!(setting(new().with_breaker(rate)), "breaker.failure_rate");
}

#[test]
fn the_composed_service_is_clone_send_and_sync_when_the_inner_one_is() {
    fn check<S: Service<Request<Empty<Bytes>>, Future: Send> + Clone + Send + Sync>(_: S) {}
    let layer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    check(layer.layer(service_fn(|_: Sent| ready(status(200)))));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_streamed_is_not_boxed_and_may_be_released() {
    let held = Arc::new(());
    let mine = Arc::clone(&held);
    let body = StreamBody::new(stream::poll_fn(move |_| {
        let _held = &mine;
        Poll::<Option<Result<Frame<Bytes>, BoxError>>>::Pending
    }));
    let layer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    let service = layer.layer(service_fn(|_: Request<ReplayBody<_>>| ready(status(503))));
    let request = Request::put("/").body(body).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 503);
    assert_eq!(Arc::strong_count(&held), 1);
}
