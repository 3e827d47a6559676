//! The composed layer, its service and its future.

use super::{PeerConfig, PeerHandle, RouteConfig, config::RouteGuard};
use crate::{
    ConfigError, HttpCalls, HttpRetries, ReplayBody, RetryFuture, RetryLayer, RetryService,
    breaker::{Breaker, BreakerConfig},
    bulkhead::{Bulkhead, BulkheadConfig},
    clock,
    count::Refusals,
    guard::{Cloned, Enforce, Gate, Guarded, GuardedBody, Pattern, Routes, Streaming, poll_sleep},
    rate::Rate,
    retry::RetryKind,
    timeout::{Deadlines, TimeLimit},
};
use http::{Request, Response};
use http_body::Body;
use meshwise_core::{Classifier, Limits, Refused, outcome::Rule};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Guards calls to a peer with all that there is: deadline, retry, timeout, breaker, bulkhead and
/// rate limit, in this order.
///
/// All services that a layer makes, and their clones, share the guards' state. The inner service's
/// error must be `From<Refused>` (boxed errors are; for others there is
/// [`GuardErrorLayer`](crate::GuardErrorLayer)), its request body is a [`ReplayBody`].
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::{Empty, Full};
/// use meshwise_resilience::{PeerConfig, PeerLayer, ReplayBody};
/// use std::time::Duration;
/// use tower::{Layer, ServiceExt, service_fn};
/// type BoxError = Box<dyn std::error::Error + Send + Sync>;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let config = PeerConfig::new().with_timeout(Duration::from_millis(500));
/// let layer = PeerLayer::new("stock", config)?;
/// let handle = layer.handle();
///
/// // The transport; any HTTP client as a tower service.
/// let transport = service_fn(async |_: Request<ReplayBody<Empty<bytes::Bytes>>>| {
///     Ok::<_, BoxError>(Response::new(Full::new(bytes::Bytes::from("in stock"))))
/// });
/// let stock = layer.layer(transport);
/// let response = stock.oneshot(Request::get("/items/7").body(Empty::new())?).await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(handle.retry().budget().available(), 100);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PeerLayer {
    pub(super) shared: Arc<Shared>,
    /// How this client's errors are looked into.
    classifier: Classifier,
}

/// What all clients of a peer share.
pub(crate) struct Shared {
    pub(super) peer: Arc<str>,
    pub(super) config: PeerConfig,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) retry: RetryLayer,
    pub(super) timeout: Arc<TimeLimit>,
    pub(super) breaker: Option<Arc<Breaker>>,
    pub(super) bulkhead: Option<Arc<Bulkhead>>,
    pub(super) rate: Arc<Rate>,
    timed_out: Refusals,
    routes: Vec<(Pattern, Route)>,
}

/// The guards of a route, where they differ.
struct Route {
    settings: RouteConfig,
    timeout: Option<Arc<TimeLimit>>,
    breaker: RouteGuard<Arc<Breaker>>,
    bulkhead: RouteGuard<Arc<Bulkhead>>,
    rate: RouteGuard<Arc<Rate>>,
}

/// What a route overrides of a call as a whole.
#[derive(Clone, Copy, Debug)]
struct CallPolicy {
    total: Option<Duration>,
    attempts: Option<u32>,
}

