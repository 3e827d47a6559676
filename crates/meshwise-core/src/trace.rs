//! Trace and span ids, flags and `tracestate`, as W3C Trace Context (level 2) defines them.

mod hex;
mod id;
mod state;

pub use id::{ParseIdError, SpanId, TraceFlags, TraceId};
pub use state::TraceState;
#[doc(hidden)]
pub use state::TraceStateError;
