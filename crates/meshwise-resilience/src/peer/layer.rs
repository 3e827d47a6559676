//! The composed layer: the engine with all guards.

use super::{PeerConfig, PeerHandle, RouteConfig, config::RouteGuard};
use crate::{
    breaker::{Breaker, BreakerConfig},
    bulkhead::{Bulkhead, BulkheadConfig},
    config_error::ConfigError,
    count::Refusals,
    guard::{
        Enforce, Gate, Guarded, GuardedBody, GuardedFuture, Pattern, Routes, Spare, Streaming,
        Timed,
    },
    rate::Rate,
    retry::{HttpRetries, Retries},
    timeout::{Deadlines, TimeLimit},
};
use http::Request;
use meshwise_core::{Classifier, outcome::Rule};
use std::{fmt, sync::Arc};
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
    classifier: Classifier,
}

/// What all clients of a peer share.
pub(crate) struct Shared {
    pub(super) peer: Arc<str>,
    pub(super) config: PeerConfig,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) retry: Arc<Retries>,
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
        Ok(Self {
            deadlines: Arc::new(Deadlines::new(&peer, &config.deadline)?),
            retry: Retries::new(&peer, config.retry.clone())?,
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

    /// Makes the gate, for a route or for all others.
    fn gate(&self, classifier: &Classifier, route: Option<&Route>) -> Gate {
        let settings = route.map(|route| &route.settings);
        let streaming = &self.config.streaming;
        Gate {
            classifier: classifier.clone(),
            deadlines: Some(Arc::clone(&self.deadlines)),
            total: settings.and_then(|settings| settings.total),
            attempts: settings.and_then(|settings| settings.attempts),
            retry: Some(Arc::clone(&self.retry)),
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
            streaming: Streaming {
                all: streaming.all || settings.is_some_and(|settings| settings.streaming),
                methods: streaming.methods.clone(),
            },
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
        let routes = shared.routes.iter().map(|(pattern, route)| {
            (pattern.clone(), Arc::new(shared.gate(&self.classifier, Some(route))))
        });
        let routes = Routes::new(routes.collect());
        let gate = Gate { routes, ..shared.gate(&self.classifier, None) };
        let spare = Some(Spare::of(&inner));
        let kind = shared.config.retries.watched();
        Guarded::new(inner, Arc::new(gate), kind, spare)
    }
}

impl fmt::Debug for PeerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerLayer").field("peer", &self.shared.peer).finish_non_exhaustive()
    }
}

/// A response's body as the guards hand it on: they watch it to its end.
pub type PeerBody<B> = GuardedBody<B>;

/// Guards calls to a peer. Made by [`PeerLayer`].
///
/// It is as ready as the inner service, or ready at once while the breaker is open (to refuse).
/// Clones share the guards' state, and nothing of their readiness.
pub type PeerService<S> = Guarded<S, HttpRetries<true>, Timed>;

/// The future of a guarded call with a request body `B`.
pub type PeerFuture<S, B> = GuardedFuture<S, HttpRetries<true>, Request<B>, Timed>;