impl Shared {
    fn new(peer: Arc<str>, config: PeerConfig) -> Result<Self, ConfigError> {
        let rate = |name: &Arc<str>, config| -> Result<_, ConfigError> {
            let rate = Rate::new(Arc::clone(name), 0);
            rate.set(config)?;
            Ok(Arc::new(rate))
        };
        let breaker = |name: &Arc<str>, config: &BreakerConfig| Breaker::new(name, config.clone());
        let bulkhead = |name: &Arc<str>, config: &BulkheadConfig| {
            Bulkhead::new(name, config.clone(), Rule::BulkheadFull)
        };
        let limit = |limit| TimeLimit::new(&peer, "timeout.limit", limit);
        let mut routes = Vec::new();
        for (pattern, route, settings) in config.patterns()? {
            // What is the route's own goes by its name in metrics.
            let name: Arc<str> = format!("{peer} {route}").into();
            if let Some(attempts) = settings.attempts {
                crate::retry::check_attempts(attempts)?;
            }
            TimeLimit::new(&peer, "deadline.total", settings.total)?;
            let route = Route {
                settings: settings.clone(),
                timeout: settings.timeout.map(|own| limit(Some(own))).transpose()?,
                breaker: settings.breaker.try_map(|own| breaker(&name, own))?,
                bulkhead: settings.bulkhead.try_map(|own| bulkhead(&name, own))?,
                rate: settings.rate.try_map(|own| rate(&name, Some(*own)))?,
            };
            routes.push((pattern, route));
        }
        let retry = RetryLayer::new(Arc::clone(&peer), config.retry.clone())?
            .within(config.deadline.incoming_limit);
        Ok(Self {
            deadlines: Arc::new(config.deadline.deadlines(&peer)?),
            retry,
            timeout: limit(config.timeout.limit)?,
            breaker: config.breaker.as_ref().map(|own| breaker(&peer, own)).transpose()?,
            bulkhead: config.bulkhead.as_ref().map(|own| bulkhead(&peer, own)).transpose()?,
            rate: rate(&peer, config.rate)?,
            timed_out: Refusals::new(&peer, Rule::TimedOut),
            routes,
            peer,
            config,
        })
    }

    /// Makes the gate of attempts, for a route or for all others.
    fn gate(&self, classifier: &Classifier, route: Option<&Route>) -> Gate {
        let own = |streaming: &Streaming| Streaming {
            all: streaming.all || route.is_some_and(|route| route.settings.streaming),
            methods: streaming.methods.clone(),
        };
        Gate {
            classifier: classifier.clone(),
            limit: route
                .and_then(|r| r.timeout.clone())
                .or_else(|| Some(Arc::clone(&self.timeout))),
            enforce: Enforce::Attempt,
            timed_out: Some(self.timed_out.clone()),
            breaker: match route {
                Some(route) => route.breaker.or(self.breaker.as_ref()),
                None => self.breaker.clone(),
            },
            bulkhead: match route {
                Some(route) => route.bulkhead.or(self.bulkhead.as_ref()),
                None => self.bulkhead.clone(),
            },
            rate: match route {
                Some(route) => route.rate.or(Some(&self.rate)),
                None => Some(Arc::clone(&self.rate)),
            },
            streaming: own(&self.config.streaming),
            ..Gate::new(Arc::clone(&self.peer))
        }
    }
}

impl PeerLayer {
    /// Creates the guards of a peer.
    ///
    /// Their metrics go to the recorder that is in place now.
    ///
    /// # Errors
    ///
    /// Says which setting makes no sense, and what is allowed.
    pub fn new(peer: impl Into<Arc<str>>, config: PeerConfig) -> Result<Self, ConfigError> {
        let classifier = config.classifier.clone();
        Ok(Self { shared: Arc::new(Shared::new(peer.into(), config)?), classifier })
    }

    /// Makes the layer of another client of the same peer: the guards are shared, how errors are
    /// looked into is its own.
    pub(crate) fn for_client(shared: &Arc<Shared>, classifier: Classifier) -> Self {
        Self { shared: Arc::clone(shared), classifier }
    }

