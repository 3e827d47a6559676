//! What a handler can learn about the call it serves.

use axum::extract::FromRequestParts;
use http::request::Parts;
use meshwise_core::{CallInfo, Deadline, TraceId};
use opentelemetry::{Context, trace::TraceContextExt};
use std::convert::Infallible;

/// Extracts what is known about the call being served.
///
/// Never fails: without a server layer around the router all of it is unknown.
#[derive(Clone, Debug, Default)]
pub struct CurrentCall {
    info: CallInfo,
    trace_id: TraceId,
}

impl CurrentCall {
    /// Takes it from the current context.
    #[must_use]
    pub fn current() -> Self {
        Context::map_current(|cx| {
            let trace_id = TraceId::from_bytes(cx.span().span_context().trace_id().to_bytes());
            let info = cx.get::<CallInfo>().map(|info| info.in_trace(trace_id));
            Self { info: info.unwrap_or_default(), trace_id }
        })
    }

    /// Returns the request id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        Some(self.info.request_id.as_ref()?.as_str())
    }

    /// Returns the name of the calling service, if it told.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        self.info.caller.as_deref()
    }

    /// Returns the moment past which the caller no longer waits for the response's head: the earliest
    /// of its deadline and of the limit of its attempt.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.info.limit()
    }

    /// Returns the trace's id, if there is one.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        Some(self.trace_id).filter(|id| id.is_valid())
    }
}

impl<S: Sync> FromRequestParts<S> for CurrentCall {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::current())
    }
}
