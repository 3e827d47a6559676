//! Sizes and times of the queue.

use crate::signal::SignalExt as _;
use meshwise_core::{
    Env, EnvError, Signal,
    settings::{BatchParts, Settings, SettingsError},
};
use std::time::Duration;

/// Sets the sizes and times of the queue before an exporter of spans or log records.
///
/// | setting | variable of spans, of log records | default |
/// |---|---|---|
/// | [`with_queue_size`](Self::with_queue_size) | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_QUEUE_SIZE` | 2048 records |
/// | [`with_batch_size`](Self::with_batch_size) | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` | 512 records |
/// | [`with_delay`](Self::with_delay) | `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BLRP_SCHEDULE_DELAY` | 5000 ms, 1000 ms |
/// | [`with_export_timeout`](Self::with_export_timeout) | `OTEL_BSP_EXPORT_TIMEOUT`, `OTEL_BLRP_EXPORT_TIMEOUT` | 30000 ms |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct BatchConfig {
    queue: Option<usize>,
    batch: Option<usize>,
    delay: Option<Duration>,
    timeout: Option<Duration>,
}

/// Holds the numbers, checked.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub(super) queue: usize,
    pub(super) batch: usize,
    pub(super) delay: Duration,
    pub(super) timeout: Duration,
}

/// Names the variables of one signal ("Environment Variable Specification", "Batch Span Processor"
/// and "Batch `LogRecord` Processor"), and what differs between them.
struct BatchNames {
    queue: &'static str,
    batch: &'static str,
    default_delay: Duration,
}

const SPANS: BatchNames = BatchNames {
    queue: "OTEL_BSP_MAX_QUEUE_SIZE",
    batch: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    default_delay: Duration::from_secs(5),
};

const LOGS: BatchNames = BatchNames {
    queue: "OTEL_BLRP_MAX_QUEUE_SIZE",
    batch: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    default_delay: Duration::from_secs(1),
};

/// Points of metrics are collected, not queued: they have no batches.
const fn names(signal: Signal) -> &'static BatchNames {
    match signal {
        Signal::Logs => &LOGS,
        Signal::Traces | Signal::Metrics => &SPANS,
    }
}

/// The largest queue that may be asked for.
const MAX_QUEUE: usize = 1 << 24;
const DEFAULT_QUEUE: usize = 2048;
const DEFAULT_BATCH: usize = 512;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer times are as good as this one, and cannot overflow the clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(86_400);

impl BatchConfig {
    /// Takes OpenTelemetry's defaults.
    pub const fn new() -> Self {
        Self { queue: None, batch: None, delay: None, timeout: None }
    }

    /// Sets how many records may wait, 1 to 16,777,216; the room for them (some 400 bytes each) is
    /// taken at once. What comes while the queue is full is dropped and counted.
    pub const fn with_queue_size(mut self, records: usize) -> Self {
        self.queue = Some(records);
        self
    }

    /// Sets how many records are sent at once; as soon as so many wait, they are (if they come from
    /// many threads, a few later). At least 1 and no more than the queue holds.
    pub const fn with_batch_size(mut self, records: usize) -> Self {
        self.batch = Some(records);
        self
    }

    /// Sets how long a record waits at most before it is sent.
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Sets how long the export of one batch may take, all retries included.
    pub const fn with_export_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Reads `OTEL_BSP_*`, or `OTEL_BLRP_*` for logs; what is not set stays open, and so does what is no number or out of range,
    /// of which [`Env::findings`] tells. A timeout of 0 is without limit.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, if a variable is no number or out of range.
    #[doc(hidden)]
    pub fn from_env(env: &Env, signal: Signal) -> Result<Self, SettingsError> {
        let mut said = Settings::from_standard_env_of(env, |path| path.is_in(signal.section()))?;
        Ok(Self::from_settings(match signal {
            Signal::Logs => said.log.batch.parts(),
            Signal::Traces | Signal::Metrics => said.traces.batch.parts(),
        }))
    }