    /// Returns the handle by which the guards are read and turned.
    #[must_use]
    pub fn handle(&self) -> PeerHandle {
        PeerHandle { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Clone> Layer<S> for PeerLayer {
    type Service = PeerService<S>;

    fn layer(&self, inner: S) -> PeerService<S> {
        let shared = &self.shared;
        let own = shared.routes.iter().map(|(pattern, route)| {
            (pattern.clone(), Arc::new(shared.gate(&self.classifier, Some(route))))
        });
        let policies = shared.routes.iter().map(|(pattern, route)| {
            let RouteConfig { total, attempts, .. } = route.settings;
            (pattern.clone(), CallPolicy { total, attempts })
        });
        let gate =
            Gate { routes: Routes::new(own.collect()), ..shared.gate(&self.classifier, None) };
        let retries = shared.config.retries.clone().with_classifier(self.classifier.clone());
        let attempts = Guarded::new(inner, Arc::new(gate), HttpCalls::new());
        PeerService {
            retry: shared.retry.clone().retrying(retries).layer(attempts),
            call: Arc::new(CallGuard {
                peer: Arc::clone(&shared.peer),
                deadlines: Arc::clone(&shared.deadlines),
                timed_out: shared.timed_out.clone(),
                routes: Routes::new(policies.collect()),
            }),
        }
    }
}

impl fmt::Debug for PeerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerLayer").field("peer", &self.shared.peer).finish_non_exhaustive()
    }
}

/// What guards a call as a whole.
struct CallGuard {
    peer: Arc<str>,
    deadlines: Arc<Deadlines>,
    timed_out: Refusals,
    routes: Routes<CallPolicy>,
}

/// A response's body as the guards hand it on: they watch it to its end.
pub type PeerBody<B> = GuardedBody<B>;

type Attempts<S> = Guarded<S, HttpCalls, Cloned>;

/// Guards calls to a peer. Made by [`PeerLayer`].
///
/// It is as ready as the inner service, or ready at once while the breaker is open (to refuse).
/// Clones share the guards' state, and nothing of their readiness.
#[derive(Clone)]
pub struct PeerService<S> {
    retry: RetryService<Attempts<S>, HttpRetries>,
    call: Arc<CallGuard>,
}

impl<S, B, RB> Service<Request<B>> for PeerService<S>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<RB>> + Clone,
    S::Error: From<Refused> + 'static,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    RB: Body,
{
    type Response = Response<PeerBody<RB>>;
    type Error = S::Error;
    type Future = PeerFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.retry, cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = &self.call;
        let kind = self.retry.kind();
        let policy = match call.routes.is_empty() {
            true => None,
            false => call.routes.find(RetryKind::route(kind, &request)).copied(),
        };
        let told = RetryKind::told(kind, &request);
        let now = clock::now();
        let total = policy.and_then(|policy| policy.total);
        match call.deadlines.limits(&call.peer, Limits::current(), told, total, now) {
            Ok(limits) => {
                let attempts = policy.and_then(|policy| policy.attempts);
                let call = Arc::clone(call);
                let future = self.retry.call_within(request, Some(limits), attempts);
                PeerFuture {
                    stage: Stage::Calling { future },
                    sleep: None,
                    limits: Some((limits, call)),
                }
            }
            // The inner service stays ready for the next call, as tower allows.
            Err(refused) => {
                let stage = Stage::Refused { refused: Some(refused) };
                PeerFuture { stage, sleep: None, limits: None }
            }
        }
    }
}

impl<S> fmt::Debug for PeerService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerService").field("peer", &self.call.peer).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of a guarded call with a request body `B`.
    pub struct PeerFuture<S, B>
    where
        S: Service<Request<ReplayBody<B>>>,
        Attempts<S>: Service<Request<ReplayBody<B>>>,
        B: Body,
        B: Unpin,
        B::Error: Into<BoxError>,
    {
        #[pin]
        stage: Stage<RetryFuture<Attempts<S>, HttpRetries, Request<B>>>,
        // Set while the call waits for its next attempt; attempts have timers of their own.
        #[pin]
        sleep: Option<Sleep>,
        limits: Option<(Limits, Arc<CallGuard>)>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<F> {
        Calling { #[pin] future: F },
        Refused { refused: Option<Refused> },
    }
}

impl<S, B, RB> Future for PeerFuture<S, B>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<RB>> + Clone,
    S::Error: From<Refused> + 'static,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    RB: Body,
{
    type Output = Result<Response<PeerBody<RB>>, S::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.stage.as_mut().project() {
            StageProj::Calling { mut future } => {
                if let Poll::Ready(result) = future.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                if !future.is_between() {
                    return Poll::Pending;
                }
            }
            StageProj::Refused { refused } => {
                let Some(refused) = refused.take() else { return Poll::Pending };
                return Poll::Ready(Err(refused.into()));
            }
        }
        // Between two attempts.
        let Some((limits, call)) = this.limits else { return Poll::Pending };
        let Some(end) = limits.end() else { return Poll::Pending };
        if poll_sleep(this.sleep, end, cx).is_pending() {
            return Poll::Pending;
        }
        let refused = call.timed_out.refuse(&call.peer, None);
        this.stage.set(Stage::Refused { refused: None });
        Poll::Ready(Err(refused.into()))
    }
}

impl<S, B> fmt::Debug for PeerFuture<S, B>
where
    S: Service<Request<ReplayBody<B>>>,
    Attempts<S>: Service<Request<ReplayBody<B>>>,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerFuture").finish_non_exhaustive()
    }
}
