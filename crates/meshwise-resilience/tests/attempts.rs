//! What attempts count for: those that were never sent, those that wait on this side, those whose
//! answer is read slowly; and that a call can be made anywhere.
#![cfg(not(loom))]

use bytes::Bytes;
use futures_util::{future::join_all, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use meshwise_core::Deadline;
use meshwise_resilience::{
    AdaptiveConfig, BreakerConfig, BreakerLayer, BreakerState, BulkheadConfig, BulkheadLayer,
    DeadlineConfig, HttpCalls, PeerConfig, PeerHandle, PeerLayer, RateConfig, Refused, ReplayBody,
    RetryConfig, RetryLayer,
};
use std::{
    cell::Cell,
    future::{Ready, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, advance, sleep, timeout},
};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

type Sent = Request<ReplayBody<Full<Bytes>>>;

fn post() -> Request<Full<Bytes>> {
    Request::post("/").body(Full::new(Bytes::from_static(b"once"))).unwrap()
}

/// A peer that refuses so many connections before it answers.
fn closed(
    refuses: u32,
    asked: &Arc<AtomicU32>,
) -> impl Service<Sent, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send> + Clone + use<>
{
    let asked = Arc::clone(asked);
    service_fn(move |_: Sent| {
        let refused = asked.fetch_add(1, SeqCst) < refuses;
        ready(match refused {
            true => Err(BoxError::from(io::Error::from(io::ErrorKind::ConnectionRefused))),
            false => Ok(Response::new(Full::new(Bytes::from_static(b"well")))),
        })
    })
}

fn opens_at_once() -> BreakerConfig {
    BreakerConfig::new().with_consecutive_failures(2, Duration::ZERO).with_trials(1, 1)
}

fn seen(peer: &PeerHandle) -> (u64, u64, BreakerState) {
    let seen = peer.breaker().unwrap().snapshot();
    (seen.calls, seen.failed, seen.state)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_sent_counts_once_however_often_it_is_tried() {
    let layer = PeerLayer::new("stock", PeerConfig::new().with_breaker(opens_at_once())).unwrap();
    let (peer, asked) = (layer.handle(), Arc::new(AtomicU32::new(0)));
    // A port that opens in time: the call goes well, and that is all that counts.
    let answer = layer.layer(closed(5, &asked)).oneshot(post()).await.unwrap();
    drop(answer);
    assert_eq!((asked.load(SeqCst), seen(&peer)), (6, (1, 0, BreakerState::Closed)));
    // One that stays closed: a failure a call, when its second is over.
    let start = Instant::now();
    layer.layer(closed(u32::MAX, &asked)).oneshot(post()).await.unwrap_err();
    assert!(start.elapsed() > ms(500) && asked.load(SeqCst) > 9);
    assert_eq!(seen(&peer), (2, 1, BreakerState::Closed));
    // A caller that leaves while it waits for the next attempt has seen the peer fail, too.
    let call = layer.layer(closed(u32::MAX, &asked)).oneshot(post());
    timeout(ms(300), call).await.unwrap_err();
    assert_eq!(seen(&peer).2, BreakerState::Open);
    assert_eq!(peer.breaker().unwrap().snapshot().trials_in_flight, 0);
    let held = peer.bulkhead().unwrap().snapshot();
    assert_eq!((held.in_use, held.waiting), (0, 0));
    // A trial that is not sent at first is one trial.
    sleep(Duration::from_secs(60)).await;
    layer.layer(closed(asked.load(SeqCst) + 3, &asked)).oneshot(post()).await.unwrap();
    assert_eq!(peer.breaker().unwrap().state(), BreakerState::Closed);
    assert_eq!(peer.breaker().unwrap().snapshot().trials_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn one_whose_next_attempt_is_refused_on_this_side_counts_too() {
    let once_a_second = RateConfig::new(1, Duration::from_secs(1)).with_burst(1);
    let alone = BulkheadConfig::new().with_limit(1).without_queue();
    for config in
        [PeerConfig::new().with_rate_limit(once_a_second), PeerConfig::new().with_bulkhead(alone)]
    {
        let layer = PeerLayer::new("stock", config).unwrap();
        let (peer, asked) = (layer.handle(), Arc::new(AtomicU32::new(0)));
        let call = tokio::spawn(layer.layer(closed(u32::MAX, &asked)).oneshot(post()));
        tokio::task::yield_now().await;
        // Another call has taken the only place by the time of the second attempt.
        let other =
            tokio::spawn(layer.layer(service_fn(async |_: Sent| hang().await)).oneshot(post()));
        call.await.unwrap().unwrap_err();
        assert_eq!((asked.load(SeqCst), seen(&peer)), (1, (1, 1, BreakerState::Closed)));
        other.abort();
    }
}

async fn hang() -> Result<Response<Full<Bytes>>, BoxError> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_where_the_breaker_stands_apart_from_the_retries() {
    let breaker = || BreakerLayer::new("stock", opens_at_once()).unwrap();
    let retry = || RetryLayer::new("stock", RetryConfig::new()).unwrap();
    let (layer, asked) = (breaker(), Arc::new(AtomicU32::new(0)));
    let seen = || {
        let seen = layer.handle().snapshot();
        (seen.calls, seen.failed, seen.state)
    };
    let stock = retry().layer(layer.layer(closed(5, &asked)));
    drop(stock.oneshot(post()).await.unwrap());
    assert_eq!((asked.load(SeqCst), seen()), (6, (2, 1, BreakerState::Closed)));
    let stock = retry().layer(layer.layer(closed(u32::MAX, &asked)));
    stock.oneshot(post()).await.unwrap_err();
    assert_eq!(seen(), (3, 2, BreakerState::Closed));
    // Also where a whole peer's guards do.
    let layer = PeerLayer::new("stock", PeerConfig::new().with_breaker(opens_at_once())).unwrap();
    let service = retry().layer(layer.layer(closed(u32::MAX, &asked)).map_request(|sent: Sent| {
        let (parts, _) = sent.into_parts();
        Request::from_parts(parts, Full::new(Bytes::from_static(b"once")))
    }));
    service.oneshot(post()).await.unwrap_err();
    assert_eq!(self::seen(&layer.handle()), (1, 1, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_four_fifths_of_what_is_left_to_the_incoming_call() {
    thread_local!(static LIMIT: Cell<Option<Deadline>> = const { Cell::new(None) });
    let config = PeerConfig::new()
        .with_incoming(DeadlineConfig::new().with_incoming_limit(|| LIMIT.get()), || 0)
        .without_timeout();
    let layer = PeerLayer::new("stock", config).unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let stock = layer.layer(service_fn(move |_: Sent| {
        let first = count.fetch_add(1, SeqCst) == 0;
        async move {
            sleep(if first { ms(500) } else { ms(60_000) }).await;
            let mut busy = Response::new(Full::new(Bytes::new()));
            *busy.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            Ok::<_, BoxError>(busy)
        }
    }));
    LIMIT.set(Some(Deadline::after(Instant::now().into_std(), ms(1_000))));
    let start = Instant::now();
    let call = Request::get("/").body(Full::new(Bytes::new())).unwrap();
    stock.oneshot(call).await.unwrap_err();
    // The second begins after 500 ms and up to 25 ms of backoff: 0.8 of 475 to 500 ms.
    assert_eq!(asked.load(SeqCst), 2);
    assert!((ms(899)..ms(907)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// What the peer takes for an answer, in milliseconds, which is read in three pieces.
fn peer<B: Send + 'static>(
    takes: Arc<AtomicU64>,
) -> impl Service<
    Request<B>,
    Response = Response<
        StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, BoxError>> + Send>,
    >,
    Error = BoxError,
    Future: Send,
> + Clone {
    service_fn(move |_: Request<B>| {
        let takes = ms(takes.load(SeqCst));
        async move {
            sleep(takes).await;
            let pieces = (0..3).map(|_| Ok(Frame::data(Bytes::from_static(b"piece"))));
            Ok(Response::new(StreamBody::new(stream::iter(pieces))))
        }
    })
}

/// Makes calls, so many at a time, and reads each answer with a pause after each piece.
async fn calls<S, B>(stock: &S, at_once: usize, rounds: usize, pause: Duration)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = BoxError> + Clone,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
{
    for _ in 0..rounds {
        join_all((0..at_once).map(|_| async {
            let mut body = stock.clone().oneshot(post()).await.unwrap().into_body();
            while let Some(piece) = body.frame().await {
                piece.unwrap();
                sleep(pause).await;
            }
        }))
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_hears_nothing_of_slow_readers_or_of_waits_on_this_side() {
    let vegas = AdaptiveConfig::vegas().with_limits(10, 4, 100).with_samples(ms(100), 10);
    let config =
        || BulkheadConfig::new().with_adaptive_limit(vegas.clone()).with_queue(500, ms(60_000));
    let takes = Arc::new(AtomicU64::new(20));

    let layer = BulkheadLayer::new("stock", config()).unwrap().with_calls(HttpCalls);
    let (stock, bulkhead) = (layer.layer(peer(Arc::clone(&takes))), layer.handle());
    calls(&stock, 10, 40, Duration::ZERO).await;
    let well = bulkhead.snapshot().limit;
    calls(&stock, 10, 10, ms(200)).await;
    assert!(bulkhead.snapshot().limit >= well, "readers took their time");
    // Three times as many calls as there are permits: most of them queue.
    let many = bulkhead.snapshot().limit as usize * 2;
    calls(&stock, many, 20, Duration::ZERO).await;
    assert!(bulkhead.snapshot().limit >= well, "calls waited for a permit");
    let limit = bulkhead.snapshot().limit;
    takes.store(400, SeqCst);
    calls(&stock, limit as usize, 10, Duration::ZERO).await;
    assert!(bulkhead.snapshot().limit < limit, "the peer takes its time");

    // A turn is waited for with a permit in hand.
    takes.store(20, SeqCst);
    let rate = RateConfig::new(100, ms(1_000)).with_burst(1).with_max_wait(ms(5_000));
    let peer_config = PeerConfig::new().with_bulkhead(config()).with_rate_limit(rate);
    let layer = PeerLayer::new("stock", peer_config).unwrap();
    let stock = layer.layer(peer(Arc::clone(&takes)));
    calls(&stock, 1, 30, Duration::ZERO).await;
    let well = layer.handle().bulkhead().unwrap().snapshot().limit;
    calls(&stock, 10, 20, Duration::ZERO).await;
    assert!(layer.handle().bulkhead().unwrap().snapshot().limit >= well, "calls waited for turns");
}

/// A service that says its error by name, as transports do.
#[derive(Clone)]
struct Stock;

impl Service<Sent> for Stock {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Sent) -> Self::Future {
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"well")))))
    }
}

#[tokio::test]
async fn a_call_can_be_made_in_a_task() {
    let stock = PeerLayer::new("stock", PeerConfig::new()).unwrap().layer(Stock);
    let request = post();
    let answer = tokio::spawn(async move { stock.oneshot(request).await }).await.unwrap();
    let body = answer.unwrap().into_body();
    let read = tokio::spawn(async move { body.collect().await.unwrap().to_bytes() });
    assert_eq!(read.await.unwrap(), "well");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_blames_no_peer() {
    let layer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    let (peer, answers) = (layer.handle(), Arc::new(Mutex::new(Vec::new())));
    let asked = Arc::clone(&answers);
    let service = layer.layer(service_fn(move |_: Sent| {
        let (answer, answered) = oneshot::channel();
        asked.lock().unwrap().push(answer);
        async move {
            let text: &'static [u8] = answered.await.unwrap_or(b"nothing");
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from_static(text))))
        }
    }));
    let calls = (0..30).map(|_| task::spawn(service.clone().oneshot(post())));
    let mut calls: Vec<_> = calls.collect();
    calls.iter_mut().for_each(|call| assert_pending!(call.poll()));
    advance(ms(60_000)).await;
    // Its timers are over, and what the peer has sent is not read yet.
    calls.iter_mut().for_each(|call| assert_pending!(call.poll()));
    for answer in answers.lock().unwrap().drain(..) {
        answer.send(b"well").unwrap();
    }
    for call in &mut calls {
        assert!(assert_ready_ok!(call.poll()).status().is_success());
    }
    assert_eq!(seen(&peer), (30, 0, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn the_call_whose_answer_opens_the_breaker_gets_that_answer() {
    let layer = PeerLayer::new("stock", PeerConfig::new().with_breaker(opens_at_once())).unwrap();
    let (peer, asked) = (layer.handle(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&asked);
    let service = layer.layer(service_fn(move |_: Sent| {
        let text = format!("broken {}", count.fetch_add(1, SeqCst));
        let answer = Response::builder().status(503).body(Full::new(Bytes::from(text)));
        ready(answer.map_err(BoxError::from))
    }));
    let get = || Request::get("/").body(Full::new(Bytes::new())).unwrap();
    let answer = service.clone().oneshot(get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), asked.load(SeqCst)), (503, 2));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "broken 1");
    assert_eq!(seen(&peer).2, BreakerState::Open);
    // Only a call that comes later is refused.
    assert!(service.oneshot(get()).await.unwrap_err().is::<Refused>());
    assert_eq!(asked.load(SeqCst), 2);
}
