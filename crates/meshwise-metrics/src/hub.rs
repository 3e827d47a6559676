//! Metrics of one service: the recorder, what is collected at a scrape, and the way out.

use crate::{
    backend::Backend,
    catalogue,
    collect::{
        self, Sink,
        capacity::{Capacity, Used},
        cgroup::Cgroup,
        process::Process,
    },
    config::MetricsConfig,
    key::METADATA,
    names,
    push::Push,
    recorder::SharedRecorder,
    registry::RefusedMetric,
};
use meshwise_core::{Resource, Service, SignalReport};
use metrics::{Counter, Key, Recorder};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

/// Holds the metrics of one service. Cheap to clone.
///
/// What runs in the background, if anything does, ends when the last clone is dropped and with it
/// the last [`SharedRecorder`].
#[derive(Clone)]
pub struct Metrics(Arc<MetricsInner>);

struct MetricsInner {
    recorder: SharedRecorder,
    settings: Settings,
    hooks: RwLock<Vec<Hook>>,
    hook_panics: Counter,
    /// What sends points, if anything does.
    push: OnceLock<(Option<Push>, Vec<String>)>,
    process: Option<Process>,
    capacity: Capacity,
    cgroup: OnceLock<Cgroup>,
    #[cfg(feature = "tokio")]
    runtime: RwLock<Option<tokio::runtime::Handle>>,
}

/// Refers to metrics without keeping them.
pub(crate) struct WeakMetrics(std::sync::Weak<MetricsInner>);

impl WeakMetrics {
    pub(crate) fn upgrade(&self) -> Option<Metrics> {
        self.0.upgrade().map(Metrics)
    }
}

/// What instruments and collectors need to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) resource: Resource,
    pub(crate) max_label_sets: usize,
    pub(crate) body_sizes: bool,
    pub(crate) istio: bool,
    pub(crate) process_metrics: bool,
    #[cfg(feature = "tokio")]
    pub(crate) runtime_metrics: bool,
}

type Hook = Arc<dyn Fn(&dyn Recorder) + Send + Sync>;

impl Metrics {
    pub(crate) fn new(recorder: SharedRecorder, settings: Settings) -> Self {
        catalogue::describe(&recorder, catalogue::OWN);
        let process = settings.process_metrics.then(|| {
            catalogue::describe(&recorder, catalogue::PROCESS);
            Process::new("/proc")
        });
        Self(Arc::new(MetricsInner {
            hook_panics: recorder
                .register_counter(&Key::from_static_name(names::SCRAPE_HOOK_PANICS), &METADATA),
            recorder,
            settings,
            hooks: RwLock::default(),
            push: OnceLock::new(),
            process,
            capacity: Capacity::new(),
            cgroup: OnceLock::new(),
            #[cfg(feature = "tokio")]
            runtime: RwLock::default(),
        }))
    }

    /// Sends points with this, too.
    pub(crate) fn with_push(self, push: Option<Push>, hints: Vec<String>) -> Self {
        // Set once, before anything else has this.
        let _ = self.0.push.set((push, hints));
        self
    }

    fn push(&self) -> Option<&Push> {
        self.0.push.get().and_then(|(push, _)| push.as_ref())
    }

    /// Lists what looks like a mistake in the settings and is none for certain, in sentences to be
    /// logged.
    #[doc(hidden)]
    #[must_use]
    pub fn hints(&self) -> &[String] {
        self.0.push.get().map_or(&[], |(_, hints)| hints)
    }

    /// Tells how many points were delivered to a collector and lost; `None` if none are sent.
    #[doc(hidden)]
    #[must_use]
    pub fn exported(&self) -> Option<SignalReport> {
        self.push().map(Push::report)
    }

    /// Collects all points and sends them, `timeout` at most; tells whether they have arrived or are lost
    /// for good. Works on any executor, and does nothing if none are sent.
    pub async fn flush(&self, timeout: Duration) -> bool {
        match self.push() {
            Some(push) => push.flush(timeout).await,
            None => true,
        }
    }

    /// Collects and sends all points for the last time, `timeout` at most, and stops sending; what was
    /// not sent in time counts as lost.
    #[doc(hidden)]
    pub async fn end_export(&self, timeout: Duration) {
        if let Some(push) = self.push() {
            push.shutdown(timeout).await;
        }
    }

    /// Refers to these metrics without keeping them.
    pub(crate) fn downgrade(&self) -> WeakMetrics {
        WeakMetrics(Arc::downgrade(&self.0))
    }