    /// Puts the environment's numbers over the code's. They are checked against each other: of two
    /// that do not go together the environment's batch is ignored, and the code's made smaller.
    #[doc(hidden)]
    pub fn over(self, code: Self, env: &Env, signal: Signal) -> Result<Self, EnvError> {
        let mut merged = self.or(code);
        let queue = merged.queue.unwrap_or(DEFAULT_QUEUE);
        if let Some(batch) = self.batch.filter(|batch| *batch > queue) {
            env.refuse(too_large(signal, batch, queue))?;
            merged.batch = code.batch;
        }
        if self.queue.is_some() {
            merged.batch = merged.batch.map(|batch| batch.min(queue));
        }
        Ok(merged)
    }

    /// Takes what is set.
    #[doc(hidden)]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it refers to parts; it is made to be passed"
    )]
    pub fn from_settings(said: BatchParts<'_>) -> Self {
        let number = |number: &i64| usize::try_from(*number).unwrap_or(usize::MAX);
        Self {
            queue: said.queue.get().map(number),
            batch: said.size.get().map(number),
            delay: said.delay.get().copied(),
            timeout: said.timeout.get().copied(),
        }
    }

    /// Puts the operator's numbers over the code's; a smaller queue makes the code's batch smaller.
    #[doc(hidden)]
    pub fn over_code(self, code: Self) -> Self {
        let mut merged = self.or(code);
        if let (Some(queue), None) = (self.queue, self.batch) {
            merged.batch = merged.batch.map(|batch| batch.min(queue));
        }
        merged
    }

    /// Shows what is set here, or else the default.
    #[doc(hidden)]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it refers to parts; it is made to be passed"
    )]
    pub fn show(self, all: BatchParts<'_>, signal: Signal) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let queue = self.queue.unwrap_or(DEFAULT_QUEUE);
        all.queue.set(whole(queue));
        all.size.set(whole(self.batch.unwrap_or(DEFAULT_BATCH.min(queue))));
        all.delay.set(self.delay.unwrap_or(names(signal).default_delay));
        all.timeout.set(self.timeout.unwrap_or(DEFAULT_TIMEOUT));
    }

    /// Fills what is open from `other`.
    #[doc(hidden)]
    pub fn or(self, other: Self) -> Self {
        Self {
            queue: self.queue.or(other.queue),
            batch: self.batch.or(other.batch),
            delay: self.delay.or(other.delay),
            timeout: self.timeout.or(other.timeout),
        }
    }

    /// Fills in the defaults and checks the sizes against each other.
    ///
    /// # Errors
    /// If one is out of range.
    #[doc(hidden)]
    pub fn sizes(self, signal: Signal) -> Result<Sizes, EnvError> {
        let queue = self.queue.unwrap_or(DEFAULT_QUEUE);
        if !(1..=MAX_QUEUE).contains(&queue) {
            let allowed = format!("1 to {}", MAX_QUEUE);
            return Err(EnvError::new("the queue size", queue.to_string(), allowed));
        }
        // A queue that is set smaller than the default batch makes the batch smaller, too.
        let batch = self.batch.unwrap_or(DEFAULT_BATCH.min(queue));
        if !(1..=queue).contains(&batch) {
            return Err(too_large(signal, batch, queue));
        }
        Ok(Sizes {
            queue,
            batch,
            delay: self.delay.unwrap_or(names(signal).default_delay).min(LONGEST),
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT).min(LONGEST),
        })
    }
}

