//! Putting a mesh together.

use crate::{InstallError, Mesh, Preset, changes::Changes, environment, install};
use meshwise_api::Declared;
use meshwise_core::{
    Env, Machine, Redaction, Resource, ResourceValue, Service, propagation::Propagators,
};
use meshwise_log::LogConfig;
use meshwise_metrics::MetricsConfig;
use meshwise_trace::TraceConfig;
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

/// How long `shutdown` may take unless set otherwise.
/// With the drain before it, less than what Kubernetes gives a pod to end in (a test).
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts a mesh for a service of this name and version (`env!("CARGO_PKG_VERSION")`).
///
/// `OTEL_SERVICE_NAME` renames it, and `OTEL_RESOURCE_ATTRIBUTES` says more of it or other things
/// (`service.version`, `service.namespace`, `service.instance.id`, ...); [`Resource`] has the order.
/// Log lines, metrics and spans then all say the same.
pub fn builder(name: impl Into<Arc<str>>, version: impl Into<Arc<str>>) -> MeshBuilder {
    MeshBuilder {
        service: Service::new(name, version),
        attributes: Vec::new(),
        detect: true,
        env: Env::process(),
        preset: Preset::default(),
        logs: Changes::default(),
        traces: Changes::default(),
        metrics: Changes::default(),
        propagators: None,
        redaction: Redaction::default(),
        log_level_route: false,
        breaker_control: false,
        span_filter: None,
        tracing_span: true,
        apis: None,
        shutdown_timeout: SHUTDOWN_TIMEOUT,
        #[cfg(feature = "axum")]
        ops_addr: None,
    }
}

/// Puts a [`Mesh`] together. Every setting has a default; see [`Preset`].
#[must_use = "nothing is set up before `install` or `build`"]
pub struct MeshBuilder {
    service: Service,
    attributes: Vec<(Cow<'static, str>, ResourceValue)>,
    detect: bool,
    env: Env,
    preset: Preset,
    logs: Changes<LogConfig>,
    traces: Changes<TraceConfig>,
    metrics: Changes<MetricsConfig>,
    propagators: Option<Propagators>,
    redaction: Redaction,
    log_level_route: bool,
    breaker_control: bool,
    span_filter: Option<String>,
    tracing_span: bool,
    apis: Option<Declared>,
    shutdown_timeout: Duration,
    #[cfg(feature = "axum")]
    ops_addr: Option<crate::OpsAddr>,
}

/// The parts of a mesh, each configured by preset, builder and environment: what comes later wins.
pub(crate) struct Plan {
    pub(crate) resource: Resource,
    pub(crate) env: Env,
    pub(crate) logs: LogConfig,
    pub(crate) traces: TraceConfig,
    pub(crate) metrics: MetricsConfig,
    pub(crate) propagators: Propagators,
    pub(crate) log_level_route: bool,
    pub(crate) breaker_control: bool,
    pub(crate) span_filter: String,
    pub(crate) tracing_span: bool,
    pub(crate) apis: Option<Declared>,
    pub(crate) shutdown_timeout: Duration,
    #[cfg(feature = "axum")]
    pub(crate) serving: crate::serve::Serving,
}

impl MeshBuilder {
    /// Sets the group that the service's name is unique in (`service.namespace`).
    pub fn with_namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.service = self.service.with_namespace(namespace);
        self
    }

    /// Sets what tells this process from its replicas (`service.instance.id`); random otherwise.
    pub fn with_instance(mut self, instance: impl Into<Arc<str>>) -> Self {
        self.service = self.service.with_instance(instance);
        self
    }

    /// Adds an attribute that describes this process (`deployment.environment.name`, say) to every
    /// span and to `target_info`.
    pub fn with_resource_attribute(
        mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl Into<ResourceValue>,
    ) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// Sets whether host, process, container and pod are described, as [`Resource`] lists them; they
    /// are by default.
    pub fn with_resource_detection(mut self, detect: bool) -> Self {
        self.detect = detect;
        self
    }

    /// Picks a set of defaults.
    pub fn with_preset(mut self, preset: Preset) -> Self {
        self.preset = preset;
        self
    }

    /// Reads settings from `env` instead of the process's environment.
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Changes how log lines are written.
    ///
    /// ```
    /// use meshwise::log::LogFormat;
    /// let builder = meshwise::builder("orders", "1.0.0")
    ///     .logs(|logs| logs.with_format(LogFormat::Ecs).with_filter("info,orders=debug"));
    /// ```
    pub fn logs(mut self, change: impl FnOnce(LogConfig) -> LogConfig + Send + 'static) -> Self {
        self.logs.add(change);
        self
    }

    /// Changes how spans are sampled and exported.
    pub fn traces(
        mut self,
        change: impl FnOnce(TraceConfig) -> TraceConfig + Send + 'static,
    ) -> Self {
        self.traces.add(change);
        self
    }

    /// Changes how metrics are kept and shown.
    pub fn metrics(
        mut self,
        change: impl FnOnce(MetricsConfig) -> MetricsConfig + Send + 'static,
    ) -> Self {
        self.metrics.add(change);
        self
    }