    /// Records to a recorder of another crate, which also shows what was recorded.
    ///
    /// Settings are the defaults; [`MetricsConfig::build_with_recorder`] takes others.
    #[must_use]
    pub fn from_recorder(recorder: Arc<dyn Recorder + Send + Sync>) -> Self {
        MetricsConfig::new(Service::new("unknown_service", "")).build_with_recorder(recorder)
    }

    /// Returns the recorder, for the `metrics` macros.
    #[must_use]
    pub fn recorder(&self) -> SharedRecorder {
        self.0.recorder.clone()
    }

    /// Returns what keeps the numbers.
    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.0.recorder.backend
    }

    /// Runs `collect` before each scrape, to record what is kept elsewhere.
    ///
    /// It may run on several threads at once. If it panics, the scrape goes on without it, and
    /// `meshwise_scrape_hook_panics_total` counts that.
    pub fn on_scrape(&self, collect: impl Fn(&dyn Recorder) + Send + Sync + 'static) {
        let mut hooks = self.0.hooks.write().unwrap_or_else(PoisonError::into_inner);
        hooks.push(Arc::new(collect));
    }

    /// Shows what became of one signal's records, as `meshwise_telemetry_dropped_total` and
    /// `meshwise_telemetry_exported_total`.
    #[doc(hidden)]
    pub fn track_losses(&self, report: impl Fn() -> SignalReport + Send + Sync + 'static) {
        self.on_scrape(move |recorder| collect::losses::all(recorder, &report()));
    }

    /// Shows a tokio runtime: workers, tasks, queue depth, busy time. One runtime is shown; a
    /// second call replaces it.
    #[cfg(feature = "tokio")]
    #[doc(hidden)]
    pub fn watch_runtime(&self, runtime: tokio::runtime::Handle) {
        if self.0.settings.runtime_metrics {
            catalogue::describe(&self.0.recorder, catalogue::RUNTIME);
            *self.0.runtime.write().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
        }
    }

    /// Records all that is read from elsewhere, and runs what was given to [`Metrics::on_scrape`],
    /// as a scrape does first.
    ///
    /// Only needed with [`Metrics::from_recorder`], where scrapes pass us by.
    #[doc(hidden)]
    pub fn collect(&self) {
        let inner = &*self.0;
        let sink = Sink(&**self.backend());
        collect::identity::collect(&inner.settings.resource, &sink);
        #[cfg(feature = "tokio")]
        let runtime = inner.runtime.read().unwrap_or_else(PoisonError::into_inner).clone();
        #[cfg(feature = "tokio")]
        let workers = runtime.and_then(|runtime| collect::runtime::collect(&runtime, &sink));
        #[cfg(not(feature = "tokio"))]
        let workers = None;
        if let Some(process) = &inner.process {
            process.collect(&sink);
            let cgroup = inner.cgroup.get_or_init(|| Cgroup::find(Path::new("/proc/self")));
            let limit = collect::cgroup::collect(cgroup, &sink);
            inner.capacity.collect(Used::now(workers), limit, &sink);
        }
        // The list is not locked while they run: one of them may add another.
        let hooks = inner.hooks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for hook in hooks {
            if catch_unwind(AssertUnwindSafe(|| hook(&inner.recorder))).is_err() {
                inner.hook_panics.increment(1);
            }
        }
        let (refused, exported) = (self.backend().report(), self.exported());
        if let Some(mut report) = exported {
            refused.iter().for_each(|refused| report.add(refused));
            collect::losses::all(&inner.recorder, &report);
        } else if let Some(report) = refused {
            collect::losses::dropped(&inner.recorder, &report);
        }
    }

    /// Lists metrics that are not recorded, and why: names that clash with others' or are too many.
    ///
    /// What is written to them is counted as `meshwise_telemetry_dropped_total{signal="metrics"}`.
    #[doc(hidden)]
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedMetric> {
        self.backend().refused()
    }

    /// Stops what runs in the background, in at most a second. Metrics can still be recorded and
    /// read.
    pub fn shutdown(&self) {
        self.0.recorder.stop();
    }

    pub(crate) fn max_label_sets(&self) -> usize {
        self.0.settings.max_label_sets
    }

    pub(crate) fn istio(&self) -> bool {
        self.0.settings.istio
    }

    pub(crate) fn service(&self) -> &Service {
        self.0.settings.resource.service()
    }

    pub(crate) fn body_sizes(&self) -> bool {
        self.0.settings.body_sizes
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("recorder", &self.0.recorder)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
