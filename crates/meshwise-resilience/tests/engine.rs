//! The engine as a whole: whose time counts, what cancelled calls leave behind, and random histories.
#![cfg(not(loom))]

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Channel, Empty, Full, StreamBody, channel::Sender};
use meshwise_resilience::{
    AnyCalls, Backoff, BreakerConfig, BreakerLayer, BreakerState, BulkheadConfig, BulkheadLayer,
    PeerConfig, PeerHandle, PeerLayer, RateConfig, RateLimitLayer, ReplayBody, RetryConfig,
};
use proptest::prelude::*;
use std::{
    future::{Future, pending, ready},
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{advance, sleep, timeout};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn slow_calls(after: u64) -> BreakerConfig {
    BreakerConfig::new().with_slow_calls(ms(after), 0.5)
}

fn pieces(
    count: usize,
) -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, BoxError>>> {
    StreamBody::new(stream::iter((0..count).map(|_| Ok(Frame::data(Bytes::from_static(b"piece"))))))
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_makes_no_call_slow() {
    let layer = BreakerLayer::new("stock", slow_calls(200)).unwrap();
    let stock = layer.layer(service_fn(async |slow: Request<bool>| {
        if slow.into_body() {
            sleep(ms(300)).await;
        }
        Ok::<_, BoxError>(Response::new(pieces(3)))
    }));
    for (slow, expected) in [(false, 0), (true, 1)] {
        let mut body = stock.clone().oneshot(Request::new(slow)).await.unwrap().into_body();
        while let Some(piece) = body.frame().await {
            piece.unwrap();
            sleep(ms(500)).await;
        }
        assert_eq!(layer.handle().snapshot().slow, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_that_begins_late_or_keeps_what_it_never_reads() {
    for (before, pieces_read) in [(500, 4), (500, 0), (0, 1)] {
        let layer = BreakerLayer::new("stock", slow_calls(200)).unwrap();
        let stock = layer
            .layer(service_fn(async |_: Request<()>| Ok::<_, BoxError>(Response::new(pieces(3)))));
        let mut body = stock.oneshot(Request::new(())).await.unwrap().into_body();
        sleep(ms(before)).await;
        for _ in 0..pieces_read {
            body.frame().await.transpose().unwrap();
        }
        sleep(ms(500)).await;
        drop(body);
        let seen = layer.handle().snapshot();
        assert_eq!((seen.calls, seen.slow), (1, 0), "{before} ms, {pieces_read} pieces");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_the_wait_for_a_permit_or_a_turn() {
    let bulkhead = BulkheadConfig::new().with_limit(1).with_queue(10, ms(5_000));
    let rate = RateConfig::new(10, ms(1_000)).with_burst(1).with_max_wait(ms(5_000));
    for config in [
        PeerConfig::new().with_bulkhead(bulkhead.clone()),
        PeerConfig::new().with_rate_limit(rate.clone()),
        PeerConfig::new().with_bulkhead(bulkhead).with_rate_limit(rate),
    ] {
        let layer = PeerLayer::new("stock", config.with_breaker(slow_calls(200))).unwrap();
        let stock = layer.layer(service_fn(async |_: Request<ReplayBody<Empty<Bytes>>>| {
            sleep(ms(150)).await;
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from_static(b"well"))))
        }));
        let calls: Vec<_> = (0..6)
            .map(|_| tokio::spawn(stock.clone().oneshot(Request::new(Empty::new()))))
            .collect();
        for call in calls {
            call.await.unwrap().unwrap().into_body().collect().await.unwrap();
        }
        let seen = layer.handle().breaker().unwrap().snapshot();
        assert_eq!((seen.calls, seen.slow), (6, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn time_that_runs_out_while_a_piece_is_read_is_not_the_peer_s() {
    // The reader waits for the first piece, has the rest to hand, and is away for so long between pieces.
    for (status, away, reads_on, failed) in [
        (200, 200, true, 0),
        (200, 200, false, 0),
        (200, 10, true, 1),
        // What the head said of the peer holds all the same.
        (503, 200, true, 1),
        (503, 200, false, 1),
    ] {
        let layer = PeerLayer::new("stock", PeerConfig::new().with_total(ms(250))).unwrap();
        let stock = layer.layer(service_fn(move |_: Request<ReplayBody<Empty<Bytes>>>| {
            let late = stream::once(async {
                sleep(ms(100)).await;
                Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"first")))
            });
            let rest = stream::iter([Ok(Frame::data(Bytes::from_static(b"second")))]);
            let never = stream::pending();
            let body = StreamBody::new(late.chain(rest).chain(never).boxed());
            ready(Ok::<_, BoxError>(Response::builder().status(status).body(body).unwrap()))
        }));
        let mut body = stock
            .oneshot(Request::post("/").body(Empty::new()).unwrap())
            .await
            .unwrap()
            .into_body();
        while let Some(Ok(_)) = body.frame().await {
            sleep(ms(away)).await;
            if !reads_on {
                break;
            }
        }
        drop(body);
        let seen = layer.handle().breaker().unwrap().snapshot();
        assert_eq!((seen.calls, seen.failed), (1, failed), "{status}, {away} ms, {reads_on}");
    }
}

/// A peer that reads the request to its end, and answers or hangs then.
fn reader(
    hangs: bool,
) -> impl Service<
    Request<ReplayBody<Channel<Bytes, io::Error>>>,
    Response = Response<Full<Bytes>>,
    Error = BoxError,
    Future: Send,
> + Clone
+ Send {
    service_fn(move |request: Request<ReplayBody<Channel<Bytes, io::Error>>>| async move {
        request.into_body().collect().await?;
        if hangs {
            pending::<()>().await;
        }
        Ok::<_, BoxError>(Response::new(Full::new(Bytes::from_static(b"well"))))
    })
}

/// Sends a piece every 80 ms, so many of them.
async fn upload(mut sender: Sender<Bytes, io::Error>, count: usize) {
    for _ in 0..count {
        sleep(ms(80)).await;
        if sender.send_data(Bytes::from_static(b"piece")).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_sends_slowly_is_neither_cut_nor_is_the_peer_blamed() {
    let config = || {
        let breaker = slow_calls(200).with_consecutive_failures(1, Duration::ZERO);
        PeerConfig::new().with_timeout(ms(100)).with_breaker(breaker)
    };
    for attempts in [config(), config().without_retry()] {
        let layer = PeerLayer::new("stock", attempts).unwrap();
        // Past the attempt's limit, and the default total of 10 s.
        let (sender, body) = Channel::new(1);
        let sending = tokio::spawn(upload(sender, 150));
        let answer = layer.layer(reader(false)).oneshot(Request::post("/").body(body).unwrap());
        let answer = answer.await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "well");
        sending.await.unwrap();
        let seen = layer.handle().breaker().unwrap().snapshot();
        assert_eq!((seen.state, seen.failed, seen.slow), (BreakerState::Closed, 0, 0));
    }
    // The peer's own time begins when all is sent.
    let layer = PeerLayer::new("stock", config()).unwrap();
    let (sender, body) = Channel::new(1);
    let began = tokio::time::Instant::now();
    tokio::spawn(upload(sender, 10));
    let hung = layer.layer(reader(true)).oneshot(Request::post("/").body(body).unwrap()).await;
    hung.unwrap_err();
    let took = began.elapsed();
    assert!((ms(880)..ms(960)).contains(&took), "{took:?}");
    assert_eq!(layer.handle().breaker().unwrap().state(), BreakerState::Open);
    // One that reads nothing has its attempt's time, and no more; so has one that lets go of what it
    // had begun to read.
    for reads in [false, true] {
        let layer = PeerLayer::new("stock", config()).unwrap();
        let deaf =
            service_fn(move |request: Request<ReplayBody<Channel<Bytes, io::Error>>>| async move {
                let mut body = Some(request.into_body());
                if reads {
                    let first = body.as_mut().map(|body| body.frame());
                    assert!(timeout(ms(20), first.unwrap()).await.is_err(), "nothing is sent");
                    body = None;
                }
                let _kept = body;
                pending::<Result<Response<Full<Bytes>>, BoxError>>().await
            });
        let (_sender, body) = Channel::new(1);
        let began = tokio::time::Instant::now();
        let hung = layer.layer(deaf).oneshot(Request::post("/").body(body).unwrap());
        timeout(ms(1_000), hung).await.expect("cut").unwrap_err();
        assert!(began.elapsed() < ms(130));
        assert_eq!(layer.handle().breaker().unwrap().state(), BreakerState::Open);
    }
    // A deadline that was set on purpose cuts, and blames no one.
    let layer = PeerLayer::new("stock", config().with_total(ms(300))).unwrap();
    let (sender, body) = Channel::new(1);
    tokio::spawn(upload(sender, 100));
    let cut = layer.layer(reader(false)).oneshot(Request::post("/").body(body).unwrap());
    timeout(ms(400), cut).await.expect("cut").unwrap_err();
    assert_eq!(layer.handle().breaker().unwrap().snapshot().failed, 0);
}

type Pieces = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// Fails twice, each time after one poll, and answers with a body that makes its reader wait.
fn troubled()
-> impl Service<Request<ReplayBody<Full<Bytes>>>, Response = Response<Pieces>, Error = BoxError> + Clone
{
    let failed = Arc::new(AtomicUsize::new(0));
    service_fn(move |_| {
        let fails = failed.fetch_add(1, SeqCst) < 2;
        async move {
            tokio::task::yield_now().await;
            let frames = stream::iter(0..3).then(async |_| {
                tokio::task::yield_now().await;
                Ok(Frame::data(Bytes::from_static(b"piece")))
            });
            let body: Pieces = Box::pin(StreamBody::new(frames));
            let mut response = Response::new(body);
            *response.status_mut() =
                http::StatusCode::from_u16(if fails { 503 } else { 200 }).unwrap();
            Ok::<_, BoxError>(response)
        }
    })
}

fn nothing_is_held(peer: &PeerHandle, budget: u64) {
    let bulkhead = peer.bulkhead().unwrap().snapshot();
    assert_eq!((bulkhead.in_use, bulkhead.waiting), (0, 0));
    assert!(peer.retry().unwrap().budget().available() >= budget);
    assert_eq!(peer.breaker().unwrap().snapshot().trials_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_after_any_poll_leaves_nothing_behind() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut ended = false;
    for polls in 0.. {
        let retry = RetryConfig::new().with_backoff(Backoff::new(ms(10), ms(20)));
        let rate = RateConfig::new(100, ms(1_000)).with_burst(1).with_max_wait(ms(1_000));
        let bulkhead = BulkheadConfig::new().with_limit(1).with_queue(5, ms(1_000));
        let config = PeerConfig::new().with_retry(retry).with_rate_limit(rate);
        let layer = PeerLayer::new("stock", config.with_bulkhead(bulkhead)).unwrap();
        let peer = layer.handle();
        let stock = layer.layer(troubled());
        // Its permit is let go in the middle, and the other's turn comes later still.
        let mut other = Box::pin(layer.layer(troubled()).oneshot(request()));
        assert!(other.as_mut().poll(&mut cx).is_pending());
        let mut other = Some(other);
        let mut left = polls;
        {
            let mut call = Box::pin(stock.oneshot(request()));
            let mut body = None;
            while left > 0 {
                left -= 1;
                if left % 3 == 2 {
                    other = None;
                }
                match &mut body {
                    None => {
                        if let Poll::Ready(answer) = call.as_mut().poll(&mut cx) {
                            body = Some(answer.unwrap().into_body());
                        }
                    }
                    Some(reading) => {
                        let reading: &mut _ = reading;
                        if let Poll::Ready(None) = Pin::new(reading).poll_frame(&mut cx) {
                            ended = true;
                            break;
                        }
                    }
                }
                advance(ms(7)).await;
            }
        }
        drop(other);
        // Two retries may have been spent; none is lost.
        nothing_is_held(&peer, 98);
        advance(ms(100)).await;
        assert_eq!(layer.layer(troubled()).oneshot(request()).await.unwrap().status(), 200);
        if ended {
            return;
        }
    }
}

fn request() -> Request<Full<Bytes>> {
    Request::put("/").body(Full::new(Bytes::from_static(b"kept"))).unwrap()
}

/// What the peer does: each call waits until the test says how it ends.
#[derive(Clone, Default)]
struct Peer {
    in_flight: Arc<AtomicUsize>,
}

struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

type Ending = (Arc<AtomicBool>, Arc<AtomicBool>);

impl Service<Ending> for Peer {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (over, fails): Ending) -> Self::Future {
        self.in_flight.fetch_add(1, SeqCst);
        let held = InFlight(Arc::clone(&self.in_flight));
        Box::pin(std::future::poll_fn(move |_| {
            let _held = &held;
            match (over.load(SeqCst), fails.load(SeqCst)) {
                (false, _) => Poll::Pending,
                (true, false) => Poll::Ready(Ok(())),
                (true, true) => Poll::Ready(Err("failed".into())),
            }
        }))
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call,
    Poll(usize),
    End(usize, bool),
    Drop(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Call),
        4 => (0..8_usize).prop_map(Step::Poll),
        3 => (0..8_usize, any::<bool>()).prop_map(|(call, fails)| Step::End(call, fails)),
        2 => (0..8_usize).prop_map(Step::Drop),
        2 => (0..400_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// However calls come, wait, end and are given up, the guards hold what the calls in flight hold,
    /// and nothing is stuck.
    #[test]
    fn permits_trials_and_calls_in_flight_always_agree(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let breaker = BreakerConfig::new()
                .with_call_window(4)
                .with_min_calls(2)
                .with_open_time(ms(200), ms(400))
                .with_trials(1, 2);
            let breaker = BreakerLayer::new("stock", breaker).unwrap().with_calls(AnyCalls::new());
            let config = BulkheadConfig::new().with_limit(2).with_queue(2, ms(300));
            let bulkhead =
                BulkheadLayer::new("stock", config).unwrap().with_calls(AnyCalls::new());
            let rate = RateConfig::new(20, ms(1_000)).with_burst(2).with_max_wait(ms(200));
            let rate = RateLimitLayer::new("stock", rate).unwrap();
            let peer = Peer::default();
            let stock = breaker.layer(bulkhead.layer(rate.layer(peer.clone())));
            let mut cx = Context::from_waker(Waker::noop());
            let mut calls = Vec::new();
            for step in steps {
                match step {
                    Step::Call => {
                        let ending = Ending::default();
                        let call = Box::pin(stock.clone().oneshot(ending.clone()));
                        calls.push((call, ending));
                    }
                    Step::Poll(at)
                        if calls.get_mut(at).is_some_and(|(call, _): &mut (_, Ending)| {
                            Future::poll(Pin::as_mut(call), &mut cx).is_ready()
                        }) =>
                    {
                        drop(calls.remove(at));
                    }
                    Step::End(at, fails) if at < calls.len() => {
                        let (over, failing) = &calls[at].1;
                        failing.store(fails, SeqCst);
                        over.store(true, SeqCst);
                    }
                    Step::Drop(at) if at < calls.len() => drop(calls.remove(at)),
                    Step::Wait(time) => advance(ms(time)).await,
                    _ => {}
                }
                let held = bulkhead.handle().snapshot();
                let in_flight = peer.in_flight.load(SeqCst);
                assert!(in_flight as u32 <= held.in_use && held.in_use <= 2, "{in_flight} {held:?}");
                assert!((held.in_use + held.waiting) as usize <= calls.len(), "{held:?}");
                assert!(breaker.handle().snapshot().trials_in_flight as usize <= calls.len());
            }
            calls.clear();
            let held = bulkhead.handle().snapshot();
            assert_eq!((held.in_use, held.waiting, peer.in_flight.load(SeqCst)), (0, 0, 0));
            assert_eq!(breaker.handle().snapshot().trials_in_flight, 0);
            // Nothing is stuck: two good calls after any open time close it.
            advance(ms(1_000)).await;
            for _ in 0..3 {
                let well = (Arc::new(AtomicBool::new(true)), Arc::default());
                timeout(ms(1_000), stock.clone().oneshot(well)).await.unwrap().unwrap();
            }
            assert_eq!(breaker.handle().state(), BreakerState::Closed);
        });
    }
}

/// Panics when it is copied, as a request that is kept is.
#[derive(Debug)]
struct Uncopied;

impl Clone for Uncopied {
    fn clone(&self) -> Self {
        panic!("not to be copied");
    }
}

#[tokio::test]
async fn a_panic_before_the_peer_is_called_holds_nothing_and_blames_no_one() {
    let layer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    let mut stock = layer.layer(troubled());
    stock.ready().await.unwrap();
    let mut bad = request();
    bad.extensions_mut().insert(Uncopied);
    let call = std::panic::AssertUnwindSafe(|| drop(stock.call(bad)));
    std::panic::catch_unwind(call).unwrap_err();
    nothing_is_held(&layer.handle(), 100);
    assert_eq!(layer.handle().breaker().unwrap().snapshot().failed, 0);
}

#[tokio::test]
async fn guarded_closures_are_called_in_tasks() {
    async fn called<S>(stock: S)
    where
        S: Service<Request<Full<Bytes>>, Error = BoxError, Future: Send> + Send + 'static,
    {
        tokio::spawn(async { stock.oneshot(request()).await.map(drop) }).await.unwrap().unwrap();
    }
    let answer =
        || service_fn(async |_| Ok::<_, BoxError>(Response::new(Full::<Bytes>::default())));
    let breaker = BreakerLayer::new("stock", BreakerConfig::new()).unwrap();
    let stock = breaker.layer(answer());
    tokio::spawn(async { stock.oneshot(request()).await.map(drop) }).await.unwrap().unwrap();
    let peer = PeerLayer::new("stock", PeerConfig::new()).unwrap();
    let stock = peer.layer(service_fn(async |_: Request<ReplayBody<Full<Bytes>>>| {
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
    }));
    tokio::spawn(async { stock.oneshot(request()).await.map(drop) }).await.unwrap().unwrap();
    called(breaker.layer(answer())).await;
}
