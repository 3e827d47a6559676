//! The wire formats of context, and how they combine.
//!
//! | format | `OTEL_PROPAGATORS` | headers | what it can't carry |
//! |---|---|---|---|
//! | [`Format::TraceContext`] | `tracecontext` | `traceparent`, `tracestate` | |
//! | [`Format::Baggage`] | `baggage` | `baggage` | |
//! | [`Format::B3`] | `b3` | `b3` | `tracestate`, the caller |
//! | [`Format::B3Multi`] | `b3multi` | `x-b3-traceid`, `x-b3-spanid`, `x-b3-parentspanid`, `x-b3-sampled`, `x-b3-flags` | the same |
//! | [`Format::Jaeger`] | `jaeger` | `uber-trace-id`, `uberctx-*` (baggage) | the same |
//! | [`Format::XRay`] | `xray` | `x-amzn-trace-id` | the same |
//! | [`Format::Datadog`] | `datadog` | `x-datadog-trace-id`, `-parent-id`, `-sampling-priority`, `-tags` | the same, and the origin |
//!
//! Every format chosen is written. On reading, the first of them, in the order given, that yields
//! the caller's span wins; baggage is gathered from all that carry it. Headers that are not valid,
//! or longer than the limits, are ignored, as their standards say. A sampling decision that comes
//! without ids (`b3: 0`) is ignored: there is no trace that it could be about.

mod b3;
mod baggage;
mod datadog;
mod hex;
mod jaeger;
mod mw;
mod trace_context;
mod xray;

pub use baggage::{Baggage, BaggageEntry};

use crate::{Env, EnvError, SpanId, TraceFlags, TraceId, TraceState};
use http::{HeaderMap, HeaderName, HeaderValue};
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

impl Format {
    /// Lists all formats.
    pub const ALL: [Self; 7] = [
        Self::TraceContext,
        Self::Baggage,
        Self::B3,
        Self::B3Multi,
        Self::Jaeger,
        Self::XRay,
        Self::Datadog,
    ];

    /// Returns the format's word in `OTEL_PROPAGATORS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
            Self::XRay => "xray",
            Self::Datadog => "datadog",
        }
    }

    /// Lists the format's headers; Jaeger's `uberctx-*` come on top.
    #[must_use]
    pub const fn header_names(self) -> &'static [&'static str] {
        match self {
            Self::TraceContext => &["traceparent", "tracestate"],
            Self::Baggage => &["baggage"],
            Self::B3 => &["b3"],
            Self::B3Multi => &b3::MULTI,
            Self::Jaeger => &[jaeger::TRACE],
            Self::XRay => &[xray::TRACE],
            Self::Datadog => &datadog::ALL,
        }
    }
}

/// Reads and writes context in the formats chosen.
///
/// ```
/// use http::HeaderMap;
/// use meshwise_core::propagation::{Format, Propagators};
///
/// let propagators = Propagators::new([Format::TraceContext, Format::B3]);
/// let mut headers = HeaderMap::new();
/// headers.insert("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1".parse()?);
/// let parent = propagators.extract(&headers).parent.expect("the caller's span");
/// assert_eq!(parent.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagators {
    formats: Vec<Format>,
}

