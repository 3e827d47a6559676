//! What is tried again, when, and what that costs a peer that is down.

mod bodies;
mod budget;
mod contract;
mod waits;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Channel, Empty, Full, StreamBody};
use meshwise_core::{Attempt, Classifier, Deadline, GrpcCode};
use meshwise_resilience::{
    AnyRetries, Backoff, DeadlineConfig, DeadlineLayer, GuardError, HttpRetries, Idempotent,
    PeerConfig, PeerLayer, Refused, ReplayBody, RetryBudget, RetryConfig, RetryLayer, Rule,
    TimeoutLayer,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::{
    collections::BTreeMap,
    error::Error,
    future::{pending, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};
use tower_test::mock;

type BoxError = Box<dyn Error + Send + Sync>;
type Sent = Request<ReplayBody<Full<Bytes>>>;
type Answer = Result<Response<Full<Bytes>>, BoxError>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn layer() -> RetryLayer {
    RetryLayer::new("stock", RetryConfig::new()).unwrap()
}

fn request(method: Method) -> Request<Full<Bytes>> {
    Request::builder().method(method).body(Full::new(Bytes::from_static(b"x"))).unwrap()
}

fn get() -> Request<Full<Bytes>> {
    request(Method::GET)
}

fn status(status: u16) -> Answer {
    Ok(Response::builder().status(status).body(Full::default()).unwrap())
}

fn with_header(code: u16, name: &'static str, value: &str) -> Answer {
    status(code).map(|mut response| {
        response.headers_mut().insert(name, value.parse().unwrap());
        response
    })
}

fn grpc(headers: &[(&'static str, &str)]) -> Answer {
    status(200).map(|mut response| {
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    })
}

/// A peer that gives the answers of a function, by the number of the attempt, and counts.
#[derive(Clone, Default)]
struct Peer {
    attempts: Arc<AtomicU32>,
    times: Arc<Mutex<Vec<Instant>>>,
}

impl Peer {
    fn service<B: Send + 'static>(
        &self,
        answer: impl Fn(u32) -> Answer + Clone + Send + 'static,
    ) -> BoxCloneService<Request<B>, Response<Full<Bytes>>, BoxError> {
        let this = self.clone();
        let service = service_fn(move |_: Request<B>| {
            this.times.lock().unwrap().push(Instant::now());
            ready(answer(this.attempts.fetch_add(1, SeqCst)))
        });
        BoxCloneService::new(service)
    }

    fn attempts(&self) -> u32 {
        self.attempts.swap(0, SeqCst)
    }

    /// Returns the waits between attempts.
    fn waits(&self) -> Vec<Duration> {
        self.attempts();
        let times = std::mem::take(&mut *self.times.lock().unwrap());
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// Counts the attempts that a request with such answers makes.
async fn attempts(
    layer: &RetryLayer,
    request: Request<Full<Bytes>>,
    answer: impl Fn(u32) -> Answer + Clone + Send + 'static,
) -> u32 {
    let peer = Peer::default();
    let _answer = layer.layer(peer.service(answer)).oneshot(request).await;
    peer.attempts()
}

fn refused(rule: Rule) -> Refused {
    Refused::new(rule, "stock")
}

fn connect() -> Answer {
    Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
}

fn reset() -> Answer {
    #[derive(Debug, thiserror::Error)]
    #[error("could not send")]
    struct Sending(#[source] io::Error);
    Err(Sending(io::ErrorKind::ConnectionReset.into()).into())
}

#[tokio::test(start_paused = true)]
async fn what_failed_in_passing_is_tried_again_up_to_three_times() {
    let peer = Peer::default();
    let service = layer().layer(peer.service(|n| status(if n < 2 { 503 } else { 200 })));
    assert_eq!(service.clone().oneshot(get()).await.unwrap().status(), 200);
    assert_eq!(peer.attempts(), 3);
    let down = layer().layer(peer.service(|_| status(503)));
    assert_eq!(down.oneshot(get()).await.unwrap().status(), 503, "the last answer is handed on");
    assert_eq!(peer.attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_repeated_is_and_all_when_nothing_was_sent() {
    let patch = || request(Method::PATCH);
    let post = || request(Method::POST);
    let keyed = || {
        let mut keyed = post();
        keyed.headers_mut().insert("idempotency-key", "\"8e03978e\"".parse().unwrap());
        keyed
    };
    let marked = |mut request: Request<Full<Bytes>>, mark| {
        request.extensions_mut().insert(Idempotent(mark));
        request
    };
    for (request, name, repeated) in [
        (get as fn() -> _, "GET", true),
        (|| request(Method::HEAD), "HEAD", true),
        (|| request(Method::OPTIONS), "OPTIONS", true),
        (|| request(Method::TRACE), "TRACE", true),
        (|| request(Method::PUT), "PUT", true),
        (|| request(Method::DELETE), "DELETE", true),
        (post, "POST", false),
        (patch, "PATCH", false),
        (|| request(Method::CONNECT), "CONNECT", false),
        (|| request(Method::from_bytes(b"BREW").unwrap()), "BREW", false),
    ] {
        let expected = if repeated { 3 } else { 1 };
        for answer in [|_| status(503), |_| reset(), |_| Err(refused(Rule::TimedOut).into())] {
            assert_eq!(attempts(&layer(), request(), answer).await, expected, "{name}");
        }
        // Never sent: it costs no attempt, and ends within a second.
        let start = Instant::now();
        assert!(attempts(&layer(), request(), |_| connect()).await > 3, "{name}");
        assert!(start.elapsed() <= ms(1000), "{name}");
    }
    assert_eq!(attempts(&layer(), keyed(), |_| status(503)).await, 3);
    assert_eq!(attempts(&layer(), marked(patch(), true), |_| status(503)).await, 3);
    assert_eq!(attempts(&layer(), marked(get(), false), |_| status(503)).await, 1);
    assert_eq!(attempts(&layer(), marked(keyed(), false), |_| status(503)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_another_try_may_mend_is_tried_again() {
    for (code, times) in
        [(200, 1), (301, 1), (404, 1), (429, 1), (500, 1), (501, 1), (502, 3), (503, 3), (504, 3)]
    {
        assert_eq!(attempts(&layer(), get(), move |_| status(code)).await, times, "{code}");
    }
    assert_eq!(attempts(&layer(), get(), |_| with_header(429, "retry-after", "1")).await, 3);
    let wider = layer().with_classifier(
        Classifier::new().with_retried_status(StatusCode::INTERNAL_SERVER_ERROR, true),
    );
    assert_eq!(attempts(&wider, get(), |_| status(500)).await, 3);
    assert_eq!(attempts(&wider, get(), |_| Err("no idea".into())).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_not_retried_nor_any_refusal_of_our_own() {
    #[derive(Debug, thiserror::Error)]
    #[error("call failed")]
    struct Wrapped(#[source] Refused);

    for rule in [
        Rule::BreakerOpen,
        Rule::BulkheadFull,
        Rule::RateLimited,
        Rule::DeadlineExceeded,
        Rule::Overloaded,
    ] {
        assert_eq!(attempts(&layer(), get(), move |_| Err(refused(rule).into())).await, 1);
        let wrapped = move |_| Err(Wrapped(refused(rule)).into());
        assert_eq!(attempts(&layer(), get(), wrapped).await, 1, "{rule:?}, further in");
    }
    // A concrete error that no one has told of is not looked into: then it is not retried either.
    let tries = Arc::new(AtomicU32::new(0));
    let seen = Classifier::new().with_error::<GuardError<io::Error>>();
    for (kind, again) in [(Classifier::new(), false), (seen, true)] {
        let counted = Arc::clone(&tries);
        let service = service_fn(move |_: Sent| {
            counted.fetch_add(1, SeqCst);
            let error = io::Error::from(io::ErrorKind::ConnectionRefused);
            ready(Err::<Response<Full<Bytes>>, _>(GuardError::Inner(error)))
        });
        let _error = layer().with_classifier(kind).layer(service).oneshot(get()).await.unwrap_err();
        assert_eq!(tries.swap(0, SeqCst) > 1, again);
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_status_in_trailers_only_is_retried_and_in_trailers_after_data_is_not() {
    let call = || {
        let mut call = request(Method::POST);
        *call.uri_mut() = "/stock.Stock/Get".parse().unwrap();
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        call
    };
    let layer = layer().with_calls(HttpRetries::new().with_idempotent_method("stock.Stock/Get"));
    let unavailable = |_| grpc(&[("grpc-status", "14")]);
    assert_eq!(attempts(&layer, call(), unavailable).await, 3);
    for (code, times) in [("0", 1), ("4", 1), ("5", 1), ("8", 1), ("13", 1)] {
        let answer = move |_| grpc(&[("grpc-status", code)]);
        assert_eq!(attempts(&layer, call(), answer).await, times, "{code}");
    }
    assert_eq!(attempts(&layer, call(), |_| status(503)).await, 3, "a proxy's 503");
    let mut other = call();
    *other.uri_mut() = "/stock.Stock/Take".parse().unwrap();
    assert_eq!(attempts(&layer, other, unavailable).await, 1, "not marked");
    let classifier = Classifier::new().with_retried_code(GrpcCode::Aborted, true);
    let aborted = layer.with_calls(HttpRetries::new()).with_classifier(classifier);
    let mut marked = call();
    marked.extensions_mut().insert(Idempotent(true));
    assert_eq!(attempts(&aborted, marked, |_| grpc(&[("grpc-status", "10")])).await, 3);

    // Headers, data, and only then the status.
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let service = service_fn(move |_: Sent| {
        counted.fetch_add(1, SeqCst);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "14".parse().unwrap());
        let frames = [Frame::data(Bytes::from_static(b"data")), Frame::trailers(trailers)];
        let frames = stream::iter(frames.map(Ok::<_, BoxError>));
        ready(Ok::<_, BoxError>(Response::new(StreamBody::new(frames))))
    });
    let mut marked = call();
    marked.extensions_mut().insert(Idempotent(true));
    let response = RetryLayer::new("stock", RetryConfig::new()).unwrap().layer(service);
    let body = response.oneshot(marked).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "14");
    assert_eq!(tries.load(SeqCst), 1);
}
