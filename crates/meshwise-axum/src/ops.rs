//! The routes for those who operate the service.

#[cfg(feature = "api")]
mod apis;
mod config;
pub(crate) mod debug;
mod json;
mod log_level;
mod metrics;
mod readyz;
#[cfg(feature = "resilience")]
mod resilience;

use self::debug::DebugAccess;
use axum::{Router, middleware, routing::get};
#[cfg(feature = "api")]
use meshwise_api_http::ApiPages;
use meshwise_core::settings::Value;
use meshwise_http::{Health, Telemetry};
use meshwise_log::LogHandle;
use meshwise_metrics::Metrics;
#[cfg(feature = "resilience")]
use meshwise_resilience::Guards;
use std::sync::Arc;

/// Builds the ops routes.
///
/// | route | answers |
/// |---|---|
/// | `GET /metrics` | all metrics, as Prometheus text, `OpenMetrics` or Prometheus' protobuf messages (gzip when asked for, with the feature `gzip` of meshwise-metrics), streamed |
/// | `GET /livez` | `200 ok`, as long as the process answers at all |
/// | `GET /readyz` | 200 or 503, and JSON that says which check failed, and why |
/// | `GET /resilience` | (feature `resilience`) JSON: the guards of every peer, with state, window, budget and limits |
/// | `PUT /resilience/{peer}/breaker` | forces a breaker (only if enabled): `automatic`, `forced_open`, `forced_closed` or `disabled` |
/// | `GET /config` | JSON: the settings in force, and who set each: default, code, file and line, variable; no secrets |
/// | `GET /debug/calls` | JSON: the calls in flight, what each waits for and what is left of its limits; those in a guard's queue; the messages in hand; the last calls that failed, the slowest (`?limit=`, 500 by default) |
/// | `GET /debug/bundle` | one JSON file for a bug report: readiness, calls, guards, settings without secrets, APIs, the last lines at `WARN` and `ERROR`, the map, metrics |
/// | `GET /apis`, `/apis/{api}`, `/apis/{api}/{version}` | (feature `api`) the APIs that this service provides, as JSON or (`?format=html`) for people |
/// | `GET /.well-known/api-catalog` | the same as a catalogue (RFC 9727) |
/// | `GET /log-level` | the log filter in force (only if enabled) |
/// | `PUT /log-level` | sets the log filter to the request's body, such as `info,orders=debug` |
///
/// Serve it on an address of its own, which strangers cannot reach, or merge the service's observed
/// router into it (`ops.merge(routes.layer(server_layer))`; the other way round its fallback takes the
/// place of the observed one).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OpsRouter {
    metrics: Option<Metrics>,
    health: Health,
    log_level: Option<LogHandle>,
    #[cfg(feature = "resilience")]
    guards: Option<Guards>,
    #[cfg(feature = "resilience")]
    breaker_control: bool,
    #[cfg(feature = "api")]
    apis: Option<ApiPages>,
    config: Option<config::Shown>,
    calls: Option<Telemetry>,
    messages: Option<debug::ShownMessages>,
    debug: DebugAccess,
    recent: Option<LogHandle>,
}

impl OpsRouter {
    /// Starts with `/livez` and `/readyz`, ready at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `/metrics`.
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Answers `/readyz` by these checks.
    pub fn with_health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Serves `/log-level`. All who reach the router can then change the log filter.
    pub fn with_log_level(mut self, logs: LogHandle) -> Self {
        self.log_level = Some(logs);
        self
    }

    /// Serves `/resilience`.
    #[cfg(feature = "resilience")]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = Some(guards);
        self
    }

    /// Lets breakers be forced. All who reach the router can then cut this service off from its
    /// peers, or lift their guards.
    #[cfg(feature = "resilience")]
    pub fn with_breaker_control(mut self, control: bool) -> Self {
        self.breaker_control = control;
        self
    }

    /// Serves `/apis` and the API catalogue.
    #[cfg(feature = "api")]
    pub fn with_apis(mut self, pages: ApiPages) -> Self {
        self.apis = Some(pages);
        self
    }

    /// Serves `/config`: what `shown` returns, which is JSON.
    pub fn with_config(mut self, shown: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.config = Some(config::Shown(Arc::new(shown)));
        self
    }

    /// Serves `/debug/calls` and `/debug/bundle` to those who may read them.
    pub fn with_debug(mut self, calls: Telemetry, access: DebugAccess) -> Self {
        self.calls = Some(calls);
        self.debug = access;
        self
    }

    /// Lists the messages in hand in `/debug/calls`: what `shown` returns, a list of at most so many.
    #[doc(hidden)]
    pub fn with_messages(mut self, shown: impl Fn(usize) -> Value + Send + Sync + 'static) -> Self {
        self.messages = Some(debug::ShownMessages(Arc::new(shown)));
        self
    }

    /// Puts the last lines at `WARN` and `ERROR` into `/debug/bundle`.
    pub fn with_recent_logs(mut self, logs: LogHandle) -> Self {
        self.recent = Some(logs);
        self
    }

    /// Makes the router, for any state.
    pub fn build<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let debug = self.debug_routes();
        let mut router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz::get).with_state(self.health));
        if let Some(metrics) = self.metrics {
            let scraped = metrics::Scraped { metrics, told: Arc::default() };
            router = router.route("/metrics", get(metrics::get).with_state(scraped));
        }
        #[cfg(feature = "resilience")]
        if let Some(guards) = self.guards {
            router = router.route("/resilience", get(resilience::get).with_state(guards.clone()));
            if self.breaker_control {
                let set = axum::routing::put(resilience::set_breaker).with_state(guards);
                router = router.route("/resilience/{peer}/breaker", set);
            }
        }
        if let Some(shown) = self.config {
            router = router.route("/config", get(config::get).with_state(shown));
        }
        #[cfg(feature = "api")]
        if let Some(pages) = self.apis {
            for path in apis::PATHS {
                router =
                    router.route(path, axum::routing::any(apis::get).with_state(pages.clone()));
            }
        }
        if let Some(logs) = self.log_level {
            router = router
                .route("/log-level", get(log_level::get).put(log_level::set).with_state(logs));
        }
        match debug {
            Some(debug) => router.merge(debug),
            None => router,
        }
    }

    fn debug_routes<S: Clone + Send + Sync + 'static>(&self) -> Option<Router<S>> {
        let telemetry = self.calls.clone().filter(|_| self.debug != DebugAccess::Off)?;
        let calls = debug::ShownCalls { telemetry, messages: self.messages.clone() };
        let bundle = debug::Bundle {
            calls: calls.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            #[cfg(feature = "resilience")]
            guards: self.guards.clone(),
            config: self.config.clone(),
            #[cfg(feature = "api")]
            apis: self.apis.clone(),
            logs: self.recent.clone(),
        };
        let routes = Router::new()
            .route("/debug/calls", get(debug::get_calls).with_state(calls))
            .route("/debug/bundle", get(debug::get_bundle).with_state(bundle));
        // Not around the fallback, which `merge` would take over.
        Some(routes.route_layer(middleware::from_fn_with_state(self.debug, debug::guard)))
    }
}
