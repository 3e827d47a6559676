//! What unit tests share.

use crate::spare::blank;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::SpanData;
use std::time::SystemTime;

/// Makes a sampled span with trace id 10 and span id 11.
pub(crate) fn span_data(name: &str) -> SpanData {
    let now = SystemTime::now();
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(10),
            SpanId::from(11),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        name: name.to_owned().into(),
        start_time: now,
        end_time: now,
        ..blank()
    }
}
