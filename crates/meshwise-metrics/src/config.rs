//! How metrics are kept and shown.

mod settings;

use crate::{
    backend::{Foreign, Own},
    buckets::Buckets,
    error::MetricsError,
    exemplar::{Exemplar, ExemplarSource},
    hub::{Metrics, Settings},
    names,
    push::{Push, PushConfig},
    recorder::SharedRecorder,
    registry::{Limits, MAX_LABEL_SETS, Registry},
    upkeep::Upkeep,
};
use meshwise_core::{
    Env, Resource, Signal,
    internal::LossCounters,
    settings::{MetricOtlpSettings, MetricsSettings, Setting, Settings as Tree},
};
use metrics::{NoopRecorder, Recorder};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Says how metrics are kept and shown.
///
/// What the environment says beats what is set here, in whatever order, and that beats the defaults.
///
/// ```
/// use meshwise_core::Service;
/// use meshwise_metrics::MetricsConfig;
///
/// let metrics = MetricsConfig::new(Service::new("orders", "1.4.2"))
///     .with_constant_label("zone", "a")
///     .with_buckets("queue_wait_seconds", &[0.1, 1.0, 10.0])
///     .build()?;
/// metrics::with_local_recorder(&metrics.recorder(), || {
///     metrics::histogram!("queue_wait_seconds", "queue" => "mail").record(0.3);
/// });
/// let text = metrics.render_text();
/// assert!(text.contains(r#"queue_wait_seconds_bucket{queue="mail",zone="a",le="1.0"} 1"#));
/// # Ok::<(), meshwise_metrics::MetricsError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct MetricsConfig {
    resource: Resource,
    buckets: Buckets,
    constant_labels: Vec<(String, String)>,
    max_label_sets: Option<usize>,
    idle_timeout: Option<Option<Duration>>,
    exemplars: Option<ExemplarSource>,
    body_sizes: bool,
    istio: bool,
    process_metrics: bool,
    runtime_metrics: bool,
    keeper: Keeper,
    push: PushConfig,
    /// What the operator says; it is put over the rest when all is told.
    operator: MetricsSettings,
}

/// Names what keeps the numbers.
#[derive(Clone, Copy, Debug)]
enum Keeper {
    Own,
    #[cfg(feature = "exporter-prometheus")]
    Exporter,
}

/// What keeps the numbers, and our own recorder if it is that.
type Kept = (SharedRecorder, Option<Arc<Registry<Own>>>);

impl MetricsConfig {
    /// Starts with the defaults for a service.
    ///
    /// Give the same [`Resource`] to traces and logs, and `target_info` shows whose numbers these are.
    pub fn new(resource: impl Into<Resource>) -> Self {
        Self {
            resource: resource.into(),
            buckets: Buckets::default(),
            constant_labels: Vec::new(),
            max_label_sets: None,
            idle_timeout: None,
            exemplars: None,
            body_sizes: false,
            istio: false,
            process_metrics: true,
            runtime_metrics: true,
            keeper: Keeper::Own,
            push: PushConfig::default(),
            operator: MetricsSettings::default(),
        }
    }

    /// Reads OpenTelemetry's variables and meshwise's own; the [crate docs](crate#environment)
    /// list them.
    ///
    /// OpenTelemetry's are ignored where they are not allowed, and [`Env::findings`] tells.
    ///
    /// # Errors
    /// If a variable of meshwise's is not known or has a value that is not allowed, or one of
    /// OpenTelemetry's with `MESHWISE_STRICT`; the message names the variable, the value, and what is
    /// allowed.
    pub fn with_env(mut self, env: &Env) -> Result<Self, MetricsError> {
        self.operator.overlay(&Tree::from_env(env)?.metrics);
        let said = Tree::from_standard_env_of(env, |path| path.is_in("metrics"))?;
        Ok(self.with_standard(&said.metrics, env))
    }

    /// Takes what the environment says from the tree of settings, which has read it. What cannot be
    /// followed is ignored, and [`Env::findings`] tells.
    #[doc(hidden)]
    pub fn with_standard(mut self, said: &MetricsSettings, env: &Env) -> Self {
        self.push.set_standard(said, env);
        let mut said = said.clone();
        // An exporter that cannot be made as the environment has it is made as the code has it.
        said.otlp = MetricOtlpSettings::default();
        said.exporters = Setting::default();
        self.operator.overlay(&said);
        self
    }

    /// Sets the buckets of one histogram, as ascending upper bounds.
    pub fn with_buckets(mut self, metric: impl AsRef<str>, bounds: &[f64]) -> Self {
        self.buckets.set(metric.as_ref(), bounds);
        self
    }

    /// Sets the buckets of all histograms that have no others, in seconds. OpenTelemetry's for
    /// calls by default: 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10.
    pub fn with_duration_buckets(mut self, bounds: &[f64]) -> Self {
        self.buckets.set_seconds(bounds);
        self
    }

