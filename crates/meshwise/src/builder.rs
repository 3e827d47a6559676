//! Putting a mesh together.

#[cfg(feature = "resilience")]
use crate::settings::check_guards;
use crate::{
    changes::Changes,
    environment::{Gathered, Stage},
    error::InstallError,
    idle::idle,
    install,
    mesh::Mesh,
    preset::Preset,
    settings::OperatorSettings,
    traces::{TraceChanges, TraceInputs, TracePlan, check_filter},
};
#[cfg(feature = "api")]
use meshwise_api::Declared;
use meshwise_core::{
    Env, Machine, Redaction, Resource, ResourceValue, Service, propagation::Propagators,
    settings::Settings,
};
use meshwise_log::LogConfig;
use meshwise_metrics::MetricsConfig;
#[cfg(feature = "traces")]
use meshwise_trace::TraceConfig;
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

/// Starts a mesh for a service of this name and version (`env!("CARGO_PKG_VERSION")`).
///
/// `OTEL_SERVICE_NAME` renames it, and `OTEL_RESOURCE_ATTRIBUTES` says more of it or other things
/// (`service.version`, `service.namespace`, `service.instance.id`, ...); [`Resource`] has the order.
/// Log lines, metrics and spans then all say the same.
pub fn builder(name: impl Into<Arc<str>>, version: impl Into<Arc<str>>) -> MeshBuilder {
    MeshBuilder {
        service: Service::new(name, version),
        attributes: Vec::new(),
        settings: Settings::default(),
        env: Env::process(),
        preset: Preset::default(),
        logs: Changes::default(),
        traces: TraceChanges::default(),
        metrics: Changes::default(),
        redaction: Redaction::default(),
        #[cfg(feature = "api")]
        apis: None,
    }
}

/// Puts a [`Mesh`] together. Every setting has a default; see [`Preset`].
#[must_use = "nothing is set up before `install` or `build`"]
pub struct MeshBuilder {
    service: Service,
    attributes: Vec<(Cow<'static, str>, ResourceValue)>,
    /// What code says, but for what the closures below do.
    settings: Settings,
    env: Env,
    preset: Preset,
    logs: Changes<LogConfig>,
    traces: TraceChanges,
    metrics: Changes<MetricsConfig>,
    redaction: Redaction,
    #[cfg(feature = "api")]
    apis: Option<Declared>,
}

/// The parts of a mesh, each configured by preset, builder, file and environment: what comes later
/// wins.
pub(crate) struct Plan {
    pub(crate) resource: Resource,
    #[cfg(feature = "axum")]
    pub(crate) env: Env,
    pub(crate) logs: LogConfig,
    pub(crate) traces: TracePlan,
    pub(crate) metrics: MetricsConfig,
    pub(crate) propagators: Propagators,
    pub(crate) redaction: Redaction,
    #[cfg(feature = "api")]
    pub(crate) apis: Option<Declared>,
    /// What code says.
    pub(crate) code: Settings,
    /// What the operator says.
    pub(crate) operator: OperatorSettings,
    /// What comes of both.
    pub(crate) settings: Settings,
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
        self.settings.service.detect.set(detect);
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

