//! What became of telemetry records.

use crate::{
    key::{METADATA, label},
    names,
};
use meshwise_core::SignalReport;
use metrics::{Key, Recorder};

pub(crate) fn all(recorder: &dyn Recorder, report: &SignalReport) {
    let labels = vec![label(names::LABEL_SIGNAL, report.signal.as_str())];
    let key = Key::from_parts(names::TELEMETRY_EXPORTED, labels);
    recorder.register_counter(&key, &METADATA).absolute(report.delivered);
    dropped(recorder, report);
}

/// Shows losses only, for a signal that is not delivered: metrics are fetched.
pub(crate) fn dropped(recorder: &dyn Recorder, report: &SignalReport) {
    for (reason, lost) in report.dropped() {
        let labels = vec![
            label(names::LABEL_SIGNAL, report.signal.as_str()),
            label(names::LABEL_REASON, reason.as_str()),
        ];
        let key = Key::from_parts(names::TELEMETRY_DROPPED, labels);
        recorder.register_counter(&key, &METADATA).absolute(lost);
    }
}