    /// Sets the buckets of histograms whose names end with `_bytes`. By default they are the powers
    /// of four from 256 bytes to 64 MiB.
    pub fn with_size_buckets(mut self, bounds: &[f64]) -> Self {
        self.buckets.set_bytes(bounds);
        self
    }

    /// Gives histograms native (exponential) buckets, beside those with fixed bounds. `metric` is
    /// the name of one, or a pattern in which each `*` stands for anything. None has them by
    /// default.
    ///
    /// They find their own place, so that `histogram_quantile` is right within 9 % wherever the
    /// values are. Prometheus gets them, in [`Format::Protobuf`](crate::expose::Format::Protobuf), if it
    /// is told to ask for them (`--enable-feature=native-histograms`); other formats show the fixed
    /// buckets only. See [native histograms](crate#native-histograms) for what they take.
    ///
    /// ```
    /// use meshwise_core::Service;
    /// use meshwise_metrics::MetricsConfig;
    /// let metrics = MetricsConfig::new(Service::new("orders", "1.4.2"))
    ///     .with_native_histogram("http_*_request_duration_seconds")
    ///     .with_native_histogram("queue_wait_seconds")
    ///     .build()?;
    /// # Ok::<(), meshwise_metrics::MetricsError>(())
    /// ```
    pub fn with_native_histogram(mut self, metric: impl AsRef<str>) -> Self {
        self.buckets.native_mut().add(metric.as_ref());
        self
    }

    /// Sets how fine native buckets are at first: 2^`schema` to a power of two, with `schema` from
    /// -4 to 8. By default it is 3: the ends of a bucket are 9 % apart.
    ///
    /// A histogram whose values need more than 160 buckets halves its resolution, again and again
    /// if it must: at 3 that is so beyond six powers of ten.
    pub fn with_native_schema(mut self, schema: i8) -> Self {
        self.buckets.native_mut().set_schema(schema);
        self
    }

    /// Adds a label to every series; a series' own label of that name beats it.
    pub fn with_constant_label(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.constant_labels.push((name.into(), value.into()));
        self
    }

    /// Sets how many label sets of one metric are told apart; 2000 by default. The rest share one
    /// series whose labels are all `_other`. Metrics of meshwise itself keep 2000 at least.
    pub fn with_max_label_sets(mut self, max: usize) -> Self {
        self.max_label_sets = Some(max.max(1));
        self
    }

    /// Hides a series that was not written to for this long, and forgets it if there is no
    /// handle to it; written to again, it comes back. `None`, the default, keeps all.
    ///
    /// A gauge that is counted up and down is not hidden while it is above zero.
    /// `metrics-exporter-prometheus` as a backend does not know this.
    pub fn with_idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Asks `current` at each recorded histogram value which sampled trace it belongs to, if any.
    /// `OpenMetrics` then shows the last one of each bucket as its exemplar.
    ///
    /// It runs on the hot path; it should do no more than look at a thread-local context.
    /// `metrics-exporter-prometheus` as a backend does not know exemplars.
    pub fn with_exemplars(
        mut self,
        current: impl Fn() -> Option<Exemplar> + Send + Sync + 'static,
    ) -> Self {
        self.exemplars = Some(ExemplarSource::new(current));
        self
    }

    /// Records histograms of calls' body sizes too; off by default.
    pub fn with_body_sizes(mut self, on: bool) -> Self {
        self.body_sizes = on;
        self
    }

    /// Counts the edges of the service map under Istio's names too, which Kiali asks for; off by
    /// default.
    pub fn with_istio_names(mut self, on: bool) -> Self {
        self.istio = on;
        self
    }

    /// Sets whether the process and its cgroup are shown; they are by default.
    pub fn with_process_metrics(mut self, on: bool) -> Self {
        self.process_metrics = on;
        self
    }

    /// Sets whether `Metrics::watch_runtime` (feature `tokio`) shows a tokio runtime; it does by
    /// default.
    pub fn with_runtime_metrics(mut self, on: bool) -> Self {
        self.runtime_metrics = on;
        self
    }

    /// Sends all points to an OpenTelemetry collector too, once a minute and at the end, beside the page
    /// that is scraped. `OTEL_METRICS_EXPORTER` decides over it, where it is set.
    #[cfg(feature = "_otlp")]
    pub fn with_otlp(mut self, config: &meshwise_otlp::OtlpConfig) -> Self {
        config.show(self.push.otlp.parts());
        self.push.ask_for_otlp();
        self
    }

    /// Sets how often points are sent; 60 s by default.
    #[cfg(feature = "_otlp")]
    pub fn with_export_interval(mut self, interval: Duration) -> Self {
        self.push.set_interval(interval);
        self
    }