    /// Sets all that is set in `settings`, as an operator's file would; the closures of
    /// [`logs`](Self::logs), [`traces`](Self::traces) and [`metrics`](Self::metrics), and those of clients
    /// and servers, run after that, and the operator's settings come last.
    ///
    /// ```
    /// # #[cfg(feature = "config")]
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let defaults = "peer.timeout.limit = '400ms'\npeers.stock.retry.attempts = 2";
    /// let settings = meshwise::core::settings::Settings::from_toml(defaults, "defaults")?;
    /// let builder = meshwise::builder("orders", "1.0.0").with_settings(settings);
    /// # Ok(()) }
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "it is set, as all else is")]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings.overlay(&settings);
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
    #[cfg(feature = "traces")]
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
    #[allow(clippy::needless_pass_by_value, reason = "it is set, as all else is")]
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.propagation = propagators.settings();
        self
    }

    /// Lets breakers be forced by `PUT /resilience/{peer}/breaker`; off by default. Any client that
    /// reaches the ops routes can then cut this service off from its peers.
    #[cfg(feature = "resilience")]
    pub fn with_breaker_control(mut self, control: bool) -> Self {
        self.settings.ops.breaker_control.set(control);
        self
    }

    /// Declares the APIs of this service: `meshwise::api::declared!()`, which its build script has
    /// checked.
    ///
    /// Clients then read the end of a peer's versions from its answers, and notice calls that
    /// no one declared; [`Mesh::api_server`] serves and counts the versions of this service, and
    /// the ops routes answer `/apis`.
    #[cfg(feature = "api")]
    pub fn apis(mut self, declared: Declared) -> Self {
        self.apis = Some(declared);
        self
    }

    /// Says which of the `tracing` spans (such as `#[instrument]` makes) become OpenTelemetry
    /// spans, in the language of `RUST_LOG`, unless `MESHWISE_TRACES_SPAN_FILTER` does;
    /// `info` by default.
    #[cfg(feature = "traces")]
    pub fn with_span_filter(mut self, directives: impl Into<String>) -> Self {
        self.settings.traces.span_filter.set(directives);
        self
    }

    /// Sets whether `tracing::Span::current()` is the call's span inside of handlers and outgoing calls;
    /// it is by default.
    ///
    /// It is made once code asks for it, which costs such a call four allocations. Without it
    /// `OpenTelemetrySpanExt` finds no span in a handler, and events there are none of the call's span. `opentelemetry::Context::current()`, log
    /// lines, [`spawn`](crate::spawn) and the spans of `#[instrument]` are the same.
    #[cfg(feature = "traces")]
    pub fn with_tracing_span(mut self, span: bool) -> Self {
        self.settings.traces.tracing_span.set(span);
        self
    }

    /// Lets any client that reaches the ops router change the log filter (`PUT /log-level`); off by
    /// default.
    pub fn with_log_level_route(mut self, enabled: bool) -> Self {
        self.settings.ops.log_level.set(enabled);
        self
    }

    /// Sets who may read `/debug/calls` and `/debug/bundle`, unless `MESHWISE_OPS_DEBUG` does: who calls
    /// from the same machine by default, and no one where the ops routes are on the service's own
    /// port.
    #[cfg(feature = "axum")]
    pub fn with_debug_access(mut self, access: meshwise_axum::DebugAccess) -> Self {
        let word = match access {
            meshwise_axum::DebugAccess::Off => "off",
            meshwise_axum::DebugAccess::Local => "local",
            meshwise_axum::DebugAccess::On => "on",
        };
        self.settings.ops.debug.set(word);
        self
    }

    /// Sets how long [`Mesh::shutdown`] may take; 3 s by default.
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain.flush.set(timeout);
        self
    }

    /// Sets where [`Mesh::serve`] serves the ops routes, unless `MESHWISE_OPS_ADDR` does. By default
    /// `127.0.0.1:9464`, and `0.0.0.0:9464` where `KUBERNETES_SERVICE_HOST` is set.
    #[cfg(feature = "axum")]
    pub fn with_ops_addr(mut self, address: crate::serve::OpsAddr) -> Self {
        self.settings.ops.addr.set(address.to_string());
        self
    }

    /// Sets everything up, process-wide: from here on `tracing`'s and `metrics`' macros work.
    ///
    /// # Errors
    /// If a setting is bad (the message names it and what is allowed), or another subscriber,
    /// recorder or mesh is installed already. Nothing is installed then.
    pub fn install(self) -> Result<Mesh, InstallError> {
        self.gathering(install::install)
    }

    /// Makes a mesh that sets nothing process-wide.
    ///
    /// Its layers log to its own subscriber, and so do handlers while they run inside them.
    ///
    /// # Errors
    /// If a setting is bad; the message names it and what is allowed.
    pub fn build(self) -> Result<Mesh, InstallError> {
        self.gathering(install::build)
    }

    /// Plans and makes a mesh, and returns all that is wrong at once.
    fn gathering<T>(
        self,
        make: impl FnOnce(Plan, &mut Gathered) -> Result<T, InstallError>,
    ) -> Result<T, InstallError> {
        let mut gathered = Gathered::new(&self.env);
        let made = self.plan(&mut gathered).and_then(|plan| make(plan, &mut gathered));
        made.map_err(|error| gathered.with(error))
    }

    fn plan(self, gathered: &mut Gathered) -> Result<Plan, InstallError> {
        let Self { mut service, attributes, settings: mut code, preset, .. } = self;
        let env = gathered.env().clone();
        gathered.take(code.check());
        let operator = OperatorSettings::read(&env, &mut gathered.problems, &mut gathered.notices);
        let (said, standard) = (&operator.said, &operator.standard);
        // What is left out would seem to contradict the rest.
        #[cfg(feature = "resilience")]
        if gathered.problems.is_empty() {
            check_guards(&code, said, gathered);
        }
        gathered.check()?;
        let mut settings = Settings::defaults();
        settings.overlay(&code.clone().from_code());
        settings.overlay(said);

        let own = &code.service;
        service = own.name.get().into_iter().fold(service, |it, name| it.with_name(name.as_str()));
        service = own.version.get().into_iter().fold(service, |it, v| it.with_version(v.as_str()));
        let mut resource = Resource::builder(service).with_env(&env)?.with_settings(&said.service);
        // What is asked for later is in the settings that were read, or this.
        env.is_disabled()?;
        gathered.reach(Stage::Asked);
        resource = TracePlan::describe(resource);
        for (key, value) in own.attributes.iter() {
            if let Some(value) = value.get() {
                resource = resource.with_attribute(key.to_owned(), value.as_str());
            }
        }
        for (key, value) in attributes {
            code.service.attributes.entry(&key).set(value.to_string());
            resource = resource.with_attribute(key, value);
        }
        if settings.service.detect.or(true) {
            resource = resource.with_machine(Machine::real());
        }
        let resource = resource.build();

        #[cfg(feature = "api")]
        if let Some(Declared { service: declared, .. }) = self.apis
            && declared != resource.service().name()
        {
            let service = resource.service().name().to_owned();
            return Err(InstallError::ServiceName { service, declared });
        }

        // The operator comes last: who operates a service has the last word over who wrote it.
        let redaction = self.redaction.with_settings(&code.redaction);
        let redaction = redaction.with_settings(&said.redaction);
        let logs = LogConfig::new(resource.clone()).with_redaction(redaction.clone());
        let logs = self.logs.apply(preset.logs(logs.with_settings(&code.log)));
        code.log.overlay(&logs.settings());
        let logs = logs.with_settings(&said.log).with_standard(&standard.log, &env)?;

        // What is private in lines is so in spans.
        let redaction = logs.hiding_private(redaction);
        let inputs = TraceInputs {
            preset,
            resource: &resource,
            redaction: &redaction,
            said: &said.traces,
            standard: &standard.traces,
            env: &env,
        };
        let traces = TracePlan::new(&inputs, self.traces, &mut code.traces)?;

        let metrics = MetricsConfig::new(resource.clone()).with_code_settings(&code.metrics);
        let metrics = self.metrics.apply(metrics);
        code.metrics.overlay(&metrics.settings());
        let metrics = metrics.with_settings(&said.metrics).with_standard(&standard.metrics, &env);

        let propagators = Propagators::default()
            .with_settings(&code.propagation)
            .with_settings(&said.propagation)
            .with_settings(&standard.propagation);

        // What is in force: what the parts have made of code, and the operator's over it.
        let mut settings = Settings::defaults();
        settings.overlay(&code.clone().from_code());
        settings.overlay(&operator.said);
        settings.overlay(&operator.standard);
        show_service(&mut settings, &resource);
        check_filter(&settings)?;
        if gathered.problems.is_empty() {
            gathered.notices.extend(idle(&settings));
        }
        gathered.reach(Stage::Planned);
        Ok(Plan {
            resource,
            logs,
            traces,
            metrics,
            #[cfg(feature = "axum")]
            env,
            propagators,
            redaction,
            #[cfg(feature = "api")]
            apis: self.apis,
            code,
            operator,
            settings,
        })
    }
}

/// Shows who the service is, where code says it.
fn show_service(settings: &mut Settings, resource: &Resource) {
    let service = resource.service();
    let own = &mut settings.service;
    for (setting, value) in [
        (&mut own.name, Some(service.name())),
        (&mut own.version, Some(service.version())),
        (&mut own.namespace, service.namespace()),
        (&mut own.instance, service.instance().filter(|_| !resource.is_instance_random())),
    ] {
        match value {
            Some(value) if !setting.source().is_operator() && !value.is_empty() => {
                setting.set(value.to_owned());
            }
            _ => {}
        }
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
