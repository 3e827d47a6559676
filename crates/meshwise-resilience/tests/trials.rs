//! Trials of a half-open breaker that take long, though nothing is wrong: their bodies flow, or they wait on this side.
#![cfg(not(loom))]

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use meshwise_resilience::{
    BreakerConfig, BreakerState, BulkheadConfig, PeerConfig, PeerHandle, PeerLayer, RateConfig,
    Refused, ReplayBody, Rule,
};
use std::{future::pending, io, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::{BoxError, Layer, ServiceExt, service_fn, util::BoxCloneService};

type Sent = Request<ReplayBody<Body>>;
type Body = UnsyncBoxBody<Bytes, io::Error>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn body(frames: impl Stream<Item = io::Result<()>> + Send + 'static) -> Body {
    let frames = frames.map(|piece| piece.map(|()| Frame::data(Bytes::from_static(b"piece"))));
    StreamBody::new(frames).boxed_unsync()
}

fn frames(frames: impl Stream<Item = io::Result<()>> + Send + 'static) -> Response<Body> {
    Response::new(body(frames))
}

fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A piece each second, so many of them.
fn download(seconds: u64) -> impl Stream<Item = io::Result<()>> + Send {
    stream::iter(0..seconds).then(async |_| {
        sleep(secs(1)).await;
        Ok(())
    })
}

async fn answer(request: Sent) -> Result<Response<Body>, BoxError> {
    let body = || Full::new(Bytes::from_static(b"well")).map_err(|never| match never {});
    let path = request.uri().path();
    Ok(match path.trim_start_matches('/').parse() {
        Ok(seconds) => frames(download(seconds)),
        Err(_) => match path {
            "/fails" => {
                let mut response = Response::new(body().boxed_unsync());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
            "/breaks" => frames(download(5).chain(stream::iter([Err(io::Error::other("broken"))]))),
            "/stalls" => frames(download(1).chain(stream::pending())),
            "/slow" => {
                sleep(secs(3)).await;
                Response::new(body().boxed_unsync())
            }
            "/takes" => {
                request.into_body().collect().await?;
                Response::new(body().boxed_unsync())
            }
            "/message" => {
                let mut response = frames(download(15));
                let grpc = http::HeaderValue::from_static("application/grpc");
                response.headers_mut().insert("content-type", grpc);
                response
            }
            "/hangs" => pending().await,
            _ => Response::new(body().boxed_unsync()),
        },
    })
}

/// A peer whose breaker opens at one failure for a second, and waits four for a verdict.
struct Stock {
    service: BoxCloneService<Request<Body>, Answer, BoxError>,
    peer: PeerHandle,
}

impl Stock {
    fn new(config: PeerConfig) -> Self {
        let breaker = BreakerConfig::new()
            .with_consecutive_failures(1, Duration::ZERO)
            .with_open_time(secs(1), secs(1))
            .with_open_jitter(0.0)
            .with_half_open_max_wait(secs(4));
        let config = config.without_retry().with_breaker(breaker);
        let layer = PeerLayer::new("stock", config).unwrap();
        let service = layer.layer(service_fn(answer));
        let service = service.map_response(|response| response.map(BodyExt::boxed_unsync));
        Self { service: BoxCloneService::new(service), peer: layer.handle() }
    }

    /// Calls, and reads the answer.
    fn call(&self, path: &str) -> JoinHandle<Result<(), BoxError>> {
        self.send(Request::get(path).body(nothing()).unwrap())
    }

    fn send(&self, request: Request<Body>) -> JoinHandle<Result<(), BoxError>> {
        let answer = self.service.clone().oneshot(request);
        tokio::spawn(async { answer.await?.into_body().collect().await.map(drop) })
    }

    /// Opens it, and waits until it asks for trials.
    async fn open(&self) {
        self.call("/fails").await.unwrap().unwrap();
        assert_eq!(self.state(), BreakerState::Open);
        sleep(secs(1)).await;
    }

    fn state(&self) -> BreakerState {
        self.peer.breaker().unwrap().state()
    }
}

fn refused(ended: Result<(), BoxError>) -> Option<Rule> {
    ended.err().and_then(|error| error.downcast_ref::<Refused>().map(Refused::rule))
}

fn patient() -> PeerConfig {
    PeerConfig::new().with_total(secs(36_000)).without_timeout()
}

#[tokio::test(start_paused = true)]
async fn downloads_that_take_longer_than_the_wait_close_it() {
    let stock = Stock::new(patient());
    stock.open().await;
    let downloads = [(); 3].map(|()| stock.call("/15"));
    for _ in 0..14 {
        sleep(secs(1)).await;
        drop(stock.call("/").await.unwrap());
        assert_ne!(stock.state(), BreakerState::Open);
    }
    // Three good heads, and nothing but them for as long as one waits for a verdict.
    assert_eq!(stock.state(), BreakerState::Closed);
    for download in downloads {
        download.await.unwrap().unwrap();
    }
    assert_eq!(stock.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_download_of_hours_holds_up_no_verdict_and_no_other_trial() {
    let stock = Stock::new(patient());
    stock.open().await;
    let endless = [stock.call("/7200"), stock.call("/7200")];
    sleep(secs(5)).await;
    stock.call("/").await.unwrap().unwrap();
    assert_eq!(stock.state(), BreakerState::Closed, "two heads, and a whole answer");
    // What ends later belongs to another time.
    endless.iter().for_each(JoinHandle::abort);
    // And where more trials than these are wanted.
    let one = BreakerConfig::new()
        .with_consecutive_failures(1, Duration::ZERO)
        .with_open_time(secs(1), secs(1))
        .with_open_jitter(0.0)
        .with_trials(1, 3)
        .with_half_open_max_wait(secs(4));
    let stock = Stock::new(patient());
    stock.peer.breaker().unwrap().set_config(one).unwrap();
    stock.open().await;
    let endless = stock.call("/7200");
    sleep(secs(1)).await;
    assert_eq!(refused(stock.call("/").await.unwrap()), Some(Rule::BreakerOpen), "one at a time");
    sleep(secs(4)).await;
    for state in [BreakerState::HalfOpen, BreakerState::Closed] {
        stock.call("/").await.unwrap().unwrap();
        assert_eq!(stock.state(), state);
    }
    endless.abort();
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_body_breaks_or_stalls_is_a_failure_all_the_same() {
    for (path, total, seen) in
        [("/breaks", 36_000, 5_500), ("/stalls", 3, 3_500), ("/hangs", 36_000, 4_500)]
    {
        let stock = Stock::new(patient().with_total(secs(total)));
        stock.open().await;
        let trial = stock.call(path);
        sleep(Duration::from_millis(seen)).await;
        drop(stock.call("/").await.unwrap());
        assert_eq!(stock.state(), BreakerState::Open, "{path}");
        trial.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_comes_late_in_the_wait_has_its_own_time() {
    let stock = Stock::new(patient());
    stock.open().await;
    let flows = stock.call("/7200");
    sleep(Duration::from_millis(3_900)).await;
    let late = stock.call("/slow");
    sleep(secs(1)).await;
    drop(stock.call("/").await.unwrap());
    assert_ne!(stock.state(), BreakerState::Open);
    late.await.unwrap().unwrap();
    flows.abort();
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_waits_on_this_side_reopens_nothing_and_takes_no_other_s_place() {
    let bulkhead = BulkheadConfig::new().with_limit(1).with_queue(10, secs(60));
    let rate = RateConfig::new(1, secs(20)).with_burst(2).with_max_wait(secs(60));
    for (config, held) in [
        (patient().with_bulkhead(bulkhead.clone()), true),
        (patient().with_rate_limit(rate.clone()), false),
        (patient().with_bulkhead(bulkhead).with_rate_limit(rate), true),
    ] {
        let stock = Stock::new(config);
        stock.open().await;
        // The first holds the only place, or has the only turn for a while.
        let first = stock.call(if held { "/12" } else { "/" });
        tokio::task::yield_now().await;
        let trials: Vec<_> = (0..3).map(|_| stock.call("/slow")).collect();
        for _ in 0..9 {
            sleep(secs(1)).await;
            drop(timeout(Duration::ZERO, stock.call("/")).await);
            assert_eq!(stock.state(), BreakerState::HalfOpen);
        }
        for trial in trials {
            trial.await.unwrap().unwrap();
            assert_ne!(stock.state(), BreakerState::Open);
        }
        assert_eq!(stock.state(), BreakerState::Closed);
        first.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_this_side_refuses_reopens_nothing() {
    let full = BulkheadConfig::new().with_limit(1).with_queue(0, secs(1));
    let stock = Stock::new(patient().with_bulkhead(full));
    stock.open().await;
    let first = stock.call("/12");
    tokio::task::yield_now().await;
    for _ in 0..9 {
        assert_eq!(refused(stock.call("/").await.unwrap()), Some(Rule::BulkheadFull));
        assert_eq!(stock.state(), BreakerState::HalfOpen);
        sleep(secs(1)).await;
    }
    first.await.unwrap().unwrap();
    for _ in 0..2 {
        stock.call("/").await.unwrap().unwrap();
    }
    assert_eq!(stock.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_turn_comes_when_the_breaker_is_open_again_is_refused() {
    let bulkhead = BulkheadConfig::new().with_limit(1).with_queue(10, secs(60));
    let stock = Stock::new(patient().with_bulkhead(bulkhead));
    stock.open().await;
    let fails = stock.call("/breaks");
    tokio::task::yield_now().await;
    let waits = stock.call("/");
    assert_eq!(fails.await.unwrap().unwrap_err().to_string(), "broken");
    assert_eq!(refused(waits.await.unwrap()), Some(Rule::BreakerOpen));
    assert_eq!(stock.peer.bulkhead().unwrap().snapshot().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_upload_is_slow_on_this_side_reopens_nothing() {
    // How far an upload has got is looked at when its attempt's time is up.
    for limit in [1, 3] {
        let stock = Stock::new(PeerConfig::new().with_timeout(secs(limit)));
        stock.open().await;
        let uploads: Vec<_> = (0..3)
            .map(|_| stock.send(Request::post("/takes").body(body(download(15))).unwrap()))
            .collect();
        for _ in 0..14 {
            sleep(secs(1)).await;
            assert_eq!(refused(stock.call("/").await.unwrap()), Some(Rule::BreakerOpen));
            assert_eq!(stock.state(), BreakerState::HalfOpen);
        }
        for upload in uploads {
            upload.await.unwrap().unwrap();
        }
        assert_eq!(stock.state(), BreakerState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_one_message_is_long_or_whose_reader_is_slow_reopens_nothing() {
    let stock = Stock::new(patient());
    stock.open().await;
    let mut request = Request::post("/message").body(nothing()).unwrap();
    let grpc = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", grpc);
    let long = stock.send(request);
    let unread = stock.service.clone().oneshot(Request::get("/15").body(nothing()).unwrap());
    let unread = unread.await.unwrap();
    for _ in 0..12 {
        sleep(secs(1)).await;
        drop(stock.call("/").await.unwrap());
        assert_ne!(stock.state(), BreakerState::Open);
    }
    assert_eq!(stock.state(), BreakerState::Closed);
    drop((unread, long));
}
