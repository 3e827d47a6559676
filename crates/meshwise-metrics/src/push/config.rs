//! What is said of the exporter of points.

use meshwise_core::{
    Env,
    settings::{MetricOtlpSettings, MetricsSettings},
};
use std::time::Duration;

/// How often points are sent, and how long that may take, unless set otherwise.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// Asks for native buckets of all histograms.
const EXPONENTIAL: &str = "base2_exponential_bucket_histogram";
const EXPLICIT: &str = "explicit_bucket_histogram";

/// Says whether points are sent, and how.
#[derive(Clone, Debug)]
pub(crate) struct PushConfig {
    exporters: Option<Vec<String>>,
    pub(crate) otlp: MetricOtlpSettings,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) temporality: Option<String>,
    aggregation: Option<String>,
    /// Where it is told what cannot be followed.
    pub(super) env: Env,
    /// What the environment says.
    pub(super) standard: MetricsSettings,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            exporters: None,
            otlp: MetricOtlpSettings::default(),
            interval: None,
            timeout: None,
            temporality: None,
            aggregation: None,
            env: Env::empty(),
            standard: MetricsSettings::default(),
        }
    }
}

impl PushConfig {
    /// Asks for points to be sent.
    #[cfg(feature = "_otlp")]
    pub(crate) fn ask_for_otlp(&mut self) {
        let exporters = self.exporters.get_or_insert_default();
        if !exporters.iter().any(|word| word == "otlp") {
            exporters.push("otlp".to_owned());
        }
    }

    #[cfg(feature = "_otlp")]
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = Some(interval);
    }

    #[cfg(feature = "_otlp")]
    pub(crate) fn set_delta(&mut self, delta: bool) {
        self.temporality = Some(if delta { "delta" } else { "cumulative" }.to_owned());
    }

    /// Puts what is set over what is here.
    pub(crate) fn set(&mut self, said: &MetricsSettings) {
        let set = |here: &mut Option<String>, said: Option<&String>| {
            *here = said.cloned().or(here.take());
        };
        if let Some(exporters) = said.exporters.get() {
            self.exporters = Some(exporters.clone());
        }
        self.otlp.overlay(&said.otlp);
        self.interval = said.export_interval.get().copied().or(self.interval);
        self.timeout = said.export_timeout.get().copied().or(self.timeout);
        set(&mut self.temporality, said.temporality.get());
        set(&mut self.aggregation, said.histogram_aggregation.get());
    }

    /// Shows what is set here.
    pub(crate) fn show(&self, all: &mut MetricsSettings) {
        if let Some(exporters) = &self.exporters {
            all.exporters.set(exporters.clone());
        }
        all.otlp.overlay(&self.otlp);
        all.export_interval.set(self.interval.unwrap_or(INTERVAL));
        all.export_timeout.set(self.timeout.unwrap_or(TIMEOUT));
        let word = |word: &Option<String>, default: &str| {
            word.clone().unwrap_or_else(|| default.to_owned())
        };
        all.temporality.set(word(&self.temporality, "cumulative"));
        all.histogram_aggregation.set(word(&self.aggregation, EXPLICIT));
    }

    /// Takes what the environment says.
    pub(crate) fn set_standard(&mut self, said: &MetricsSettings, env: &Env) {
        self.interval = said.export_interval.get().copied().or(self.interval);
        self.timeout = said.export_timeout.get().copied().or(self.timeout);
        self.temporality = said.temporality.get().cloned().or(self.temporality.take());
        self.aggregation = said.histogram_aggregation.get().cloned().or(self.aggregation.take());
        (self.standard, self.env) = (said.clone(), env.clone());
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.standard.enabled.get() == Some(&false)
    }

    /// Says who wants points to be sent: code or a file, and anything at all.
    pub(super) fn wanted(&self) -> (bool, bool) {
        let is_otlp = |word: &String| word == "otlp";
        let (by_code, by_env) = match (self.standard.exporters.get(), &self.exporters) {
            (Some(named), code) => {
                let wanted = named.iter().any(is_otlp);
                (wanted && code.iter().flatten().any(is_otlp), wanted)
            }
            (None, Some(code)) => (code.iter().any(is_otlp), false),
            // An address of one's own for metrics is enough.
            (None, None) => {
                let own = self.otlp.metrics_endpoint.is_set();
                (own, self.standard.otlp.metrics_endpoint.is_set())
            }
        };
        (by_code, by_code || by_env)
    }

    /// Tells whether all histograms are to have native buckets.
    pub(crate) fn is_exponential(&self) -> bool {
        let (_, wanted) = self.wanted();
        wanted && !self.is_disabled() && self.aggregation.as_deref() == Some(EXPONENTIAL)
    }
}
