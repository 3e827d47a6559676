//! What comes with a call, and what goes with one.

use super::Baggage;
use crate::trace::{SpanId, TraceFlags, TraceId, TraceState};
use std::borrow::Cow;

/// Holds all that came with a call.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Incoming<'h> {
    /// The caller's span.
    pub parent: Option<Parent>,
    /// What the caller decided about recording: [`Parent::sampling`] if there is a parent,
    /// otherwise what came without ids. B3 (`b3: 0`), X-Ray and Datadog can say so: a trace that
    /// starts here should heed it.
    #[doc(hidden)]
    pub sampling: Sampling,
    /// Who called, if it speaks `mw` and no other service stood between.
    pub caller: Option<Caller<'h>>,
    /// Values handed along by the callers, decoded.
    pub baggage: Baggage,
}

/// Says whether the caller records the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
#[doc(hidden)]
pub enum Sampling {
    /// The caller leaves it to this service.
    #[default]
    Deferred,
    /// It does not.
    NotSampled,
    /// It does.
    Sampled,
    /// It does, and no service may drop it (B3 `d`, Jaeger's debug flag, Datadog's user-keep).
    Debug,
}

impl Sampling {
    /// Returns the flags that say the same: `sampled`, or `sampled` and `debug`, or none.
    #[must_use]
    pub const fn flags(self) -> TraceFlags {
        match self {
            Self::Deferred | Self::NotSampled => TraceFlags::NONE,
            Self::Sampled => TraceFlags::SAMPLED,
            Self::Debug => TraceFlags::SAMPLED.with_debug(true),
        }
    }

    /// Turns flags into the decision that they stand for.
    pub(super) const fn of(flags: TraceFlags) -> Self {
        match (flags.is_sampled(), flags.is_debug()) {
            (false, _) => Self::NotSampled,
            (true, false) => Self::Sampled,
            (true, true) => Self::Debug,
        }
    }
}

/// Names the caller's span.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parent {
    /// The trace; valid.
    pub trace_id: TraceId,
    /// The span; valid.
    pub span_id: SpanId,
    /// The flags that are known; `sampled` and `debug` are set as [`Parent::sampling`] says.
    pub flags: TraceFlags,
    /// Whether the caller records it.
    #[doc(hidden)]
    pub sampling: Sampling,
    /// `tracestate` without our own `mw` entry.
    pub state: TraceState,
}

impl Parent {
    /// Names a span; `None` unless both ids are valid.
    pub(super) fn new(trace_id: TraceId, span_id: SpanId, sampling: Sampling) -> Option<Self> {
        (trace_id.is_valid() && span_id.is_valid()).then(|| Self {
            trace_id,
            span_id,
            flags: sampling.flags(),
            sampling,
            state: TraceState::EMPTY,
        })
    }

    pub(super) fn is_same_span(&self, other: &Self) -> bool {
        (self.trace_id, self.span_id) == (other.trace_id, other.span_id)
    }
}

/// Holds what one format had to say about the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing that is valid.
    Nothing,
    /// A decision about recording, without ids.
    Decision(Sampling),
    /// The caller's span.
    Parent(Parent),
}

impl Found {
    /// Takes the parent if there is one, otherwise the decision.
    pub(super) fn new(parent: Option<Parent>, sampling: Sampling) -> Self {
        match (parent, sampling) {
            (Some(parent), _) => Self::Parent(parent),
            (None, Sampling::Deferred) => Self::Nothing,
            (None, sampling) => Self::Decision(sampling),
        }
    }
}

/// Holds the `mw` entry of `tracestate`.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The calling service's name; written up to 128 bytes, as encoded.
    pub service: Cow<'a, str>,
    /// The API version it asks for; written up to 64 bytes, as encoded.
    pub api_version: Option<Cow<'a, str>>,
    /// How often it tried before; 0 for a first try.
    #[doc(hidden)]
    pub attempt: u32,
}

impl<'a> Caller<'a> {
    /// Names the calling service.
    #[must_use]
    pub fn new(service: impl Into<Cow<'a, str>>) -> Self {
        Self { service: service.into(), api_version: None, attempt: 0 }
    }

    /// Sets the API version asked for.
    #[must_use]
    pub fn with_api_version(mut self, version: impl Into<Cow<'a, str>>) -> Self {
        self.api_version = Some(version.into());
        self
    }

    /// Sets how often the call was tried before.
    #[must_use]
    #[doc(hidden)]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }
}

/// Holds all that goes with a call.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "what is written is said in full")]
pub struct Outgoing<'a> {
    /// The trace. If this or the span's id is not valid, only baggage and the caller are written.
    pub trace_id: TraceId,
    /// This call's own (client) span.
    pub span_id: SpanId,
    /// The flags, `sampled` among them.
    pub flags: TraceFlags,
    /// Other participants' entries, as a header value; may be empty. What is not valid in it, and
    /// an `mw` entry, are left out.
    pub state: &'a str,
    /// Who calls; `None` writes no `mw` entry.
    pub caller: Option<Caller<'a>>,
    /// Values to hand along.
    pub baggage: &'a Baggage,
}
