//! All guards of a peer, in the order that works.
//!
//! ```text
//! deadline -> retry -> [ attempt limit, breaker, bulkhead, rate limit: one gate ] -> transport
//! ```
//!
//! One call is one decision of the retry budget; each attempt passes the gate.

mod config;

pub use config::{PeerConfig, RouteConfig};

use crate::{
    breaker::{Breaker, BreakerConfig, BreakerHandle},
    bulkhead::{Bulkhead, BulkheadConfig, BulkheadHandle},
    config::{ConfigError, check},
    count::Refusals,
    debug::debug,
    guard::{
        AllGuards, Enforce, Gate, Guarded, GuardedBody, GuardedFuture, Pattern, Spare, Streaming,
    },
    handle::Handle,
    rate::{Rate, RateConfig, RateLimitHandle},
    retry::{HttpRetries, Retries, RetryConfig, RetryHandle, check_attempts},
    timeout::{DeadlineConfig, Deadlines, TimeLimit, TimeLimitHandle},
};
use config::over_breaker;
use http::{HeaderName, Request};
use meshwise_core::{
    Classifier,
    outcome::Rule,
    settings::{BreakerSettings, BulkheadSettings, PeerSettings, RateSettings, RouteSettings},
};
use std::sync::Arc;
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
/// assert_eq!(handle.retry().map(|retry| retry.budget().available()), Some(100));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PeerLayer {
    pub(crate) shared: Arc<PeerShared>,
    /// How this client's errors are looked into.
    pub(crate) classifier: Classifier,
    /// By what header this client's requests tell how much time there is.
    pub(crate) timeout_header: Option<HeaderName>,
}

pub(crate) struct PeerShared {
    pub(crate) config: PeerConfig,
    /// The gate of all routes but those that have one of their own, and theirs.
    gate: Gate,
    routes: Vec<(Pattern, Gate)>,
    /// The guards that routes have of their own, by the names of these.
    pub(crate) own: Vec<PeerHandle>,
}

impl PeerShared {
    fn new(peer: Arc<str>, config: PeerConfig) -> Result<Self, ConfigError> {
        let said = &config.said;
        check("streaming", said.streaming.wrong())?;
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
        let limit = said.timeout.limit.get().filter(|_| said.timeout.enabled.or_none());
        let gate = Gate {
            deadlines: Some(Arc::new(Deadlines::new(&peer, &deadline)?)),
            retry: Some(Retries::new(&peer, retry)?),
            limit: Some(TimeLimit::new("timeout.limit", limit.copied())?),
            enforce: Enforce::Attempt,
            timed_out: Some(Refusals::new(&peer, Rule::TimedOut)),
            breaker: breaker(&peer, &said.breaker)?,
            bulkhead: bulkhead(&peer, &said.bulkhead)?,
            rate: rate(&peer, &said.rate)?,
            streaming: Streaming {
                all: said.streaming.all.or_none(),
                methods: said.streaming.methods.get().cloned().unwrap_or_default(),
            },
            ..Gate::new(peer)
        };
        let (mut routes, mut own): (Vec<_>, _) = Default::default();
        for (route, RouteConfig(set)) in &config.routes {
            let pattern = Pattern::parse(route)?;
            routes.push((pattern, of_route(gate.clone(), route, said, set, &mut own)?));
        }
        if let Some(breaker) = &gate.breaker {
            _ = breaker.routes.set(own.iter().filter_map(PeerHandle::breaker).collect());
        }
        Ok(Self { gate, routes, own, config })
    }
}

/// Changes what is a route's own: it begins as the peer's is set, and goes by the route's name in
/// metrics.
fn of_route(
    mut gate: Gate,
    route: &str,
    all: &PeerSettings,
    said: &RouteSettings,
    shown: &mut Vec<PeerHandle>,
) -> Result<Gate, ConfigError> {
    let name: Arc<str> = format!("{} {route}", gate.peer).into();
    let mut guards = Gate::new(Arc::clone(&name));
    gate.attempts = said.retry.attempts.get().copied();
    gate.attempts.map_or(Ok(()), check_attempts)?;
    gate.total = said.deadline.total.get().copied();
    TimeLimit::new("deadline.total", gate.total)?;
    if let Some(limit) = said.timeout.limit.get() {
        gate.limit = Some(TimeLimit::new("timeout.limit", Some(*limit))?);
    }
    macro_rules! own {
        ($($guard:ident by $overlay:expr;)+) => { $(
            if said.$guard != Default::default() {
                let mut own = all.$guard.clone();
                $overlay(&mut own, &said.$guard);
                guards.$guard = $guard(&name, &own)?;
                gate.$guard = guards.$guard.clone();
            }
        )+ };
    }
    own! {
        breaker by over_breaker;
        bulkhead by BulkheadSettings::overlay;
        rate by RateSettings::overlay;
    }
    if guards.breaker.is_some() || guards.bulkhead.is_some() || guards.rate.is_some() {
        shown.push(PeerHandle { gate: guards, whole: None });
    }
    gate.streaming.all |= said.streaming.or_none();
    Ok(gate)
}

fn breaker(name: &Arc<str>, said: &BreakerSettings) -> Result<Option<Arc<Breaker>>, ConfigError> {
    let make = || Breaker::new(name, BreakerConfig(said.clone()));
    said.enabled.or_none().then(make).transpose()
}

