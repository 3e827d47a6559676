//! Settings of a log pipeline.

mod outputs;
mod settings;

use crate::{
    error::{LogError, MIN_QUEUE_BYTES},
    export::{Export, ExportConfig},
    filter::LogFilter,
    format::{self, Clock, LogFormat, Style},
    handle::LogHandle,
    layer::{LogFormatter, LogLayer},
    output::LogOutput,
    private::{PrivateConfig, PrivateLines},
    rate::RateLimit,
    recent::RecentLines,
    writer::{self, QueuePolicy, Writer},
};
use meshwise_core::{
    Env, EnvError, Redaction, Resource,
    settings::{LogSettings, Settings},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

/// The most bytes of lines that wait to be written, unless set otherwise.
const QUEUE_BYTES: usize = 8 << 20;
/// How long a thread waits for its `ERROR` lines, unless set otherwise.
const ERROR_WAIT: Duration = Duration::from_millis(500);

/// Describes how log lines are made and where they go; see the crate's docs for the defaults.
#[derive(Debug)]
#[must_use]
pub struct LogConfig {
    resource: Resource,
    format: Option<LogFormat>,
    filter: Option<String>,
    output: LogOutput,
    others: Vec<(String, LogOutput)>,
    private: PrivateConfig,
    /// What settings say of outputs; nothing else of it is looked at.
    said: LogSettings,
    queue_bytes: usize,
    policy: QueuePolicy,
    error_wait: Duration,
    rate_limit: Option<RateLimit>,
    redaction: Redaction,
    span_fields: bool,
    colour: Option<bool>,
    gcp_project: Option<String>,
    export: ExportConfig,
    clock: Clock,
}

impl LogConfig {
    /// Describes the log of a service: what lines say of it is the same as spans and metrics say, if
    /// those are given the same [`Resource`].
    pub fn new(resource: impl Into<Resource>) -> Self {
        Self {
            resource: resource.into(),
            format: None,
            filter: None,
            output: LogOutput::stdout(),
            others: Vec::new(),
            private: PrivateConfig::default(),
            said: LogSettings::default(),
            queue_bytes: QUEUE_BYTES,
            policy: QueuePolicy::default(),
            error_wait: ERROR_WAIT,
            rate_limit: Some(RateLimit::default()),
            redaction: Redaction::default(),
            span_fields: true,
            colour: None,
            gcp_project: None,
            export: ExportConfig::default(),
            clock: SystemTime::now,
        }
    }

    /// Reads the variables that the crate's docs list. What is set earlier yields to them, and what is
    /// set later does not: call it last, so that who operates the service has the last word.
    ///
    /// # Errors
    /// If one holds a value that is not allowed, or a name of `MESHWISE_*` is not known.
    pub fn with_env(mut self, env: &Env) -> Result<Self, LogError> {
        self = self.with_settings(&Settings::from_env(env)?.log);
        let said = Settings::from_standard_env_of(env, |path| path.is_in("log"))?;
        self.with_standard(&said.log, env)
    }

    /// Takes what variables that others have named say, from the tree of settings, which has read them.
    ///
    /// # Errors
    /// If filter directives are malformed.
    #[doc(hidden)]
    pub fn with_standard(mut self, said: &LogSettings, env: &Env) -> Result<Self, LogError> {
        if let Some(directives) = said.filter.get() {
            if LogFilter::parse(directives).is_err() {
                let allowed = "filter directives such as `info,orders=debug`";
                let variable = said.filter.source().to_string();
                return Err(EnvError::new(variable, directives, allowed).into());
            }
            self.filter = Some(directives.clone());
        }
        self.colour = said.colour.get().copied().or(self.colour);
        self.gcp_project = said.gcp_project.get().cloned().or(self.gcp_project);
        self.export = self.export.with_standard(said, env);
        Ok(self)
    }

    /// Sets what lines look like; by default `pretty` on a terminal and `json` elsewhere.
    pub fn with_format(mut self, format: LogFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets which events are logged, in the language of `RUST_LOG`; `info` by default.
    pub fn with_filter(mut self, directives: impl Into<String>) -> Self {
        self.filter = Some(directives.into());
        self
    }

    /// Sets where lines go; standard output by default.
    pub fn with_output(mut self, output: LogOutput) -> Self {
        self.output = output;
        self
    }

    /// Sends the same lines to another output too, with a queue, counts and a name of its own: one that
    /// is slow or away holds up no other.
    pub fn with_other_output(mut self, name: impl Into<String>, output: LogOutput) -> Self {
        self.others.push((name.into(), output));
        self
    }

    /// Hides fields of these names, of events and of the spans around them, in all outputs and records;
    /// lines with such a field go to `output` too, where it is shown. Names are those of
    /// [`Redaction::with_name`]: `email` is `customer_email`, too. What a [`Redaction`] hides of itself
    /// stays hidden.
    ///
    /// `output` has a queue and counts of its own, named `private`. A message's text is no field: what
    /// stands in it as `email=..` is hidden, and a value alone is not known for what it is.
    ///
    /// ```
    /// use meshwise_core::Service;
    /// use meshwise_log::{LogConfig, LogLines, LogOutput};
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// let (lines, private) = (LogLines::new(), LogLines::new());
    /// let (layer, _logs) = LogConfig::new(Service::new("orders", "1.4.2"))
    ///     .with_output(LogOutput::memory(&lines))
    ///     .with_private(["email"], LogOutput::memory(&private))
    ///     .build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     tracing::info!(email = "ann@example.com", "order placed");
    ///     tracing::info!("no one is named");
    /// });
    /// assert!(lines.lines()[0].contains(r#""email":"[redacted]""#) && lines.lines().len() == 2);
    /// assert!(private.lines()[0].contains("ann@example.com") && private.lines().len() == 1);
    /// # Ok::<(), meshwise_log::LogError>(())
    /// ```
    pub fn with_private(
        mut self,
        fields: impl IntoIterator<Item = impl Into<String>>,
        output: LogOutput,
    ) -> Self {
        let fields = fields.into_iter().map(Into::into).collect();
        self.private = PrivateConfig { fields, output: Some(output) };
        self
    }

    /// Hides what is private besides what is secret, for the other signals.
    #[must_use]
    #[doc(hidden)]
    pub fn hiding_private(&self, secrets: Redaction) -> Redaction {
        self.private.hiding(secrets)
    }

    /// Sets how many bytes of lines may wait to be written (8 MiB by default), and what happens to
    /// a line that finds no room.
    pub fn with_queue(mut self, bytes: usize, policy: QueuePolicy) -> Self {
        self.queue_bytes = bytes;
        self.policy = policy;
        self
    }

    /// Sets how long a thread that logs an `ERROR` waits, at most, until it is written and all lines
    /// before it; 500 ms by default, zero does not wait. Without a wait, a process that ends at once
    /// (`std::process::exit`, `abort`) takes the line with it that says why.
    ///
    /// As a rule the wait takes some ten microseconds; if it is in vain because the destination hangs,
    /// there is no other until the destination takes lines again.
    #[doc(hidden)]
    pub fn with_error_wait(mut self, wait: Duration) -> Self {
        self.error_wait = wait;
        self
    }

    /// Sets how often one call site may warn or complain; `None` is without limit.
    pub fn with_rate_limit(mut self, limit: Option<RateLimit>) -> Self {
        self.rate_limit = limit;
        self
    }

    /// Sets what is hidden; the default [`Redaction`] unless set.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Sets whether lines list the `tracing` spans around them, with their fields; they do by
    /// default. A span's fields are formatted once, not for each line.
    pub fn with_span_fields(mut self, on: bool) -> Self {
        self.span_fields = on;
        self
    }

    /// Sends each event to an OpenTelemetry collector too, as a record with the ids of its call. What is
    /// hidden in the line is hidden there. `OTEL_LOGS_EXPORTER` decides over it, where it is set.
    ///
    /// The record waits in a queue of its own ([`with_batch`](Self::with_batch)): a collector that hangs
    /// costs records, which are counted, and no time.
    #[cfg(feature = "_otlp")]
    pub fn with_otlp(mut self, config: &meshwise_otlp::OtlpConfig) -> Self {
        config.show(self.export.otlp.parts());
        let exporters = self.export.exporters.get_or_insert_default();
        if !exporters.iter().any(|word| word == "otlp") {
            exporters.push("otlp".to_owned());
        }
        self
    }

    /// Sets sizes and times of the queue before the exporter.
    #[cfg(feature = "_otlp")]
    pub fn with_batch(mut self, batch: meshwise_otlp::BatchConfig) -> Self {
        batch.show(self.export.batch.parts(), meshwise_core::Signal::Logs);
        self
    }

    /// Takes the time of lines from `clock` instead of the system's.
    #[doc(hidden)]
    pub fn with_clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the layer, and the handle to steer it.
    ///
    /// # Errors
    /// If the filter is not valid, the queue too small, an output's settings are missing or not valid,
    /// no thread can be started, or the exporter cannot be made as code says.
    pub fn build<S>(mut self) -> Result<(LogLayer<S>, LogHandle), LogError>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let directives = self.filter.as_deref().unwrap_or("info");
        let filter = LogFilter::new(directives)?;
        if self.queue_bytes < MIN_QUEUE_BYTES {
            return Err(LogError::Queue { bytes: self.queue_bytes });
        }
        let mut outputs = vec![("main".to_owned(), self.output)];
        outputs.extend(self.others);
        let named = outputs::named(&self.said, self.resource.service().name())?;
        let outputs = named.filter(|named| !named.is_empty()).unwrap_or(outputs);
        let terminal = outputs[0].1.is_terminal();
        let format =
            self.format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
        let mut hints = Vec::new();
        let export = Export::start(&mut self.export, &self.resource, &mut hints)?;
        let (service, labels) = format::service(format, &self.resource);
        let hidden = self.private.hiding(self.redaction.clone());
        let style = Arc::new(Style {
            format,
            service,
            labels,
            colour: self.colour.unwrap_or(terminal),
            span_fields: self.span_fields,
            records: export.is_some(),
            redaction: hidden,
            gcp_project: self.gcp_project,
            clock: self.clock,
        });
        let settings = writer::Settings {
            bytes: self.queue_bytes,
            policy: self.policy,
            error_wait: self.error_wait,
        };
        // An `ERROR` is waited for at the log's own output alone.
        let no_wait = writer::Settings { error_wait: Duration::ZERO, ..settings };
        let waits = [settings].into_iter().chain(std::iter::repeat(no_wait));
        let writers = outputs.into_iter().zip(waits).map(|((name, output), settings)| {
            Writer::start(&name, output, settings, Arc::clone(&style))
        });
        let writers: Arc<[_]> = writers.collect::<Result<_, _>>()?;
        let mut all = writers.to_vec();
        let mut private = None;
        let output = match self.said.private.path.get() {
            // Who names a file means no other place, whether or not it can be opened.
            Some(_) => outputs::private(&self.said)?,
            None => self.private.output.take(),
        };
        if let Some(output) = output {
            let style = Arc::new(PrivateConfig::style(&style, self.redaction));
            let writer = Writer::start("private", output, no_wait, Arc::clone(&style))?;
            all.push(Arc::clone(&writer));
            let recent = Arc::new(RecentLines::default());
            let lines = LogFormatter::new(style, [writer].into(), None, recent, None);
            private = Some(PrivateLines { names: self.private.names(), lines });
        }
        let recent = Arc::new(RecentLines::default());
        let handle = LogHandle::new(filter.clone(), all.into(), export.clone(), hints)
            .with_recent(Arc::clone(&recent))
            .with_redaction(style.redaction.clone());
        let formatter = LogFormatter::new(style, writers, export, recent, self.rate_limit)
            .with_private(private);
        Ok((formatter.with_filter(filter), handle))
    }
}
