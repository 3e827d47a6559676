//! The composed layer: the engine with all guards.

use super::{PeerConfig, PeerHandle, settings::over_breaker};
use crate::{
    breaker::{Breaker, BreakerConfig},
    bulkhead::{Bulkhead, BulkheadConfig},
    config_error::ConfigError,
    count::Refusals,
    debug::debug,
    guard::{
        Enforce, Gate, Guarded, GuardedBody, GuardedFuture, Pattern, Routes, Spare, Streaming,
        Timed,
    },
    rate::{Rate, RateConfig},
    retry::{HttpRetries, Retries, RetryConfig},
    timeout::{DeadlineConfig, Deadlines, TimeLimit},
};
use http::Request;
use meshwise_core::{
    Classifier,
    outcome::Rule,
    settings::{BreakerSettings, BulkheadSettings, PeerSettings, RateSettings, RouteSettings},
};
use std::{sync::Arc, time::Duration};
use tower_layer::Layer;

/// Guards calls to a peer with all that there is: deadline, retry, timeout, breaker, bulkhead and
/// rate limit, in this order.
///
/// All services that a layer makes, and their clones, share the guards' state. The inner service's
/// error must be `From<Refused>` (boxed errors are; for others there is
/// [`GuardErrorLayer`](crate::GuardErrorLayer)), its request body is a [`ReplayBody`](crate::ReplayBody).
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
    pub(super) classifier: Classifier,
}

/// What all clients of a peer share.
pub(crate) struct Shared {
    pub(super) peer: Arc<str>,
    pub(super) config: PeerConfig,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) retry: Arc<Retries>,
    pub(super) guards: PeerGuards,
    timed_out: Refusals,
    routes: Vec<(Pattern, PeerGuards)>,
}

/// What a route may have of its own; all others have the peer's.
#[derive(Clone)]
pub(super) struct PeerGuards {
    total: Option<Duration>,
    attempts: Option<u32>,
    pub(super) timeout: Arc<TimeLimit>,
    pub(super) breaker: Option<Arc<Breaker>>,
    pub(super) bulkhead: Option<Arc<Bulkhead>>,
    pub(super) rate: Arc<Rate>,
    streaming: Streaming,
}

impl PeerGuards {
    fn of(peer: &Arc<str>, said: &PeerSettings) -> Result<Self, ConfigError> {
        let limit = said.timeout.limit.get().filter(|_| said.timeout.enabled.or_none());
        let methods = said.streaming.methods.get().into_iter().flatten();
        Ok(Self {
            total: None,
            attempts: None,
            timeout: TimeLimit::new("timeout.limit", limit.copied())?,
            breaker: breaker(peer, &said.breaker)?,
            bulkhead: bulkhead(peer, &said.bulkhead)?,
            rate: rate(peer, &said.rate)?,
            streaming: Streaming {
                all: said.streaming.all.or_none(),
                methods: methods.map(|method| method.as_str().into()).collect(),
            },
        })
    }

    /// Changes what is a route's own: it begins as the peer's is set, and goes by the route's name in
    /// metrics.
    fn of_route(
        mut self,
        peer: &Arc<str>,
        route: &str,
        all: &PeerSettings,
        said: &RouteSettings,
    ) -> Result<Self, ConfigError> {
        let name: Arc<str> = format!("{peer} {route}").into();
        if let Some(attempts) = said.retry.attempts.get() {
            crate::retry::check_attempts(*attempts)?;
            self.attempts = Some(*attempts);
        }
        self.total = said.deadline.total.get().copied();
        TimeLimit::new("deadline.total", self.total)?;
        if let Some(limit) = said.timeout.limit.get() {
            self.timeout = TimeLimit::new("timeout.limit", Some(*limit))?;
        }
        if said.breaker != BreakerSettings::default() {
            let mut own = all.breaker.clone();
            over_breaker(&mut own, &said.breaker);
            self.breaker = breaker(&name, &own)?;
        }
        if said.bulkhead != BulkheadSettings::default() {
            let mut own = all.bulkhead.clone();
            own.overlay(&said.bulkhead);
            self.bulkhead = bulkhead(&name, &own)?;
        }
        if said.rate != RateSettings::default() {
            let mut own = all.rate.clone();
            own.overlay(&said.rate);
            self.rate = rate(&name, &own)?;
        }
        self.streaming.all |= said.streaming.or_none();
        Ok(self)
    }
}