fn bulkhead(
    name: &Arc<str>,
    said: &BulkheadSettings,
) -> Result<Option<Arc<Bulkhead>>, ConfigError> {
    let make = || Bulkhead::new(name, BulkheadConfig(said.clone()));
    said.enabled.or_none().then(make).transpose()
}

fn rate(name: &Arc<str>, said: &RateSettings) -> Result<Option<Arc<Rate>>, ConfigError> {
    let rate = Rate::new(name, 0);
    rate.set(said.enabled.or_none().then(|| RateConfig(said.clone())))?;
    Ok(Some(Arc::new(rate)))
}

impl PeerLayer {
    /// Creates the guards of a peer.
    ///
    /// Their metrics go to the recorder that is in place now.
    ///
    /// # Errors
    /// Says which setting makes no sense, and what is allowed.
    pub fn new(peer: impl Into<Arc<str>>, config: PeerConfig) -> Result<Self, ConfigError> {
        let (classifier, timeout_header) =
            (config.classifier.clone(), config.timeout_header.clone());
        let shared = Arc::new(PeerShared::new(peer.into(), config)?);
        Ok(Self { shared, classifier, timeout_header })
    }

    /// Returns the handle by which the guards are read and turned.
    #[must_use]
    pub fn handle(&self) -> PeerHandle {
        PeerHandle { gate: self.shared.gate.clone(), whole: Some(Arc::clone(&self.shared)) }
    }
}

impl<S: Clone> Layer<S> for PeerLayer {
    type Service = PeerService<S>;

    fn layer(&self, inner: S) -> PeerService<S> {
        let shared = &self.shared;
        let own = |gate: &Gate| Gate {
            classifier: self.classifier.clone(),
            timeout_header: self.timeout_header.clone(),
            ..gate.clone()
        };
        let routes =
            shared.routes.iter().map(|(pattern, gate)| (pattern.clone(), Arc::new(own(gate))));
        let gate = Gate { routes: routes.collect(), ..own(&shared.gate) };
        let spare = Some(Spare::of(&inner));
        let methods = shared.config.said.retry.idempotent_methods.get().into_iter().flatten();
        let kind =
            methods.fold(HttpRetries::new(), |kind, method| kind.with_idempotent_method(method));
        Guarded::new(inner, Arc::new(gate), kind, spare)
    }
}

debug!("PeerLayer", [] PeerLayer, layer: "peer" = layer.shared.gate.peer);

/// A response's body as the guards hand it on: they watch it to its end.
pub type PeerBody<B> = GuardedBody<B>;

/// Guards calls to a peer. Made by [`PeerLayer`].
///
/// It is as ready as the inner service, or ready at once while the breaker is open (to refuse).
/// Clones share the guards' state, and nothing of their readiness.
pub type PeerService<S> = Guarded<S, HttpRetries, AllGuards>;

/// The future of a guarded call with a request body `B`.
pub type PeerFuture<S, B> = GuardedFuture<S, HttpRetries, Request<B>, AllGuards>;

/// Reads and turns the guards of a peer at run time; clones, and all clients of the peer, share
/// them.
#[derive(Clone, Default)]
pub struct PeerHandle {
    gate: Gate,
    pub(crate) whole: Option<Arc<PeerShared>>,
}

/// Lists the guards that a peer's handle has, and finds.
macro_rules! peer_handle {
    ($($(#[doc = $doc:literal])+ $name:ident: $guard:ident as $handle:ty;)+) => {
        impl PeerHandle {
            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(&self) -> Option<$handle> {
                    self.gate.$guard.as_ref().map(|guard| Handle::new(guard, &self.gate.peer))
                }
            )+

            /// Takes the guards of another handle, which take the places of older ones.
            pub(crate) fn add(&mut self, new: Self) {
                self.gate.peer = new.gate.peer;
                self.gate.deadlines = new.gate.deadlines.or(self.gate.deadlines.take());
                $( self.gate.$guard = new.gate.$guard.or(self.gate.$guard.take()); )+
                self.whole = new.whole.or(self.whole.take());
            }
        }

        $(
            impl From<$handle> for PeerHandle {
                fn from(Handle { guard, peer }: $handle) -> Self {
                    Self { gate: Gate { $guard: Some(guard), ..Gate::new(peer) }, whole: None }
                }
            }
        )+
    };
}

peer_handle! {
    /// Returns the retries and their budget.
    retry: retry as RetryHandle;
    /// Returns the limit for an attempt.
    timeout: limit as TimeLimitHandle;
    /// Returns the circuit breaker.
    breaker: breaker as BreakerHandle;
    /// Returns the bulkhead.
    bulkhead: bulkhead as BulkheadHandle;
    /// Returns the rate limit; it limits nothing unless it was set to.
    rate_limit: rate as RateLimitHandle;
}

impl PeerHandle {
    /// Returns the limit for the whole call.
    #[must_use]
    pub fn deadline(&self) -> Option<TimeLimitHandle> {
        let deadlines = self.gate.deadlines.as_ref()?;
        Some(Handle::new(&deadlines.total, &self.gate.peer))
    }

    /// Returns the peer's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.gate.peer
    }
}

debug!("PeerHandle", [] PeerHandle, handle: "peer" = handle.gate.peer);
