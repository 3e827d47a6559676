//! What is tried again, when, and what that costs a neighbour that is down.

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Channel, Empty, Full, StreamBody};
use meshwise_core::{Deadline, GrpcCode, call::Attempt};
use meshwise_resilience::{
    AnyRetries, Backoff, DeadlineConfig, DeadlineLayer, GuardError, HttpRetries, Idempotent,
    Refused, ReplayBody, RetryBudget, RetryConfig, RetryLayer, Rule, TimeoutConfig, TimeoutLayer,
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

/// A neighbour that gives the answers of a function, by the number of the attempt, and counts.
#[derive(Clone, Default)]
struct Neighbour {
    attempts: Arc<AtomicU32>,
    times: Arc<Mutex<Vec<Instant>>>,
}

impl Neighbour {
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
    let neighbour = Neighbour::default();
    let _answer = layer.layer(neighbour.service(answer)).oneshot(request).await;
    neighbour.attempts()
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
    let neighbour = Neighbour::default();
    let service = layer().layer(neighbour.service(|n| status(if n < 2 { 503 } else { 200 })));
    assert_eq!(service.clone().oneshot(get()).await.unwrap().status(), 200);
    assert_eq!(neighbour.attempts(), 3);
    let down = layer().layer(neighbour.service(|_| status(503)));
    assert_eq!(down.oneshot(get()).await.unwrap().status(), 503, "the last answer is handed on");
    assert_eq!(neighbour.attempts(), 3);
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
        assert_eq!(attempts(&layer(), request(), |_| connect()).await, 3, "{name}: never sent");
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
    let wider = layer().retrying(HttpRetries::new().with_status(StatusCode::INTERNAL_SERVER_ERROR));
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
    // A concrete error that nobody has told of is not looked into: then it is not retried either.
    let tries = Arc::new(AtomicU32::new(0));
    for (kind, expected) in
        [(HttpRetries::new(), 1), (HttpRetries::new().with_error::<GuardError<io::Error>>(), 3)]
    {
        let counted = Arc::clone(&tries);
        let service = service_fn(move |_: Sent| {
            counted.fetch_add(1, SeqCst);
            let error = io::Error::from(io::ErrorKind::ConnectionRefused);
            ready(Err::<Response<Full<Bytes>>, _>(GuardError::Inner(error)))
        });
        let _error = layer().retrying(kind).layer(service).oneshot(get()).await.unwrap_err();
        assert_eq!(tries.swap(0, SeqCst), expected);
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
    let layer = layer().retrying(HttpRetries::new().with_idempotent_method("stock.Stock/Get"));
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
    let aborted = layer.retrying(HttpRetries::new().with_grpc_code(GrpcCode::Aborted));
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

#[tokio::test(start_paused = true)]
async fn a_response_body_that_was_seen_is_never_retried() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let service = service_fn(move |_: Sent| {
        counted.fetch_add(1, SeqCst);
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ];
        ready(Ok::<_, BoxError>(Response::new(StreamBody::new(stream::iter(frames)))))
    });
    let response = layer().layer(service).oneshot(get()).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(tries.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_heeded_as_seconds_and_as_a_date_an_hour_long_or_negative() {
    async fn waits(answer: impl Fn(u32) -> Answer + Clone + Send + 'static) -> Vec<Duration> {
        let neighbour = Neighbour::default();
        let _answer = layer().layer(neighbour.service(answer)).oneshot(get()).await;
        neighbour.waits()
    }
    fn near(waits: &[Duration], millis: u64) {
        assert_eq!(waits.len(), 2, "{waits:?}");
        // Tokio's timer counts in milliseconds.
        assert!(waits.iter().all(|wait| (ms(millis)..ms(millis + 2)).contains(wait)), "{waits:?}");
    }
    near(&waits(|_| with_header(503, "retry-after", "2")).await, 2000);
    near(&waits(|_| with_header(429, "retry-after", "7")).await, 7000);
    let dated = |_| {
        with_header(503, "retry-after", "Tue, 02 Jan 2035 10:00:03 GMT").map(|mut response| {
            let date = "Tue, 02 Jan 2035 10:00:00 GMT".parse().unwrap();
            response.headers_mut().insert("date", date);
            response
        })
    };
    near(&waits(dated).await, 3000);
    near(&waits(|_| with_header(503, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")).await, 0);
    let hour = waits(|_| with_header(503, "retry-after", "3600")).await;
    assert_eq!(hour, [], "nobody waits an hour: the answer is handed on at once");
    let ages = waits(|_| with_header(503, "retry-after", "99999999999999999999")).await;
    assert_eq!(ages, []);
    // What makes no sense was not said: the usual waits.
    let negative = waits(|_| with_header(503, "retry-after", "-5")).await;
    assert_eq!(negative.len(), 2);
    assert!(negative[0] <= ms(26) && negative[1] <= ms(51), "{negative:?}");

    // gRPC's pushback counts in milliseconds, and stops when it is negative.
    let grpc_call = || {
        let mut call = request(Method::POST);
        call.extensions_mut().insert(Idempotent(true));
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        call
    };
    for (pushback, times) in [("150", 3), ("-1", 1), ("soon", 1), ("20000", 1)] {
        let neighbour = Neighbour::default();
        let answer = move |_| grpc(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", pushback)]);
        let _answer = layer().layer(neighbour.service(answer)).oneshot(grpc_call()).await;
        let waits = neighbour.waits();
        assert_eq!(waits.len() + 1, times, "{pushback}");
        if times == 3 {
            near(&waits, 150);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_retry_begins_at_or_past_the_deadline() {
    let config = RetryConfig::new().with_backoff(Backoff::new(ms(100), ms(100)).without_jitter());
    let retry = RetryLayer::new("stock", config).unwrap();
    for (total, times) in [(99, 1), (100, 1), (101, 2), (199, 2), (202, 3)] {
        let neighbour = Neighbour::default();
        let config = DeadlineConfig::new().with_total(ms(total));
        let deadline = DeadlineLayer::new("stock", config).unwrap();
        let service = deadline.layer(retry.layer(neighbour.service(|_| status(503))));
        let start = Instant::now();
        assert_eq!(service.oneshot(get()).await.unwrap().status(), 503);
        assert_eq!(neighbour.attempts(), times, "{total} ms");
        assert!(start.elapsed() < ms(total), "what can't be mended is told at once");

        let mut told = get();
        told.extensions_mut().insert(Deadline::after(Instant::now().into_std(), ms(total)));
        assert_eq!(attempts(&retry, told, |_| status(503)).await, times, "by extension");
    }
    // A neighbour that asks for more time than there is.
    let config = DeadlineConfig::new().with_total(ms(1500));
    let neighbour = Neighbour::default();
    let service = retry.layer(neighbour.service(|_| with_header(503, "retry-after", "2")));
    let service = DeadlineLayer::new("stock", config).unwrap().layer(service);
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 503);
    assert_eq!(neighbour.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_own_timeout_and_number() {
    let seen: Arc<Mutex<Vec<Option<u32>>>> = Arc::default();
    let numbers = Arc::clone(&seen);
    let hang = service_fn(move |request: Sent| {
        let number = request.extensions().get::<Attempt>().map(|attempt| attempt.0);
        numbers.lock().unwrap().push(number);
        pending::<Answer>()
    });
    let timeout = TimeoutLayer::new("stock", TimeoutConfig::new(ms(200))).unwrap();
    let service = layer().layer(timeout.layer(hang));
    let start = Instant::now();
    let error = service.clone().oneshot(get()).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Refused>().unwrap().rule(), Rule::TimedOut);
    assert!((ms(600)..ms(680)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [None, Some(1), Some(2)]);

    // Inside another retry, numbers go on, and there are fewer.
    let mut second = get();
    second.extensions_mut().insert(Attempt(1));
    let _error = service.oneshot(second).await.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), [Some(1), Some(2)]);
}

#[tokio::test(start_paused = true)]
async fn an_incoming_retry_has_fewer_tries_here() {
    thread_local!(static TRIED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    let config = RetryConfig::new().with_incoming(|| TRIED.get());
    let layer = RetryLayer::new("stock", config).unwrap();
    for (tried, times) in [(0, 3), (1, 2), (2, 1), (3, 1), (u32::MAX, 1)] {
        TRIED.set(tried);
        assert_eq!(attempts(&layer, get(), |_| status(503)).await, times, "{tried}");
    }
}

/// One hop: takes a call, calls on with what it knows of the call's attempts.
async fn hop(
    service: BoxCloneService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>,
    attempt: u32,
) -> Answer {
    let mut request = get();
    request.extensions_mut().insert(Attempt(attempt));
    service.oneshot(request).await
}

#[tokio::test(start_paused = true)]
async fn three_hops_of_three_tries_under_total_failure_stay_below_1_3() {
    const CALLS: u32 = 10_000;
    let attempt = |request: &Sent| request.extensions().get::<Attempt>().map_or(0, |n| n.0);
    let stock = Neighbour::default();
    let config = || RetryConfig::new();
    let first = RetryLayer::new("stock", config()).unwrap();
    let second = RetryLayer::new("orders", config()).unwrap();
    let third = RetryLayer::new("gateway", config()).unwrap();

    let failing = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let down = Arc::clone(&failing);
    let stock_answers = stock.service(move |_| status(if down.load(SeqCst) { 503 } else { 200 }));
    let orders = BoxCloneService::new(first.layer(stock_answers));
    let orders = service_fn(move |request: Sent| hop(orders.clone(), attempt(&request)));
    let gateway = BoxCloneService::new(second.layer(orders));
    let gateway = service_fn(move |request: Sent| hop(gateway.clone(), attempt(&request)));
    let caller = BoxCloneService::new(third.layer(gateway));

    let mut amplification = Vec::new();
    // Healthy, then 50 s of total failure, 200 calls a second.
    for fails in [false, true] {
        failing.store(fails, SeqCst);
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..CALLS {
            advance(ms(5)).await;
            calls.spawn(hop(caller.clone(), 0));
        }
        while let Some(answer) = calls.join_next().await {
            let expected = if fails { 503 } else { 200 };
            assert_eq!(answer.unwrap().unwrap().status(), expected);
        }
        amplification.push(f64::from(stock.attempts()) / f64::from(CALLS));
    }
    println!(
        "attempts at the last hop, per call: {:.3} in health, {:.3} under total failure \
         (27 without a budget)",
        amplification[0], amplification[1]
    );
    assert_eq!(amplification[0], 1.0);
    assert!(amplification[1] < 1.3, "{}", amplification[1]);
    assert!(amplification[1] > 1.0, "some are tried again");
}

#[tokio::test(start_paused = true)]
async fn when_the_budget_is_spent_the_failure_is_handed_on() {
    let budget = RetryBudget::ratio(0.5, 0).unwrap();
    let config = RetryConfig::new().with_budget(budget.clone());
    let layer = RetryLayer::new("stock", config).unwrap();
    let other = RetryLayer::new("stock", RetryConfig::new().with_budget(budget)).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1, "nothing went well yet");
    for _ in 0..4 {
        assert_eq!(attempts(&layer, get(), |_| status(200)).await, 1);
    }
    assert_eq!(layer.handle().budget().available(), 2);
    assert_eq!(attempts(&other, get(), |_| status(503)).await, 3, "shared");
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1);
    // 4xx are answers, 500 is no success.
    attempts(&layer, get(), |_| status(404)).await;
    attempts(&layer, get(), |_| status(404)).await;
    attempts(&layer, get(), |_| status(500)).await;
    assert_eq!(layer.handle().budget().available(), 1);

    let tokens = RetryConfig::new().with_budget(RetryBudget::tokens(4, 0.5).unwrap());
    let layer = RetryLayer::new("stock", tokens).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 2, "two of four are left");
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_body_was_half_sent_sends_it_whole() {
    type Stream = Channel<Bytes, BoxError>;
    let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    // Answers 503 after the first piece, without reading on; holds on to the body for good, as a
    // transport may.
    let service = service_fn(move |request: Request<ReplayBody<Stream>>| {
        let bodies = Arc::clone(&seen);
        async move {
            let first = bodies.lock().unwrap().is_empty();
            let mut body = request.into_body();
            if first {
                let piece = body.frame().await.unwrap()?.into_data().unwrap();
                bodies.lock().unwrap().push(String::from_utf8(piece.to_vec())?);
                std::mem::forget(body);
                return status(503);
            }
            let all = body.collect().await?.to_bytes();
            bodies.lock().unwrap().push(String::from_utf8(all.to_vec())?);
            status(200)
        }
    });
    let (mut sender, body) = Stream::new(1);
    let put = Request::put("/").body(body).unwrap();
    let (response, sent) = tokio::join!(layer().layer(service).oneshot(put), async {
        for piece in ["one ", "two ", "three"] {
            sender.send_data(piece.into()).await?;
        }
        drop(sender);
        Ok::<_, BoxError>(())
    });
    sent.unwrap();
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(*bodies.lock().unwrap(), ["one ", "one two three"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_or_may_not_be_sent_twice_is_sent_once() {
    let read_all = |tries: &Arc<AtomicU32>| {
        let tries = Arc::clone(tries);
        service_fn(move |request: Sent| {
            let tries = Arc::clone(&tries);
            async move {
                tries.fetch_add(1, SeqCst);
                request.into_body().collect().await?;
                status(503)
            }
        })
    };
    let tries = Arc::new(AtomicU32::new(0));
    let sized = |method: Method, bytes: usize| {
        Request::builder().method(method).body(Full::new(Bytes::from(vec![7; bytes]))).unwrap()
    };
    for (method, bytes, times) in
        [(Method::PUT, 64 * 1024, 3), (Method::PUT, 64 * 1024 + 1, 1), (Method::POST, 10, 1)]
    {
        let service = layer().layer(read_all(&tries));
        assert_eq!(service.oneshot(sized(method, bytes)).await.unwrap().status(), 503);
        assert_eq!(tries.swap(0, SeqCst), times, "{bytes}");
    }
    // Whatever its length: nobody has read it yet.
    assert_eq!(attempts(&layer(), sized(Method::POST, 1 << 20), |_| connect()).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_service_ready_only_once_per_clone_is_asked_before_each_attempt() {
    // The mock panics when it is called before it was ready; its clones are not ready.
    let layer = RetryLayer::new("stock", RetryConfig::new()).unwrap();
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<Sent, Response<Full<Bytes>>>| layer.layer(mock));
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(get()));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(503).unwrap());
    assert_pending!(call.poll());
    advance(ms(30)).await;
    assert_pending!(call.poll(), "the next attempt waits until a clone is ready");
    assert!(handle.next_request().now_or_never().is_none());
    handle.allow(1);
    assert!(call.is_woken());
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(200).unwrap());
    assert_eq!(assert_ready_ok!(call.poll()).status(), 200);
    assert_pending!(service.poll_ready(), "the service itself was used up by the first");
}

#[tokio::test(start_paused = true)]
async fn cancelling_at_any_await_point_loses_no_budget_and_holds_nothing() {
    // The await points: the first attempt, the wait, becoming ready, the second attempt.
    for point in 0..4 {
        let held = Arc::new(());
        let budget = RetryBudget::default();
        let config = RetryConfig::new()
            .with_budget(budget.clone())
            .with_backoff(Backoff::new(ms(10), ms(10)).without_jitter());
        let layer = RetryLayer::new("stock", config).unwrap();
        let (mut service, mut handle) =
            mock::spawn_with(|mock: mock::Mock<_, Response<Full<Bytes>>>| layer.layer(mock));
        handle.allow(1);
        assert_ready_ok!(service.poll_ready());
        let body = {
            let held = Arc::clone(&held);
            StreamBody::new(stream::poll_fn(move |_| {
                let _held = &held;
                Poll::<Option<Result<Frame<Bytes>, BoxError>>>::Pending
            }))
        };
        let mut call = task::spawn(service.call(Request::put("/").body(body).unwrap()));
        assert_pending!(call.poll());
        let (request, respond) = handle.next_request().await.unwrap();
        let mut requests: Vec<Request<ReplayBody<_>>> = vec![request];
        if point > 0 {
            respond.send_response(status(503).unwrap());
            assert_pending!(call.poll());
            assert_eq!(budget.available(), 99);
        }
        if point > 1 {
            advance(ms(11)).await;
            assert_pending!(call.poll());
        }
        if point > 2 {
            handle.allow(1);
            assert_pending!(call.poll());
            requests.push(handle.next_request().await.unwrap().0);
        }
        drop(call);
        let spent = u64::from(point == 3);
        assert_eq!(budget.available(), 100 - spent, "point {point}: only a begun retry costs");
        drop(requests);
        assert_eq!(Arc::strong_count(&held), 1, "point {point}: the body is released");
    }
}

#[tokio::test(start_paused = true)]
async fn the_failed_response_is_dropped_before_the_wait() {
    let held = Arc::new(());
    let mine = Arc::clone(&held);
    let service = service_fn(move |_: Sent| {
        let held = Arc::clone(&mine);
        let body = StreamBody::new(stream::poll_fn(move |_| {
            let _held = &held;
            Poll::<Option<Result<Frame<Bytes>, BoxError>>>::Pending
        }));
        ready(Ok::<_, BoxError>(Response::builder().status(503).body(body).unwrap()))
    });
    let config = RetryConfig::new().with_backoff(Backoff::new(ms(10), ms(10)).without_jitter());
    let mut service = RetryLayer::new("stock", config).unwrap().layer(service);
    let idle = Arc::strong_count(&held);
    let mut call = task::spawn(service.ready().await.unwrap().call(get()));
    assert_eq!(Arc::strong_count(&held), idle + 1, "the response is there");
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&held), idle);
}

#[tokio::test(start_paused = true)]
async fn attempts_can_be_changed_at_run_time() {
    let layer = layer();
    let handle = layer.handle();
    handle.set_attempts(1).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1);
    handle.set_attempts(5).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 5);
    let error = handle.set_attempts(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "retry.attempts is 0: set it to at least 1 (no retries) and at most 10 (attempts in all)"
    );
    assert_eq!((handle.peer(), handle.attempts()), ("stock", 5));
    assert!(RetryLayer::new("stock", RetryConfig::new().with_attempts(11)).is_err());
    let wait = RetryConfig::new().with_longest_asked(Duration::MAX);
    assert_eq!(RetryLayer::new("stock", wait).unwrap_err().setting(), "retry.longest_asked");
}

fn counts(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let snapshot = snapshotter.snapshot().into_vec();
    let counts = snapshot.into_iter().filter_map(|(key, _, _, value)| {
        assert_eq!(key.key().name(), "meshwise_retries_total");
        let label = |name| key.key().labels().find(|label| label.key() == name).unwrap().value();
        assert_eq!(label("peer"), "stock");
        let DebugValue::Counter(count) = value else { panic!("a counter") };
        (count > 0).then(|| (label("result").to_owned(), count))
    });
    counts.collect()
}

#[tokio::test(start_paused = true)]
async fn what_became_of_retries_is_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let config = RetryConfig::new().with_budget(RetryBudget::ratio(0.0, 1).unwrap());
    let layer =
        metrics::with_local_recorder(&recorder, || RetryLayer::new("stock", config)).unwrap();

    attempts(&layer, get(), |_| status(200)).await;
    assert_eq!(counts(&snapshotter), BTreeMap::new(), "a call that goes well is not counted");
    attempts(&layer, get(), |n| status(if n == 0 { 503 } else { 200 })).await;
    attempts(&layer, get(), |_| status(503)).await;
    attempts(&layer, request(Method::POST), |_| status(503)).await;
    let long = Request::put("/").body(Full::new(Bytes::from(vec![0; 100_000]))).unwrap();
    let reads = service_fn(|request: Sent| async move {
        request.into_body().collect().await?;
        status(503)
    });
    assert_eq!(layer.layer(reads).oneshot(long).await.unwrap().status(), 503);
    for _ in 0..5 {
        attempts(&layer, get(), |_| status(503)).await;
    }
    let expected = [
        ("body_not_kept", 1),
        ("budget_exhausted", 2),
        ("failure", 9),
        ("not_idempotent", 1),
        ("success", 1),
    ];
    assert_eq!(counts(&snapshotter), expected.map(|(k, v)| (k.to_owned(), v)).into());
}

#[tokio::test(start_paused = true)]
async fn any_service_s_calls_can_be_retried() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let flaky = service_fn(move |n: u32| {
        ready(if counted.fetch_add(1, SeqCst) < 2 { Err("not yet") } else { Ok(n) })
    });
    let layer = layer().retrying(AnyRetries::default());
    assert_eq!(layer.layer(flaky).oneshot(7).await, Ok(7));
    assert_eq!(tries.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_ends_the_call() {
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<Sent, Response<Full<Bytes>>>| layer().layer(mock));
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(get()));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(503).unwrap());
    assert_pending!(call.poll());
    handle.send_error("gone");
    advance(ms(30)).await;
    assert_eq!(assert_ready!(call.poll()).unwrap_err().to_string(), "gone");
}

#[test]
fn a_retrying_service_is_clone_send_and_sync_and_its_future_send() {
    fn check<S: Service<Request<Empty<Bytes>>, Future: Send> + Clone + Send + Sync>(_: S) {}
    check(layer().layer(service_fn(|_: Request<ReplayBody<Empty<Bytes>>>| async { status(200) })));
}

/// Keeps the bound on bodies where it can be seen.
#[allow(dead_code, reason = "it is there to compile")]
fn bodies_are_not_boxed<B>(body: ReplayBody<B>) -> impl Body<Data = Bytes, Error = BoxError>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    body
}
