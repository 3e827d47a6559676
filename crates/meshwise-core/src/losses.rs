//! Counts of telemetry records delivered and dropped.
//!
//! Nothing that meshwise drops goes uncounted: each signal has one set of loss counters, which the pipeline
//! writes and `/metrics` and the shutdown report read.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Names a kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature: three signals")]
pub enum Signal {
    /// Log lines.
    Logs,
    /// Metric series and samples.
    Metrics,
    /// Spans.
    Traces,
}

impl Signal {
    /// Returns `logs`, `metrics` or `traces`.
    #[doc(hidden)]
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Says why a record was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[$doc])* $variant,)* }

        impl DropReason {
            const EVERY: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Lists every reason, in the order of [`SignalReport::dropped`].
            #[doc(hidden)]
            pub const ALL: &'static [Self] = &Self::EVERY;

            /// Returns the label value, such as `queue_full`.
            #[doc(hidden)]
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

// One list makes the enum, its order and its names: the counters cannot miss one.
reasons! {
    /// The bounded queue was full.
    QueueFull "queue_full",
    /// The destination refused it or could not be reached.
    ExportFailed "export_failed",
    /// The destination did not answer in time.
    ExportTimeout "export_timeout",
    /// It came after shutdown, or shutdown ran out of time before it was sent.
    Shutdown "shutdown",
    /// Writing to the file or stream failed.
    WriteFailed "write_failed",
    /// The call site said the same thing too often.
    RateLimited "rate_limited",
    /// It was larger than the limit for one record.
    TooLarge "too_large",
    /// The recorder could not take it: no finite number, a metric name that clashes with another
    /// one's, or one name too many.
    Refused "refused",
}

impl DropReason {
    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts what became of one signal's records. Cheap to write from any thread.
///
/// ```
/// use meshwise_core::{DropReason, Signal, internal::LossCounters};
/// let losses = LossCounters::new(Signal::Traces);
/// losses.delivered(98);
/// losses.dropped(DropReason::QueueFull, 2);
/// assert_eq!(losses.report().to_string(), "traces: 98 delivered, 2 dropped (queue_full: 2)");
/// ```
#[derive(Debug)]
pub struct LossCounters {
    signal: Signal,
    delivered: AtomicU64,
    dropped: [AtomicU64; DropReason::EVERY.len()],
}

impl LossCounters {
    /// Starts at zero.
    #[must_use]
    pub const fn new(signal: Signal) -> Self {
        Self {
            signal,
            delivered: AtomicU64::new(0),
            dropped: [const { AtomicU64::new(0) }; DropReason::EVERY.len()],
        }
    }

    /// Adds `n` records that reached their destination.
    pub fn delivered(&self, n: u64) {
        self.delivered.fetch_add(n, Relaxed);
    }

    /// Adds `n` records that were lost.
    pub fn dropped(&self, reason: DropReason, n: u64) {
        self.dropped[reason.index()].fetch_add(n, Relaxed);
    }

    /// Reads all counts.
    pub fn report(&self) -> SignalReport {
        SignalReport {
            signal: self.signal,
            delivered: self.delivered.load(Relaxed),
            dropped: DropReason::EVERY
                .map(|reason| (reason, self.dropped[reason.index()].load(Relaxed))),
        }
    }
}

/// Tells what became of one signal's records up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SignalReport {
    /// Which signal.
    pub signal: Signal,
    /// How many records reached their destination.
    pub delivered: u64,
    dropped: [(DropReason, u64); DropReason::EVERY.len()],
}

impl SignalReport {
    /// Lists how many were lost, for each reason (zeros included).
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.dropped.into_iter()
    }

    /// Adds the counts of another pipeline of the same signal.
    #[doc(hidden)]
    pub fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        for ((_, sum), (_, n)) in self.dropped.iter_mut().zip(other.dropped) {
            *sum += n;
        }
    }

    /// Returns the losses for one reason.
    #[must_use]
    pub fn dropped_because(&self, reason: DropReason) -> u64 {
        self.dropped[reason.index()].1
    }

    /// Sums the losses over all reasons.
    #[must_use]
    pub fn total_dropped(&self) -> u64 {
        self.dropped.iter().map(|(_, n)| n).sum()
    }
}

impl fmt::Display for SignalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} delivered", self.signal, self.delivered)?;
        if self.total_dropped() > 0 {
            write!(f, ", {} dropped (", self.total_dropped())?;
            let lost = self.dropped.iter().filter(|(_, n)| *n > 0);
            for (i, (reason, n)) in lost.enumerate() {
                write!(f, "{}{reason}: {n}", if i > 0 { ", " } else { "" })?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_slot_and_name() {
        for (i, reason) in DropReason::EVERY.into_iter().enumerate() {
            assert_eq!(reason.index(), i);
            let losses = LossCounters::new(Signal::Logs);
            losses.dropped(reason, 3);
            let report = losses.report();
            assert_eq!(report.total_dropped(), 3);
            assert_eq!(report.dropped[i], (reason, 3));
            assert_eq!(report.dropped_because(reason), 3);
            assert!(report.to_string().contains(reason.as_str()));
        }
    }

    #[test]
    fn a_report_reads_as_a_line() {
        let losses = LossCounters::new(Signal::Logs);
        assert_eq!(losses.report().to_string(), "logs: 0 delivered");
        losses.delivered(2);
        losses.delivered(1);
        losses.dropped(DropReason::QueueFull, 1);
        losses.dropped(DropReason::Shutdown, 2);
        let report = losses.report();
        assert_eq!((report.signal, report.delivered), (Signal::Logs, 3));
        assert_eq!(report.to_string(), "logs: 3 delivered, 3 dropped (queue_full: 1, shutdown: 2)");
        let names = [Signal::Logs, Signal::Metrics, Signal::Traces].map(|s| s.to_string());
        assert_eq!(names, ["logs", "metrics", "traces"]);
    }
}
