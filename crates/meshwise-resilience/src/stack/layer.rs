//! The composed layer, its service and its handle.

use super::{
    config::NeighbourConfig,
    optional::{Optional, OptionalService},
};
use crate::{
    BreakerHandle, BreakerLayer, BreakerService, BreakerTicket, BulkheadHandle, BulkheadLayer,
    BulkheadService, BulkheadTicket, ConfigError, DeadlineLayer, DeadlineService, Guards,
    RateLimitHandle, RateLimitLayer, RateLimitService, ReplayBody, RetryHandle, RetryLayer,
    RetryService, TimeLimitHandle, TimeoutBody, TimeoutLayer, TimeoutService, WatchedBody,
};
use http::{Request, Response};
use http_body::Body;
use meshwise_core::Refused;
use std::{
    error::Error,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Guards calls to a neighbour with all that there is: deadline, retry, timeout, breaker, bulkhead
/// and rate limit, in this order.
///
/// All services that a layer makes, and their clones, share the guards' state. The inner service's
/// error must be `From<Refused>` (boxed errors are; for others there is
/// [`GuardErrorLayer`](crate::GuardErrorLayer)), its request body is a [`ReplayBody`].
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::{Empty, Full};
/// use meshwise_resilience::{NeighbourConfig, NeighbourLayer, ReplayBody};
/// use std::time::Duration;
/// use tower::{Layer, ServiceExt, service_fn};
/// type BoxError = Box<dyn std::error::Error + Send + Sync>;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let config = NeighbourConfig::new().with_timeout(Duration::from_millis(500));
/// let layer = NeighbourLayer::new("stock", config)?;
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
#[derive(Clone, Debug)]
pub struct NeighbourLayer {
    peer: Arc<str>,
    deadline: DeadlineLayer,
    retry: RetryLayer,
    timeout: TimeoutLayer,
    breaker: Optional<BreakerLayer>,
    bulkhead: Optional<BulkheadLayer>,
    rate: RateLimitLayer,
}

impl NeighbourLayer {
    /// Creates the guards of a neighbour.
    ///
    /// Their metrics go to the recorder that is in place now.
    ///
    /// # Errors
    ///
    /// Says which setting makes no sense, and what is allowed.
    pub fn new(peer: impl Into<Arc<str>>, config: NeighbourConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let name = || Arc::clone(&peer);
        let calls = config.calls;
        let breaker = config.breaker.map(|breaker| BreakerLayer::new(name(), breaker));
        let bulkhead = config.bulkhead.map(|bulkhead| BulkheadLayer::new(name(), bulkhead));
        let rate = match config.rate {
            Some(rate) => RateLimitLayer::new(name(), rate)?,
            None => RateLimitLayer::unlimited(name()),
        };
        Ok(Self {
            deadline: DeadlineLayer::new(name(), config.deadline)?,
            retry: RetryLayer::new(name(), config.retry)?.retrying(config.retries),
            timeout: TimeoutLayer::new(name(), config.timeout)?,
            breaker: Optional(breaker.transpose()?.map(|layer| layer.with_calls(calls.clone()))),
            bulkhead: Optional(bulkhead.transpose()?.map(|layer| layer.with_calls(calls))),
            rate,
            peer,
        })
    }

    /// Enters the guards' handles into a register, where all neighbours can be seen and turned.
    #[must_use]
    pub fn registered_in(self, guards: &Guards) -> Self {
        guards.add(self.handle());
        self
    }

    /// Returns the handle by which the guards are read and turned.
    #[must_use]
    pub fn handle(&self) -> NeighbourHandle {
        NeighbourHandle {
            peer: Arc::clone(&self.peer),
            deadline: self.deadline.handle(),
            retry: self.retry.handle(),
            timeout: self.timeout.handle(),
            breaker: self.breaker.0.as_ref().map(BreakerLayer::handle),
            bulkhead: self.bulkhead.0.as_ref().map(BulkheadLayer::handle),
            rate: self.rate.handle(),
        }
    }
}

impl<S: Clone> Layer<S> for NeighbourLayer {
    type Service = NeighbourService<S>;

    fn layer(&self, inner: S) -> NeighbourService<S> {
        let rated = self.rate.layer(inner);
        let attempt = self.timeout.layer(self.breaker.layer(self.bulkhead.layer(rated)));
        NeighbourService { stack: self.deadline.layer(self.retry.layer(attempt)) }
    }
}

/// Reads and turns the guards of a neighbour at run time; clones share them.
#[derive(Clone, Debug)]
pub struct NeighbourHandle {
    peer: Arc<str>,
    deadline: TimeLimitHandle,
    retry: RetryHandle,
    timeout: TimeLimitHandle,
    breaker: Option<BreakerHandle>,
    bulkhead: Option<BulkheadHandle>,
    rate: RateLimitHandle,
}

impl NeighbourHandle {
    /// Returns the neighbour's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Returns the limit for the whole call.
    #[must_use]
    pub const fn deadline(&self) -> &TimeLimitHandle {
        &self.deadline
    }

    /// Returns the retries and their budget.
    #[must_use]
    pub const fn retry(&self) -> &RetryHandle {
        &self.retry
    }

    /// Returns the limit for an attempt.
    #[must_use]
    pub const fn timeout(&self) -> &TimeLimitHandle {
        &self.timeout
    }

    /// Returns the circuit breaker, if there is one.
    #[must_use]
    pub const fn breaker(&self) -> Option<&BreakerHandle> {
        self.breaker.as_ref()
    }

    /// Returns the bulkhead, if there is one.
    #[must_use]
    pub const fn bulkhead(&self) -> Option<&BulkheadHandle> {
        self.bulkhead.as_ref()
    }

    /// Returns the rate limit; it has none unless one was set.
    #[must_use]
    pub const fn rate_limit(&self) -> &RateLimitHandle {
        &self.rate
    }
}

type Rated<S> = RateLimitService<S>;
type Bulkheaded<S> = OptionalService<BulkheadService<Rated<S>>, Rated<S>>;
type Broken<S> = OptionalService<BreakerService<Bulkheaded<S>>, Bulkheaded<S>>;
type Stack<S> = DeadlineService<RetryService<TimeoutService<Broken<S>>>>;

/// A response's body as the guards hand it on: they watch it to its end.
pub type NeighbourBody<B> = TimeoutBody<WatchedBody<WatchedBody<B, BulkheadTicket>, BreakerTicket>>;

/// The future of a guarded call with a request body `B`.
pub type NeighbourFuture<S, B> = <Stack<S> as Service<Request<B>>>::Future;

/// Guards calls to a neighbour. Made by [`NeighbourLayer`].
///
/// It is as ready as the inner service, or ready at once while the breaker is open (to refuse).
/// Clones share the guards' state, and nothing of their readiness.
#[derive(Clone, Debug)]
pub struct NeighbourService<S> {
    stack: Stack<S>,
}

impl<S, B, RB> Service<Request<B>> for NeighbourService<S>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<RB>> + Clone,
    S::Error: From<Refused> + 'static,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    RB: Body,
{
    type Response = Response<NeighbourBody<RB>>;
    type Error = S::Error;
    type Future = NeighbourFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.stack.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.stack.call(request)
    }
}
