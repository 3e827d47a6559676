//! Load shedding on the server: what cannot be done in time is not begun.
//!
//! A server that takes all that comes answers no one once it is overloaded. Refusing early, with a
//! response that says when to come back, keeps it answering those whom it can.

use crate::{
    adaptive::AdaptiveConfig,
    bulkhead::{Bulkhead, BulkheadConfig, BulkheadSnapshot},
    config::{self, ConfigError, setters},
    guard::{Gate, GuardLayer, Guarded, HttpCalls},
    handle::Handle,
    refusal::{GuardErrorLayer, GuardErrorService, RefusalResponse, RefusalResponseLayer},
    timeout::{DeadlineConfig, Deadlines},
};
use meshwise_core::{
    Deadline,
    outcome::{Rule, Side},
    settings::ShedSettings,
};
use std::{sync::Arc, time::Duration};
use tower_layer::Layer;

/// How long a caller is told to wait when the server is overloaded.
const COME_BACK: Duration = Duration::from_secs(1);

/// Sets how much a server takes on at once.
///
/// Requests whose [`Deadline`] (an extension of the request, or [`ShedLayer::with_incoming`]) has
/// passed are refused in any case.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct ShedConfig(ShedSettings);

setters! { ShedConfig.0 = Self(config::DEFAULTS.shed.clone()); {
    /// Lets so many requests be in flight. Default: 1,000.
    with_limit(requests: u32) => limit = requests, adaptive.enabled = false;
    /// Finds the limit by the time that requests take.
    with_adaptive_limit(adaptive: AdaptiveConfig) => [adaptive];
} }

impl ShedConfig {
    /// Serves a path (the whole of it, as in `/healthz`) however much there is to do: a health check
    /// that is refused has a busy server killed. Default: none.
    pub fn with_exempt_path(mut self, path: impl Into<String>) -> Self {
        let mut paths = self.0.exempt_paths.get().cloned().unwrap_or_default();
        paths.push(path.into());
        self.0.exempt_paths.set(paths);
        self
    }

    /// Puts what is set over what is here; whether load is shed at all is for others to decide.
    pub fn with_settings(mut self, settings: &ShedSettings) -> Self {
        self.0.overlay(settings);
        self.0.enabled.set(true);
        self
    }

    /// Returns all settings of shedding, as they are.
    #[must_use]
    pub fn settings(&self) -> ShedSettings {
        self.0.clone()
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        config::check("shed", self.0.wrong())?;
        self.bulkhead().check()
    }

    fn bulkhead(&self) -> BulkheadConfig {
        let mut bulkhead = BulkheadConfig::new().with_queue(0, COME_BACK);
        bulkhead.0.limit = self.0.limit.clone();
        bulkhead.0.adaptive = self.0.adaptive.clone();
        bulkhead
    }
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
pub type ShedLayer = GuardLayer<Shed, HttpCalls>;

/// The limit of a server itself.
#[derive(Debug)]
pub struct Shed(Arc<Bulkhead>);

impl ShedLayer {
    /// Creates a limit for a service (this one; its name stands in metrics as `peer`). Requests
    /// count until the bodies of their responses have ended; those whose responses stream
    /// (`text/event-stream`, upgrades, gRPC beyond a first message), until these have begun to.
    ///
    /// Its metrics go to the recorder that is in place now.
    ///
    /// # Errors
    /// Says what is allowed if a setting makes no sense.
    #[allow(clippy::needless_pass_by_value, reason = "as all layers take theirs")]
    pub fn new(service: impl Into<Arc<str>>, config: ShedConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let service = service.into();
        let bulkhead = Bulkhead::refusing(&service, config.bulkhead(), Rule::Overloaded)?;
        let gate = Gate {
            side: Side::Server,
            deadlines: Some(Arc::new(Deadlines::new(&service, &DeadlineConfig::new())?)),
            bulkhead: Some(Arc::clone(&bulkhead)),
            exempt: config.0.exempt_paths.get().cloned().unwrap_or_default().into(),
            ..Gate::new(service)
        };
        Ok(Self::front(gate, Arc::new(Shed(bulkhead)), HttpCalls))
    }

    /// Sets how to find the deadline of the call that is being served, if a layer further out keeps
    /// it elsewhere than in the request's extensions. It is asked in `Service::call`.
    pub fn with_incoming(self, incoming: fn() -> Option<Deadline>) -> Self {
        self.change(|gate| {
            let deadlines = gate.deadlines.as_mut().map(Arc::make_mut);
            deadlines.into_iter().for_each(|deadlines| deadlines.config.incoming = Some(incoming));
        })
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = RefusalResponse<Guarded<GuardErrorService<S>, HttpCalls, Shed>>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = GuardErrorLayer.layer(inner);
        RefusalResponseLayer.layer(self.around(inner, None))
    }
}

/// Shows how loaded a server is, and changes its limit at run time; clones are the same limit.
pub type ShedHandle = Handle<Shed>;

impl ShedHandle {
    /// Returns how many requests are in flight, and how many may be.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        self.guard.0.snapshot()
    }

    /// Changes the limit; exempt paths stay. Requests past a lower one are not broken off.
    ///
    /// # Errors
    /// Says what is allowed; the limit is as before then.
    pub fn set_config(&self, config: &ShedConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.guard.0.set_config(config.bulkhead());
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::adaptive::AdaptiveConfig;

    #[test]
    fn the_operator_beats_the_author() {
        let author = ShedConfig::new().with_limit(5).with_exempt_path("/a");
        let mut operator = ShedSettings::default();
        assert_eq!(author.clone().with_settings(&operator), author);
        operator.limit.set(7_u32);
        operator.exempt_paths.set(vec!["/b".to_owned()]);
        let both = author.clone().with_settings(&operator);
        assert_eq!(both, ShedConfig::new().with_limit(7).with_exempt_path("/b"));
        operator.adaptive.enabled.set(true);
        operator.adaptive.ceiling.set(50_u32);
        let adaptive = author.with_settings(&operator);
        let limit = AdaptiveConfig::gradient2().with_limits(20, 20, 50);
        assert_eq!(adaptive.settings().adaptive.difference(&limit.0), None);
        assert_eq!(adaptive.settings().exempt_paths, both.settings().exempt_paths);
        assert_eq!(ShedConfig::new().with_settings(&adaptive.settings()), adaptive);
        assert_eq!(ShedConfig::new().settings().limit.get(), Some(&1000));
    }
}