fn breaker(name: &Arc<str>, said: &BreakerSettings) -> Result<Option<Arc<Breaker>>, ConfigError> {
    let make = || Breaker::new(name, BreakerConfig(said.clone()));
    said.enabled.or_none().then(make).transpose()
}

fn bulkhead(
    name: &Arc<str>,
    said: &BulkheadSettings,
) -> Result<Option<Arc<Bulkhead>>, ConfigError> {
    let make = || Bulkhead::new(name, BulkheadConfig(said.clone()), Rule::BulkheadFull);
    said.enabled.or_none().then(make).transpose()
}

fn rate(name: &Arc<str>, said: &RateSettings) -> Result<Arc<Rate>, ConfigError> {
    let rate = Rate::new(name, 0);
    rate.set(said.enabled.or_none().then(|| RateConfig(said.clone())))?;
    Ok(Arc::new(rate))
}

impl Shared {
    fn new(peer: Arc<str>, config: PeerConfig) -> Result<Self, ConfigError> {
        let said = &config.said;
        let guards = PeerGuards::of(&peer, said)?;
        let routes = config.patterns()?.into_iter().map(|(pattern, route, own)| {
            Ok((pattern, guards.clone().of_route(&peer, route, said, own)?))
        });
        let routes = routes.collect::<Result<_, ConfigError>>()?;
        let total = said.deadline.total.get().filter(|_| said.deadline.enabled.or_none());
        let deadline = DeadlineConfig {
            total: total.copied(),
            on_purpose: config.is_total_set(),
            head_only: said.streaming.all.or_none(),
            ..config.incoming
        };
        let retry = RetryConfig {
            said: said.retry.clone(),
            budget: config.budget.clone(),
            incoming: config.incoming_attempt,
        };
        Ok(Self {
            deadlines: Arc::new(Deadlines::new(&peer, &deadline)?),
            retry: Retries::new(&peer, &retry)?,
            timed_out: Refusals::new(&peer, Rule::TimedOut),
            guards,
            routes,
            peer,
            config,
        })
    }

    /// Makes the gate, for a route or for all others.
    fn gate(&self, classifier: &Classifier, guards: &PeerGuards) -> Gate {
        let guards = guards.clone();
        Gate {
            classifier: classifier.clone(),
            deadlines: Some(Arc::clone(&self.deadlines)),
            total: guards.total,
            attempts: guards.attempts,
            retry: Some(Arc::clone(&self.retry)),
            limit: Some(guards.timeout),
            enforce: Enforce::Attempt,
            timed_out: Some(self.timed_out.clone()),
            breaker: guards.breaker,
            bulkhead: guards.bulkhead,
            rate: Some(guards.rate),
            streaming: guards.streaming,
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
        let routes = shared.routes.iter().map(|(pattern, route)| {
            (pattern.clone(), Arc::new(shared.gate(&self.classifier, route)))
        });
        let routes = Routes::new(routes.collect());
        let gate = Gate { routes, ..shared.gate(&self.classifier, &shared.guards) };
        let spare = Some(Spare::of(&inner));
        let methods = shared.config.said.retry.idempotent_methods.get();
        let kind = HttpRetries::watched(methods.map_or(&[], Vec::as_slice));
        Guarded::new(inner, Arc::new(gate), kind, spare)
    }
}

debug!("PeerLayer", [] PeerLayer, layer: "peer" = layer.shared.peer);

/// A response's body as the guards hand it on: they watch it to its end.
pub type PeerBody<B> = GuardedBody<B>;

/// Guards calls to a peer. Made by [`PeerLayer`].
///
/// It is as ready as the inner service, or ready at once while the breaker is open (to refuse).
/// Clones share the guards' state, and nothing of their readiness.
pub type PeerService<S> = Guarded<S, HttpRetries<true>, Timed>;

/// The future of a guarded call with a request body `B`.
pub type PeerFuture<S, B> = GuardedFuture<S, HttpRetries<true>, Request<B>, Timed>;
