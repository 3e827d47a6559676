//! What a call does with what came of starting its span.

#[cfg(not(feature = "pipeline"))]
use crate::nowhere::Started;
#[cfg(feature = "pipeline")]
use crate::start::Started;
use opentelemetry::{
    Context,
    trace::{Span as _, SpanContext, TraceContextExt},
};

impl Started {
    /// Returns the ids that the call goes by.
    #[must_use]
    #[inline]
    pub fn ids(&self) -> &SpanContext {
        match self {
            Self::Recorded(span) => span.span_context(),
            Self::Unrecorded(ids) => ids,
        }
    }

    /// Puts it into the call's context, and tells whether it records.
    #[must_use]
    #[inline]
    pub fn enter(self, cx: Context) -> (Context, bool) {
        match self {
            Self::Recorded(span) => (cx.with_span(span.of_call()), true),
            Self::Unrecorded(ids) if ids.is_valid() => (cx.with_remote_span_context(ids), false),
            Self::Unrecorded(_) => (cx, false),
        }
    }
}
