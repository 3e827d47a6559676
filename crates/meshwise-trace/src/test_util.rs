//! What unit tests share.

use crate::spare::blank;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

/// Takes spans as a collector's exporter does, from the queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<SpanData>>>);

impl Collected {
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }
}

impl SpanExporter for Collected {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

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
