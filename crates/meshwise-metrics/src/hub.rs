//! Metrics of one service: the recorder, what is collected at a scrape, and the way out.

use crate::{
    Exposition, Format, MetricsConfig, SharedRecorder, catalogue, collect,
    expose::{accepts_gzip, choose_format},
    handles::{counter, label},
    names,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::HeaderMap;
use meshwise_core::{Service, SignalReport};
use metrics::Recorder;
use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

/// Holds the metrics of one service. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: SharedRecorder,
    hooks: RwLock<Vec<Hook>>,
    #[cfg(feature = "tokio")]
    runtime: RwLock<Option<tokio::runtime::Handle>>,
    settings: Settings,
}

/// What instruments need to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) service: Service,
    pub(crate) max_label_sets: usize,
    pub(crate) body_sizes: bool,
    #[cfg(feature = "tokio")]
    pub(crate) runtime_metrics: bool,
}

type Hook = Arc<dyn Fn(&dyn Recorder) + Send + Sync>;

impl Metrics {
    pub(crate) fn new(recorder: SharedRecorder, settings: &Settings) -> Self {
        catalogue::describe(&recorder, catalogue::OWN);
        let settings = settings.clone();
        Self(Arc::new(Inner {
            recorder,
            hooks: RwLock::default(),
            #[cfg(feature = "tokio")]
            runtime: RwLock::default(),
            settings,
        }))
    }

    /// Records to someone else's recorder, which also shows what was recorded.
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

    /// Runs `collect` before each scrape, to record what is kept elsewhere.
    ///
    /// It may run on several threads at once. If it panics, the scrape goes on without it.
    pub fn on_scrape(&self, collect: impl Fn(&dyn Recorder) + Send + Sync + 'static) {
        let mut hooks = self.0.hooks.write().unwrap_or_else(PoisonError::into_inner);
        hooks.push(Arc::new(collect));
    }

    /// Shows what became of one signal's records, as `meshwise_telemetry_dropped_total` and
    /// `meshwise_telemetry_exported_total`.
    pub fn track_ledger(&self, report: impl Fn() -> SignalReport + Send + Sync + 'static) {
        self.on_scrape(move |recorder| {
            let report = report();
            let signal = || label(names::LABEL_SIGNAL, report.signal.as_str());
            counter(recorder, names::TELEMETRY_EXPORTED, vec![signal()]).absolute(report.delivered);
            for (reason, lost) in report.dropped {
                let labels = vec![signal(), label(names::LABEL_REASON, reason.as_str())];
                counter(recorder, names::TELEMETRY_DROPPED, labels).absolute(lost);
            }
        });
    }

    /// Shows a tokio runtime: workers, tasks, queue depth, busy time. One runtime is shown; a second
    /// call replaces it.
    #[cfg(feature = "tokio")]
    pub fn watch_runtime(&self, runtime: tokio::runtime::Handle) {
        if self.0.settings.runtime_metrics {
            catalogue::describe(&self.0.recorder, catalogue::RUNTIME);
            *self.0.runtime.write().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
        }
    }

    /// Runs everything that was given to [`Metrics::on_scrape`], as a scrape does first.
    ///
    /// Only needed with [`Metrics::from_recorder`], where scrapes pass us by.
    pub fn collect(&self) {
        #[cfg(feature = "tokio")]
        if let Some(runtime) = &*self.0.runtime.read().unwrap_or_else(PoisonError::into_inner) {
            collect::runtime::collect(runtime, &collect::Sink(&self.0.recorder));
        }
        // The list is not locked while they run: one of them may add another.
        let hooks = self.0.hooks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for hook in hooks {
            let _ = catch_unwind(AssertUnwindSafe(|| hook(&self.0.recorder)));
        }
    }

    /// Answers a scrape, in the format and encoding that its `Accept` and `Accept-Encoding`
    /// headers ask for.
    #[must_use]
    pub fn render(&self, request: &HeaderMap) -> Exposition {
        let format = choose_format(request, |format| self.0.recorder.0.writes(format));
        let gzip = accepts_gzip(request);
        let body = if gzip {
            let mut out = GzEncoder::new(Vec::new(), Compression::fast());
            self.write_to(format, &mut out).and_then(|()| out.finish())
        } else {
            let mut out = Vec::new();
            self.write_to(format, &mut out).map(|()| out)
        };
        Exposition {
            content_type: format.content_type(),
            content_encoding: gzip.then_some("gzip"),
            // Writing to memory does not fail.
            body: body.map(Bytes::from).unwrap_or_default(),
        }
    }

    /// Returns all metrics as Prometheus text.
    #[must_use]
    pub fn render_text(&self) -> String {
        let mut out = Vec::new();
        let written = self.write_to(Format::Text, &mut out);
        written.ok().and_then(|()| String::from_utf8(out).ok()).unwrap_or_default()
    }

    /// Writes all metrics to `out`; text if they can't be written in `format`.
    ///
    /// # Errors
    /// If writing to `out` fails.
    pub fn write_to(&self, format: Format, out: &mut dyn io::Write) -> io::Result<()> {
        self.collect();
        self.0.recorder.0.write(format, out)
    }

    /// Stops what runs in the background, in at most a second. Metrics can still be read.
    pub fn shutdown(&self) {
        self.0.recorder.0.stop();
    }

    pub(crate) fn max_label_sets(&self) -> usize {
        self.0.settings.max_label_sets
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
