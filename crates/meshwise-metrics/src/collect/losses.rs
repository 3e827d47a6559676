//! What became of telemetry records.

use crate::{
    handles::{counter, label},
    names,
};
use meshwise_core::SignalReport;
use metrics::Recorder;

pub(crate) fn all(recorder: &dyn Recorder, report: &SignalReport) {
    let labels = vec![label(names::LABEL_SIGNAL, report.signal.as_str())];
    counter(recorder, names::TELEMETRY_EXPORTED, labels).absolute(report.delivered);
    dropped(recorder, report);
}

/// Shows losses only, for a signal that is not delivered: metrics are fetched.
pub(crate) fn dropped(recorder: &dyn Recorder, report: &SignalReport) {
    for (reason, lost) in report.dropped() {
        let labels = vec![
            label(names::LABEL_SIGNAL, report.signal.as_str()),
            label(names::LABEL_REASON, reason.as_str()),
        ];
        counter(recorder, names::TELEMETRY_DROPPED, labels).absolute(lost);
    }
}
