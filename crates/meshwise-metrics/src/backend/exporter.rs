//! `metrics-exporter-prometheus`.

use super::{Pages, text};
use crate::{
    Format, MetricsError,
    buckets::Buckets,
    kind::{Handle, Kind},
    registry::{Family, Labels, Registry, Storage},
};
use meshwise_core::{DropReason, Ledger};
use metrics::{Histogram, HistogramFn, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::{collections::HashMap, io, sync::Arc, time::Duration};

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Keeps every sample of a histogram until upkeep or a scrape puts it into its bucket.
#[derive(Debug)]
pub(crate) struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    ledger: Arc<Ledger>,
}

impl Exporter {
    /// How often raw samples are put into their buckets.
    pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

    pub(crate) fn new(buckets: &Buckets, ledger: Arc<Ledger>) -> Result<Self, MetricsError> {
        let builder = with_buckets(buckets).map_err(|_| MetricsError::Buckets {
            metric: "a histogram".to_owned(),
            problem: "none at all",
        })?;
        let recorder = builder.build_recorder();
        Ok(Self { handle: recorder.handle(), recorder, ledger })
    }
}

fn with_buckets(buckets: &Buckets) -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new()
        .set_buckets(buckets.seconds())?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), buckets.bytes())?;
    for (metric, bounds) in buckets.named() {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.to_owned()), bounds)?;
    }
    Ok(builder)
}

impl Storage for Exporter {
    type Cell = Handle;

    fn make(&self, family: &Family<Handle>, labels: &Labels) -> Handle {
        // It takes two backslashes for one that was escaped before.
        let label =
            |(name, value): (&str, &str)| Label::new(name.to_owned(), value.replace('\\', "\\\\"));
        let labels: Vec<Label> = labels.pairs().map(label).collect();
        let key = Key::from_parts(Arc::clone(&family.name), labels);
        match family.kind {
            Kind::Counter => Handle::Counter(self.recorder.register_counter(&key, &METADATA)),
            Kind::Gauge => Handle::Gauge(self.recorder.register_gauge(&key, &METADATA)),
            Kind::Histogram => {
                let samples = self.recorder.register_histogram(&key, &METADATA);
                let ledger = Arc::clone(&self.ledger);
                Handle::Histogram(Histogram::from_arc(Arc::new(Finite { samples, ledger })))
            }
        }
    }

    fn handle(&self, cell: &Handle) -> Handle {
        cell.clone()
    }

    // Nothing expires here: the exporter would forget series whose handles are still in use.
    fn touched(&self, _: &Handle) -> bool {
        true
    }

    fn held(&self, _: &Handle) -> bool {
        true
    }

    fn writes(format: Format) -> bool {
        format == Format::Text
    }

    fn pages(registry: &Arc<Registry<Self>>, _: Format) -> Box<dyn Pages> {
        let mut out = Mended { text: Vec::new(), help: HashMap::new() };
        for (family, _) in registry.families() {
            if let Some(description) = family.description.get() {
                out.help.insert(family.name.to_string(), description.help.clone());
            }
        }
        // Writing to memory does not fail.
        let _ = registry.storage.handle.render_to_write(&mut out);
        Box::new(Whole(out.text))
    }

    fn keep_up(registry: &Registry<Self>) {
        registry.storage.handle.run_upkeep();
    }
}

/// Adds up finite values only: one other would spoil the sum for good.
struct Finite {
    samples: Histogram,
    ledger: Arc<Ledger>,
}

impl HistogramFn for Finite {
    fn record(&self, value: f64) {
        if value.is_finite() {
            self.samples.record(value);
        } else {
            self.ledger.dropped(DropReason::Refused, 1);
        }
    }
}

/// Mends what strict readers would not take: writes a HELP line before each TYPE line (the exporter
/// does so itself only for what is described), and `+Inf` for `inf`.
struct Mended {
    text: Vec<u8>,
    help: HashMap<String, String>,
}

impl io::Write for Mended {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        // What a family is comes as one chunk.
        if let Some(rest) = chunk.strip_prefix(b"# TYPE ")
            && let Ok(rest) = str::from_utf8(rest)
            && let Some((name, _)) = rest.split_once(' ')
        {
            let help = self.help.get(name).map(String::as_str);
            text::help(&mut self.text, Format::Text, name, help);
        }
        // So does each series; of its lines only a gauge's single one can end so.
        for (rust, prometheus) in [(" inf\n", " +Inf\n"), (" -inf\n", " -Inf\n")] {
            if let Some(line) = chunk.strip_suffix(rust.as_bytes()) {
                self.text.extend_from_slice(line);
                self.text.extend_from_slice(prometheus.as_bytes());
                return Ok(chunk.len());
            }
        }
        self.text.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All of it at once.
struct Whole(Vec<u8>);

impl Pages for Whole {
    fn next(&mut self, page: &mut Vec<u8>) -> bool {
        let more = !self.0.is_empty();
        page.append(&mut self.0);
        more
    }
}
