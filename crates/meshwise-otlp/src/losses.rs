//! At most one log line a minute about what goes wrong.

use crate::sink::Destination;
use meshwise_core::{Signal, SignalReport};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// Remembers what was lost and said, and decides when to say more.
#[derive(Debug, Default)]
pub struct LossLog {
    destination: Option<Destination>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_line: Option<Instant>,
    said: u64,
    error: Option<String>,
}

/// Holds what one log line says.
#[derive(Debug, PartialEq, Eq)]
struct LossLine {
    /// Records lost since the last line.
    lost: u64,
    error: Option<String>,
}

impl LossLog {
    /// Speaks of losses on the way to `destination`.
    pub(crate) fn new(destination: Option<Destination>) -> Self {
        Self { destination, state: Mutex::default() }
    }

    /// Takes note of an error; says so at once if nothing was said for a minute.
    pub(crate) fn complain(&self, error: &str, report: &SignalReport, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.error = Some(error.to_owned());
        if let Some(line) = state.line(report, now) {
            line.write(report, self.destination.as_ref());
        }
    }

    /// Takes note of an error, for the next line.
    pub(crate) fn note(&self, error: String) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).error = Some(error);
    }

    /// Says what was lost since the last line, if it is time.
    pub(crate) fn check(&self, report: &SignalReport, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if report.total_dropped() == state.said {
            return;
        }
        if let Some(line) = state.line(report, now) {
            line.write(report, self.destination.as_ref());
        }
    }
}

impl State {
    fn line(&mut self, report: &SignalReport, now: Instant) -> Option<LossLine> {
        if self.last_line.is_some_and(|last| now.duration_since(last) < BETWEEN_LINES) {
            return None;
        }
        self.last_line = Some(now);
        let lost = report.total_dropped().saturating_sub(self.said);
        self.said = report.total_dropped();
        Some(LossLine { lost, error: self.error.take() })
    }
}

/// Says it where the signal's own lines are looked for: targets are fixed for each line.
macro_rules! line {
    ($target:literal, $records:literal, $line:expr, $report:expr, $destination:expr) => {{
        let endpoint = $destination.map(|to| &*to.endpoint);
        let protocol = $destination.map(|to| to.protocol);
        let error = $line.error.as_deref();
        let error = error.unwrap_or(concat!($records, " come faster than they can be exported"));
        if $line.lost == 0 {
            tracing::warn!(
                target: $target,
                endpoint,
                protocol,
                error,
                concat!("cannot export ", $records, ", trying again (said at most once a minute)")
            );
        } else {
            tracing::warn!(
                target: $target,
                lost = $line.lost,
                since_start = %$report,
                endpoint,
                protocol,
                error,
                concat!($records, " were lost (said at most once a minute)")
            );
        }
    }};
}

impl LossLine {
    fn write(&self, report: &SignalReport, destination: Option<&Destination>) {
        match report.signal {
            Signal::Traces => line!("meshwise::trace", "spans", self, report, destination),
            Signal::Logs => line!("meshwise::log", "log records", self, report, destination),
            Signal::Metrics => {
                line!("meshwise::metrics", "metric points", self, report, destination);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::{DropReason, internal::LossCounters};

    #[test]
    fn one_line_a_minute_sums_up_what_was_lost_in_between() {
        let counters = LossCounters::new(Signal::Traces);
        let start = Instant::now();
        let mut state = State::default();
        counters.dropped(DropReason::QueueFull, 3);
        let first = state.line(&counters.report(), start).unwrap();
        assert_eq!(first, LossLine { lost: 3, error: None });

        for second in 1..60 {
            counters.dropped(DropReason::QueueFull, 1);
            state.error = Some(format!("error {second}"));
            let now = start + Duration::from_secs(second);
            assert_eq!(state.line(&counters.report(), now), None);
        }
        let second = state.line(&counters.report(), start + BETWEEN_LINES).unwrap();
        assert_eq!(second, LossLine { lost: 59, error: Some("error 59".into()) });
    }
}