    /// Sets whether sums and histograms that are sent count from the last time instead of from the
    /// start; they do not by default. What is scraped always counts from the start.
    #[cfg(feature = "_otlp")]
    pub fn with_delta(mut self, delta: bool) -> Self {
        self.push.set_delta(delta);
        self
    }

    /// Keeps numbers in `metrics-exporter-prometheus` instead of our own recorder.
    #[cfg(feature = "exporter-prometheus")]
    pub fn with_exporter_prometheus(mut self) -> Self {
        self.keeper = Keeper::Exporter;
        self
    }

    /// Sets everything up. Nothing process-wide is touched.
    ///
    /// # Errors
    /// If buckets or their schema make no sense, the system refuses a thread, or the exporter cannot be
    /// made as code says.
    pub fn build(mut self) -> Result<Metrics, MetricsError> {
        self = self.joined();
        if self.istio {
            self.buckets.set(names::ISTIO_DURATION, &ISTIO_BUCKETS);
        }
        self.buckets.check()?;
        if self.operator.enabled.get() == Some(&false) {
            self.process_metrics = false;
            self.runtime_metrics = false;
            return Ok(self.build_with_recorder(Arc::new(NoopRecorder)));
        }
        if self.push.is_exponential() {
            self.buckets.native_mut().add("*");
        }
        let (recorder, registry) = self.recorder()?;
        let metrics = Metrics::new(recorder, self.hub_settings());
        let mut hints = Vec::new();
        let weak = metrics.downgrade();
        let collect = move || weak.upgrade().inspect(Metrics::collect).is_some();
        let push = Push::start(&mut self.push, registry, &self.resource, collect, &mut hints)?;
        Ok(metrics.with_push(push, hints))
    }

    /// Records to a recorder of another crate instead of one of our own.
    ///
    /// Buckets and constant labels are that recorder's business then, and so is showing them:
    /// [`Metrics::render`] returns nothing.
    #[must_use]
    pub fn build_with_recorder(mut self, recorder: Arc<dyn Recorder + Send + Sync>) -> Metrics {
        self = self.joined();
        Metrics::new(SharedRecorder::new(Arc::new(Foreign(recorder)), None), self.hub_settings())
    }

    /// Makes what keeps the numbers; if that is our own recorder, they can be read.
    fn recorder(&self) -> Result<Kept, MetricsError> {
        let idle_timeout = self.idle_timeout.flatten();
        let limits = Limits {
            buckets: self.buckets.clone(),
            constant_labels: self.constant_labels.clone(),
            max_label_sets: self.max_label_sets(),
            idle_timeout,
        };
        let losses = Arc::new(LossCounters::new(Signal::Metrics));
        match self.keeper {
            Keeper::Own => {
                let exemplars = self.exemplars.clone().unwrap_or_default();
                let own = Own::new(
                    Arc::clone(&losses),
                    self.operator.exemplars.or(true).then_some(exemplars),
                );
                let registry = Arc::new(Registry::new(own, losses, limits));
                let sweeping = Arc::clone(&registry);
                let upkeep = idle_timeout.map(|timeout| {
                    Upkeep::every(sweep_interval(timeout), move || sweeping.sweep(Instant::now()))
                });
                let upkeep = upkeep.transpose().map_err(MetricsError::Thread)?;
                let backend = Arc::clone(&registry);
                Ok((SharedRecorder::new(backend, upkeep), Some(registry)))
            }
            #[cfg(feature = "exporter-prometheus")]
            Keeper::Exporter => {
                use crate::backend::Exporter;
                let exporter = Exporter::new(&self.buckets, Arc::clone(&losses))?;
                let registry = Arc::new(Registry::new(exporter, losses, limits));
                let kept = Arc::clone(&registry);
                let upkeep = Upkeep::every(Exporter::INTERVAL, move || kept.upkeep());
                let upkeep = upkeep.map_err(MetricsError::Thread)?;
                Ok((SharedRecorder::new(registry, Some(upkeep)), None))
            }
        }
    }

    fn max_label_sets(&self) -> usize {
        self.max_label_sets.unwrap_or(MAX_LABEL_SETS)
    }

    fn hub_settings(&self) -> Settings {
        Settings {
            resource: self.resource.clone(),
            max_label_sets: self.max_label_sets(),
            body_sizes: self.body_sizes,
            istio: self.istio,
            process_metrics: self.process_metrics,
            #[cfg(feature = "tokio")]
            runtime_metrics: self.runtime_metrics,
        }
    }
}

/// The bounds of durations' buckets, in milliseconds.
const ISTIO_BUCKETS: [f64; 14] = [
    5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0,
    10000.0,
];

/// Returns how often to look for series that are not written to.
fn sweep_interval(timeout: Duration) -> Duration {
    (timeout / 2).clamp(Duration::from_secs(1), Duration::from_secs(60))
}