    /// Sets what is hidden, in log lines and spans alike: names, attributes, events, descriptions of
    /// errors, URLs. What the default hides of a call's own URL is hidden in any case.
    ///
    /// ```
    /// use meshwise::core::Redaction;
    /// let builder = meshwise::builder("orders", "1.0.0")
    ///     .with_redaction(Redaction::default().with_name("iban").with_prefix("acme_"));
    /// ```
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Sets the wire formats of context, unless `OTEL_PROPAGATORS` does. W3C's trace context and
    /// baggage by default.
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.propagators = Some(propagators);
        self
    }

    /// Lets breakers be forced by `PUT /resilience/{peer}/breaker`; off by default. Whoever reaches
    /// the ops routes can then cut this service off from its peers.
    pub fn with_breaker_control(mut self, control: bool) -> Self {
        self.breaker_control = control;
        self
    }

    /// Declares the APIs of this service: `meshwise::api::declared!()`, which its build script has
    /// checked.
    ///
    /// Clients then read the end of a peer's versions from its answers, and notice calls that
    /// nobody declared; [`Mesh::api_server`] serves and counts the versions of this service, and
    /// the ops routes answer `/apis`.
    pub fn apis(mut self, declared: Declared) -> Self {
        self.apis = Some(declared);
        self
    }

    /// Says which of the `tracing` spans (such as `#[instrument]` makes) become OpenTelemetry
    /// spans, in the language of `RUST_LOG`, unless `MESHWISE_SPAN_FILTER` does; `info` by default.
    pub fn with_span_filter(mut self, directives: impl Into<String>) -> Self {
        self.span_filter = Some(directives.into());
        self
    }

    /// Sets whether `tracing::Span::current()` is the call's span inside of handlers and outgoing calls;
    /// it is by default.
    ///
    /// Without, calls cost up to four allocations less, `OpenTelemetrySpanExt` finds no span in a
    /// handler, and events there are none of the call's span. `opentelemetry::Context::current()`, log
    /// lines, [`spawn`](crate::spawn) and the spans of `#[instrument]` are the same.
    pub fn with_tracing_span(mut self, span: bool) -> Self {
        self.tracing_span = span;
        self
    }

    /// Lets whoever reaches the ops router change the log filter (`PUT /log-level`); off by
    /// default.
    pub fn with_log_level_route(mut self, enabled: bool) -> Self {
        self.log_level_route = enabled;
        self
    }

    /// Sets how long [`Mesh::shutdown`] may take; 3 s by default.
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Sets where [`Mesh::serve`] serves the ops routes, unless `MESHWISE_OPS_ADDR` does. By default
    /// `127.0.0.1:9464`, and `0.0.0.0:9464` where `KUBERNETES_SERVICE_HOST` is set.
    #[cfg(feature = "axum")]
    pub fn with_ops_addr(mut self, address: crate::OpsAddr) -> Self {
        self.ops_addr = Some(address);
        self
    }

    /// Sets everything up, process-wide: from here on `tracing`'s and `metrics`' macros work.
    ///
    /// # Errors
    /// If a setting is bad (the message names it and what is allowed), or another subscriber,
    /// recorder or mesh is installed already. Nothing is installed then.
    pub fn install(self) -> Result<Mesh, InstallError> {
        install::install(self.plan()?)
    }

    /// Makes a mesh that sets nothing process-wide.
    ///
    /// Its layers log to its own subscriber, and so do handlers while they run inside them.
    ///
    /// # Errors
    /// If a setting is bad; the message names it and what is allowed.
    pub fn build(self) -> Result<Mesh, InstallError> {
        install::build(self.plan()?)
    }

    fn plan(self) -> Result<Plan, InstallError> {
        let Self { service, attributes, detect, env, preset, .. } = self;
        env.is_strict()?;
        let mut resource = Resource::builder(service).with_env(&env)?;
        for (key, value) in meshwise_trace::telemetry_sdk() {
            resource = resource.with_attribute(key, value);
        }
        for (key, value) in attributes {
            resource = resource.with_attribute(key, value);
        }
        if detect {
            resource = resource.with_machine(Machine::real());
        }
        let resource = resource.build();
        if let Some(Declared { service: declared, .. }) = self.apis
            && declared != resource.service().name()
        {
            let service = resource.service().name().to_owned();
            return Err(InstallError::ServiceName { service, declared });
        }

        // The environment comes last: who operates a service has the last word over who wrote it.
        let logs = LogConfig::new(resource.clone()).with_redaction(self.redaction.clone());
        let logs = self.logs.apply(preset.logs(logs)).with_env(&env)?;
        let traces = TraceConfig::new(resource.clone()).with_redaction(self.redaction);
        let traces = self.traces.apply(preset.traces(traces)).with_env(&env)?;
        let metrics = self.metrics.apply(MetricsConfig::new(resource.clone())).with_env(&env)?;
        environment::read_logs_exporter(&env)?;
        let propagators = Propagators::from_env(&env)?.or(self.propagators).unwrap_or_default();
        let span_filter = env.text("MESHWISE_SPAN_FILTER")?.or(self.span_filter);
        #[cfg(feature = "axum")]
        let serving =
            crate::serve::Serving::new(crate::serve::ServeEnv::read(&env)?, self.ops_addr);
        Ok(Plan {
            resource,
            logs,
            traces,
            metrics,
            env,
            propagators,
            log_level_route: self.log_level_route,
            breaker_control: self.breaker_control,
            span_filter: span_filter.unwrap_or_else(|| "info".to_owned()),
            tracing_span: self.tracing_span,
            apis: self.apis,
            shutdown_timeout: self.shutdown_timeout,
            #[cfg(feature = "axum")]
            serving,
        })
    }
}

impl fmt::Debug for MeshBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshBuilder")
            .field("service", &self.service)
            .field("preset", &self.preset)
            .finish_non_exhaustive()
    }
}
