//! The wire formats of context, and how they combine.

use crate::{Env, EnvError, SpanId, TraceFlags, TraceId, TraceState};
use http::HeaderMap;
use std::borrow::Cow;

/// Names a wire format, by its word in `OTEL_PROPAGATORS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `tracecontext`: W3C `traceparent` and `tracestate`, level 2.
    TraceContext,
    /// `baggage`: W3C `baggage`.
    Baggage,
    /// `b3`: the single `b3` header.
    B3,
    /// `b3multi`: `x-b3-traceid`, `x-b3-spanid`, ...
    B3Multi,
    /// `jaeger`: `uber-trace-id` and `uberctx-*`.
    Jaeger,
    /// `xray`: `x-amzn-trace-id`.
    XRay,
    /// `datadog`: `x-datadog-trace-id`, `x-datadog-parent-id`, ...
    Datadog,
}

/// Reads and writes context in the formats chosen.
#[derive(Clone, Debug)]
pub struct Propagators {
    formats: Vec<Format>,
}

impl Propagators {
    /// Uses these formats: all are written; the first that yields a trace is read.
    #[must_use]
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        Self { formats: formats.into_iter().collect() }
    }

    /// Reads `OTEL_PROPAGATORS`; `None` if unset.
    ///
    /// # Errors
    /// If it names a format that is not known.
    pub fn from_env(_env: &Env) -> Result<Option<Self>, EnvError> {
        Ok(None)
    }

    /// Reads what the caller sent.
    #[must_use]
    pub fn extract<'h>(&self, _headers: &'h HeaderMap) -> Incoming<'h> {
        Incoming::default()
    }

    /// Writes what the callee shall know, replacing what stood there.
    pub fn inject(&self, _call: &Outgoing<'_>, _headers: &mut HeaderMap) {
        let _ = &self.formats;
    }

    /// Removes every header of the formats chosen.
    pub fn strip(&self, _headers: &mut HeaderMap) {}
}

impl Default for Propagators {
    /// `tracecontext,baggage`, OpenTelemetry's default.
    fn default() -> Self {
        Self::new([Format::TraceContext, Format::Baggage])
    }
}

/// Says whether the caller records the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// The caller leaves it to this service.
    #[default]
    Deferred,
    /// It does not.
    NotSampled,
    /// It does.
    Sampled,
    /// It does, and nobody may drop it (B3 `d`, Jaeger's debug flag, Datadog's user-keep).
    Debug,
}

/// Holds all that came with a call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Incoming<'h> {
    /// The caller's span.
    pub parent: Option<Parent>,
    /// Who called, if it speaks `mw` and nobody stood between.
    pub caller: Option<Caller<'h>>,
    /// Values handed along by the callers, decoded.
    pub baggage: Baggage,
}

/// Names the caller's span.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parent {
    /// The trace; valid.
    pub trace_id: TraceId,
    /// The span; valid.
    pub span_id: SpanId,
    /// The flags as they came (`sampled` set as [`Parent::sampling`] says).
    pub flags: TraceFlags,
    /// Whether the caller records it.
    pub sampling: Sampling,
    /// `tracestate` without our own `mw` entry.
    pub state: TraceState,
}

/// Holds the `mw` entry of `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The calling service's name.
    pub service: Cow<'a, str>,
    /// The API version it asks for.
    pub api_version: Option<Cow<'a, str>>,
    /// How often it tried before; 0 for a first try.
    pub attempt: u32,
}

/// Holds all that goes with a call.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// This call's own (client) span.
    pub span_id: SpanId,
    /// The flags, `sampled` among them.
    pub flags: TraceFlags,
    /// Other participants' entries, as a header value without our own `mw`; may be empty.
    pub state: &'a str,
    /// Who calls; `None` writes no `mw` entry.
    pub caller: Option<Caller<'a>>,
    /// Values to hand along.
    pub baggage: &'a Baggage,
}

/// Holds W3C baggage: names, decoded values and properties, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    entries: Vec<BaggageEntry>,
}

/// Holds one member of the baggage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaggageEntry {
    /// A token (RFC 9110 section 5.6.2).
    pub key: String,
    /// Any text; percent-encoded on the wire.
    pub value: String,
    /// Properties as they came (`;`-separated); may be empty.
    pub metadata: String,
}

impl Baggage {
    /// Tells whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lists the members.
    pub fn iter(&self) -> impl Iterator<Item = &BaggageEntry> {
        self.entries.iter()
    }
}