fn too_large(signal: Signal, batch: usize, queue: usize) -> EnvError {
    let names = names(signal);
    let allowed = format!("1 to {queue}, what the queue holds ({})", names.queue);
    EnvError::new(names.batch, batch.to_string(), allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_specification_s() {
        let sizes = BatchConfig::new().sizes(Signal::Traces).unwrap();
        assert_eq!((sizes.queue, sizes.batch), (2048, 512));
        assert_eq!((sizes.delay, sizes.timeout), (Duration::from_secs(5), Duration::from_secs(30)));
    }

    #[test]
    fn logs_have_their_own_variables_and_wait_for_a_second() {
        let env = Env::from_pairs([
            (LOGS.queue, "100"),
            (SPANS.queue, "7"),
            ("OTEL_BLRP_EXPORT_TIMEOUT", "9"),
        ]);
        let config = BatchConfig::from_env(&env, Signal::Logs).unwrap();
        let sizes = config.sizes(Signal::Logs).unwrap();
        assert_eq!((sizes.queue, sizes.batch), (100, 100));
        assert_eq!(sizes.delay, Duration::from_secs(1));
        assert_eq!(sizes.timeout, Duration::from_millis(9));
        assert_eq!(env.unused(), [SPANS.queue]);
    }

    /// What comes of code and environment together, and how much is told.
    fn merged(code: BatchConfig, pairs: &[(&str, &str)]) -> (Sizes, usize) {
        let env = Env::from_pairs(pairs.iter().copied());
        let config = BatchConfig::from_env(&env, Signal::Traces)
            .unwrap()
            .over(code, &env, Signal::Traces)
            .unwrap();
        (config.sizes(Signal::Traces).unwrap(), env.findings().len())
    }

    #[test]
    fn the_environment_beats_the_builder() {
        let pairs = [
            (SPANS.queue, "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
        ];
        let code = BatchConfig::new().with_batch_size(20).with_queue_size(7);
        let (sizes, told) = merged(code, &pairs);
        assert_eq!((sizes.queue, sizes.batch, told), (100, 20, 0));
        assert_eq!(sizes.delay, Duration::from_millis(250));
        assert_eq!(sizes.timeout, LONGEST, "0 is without limit");
        // A smaller queue makes the code's batch smaller, which is no mistake.
        let (sizes, told) = merged(BatchConfig::new().with_batch_size(200), &pairs);
        assert_eq!((sizes.queue, sizes.batch, told), (100, 100, 0));
    }

    #[test]
    fn a_small_queue_alone_is_no_mistake() {
        assert_eq!(BatchConfig::new().with_queue_size(16).sizes(Signal::Traces).unwrap().batch, 16);
    }

    #[test]
    fn a_batch_larger_than_the_queue_is() {
        let pairs = [(SPANS.queue, "100"), (SPANS.batch, "101")];
        let (sizes, told) = merged(BatchConfig::new(), &pairs);
        assert_eq!((sizes.queue, sizes.batch, told), (100, 100, 1));
        let (sizes, told) = merged(BatchConfig::new().with_queue_size(100), &pairs[1..]);
        assert_eq!((sizes.queue, sizes.batch, told), (100, 100, 1));
        let error =
            BatchConfig::new().with_queue_size(100).with_batch_size(101).sizes(Signal::Traces);
        assert_eq!(
            error.unwrap_err().to_string(),
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is `101`; allowed: 1 to 100, what the queue holds \
             (OTEL_BSP_MAX_QUEUE_SIZE)"
        );
    }

    #[test]
    fn zero_and_nonsense_are_told_and_the_default_stays() {
        for (name, value) in [
            (SPANS.queue, "0"),
            (SPANS.queue, "99999999999"),
            (SPANS.batch, "-1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "1.5"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "-1"),
        ] {
            let env = Env::from_pairs([(name, value)]);
            assert_eq!(BatchConfig::from_env(&env, Signal::Traces), Ok(BatchConfig::new()));
            assert_eq!(env.findings()[0].variable(), name);
            let strict = Env::from_pairs([(name, value), ("MESHWISE_STRICT", "true")]);
            let error = BatchConfig::from_env(&strict, Signal::Traces).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
        assert!(BatchConfig::new().with_queue_size(0).sizes(Signal::Traces).is_err());
        assert!(BatchConfig::new().with_batch_size(0).sizes(Signal::Traces).is_err());
    }
}