impl Propagators {
    /// Uses these formats, each once.
    #[must_use]
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let mut chosen = Vec::new();
        for format in formats {
            if !chosen.contains(&format) {
                chosen.push(format);
            }
        }
        Self { formats: chosen }
    }

    /// Reads `OTEL_PROPAGATORS`, a list of words with commas between; `None` if unset. `none` is no
    /// format at all.
    ///
    /// # Errors
    /// If it names a format that is not known, or `none` beside others.
    pub fn from_env(env: &Env) -> Result<Option<Self>, EnvError> {
        const NAME: &str = "OTEL_PROPAGATORS";
        let Some(text) = env.get(NAME) else { return Ok(None) };
        if text.eq_ignore_ascii_case("none") {
            return Ok(Some(Self::new([])));
        }
        let mut formats = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let format = Format::ALL.into_iter().find(|f| f.as_str().eq_ignore_ascii_case(word));
            formats.push(format.ok_or_else(|| {
                let words: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
                let allowed =
                    format!("none, or a list of {} (`{word}` is none of these)", words.join(", "));
                EnvError::new(NAME, &text, allowed)
            })?);
        }
        Ok(Some(Self::new(formats)))
    }

    /// Returns the formats in use.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// Reads what the caller sent. Allocates nothing for a valid `traceparent` that comes without
    /// other participants' `tracestate` and without baggage.
    #[must_use]
    pub fn extract<'h>(&self, headers: &'h HeaderMap) -> Incoming<'h> {
        let mut incoming = Incoming::default();
        for format in &self.formats {
            match format {
                Format::Baggage => baggage::extract(headers, &mut incoming.baggage),
                Format::Jaeger => jaeger::extract_baggage(headers, &mut incoming.baggage),
                _ => {}
            }
            if incoming.parent.is_some() {
                continue;
            }
            incoming.parent = match format {
                Format::TraceContext => trace_context::extract(headers).map(|(parent, own)| {
                    incoming.caller = own.and_then(|own| mw::parse(own, parent.span_id));
                    parent
                }),
                Format::Baggage => None,
                // The specification wants either form to be read under both names.
                Format::B3 => b3::extract_single(headers).or_else(|| b3::extract_multi(headers)),
                Format::B3Multi => {
                    b3::extract_multi(headers).or_else(|| b3::extract_single(headers))
                }
                Format::Jaeger => jaeger::extract(headers),
                Format::XRay => xray::extract(headers),
                Format::Datadog => datadog::extract(headers),
            };
        }
        incoming
    }

    /// Writes what the callee shall know, replacing what stood there.
    pub fn inject(&self, call: &Outgoing<'_>, headers: &mut HeaderMap) {
        for format in &self.formats {
            match format {
                Format::TraceContext => trace_context::inject(call, headers),
                Format::Baggage => baggage::inject(call.baggage, headers),
                Format::B3 => b3::inject_single(call, headers),
                Format::B3Multi => b3::inject_multi(call, headers),
                Format::Jaeger => jaeger::inject(call, headers),
                Format::XRay => xray::inject(call, headers),
                Format::Datadog => datadog::inject(call, headers),
            }
        }
    }

    /// Removes every header of the formats chosen.
    pub fn strip(&self, headers: &mut HeaderMap) {
        for format in &self.formats {
            for name in format.header_names() {
                headers.remove(*name);
            }
            if *format == Format::Jaeger {
                jaeger::strip_baggage(headers);
            }
        }
    }
}

impl Default for Propagators {
    /// `tracecontext,baggage`, OpenTelemetry's default.
    fn default() -> Self {
        Self::new([Format::TraceContext, Format::Baggage])
    }
}

/// Says whether the caller records the trace (complete by nature).
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

impl Sampling {
    /// Returns the flags that say the same, as far as flags can.
    #[must_use]
    pub const fn flags(self) -> TraceFlags {
        match self {
            Self::Deferred | Self::NotSampled => TraceFlags::NONE,
            Self::Sampled | Self::Debug => TraceFlags::SAMPLED,
        }
    }
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

impl Parent {
    /// Joins ids and a decision, if the ids are valid.
    fn new(trace_id: TraceId, span_id: SpanId, sampling: Sampling) -> Option<Self> {
        (trace_id.is_valid() && span_id.is_valid()).then(|| Self {
            trace_id,
            span_id,
            flags: sampling.flags(),
            sampling,
            state: TraceState::EMPTY,
        })
    }
}

/// Holds the `mw` entry of `tracestate`: who calls.
///
/// On the wire: `mw=p:{id of the caller's span};s:{service};v:{api version};a:{attempt}`. A reader
/// whose `traceparent` names another parent than `p` knows that somebody stood between.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The calling service's name; percent-encoded on the wire, cut to 128 bytes there.
    pub service: Cow<'a, str>,
    /// The API version it asks for; cut to 64 bytes on the wire.
    pub api_version: Option<Cow<'a, str>>,
    /// How often it tried before; 0 for a first try.
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
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }
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

/// Returns a header's only value, without the space around it; two values are none.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Some(value.to_str().ok()?.trim_matches([' ', '\t']))
}

/// Sets a header, unless the text can't be a value.
fn set(headers: &mut HeaderMap, name: &'static str, text: impl AsRef<[u8]>) {
    if let Ok(value) = HeaderValue::from_bytes(text.as_ref()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests;
