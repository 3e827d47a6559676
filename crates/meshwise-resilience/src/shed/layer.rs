//! The layer, its settings, and the handle to see and change them.

use crate::{
    AdaptiveConfig, BulkheadConfig, BulkheadLimit, ConfigError, DeadlineConfig, GuardErrorLayer,
    GuardErrorService, HttpCalls, RefusalResponse,
    bulkhead::Bulkhead,
    guard::{Gate, GuardLayer, Guarded},
    timeout::Deadlines,
};
use meshwise_core::{
    Classifier, Deadline,
    outcome::{Rule, Side},
};
use std::{fmt, sync::Arc, time::Duration};
use tower_layer::Layer;

/// How long a caller is told to wait when the server is overloaded.
const COME_BACK: Duration = Duration::from_secs(1);

/// Sets how much a server takes on at once.
///
/// | setting | default |
/// |---|---|
/// | requests in flight | 1,000 |
/// | paths that are never refused for load | none |
///
/// Requests whose [`Deadline`] (an extension of the request, or [`ShedLayer::with_incoming`]) has
/// passed are refused in any case.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShedConfig {
    /// The number of requests that may be in flight.
    #[doc(hidden)]
    pub limit: BulkheadLimit,
    /// Paths that are served however much there is to do: a health check that is refused has a
    /// busy server killed.
    pub exempt_paths: Vec<String>,
}

impl Default for ShedConfig {
    fn default() -> Self {
        Self { limit: BulkheadLimit::Fixed(1000), exempt_paths: Vec::new() }
    }
}

impl ShedConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets so many requests be in flight. Default: 1,000.
    #[must_use]
    pub fn with_limit(mut self, requests: u32) -> Self {
        self.limit = BulkheadLimit::Fixed(requests);
        self
    }

    /// Finds the limit by the time that requests take.
    #[must_use]
    pub fn with_adaptive_limit(mut self, limit: AdaptiveConfig) -> Self {
        self.limit = BulkheadLimit::Adaptive(limit);
        self
    }

    /// Serves a path (the whole of it, as in `/healthz`) however much there is to do. Default:
    /// none.
    #[must_use]
    pub fn with_exempt_path(mut self, path: impl Into<String>) -> Self {
        self.exempt_paths.push(path.into());
        self
    }

    /// Checks that the settings make sense.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let BulkheadLimit::Fixed(limit) = self.limit {
            ConfigError::check_range("shed.limit", limit, 1, crate::bulkhead::MOST)?;
        }
        bulkhead(self.limit.clone()).check()
    }
}

fn bulkhead(limit: BulkheadLimit) -> BulkheadConfig {
    BulkheadConfig { limit, queue: 0, max_wait: COME_BACK }
}

/// Refuses requests that the server cannot serve: with a response, 503 or 504 and a
/// `Retry-After`, or gRPC's own codes.
///
/// One layer is one limit: all services it makes, and their clones, share it. Put it inside the
/// layer that reads the deadline from the request, and outside what is costly.
///
/// ```
/// use http::{Request, Response};
/// use meshwise_core::Deadline;
/// use meshwise_resilience::{ShedConfig, ShedLayer};
/// use std::{convert::Infallible, time::Instant};
/// use tower::{Layer, ServiceExt, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let config = ShedConfig::new().with_limit(200).with_exempt_path("/healthz");
/// let shed = ShedLayer::new("orders", config).expect("valid settings");
/// let service = shed.layer(service_fn(async |_: Request<()>| {
///     Ok::<_, Infallible>(Response::new(String::from("served")))
/// }));
/// let mut late = Request::new(());
/// late.extensions_mut().insert(Deadline::at(Instant::now()));
/// let response = service.oneshot(late).await.unwrap_or_else(|never| match never {});
/// assert_eq!(response.status(), 504);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ShedLayer(GuardLayer<Bulkhead, HttpCalls>);

impl ShedLayer {
    /// Creates a limit for a service (this one; its name stands in metrics as `peer`). Requests
    /// count until the bodies of their responses have ended.
    ///
    /// Its metrics go to the recorder that is in place now.
    ///
    /// # Errors
    ///
    /// Returns what [`ShedConfig::check`] finds.
    pub fn new(service: impl Into<Arc<str>>, config: ShedConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let service = service.into();
        let bulkhead = Bulkhead::new(&service, bulkhead(config.limit), Rule::Overloaded)?;
        let gate = Gate {
            side: Side::Server,
            deadlines: Some(Arc::new(Deadlines::new(&service, &DeadlineConfig::new())?)),
            bulkhead: Some(Arc::clone(&bulkhead)),
            exempt: config.exempt_paths.into(),
            ..Gate::new(service)
        };
        Ok(Self(GuardLayer::front(gate, bulkhead, HttpCalls::new())))
    }

    /// Lets go of a request when its response begins.
    #[must_use]
    pub fn until_head(self) -> Self {
        Self(self.0.with_calls(HttpCalls::new().until_head()))
    }

    /// Sets how responses and errors are judged.
    #[must_use]
    pub fn with_classifier(self, classifier: Classifier) -> Self {
        Self(self.0.with_classifier(classifier))
    }

    /// Sets how to find the deadline of the call that is being served, if a layer further out keeps
    /// it elsewhere than in the request's extensions. It is asked in `Service::call`.
    #[must_use]
    pub fn with_incoming(self, incoming: fn() -> Option<Deadline>) -> Self {
        Self(self.0.change(|gate| {
            let deadlines = gate.deadlines.as_mut().map(Arc::make_mut);
            deadlines.into_iter().for_each(|deadlines| deadlines.incoming = Some(incoming));
        }))
    }

    /// Returns the limit, to be read and changed.
    #[must_use]
    pub fn handle(&self) -> ShedHandle {
        ShedHandle { bulkhead: Arc::clone(&self.0.guard) }
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = RefusalResponse<Guarded<GuardErrorService<S>, HttpCalls>>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = GuardErrorLayer::new().layer(inner);
        crate::RefusalResponseLayer.layer(self.0.around(inner))
    }
}

/// Shows how loaded a server is, and changes its limit at run time; clones are the same limit.
#[derive(Clone)]
pub struct ShedHandle {
    bulkhead: Arc<Bulkhead>,
}

impl ShedHandle {
    /// Returns how many requests are in flight, and how many may be.
    #[must_use]
    pub fn snapshot(&self) -> ShedSnapshot {
        let guard = &self.bulkhead;
        ShedSnapshot {
            limit: guard.permits.limit(),
            adaptive: matches!(guard.config().limit, BulkheadLimit::Adaptive(_)),
            in_use: guard.permits.usage().in_use,
        }
    }

    /// Changes the limit. Requests past a lower one are not broken off.
    ///
    /// # Errors
    ///
    /// Says what is allowed; the limit is as before then.
    pub fn set_limit(&self, limit: BulkheadLimit) -> Result<(), ConfigError> {
        let config = ShedConfig { limit, ..ShedConfig::default() };
        config.check()?;
        self.bulkhead.set_config(bulkhead(config.limit));
        Ok(())
    }
}

impl fmt::Debug for ShedHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShedHandle").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

/// Shows a server's load as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShedSnapshot {
    /// Requests that may be in flight.
    pub limit: u32,
    /// Whether the limit is found by the time that requests take.
    pub adaptive: bool,
    /// Requests in flight.
    pub in_use: u32,
}
