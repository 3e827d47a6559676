//! What guarding a call adds to one that succeeds at once.

use crate::metrics;
use benches::{Bench, Contestant, Shared};
use failsafe::futures::CircuitBreaker as _;
use futures_util::FutureExt;
use http::{Request, Response};
use meshwise_resilience::{
    AnyCalls, AnyRetries, BreakerConfig, BreakerLayer, BulkheadConfig, BulkheadLayer, PeerConfig,
    PeerLayer, ReplayBody, RetryConfig, RetryLayer, TimeoutLayer,
};
use std::{
    cell::RefCell,
    future::{Future, Ready},
    hint::{black_box, spin_loop},
    mem,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_resilience::{
    bulkhead, circuitbreaker, retry,
    timelimiter::{self, TimeLimiterLayer},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Answers at once.
#[derive(Clone)]
struct Answer;

impl Service<u64> for Answer {
    type Response = u64;
    type Error = BoxError;
    type Future = Ready<Result<u64, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        std::future::ready(Ok(request + 1))
    }
}

fn contestant<S>(mut service: S) -> Contestant
where
    S: Service<u64, Response = u64> + 'static,
    S::Error: std::fmt::Debug,
{
    Contestant::new(move || {
        let answered = async { service.ready().await?.call(black_box(7)).await };
        assert_eq!(answered.now_or_never().expect("nothing waits here").expect("an answer"), 8);
    })
}

/// Makes guards of ours with our recorder in place, as a mesh does: they resolve their metrics once.
fn measured<T>(make: impl FnOnce() -> T) -> T {
    ::metrics::with_local_recorder(&metrics::ours(10).recorder(), make)
}

fn breaker() -> BreakerLayer<AnyCalls> {
    let layer = measured(|| BreakerLayer::new("stock", BreakerConfig::new())).expect("a layer");
    layer.with_calls(AnyCalls::new())
}

fn bulkhead() -> BulkheadLayer<AnyCalls> {
    let config = BulkheadConfig::new().with_limit(50);
    let layer = measured(|| BulkheadLayer::new("stock", config)).expect("a layer");
    layer.with_calls(AnyCalls::new())
}

fn retry() -> RetryLayer<AnyRetries> {
    let layer = measured(|| RetryLayer::new("stock", RetryConfig::new())).expect("a layer");
    layer.with_calls(AnyRetries)
}

fn timeout() -> TimeoutLayer {
    let config = Duration::from_secs(5);
    measured(|| TimeoutLayer::new("stock", config)).expect("a layer")
}

/// Tries again after any error, twice, as tower's own example has it.
#[derive(Clone)]
struct Twice(usize);

impl<E> tower::retry::Policy<u64, u64, E> for Twice {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Ready<()>> {
        let again = result.is_err() && self.0 > 0;
        self.0 = self.0.saturating_sub(usize::from(again));
        again.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

/// Does what `make` makes for each thread.
///
/// Threads are new in each round and do one thing each, so one place for all is enough.
fn per_thread<F: FnMut() + 'static>(name: &str, make: impl Fn() -> F + Sync + 'static) -> Shared {
    thread_local! {
        static MINE: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
    }
    Shared::new(name, move || {
        MINE.with_borrow_mut(|mine| mine.get_or_insert_with(|| Box::new(make()))());
    })
}

/// A clone of one service for each thread.
fn clones<S>(name: &str, service: S) -> Shared
where
    S: Service<u64, Response = u64> + Clone + Sync + 'static,
    S::Error: std::fmt::Debug,
{
    services(name, move || service.clone())
}

/// A service for each thread.
fn services<S>(name: &str, make: impl Fn() -> S + Sync + 'static) -> Shared
where
    S: Service<u64, Response = u64> + 'static,
    S::Error: std::fmt::Debug,
{
    let runtime = tokio::runtime::Handle::current();
    per_thread(name, move || {
        let (mut service, runtime) = (make(), runtime.clone());
        let mut entered = false;
        move || {
            // Some look for a runtime. A thread that has one keeps it: entering costs as much as
            // what is measured.
            if !mem::replace(&mut entered, true) {
                mem::forget(runtime.enter());
            }
            let mut answered = pin!(async { service.ready().await?.call(black_box(7)).await });
            // Some wait for a lock that the other thread has.
            let mut cx = Context::from_waker(Waker::noop());
            let answer = loop {
                match answered.as_mut().poll(&mut cx) {
                    Poll::Ready(answer) => break answer,
                    Poll::Pending => spin_loop(),
                }
            };
            answer.expect("an answer");
        }
    })
}

/// What a guarded call needs at the least, if one number is to be right in all threads: one addition
/// when it begins, and one when it ends.
fn two_additions() -> Shared {
    let count: &'static AtomicU64 = Box::leak(Box::default());
    per_thread("two additions to one number", move || {
        move || {
            count.fetch_add(black_box(1), Relaxed);
            black_box(());
            count.fetch_sub(black_box(1), Relaxed);
        }
    })
}

/// One breaker, called by all threads.
pub(crate) fn shared_breakers() -> Vec<Shared> {
    let theirs = circuitbreaker::CircuitBreakerLayer::standard().build();
    let recloser = recloser::AsyncRecloser::from(recloser::Recloser::default());
    let failsafe = failsafe::Config::new().build();
    vec![
        clones("meshwise BreakerLayer", breaker().layer(Answer)),
        // What is slower here than alone is so by the processor's doing.
        services("the same, a breaker for each thread", || breaker().layer(Answer)),
        two_additions(),
        clones("tower-resilience", theirs.expect("a layer").layer(Answer)),
        per_thread("recloser", move || {
            let (breaker, mut service) = (recloser.clone(), Answer);
            move || {
                let answered = breaker.call(service.call(black_box(7))).now_or_never();
                assert_eq!(answered.expect("nothing waits here").ok(), Some(8));
            }
        }),
        per_thread("failsafe", move || {
            let (breaker, mut service) = (failsafe.clone(), Answer);
            move || {
                let answered = breaker.call(service.call(black_box(7))).now_or_never();
                assert_eq!(answered.expect("nothing waits here").ok(), Some(8));
            }
        }),
    ]
}

/// One bulkhead, called by all threads.
pub(crate) fn shared_bulkheads() -> Vec<Shared> {
    let theirs = bulkhead::BulkheadLayer::medium().build();
    vec![
        clones("meshwise BulkheadLayer", bulkhead().layer(Answer)),
        services("the same, a bulkhead for each thread", || bulkhead().layer(Answer)),
        two_additions(),
        clones("tower-resilience", theirs.expect("a layer").layer(Answer)),
        clones(
            "tower ConcurrencyLimit",
            tower::limit::ConcurrencyLimitLayer::new(50).layer(Answer),
        ),
    ]
}

/// The guards of one peer, called by all threads.
pub(crate) fn shared_stacks() -> Vec<Shared> {
    let ours = || {
        let layers = ServiceBuilder::new().layer(retry()).layer(timeout());
        layers.layer(breaker()).layer(bulkhead()).service(Answer)
    };
    vec![
        clones("meshwise", ours()),
        services("the same, all guards for each thread", ours),
        two_additions(),
    ]
}

pub(crate) fn run(bench: &mut Bench) {
    bench.contest("resilience, breaker", |contest| {
        contest.bare("a service that answers", || contestant(Answer));
        contest.ours("meshwise BreakerLayer", || contestant(breaker().layer(Answer)));
        contest.peer("tower-resilience", || {
            let layer = circuitbreaker::CircuitBreakerLayer::standard().build();
            contestant(layer.expect("a layer").layer(Answer))
        });
        contest.peer("recloser", || {
            let breaker = recloser::AsyncRecloser::from(recloser::Recloser::default());
            let mut service = Answer;
            Contestant::new(move || {
                let answered = breaker.call(service.call(black_box(7))).now_or_never();
                assert_eq!(answered.expect("nothing waits here").ok(), Some(8));
            })
        });
        contest.peer("failsafe", || {
            let breaker = failsafe::Config::new().build();
            let mut service = Answer;
            Contestant::new(move || {
                let answered = breaker.call(service.call(black_box(7))).now_or_never();
                assert_eq!(answered.expect("nothing waits here").ok(), Some(8));
            })
        });
    });
    bench.contest("resilience, bulkhead", |contest| {
        contest.bare("a service that answers", || contestant(Answer));
        contest.ours("meshwise BulkheadLayer", || contestant(bulkhead().layer(Answer)));
        // What it shows of its permits goes to whoever records metrics.
        contest.peer("the same, to metrics-exporter-prometheus", || {
            let config = BulkheadConfig::new().with_limit(50);
            let layer = BulkheadLayer::new("stock", config).expect("a layer");
            contestant(layer.with_calls(AnyCalls::new()).layer(Answer))
        });
        contest.peer("tower-resilience", || {
            let layer = bulkhead::BulkheadLayer::medium().build();
            contestant(layer.expect("a layer").layer(Answer))
        });
        contest.peer("tower ConcurrencyLimit", || {
            contestant(tower::limit::ConcurrencyLimitLayer::new(50).layer(Answer))
        });
    });
    bench.contest("resilience, retry", |contest| {
        contest.bare("a service that answers", || contestant(Answer));
        contest.ours("meshwise RetryLayer", || contestant(retry().layer(Answer)));
        contest.peer("tower-resilience", || {
            let layer = retry::RetryLayer::<u64, u64, BoxError>::exponential_backoff().build();
            contestant(layer.layer(Answer))
        });
        contest.peer("tower Retry", || {
            contestant(tower::retry::RetryLayer::new(Twice(2)).layer(Answer))
        });
    });
    bench.contest("resilience, timeout", |contest| {
        contest.bare("a service that answers", || contestant(Answer));
        contest.ours("meshwise TimeoutLayer", || contestant(timeout().layer(Answer)));
        contest.peer("tower-resilience", || {
            contestant(TimeLimiterLayer::standard().build().layer(Answer))
        });
        contest.peer("tower Timeout", || {
            let layer = tower::timeout::TimeoutLayer::new(Duration::from_secs(5));
            contestant(layer.layer(Answer))
        });
    });
    composed(bench);
}

fn composed(bench: &mut Bench) {
    bench.contest("resilience, retry, timeout, breaker, bulkhead", |contest| {
        contest.bare("a service that answers", || contestant(Answer));
        contest.ours("meshwise", || {
            let layers = ServiceBuilder::new().layer(retry()).layer(timeout());
            contestant(layers.layer(breaker()).layer(bulkhead()).service(Answer))
        });
        contest.peer("tower-resilience", || {
            type Error = timelimiter::TimeLimiterError<
                circuitbreaker::CircuitBreakerError<bulkhead::BulkheadServiceError<BoxError>>,
            >;
            let retry = retry::RetryLayer::<u64, u64, Error>::exponential_backoff().build();
            let breaker = circuitbreaker::CircuitBreakerLayer::standard().build();
            let bulkhead = bulkhead::BulkheadLayer::medium().build();
            let service = ServiceBuilder::new()
                .layer(retry)
                .layer(TimeLimiterLayer::standard().build())
                .layer(breaker.expect("a layer"))
                .layer(bulkhead.expect("a layer"))
                .service(Answer);
            contestant(service)
        });
        contest.peer("tower Retry, Timeout, ConcurrencyLimit (no breaker)", || {
            let service = ServiceBuilder::new()
                .layer(tower::retry::RetryLayer::new(Twice(2)))
                .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(5)))
                .layer(tower::limit::ConcurrencyLimitLayer::new(50))
                .service(Answer);
            contestant(service)
        });
    });
    bench.contest("resilience, all guards of a peer over HTTP", |contest| {
        type Body = http_body_util::Full<bytes::Bytes>;
        async fn answer<B>(_: Request<B>) -> Result<Response<Body>, BoxError> {
            Ok(Response::new(Body::from("an item")))
        }
        fn http<S, B>(mut service: S) -> Contestant
        where
            S: Service<Request<Body>, Response = Response<B>> + 'static,
            S::Error: std::fmt::Debug,
            B: http_body::Body<Error: std::fmt::Debug>,
        {
            use http_body_util::BodyExt;
            Contestant::new(move || {
                let request = Request::get("/items/7").body(Body::default()).expect("a request");
                let answered = async {
                    let answer = service.ready().await.expect("ready").call(request).await;
                    answer.expect("an answer").into_body().collect().await.expect("a body");
                };
                answered.now_or_never().expect("nothing waits here");
            })
        }
        contest.bare("a service that answers", || http(tower::service_fn(answer::<Body>)));
        contest.ours("meshwise PeerLayer", || {
            let layer = measured(|| PeerLayer::new("stock", PeerConfig::new()));
            let layer = layer.expect("a layer");
            http(layer.layer(tower::service_fn(answer::<ReplayBody<Body>>)))
        });
    });
}
